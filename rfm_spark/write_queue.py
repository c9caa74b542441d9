"""Small writes that go on behind the caller's back, in the order they were asked for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from pyspark import inheritable_thread_target
from pyspark.sql import SparkSession

from rfm_spark.added_jars import see_added_jars


class WriteQueue:
    """One thread that does one write after the other.

    A commit takes a second or more in which Spark has little to do; meanwhile the caller computes
    what comes next. Whoever writes at once settles the queue first, so commits keep the order of
    the calls, and after a kill the tables are as if there were no queue. After a write that failed,
    those behind it are dropped.

    Args:
        spark: The session whose local properties the thread shares.
    """

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._pool: ThreadPoolExecutor | None = None
        self._pending: list[tuple[str, Future[None]]] = []
        self._failure: BaseException | None = None

    def add(self, table: str, write: Callable[[], object]) -> None:
        """Write later.

        Args:
            table: Which table.
            write: Does the write, and tells of it.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="rfm_spark write")
            self._submit(self._pool, lambda: see_added_jars(self._spark))
        self._pending = [(name, future) for name, future in self._pending if not future.done()]
        self._pending.append((table, self._submit(self._pool, write)))

    def settle(self, table: str | None = None) -> None:
        """Wait for the writes of a table and for all before them; for all where None is given.

        Raises:
            Exception: What a write raised, here or at the next call; once.
        """
        waited = [at for at, (name, _) in enumerate(self._pending) if table in (None, name)]
        wait(future for _, future in self._pending[: max(waited, default=-1) + 1])
        if self._failure is not None:
            self._drop()
            failure, self._failure = self._failure, None
            raise failure

    def close(self) -> None:
        """Let the write under way end, drop the others, and stop the thread."""
        self._drop()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _submit(self, pool: ThreadPoolExecutor, write: Callable[[], object]) -> Future[None]:
        return pool.submit(inheritable_thread_target(self._spark)(self._unless_broken), write)

    def _unless_broken(self, write: Callable[[], object]) -> None:
        if self._failure is None:
            try:
                write()
            except BaseException as error:
                self._failure = error

    def _drop(self) -> None:
        for _, future in self._pending:
            future.cancel()
        wait(future for _, future in self._pending)
        self._pending = []
