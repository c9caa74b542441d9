"""A store: its tables by name, read and written."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from rfm_spark.errors import ConflictError, DataError
from rfm_spark.schemas import Table
from rfm_spark.tables.commits import APPLICATION, ATTEMPTS, Fence, Written, retrying
from rfm_spark.tables.definition import (
    ID,
    MISSING,
    check_contract,
    define,
    properties_of,
    set_properties,
)
from rfm_spark.tables.quoting import quoted, text
from rfm_spark.write_queue import WriteQueue

_LEDGER = "runs"
# MERGE: customers were erased, and with them the feed of it.
_NOT_FOLLOWABLE = re.compile(r"RESTORE|REPLACE TABLE|CLONE|CONVERT|MERGE")


@dataclass
class Store:
    """Delta tables by name.

    What is written later, with :meth:`replace_later` and :meth:`append_later`, is written in the
    order of the calls, and whoever looks at such a table waits for it.

    Args:
        spark: A session with Delta Lake.
        location: Folder or URI of path tables, or ``catalog.schema``.
        is_path: Which of the two the location is.
        fence: What writes bear while a run has its turn.
    """

    spark: SparkSession
    location: str
    is_path: bool
    fence: Fence | None = None
    _defined: set[Table] = field(default_factory=set, repr=False)

    @cached_property
    def queue(self) -> WriteQueue:
        """What is to be written later."""
        return WriteQueue(self.spark)

    def address(self, table: str) -> str:
        """Where a table is, for people: its folder or its catalog name."""
        separator = "/" if self.is_path else "."
        return f"{self.location.rstrip('/')}{separator}{table}"

    def identifier(self, table: str) -> str:
        """A table's quoted SQL name."""
        if self.is_path:
            return f"delta.{quoted(self.address(table))}"
        return ".".join(quoted(part) for part in self.address(table).split("."))

    def exists(self, table: str) -> bool:
        """Whether the table has been created."""
        return self.read_or_none(table) is not None

    def version(self, table: str) -> int | None:
        """The table's newest version, None where there is no such table."""
        self.queue.settle(table)
        try:
            history = self.spark.sql(f"DESCRIBE HISTORY {self.identifier(table)} LIMIT 1")
            return int(history.collect()[0]["version"])
        except AnalysisException as error:
            if error.getCondition() in MISSING:
                return None
            raise

    def read(self, table: str) -> DataFrame:
        """The table as it is now.

        Raises:
            DataError: There is no such table yet.
        """
        found = self.read_or_none(table)
        if found is None:
            raise DataError(
                f"the table {self.address(table)} does not exist yet; the command that writes it "
                "has to run first (`rfm-spark run` does all of them)"
            )
        return found

    def read_or_none(self, table: str) -> DataFrame | None:
        """The table as it is now, or None where there is none."""
        self.queue.settle(table)
        try:
            found = self.spark.table(self.identifier(table))
            _ = found.schema  # over Connect, nothing is looked up before
        except AnalysisException as error:
            if error.getCondition() in MISSING:
                return None
            raise
        return found

    def read_version(self, table: str, version: int) -> DataFrame:
        """The table as it was at a version."""
        return self.spark.read.option("versionAsOf", version).table(self.identifier(table))

    def table_id(self, table: str) -> str:
        """What tells a table from another one that was created in its place."""
        return str(self.spark.sql(f"DESCRIBE DETAIL {self.identifier(table)}").collect()[0]["id"])

    def unfollowable(self, table: str, after: int, upto: int) -> str | None:
        """Why the changes between two versions cannot be followed; None where they can."""
        if upto < after:
            return f"version {after} is no longer among its versions"
        history = self.spark.sql(f"DESCRIBE HISTORY {self.identifier(table)}")
        between = (F.col("version") > after) & (F.col("version") <= upto)
        operations = [row[0] for row in history.where(between).select("operation").collect()]
        if len(operations) < upto - after:
            return f"its log no longer reaches back to version {after}"
        broken = [name for name in operations if _NOT_FOLLOWABLE.search(name)]
        return f"it has seen {broken[0]} since version {after}" if broken else None

    def changes(self, table: str, after: int, upto: int) -> DataFrame:
        """Rows that versions after one and up to another added or took away.

        Columns: the table's own, and ``_change_type`` (insert, delete, update_preimage,
        update_postimage). ``after`` must be smaller than ``upto``.
        """
        reader = self.spark.read.option("readChangeFeed", "true")
        reader = reader.option("startingVersion", after + 1).option("endingVersion", upto)
        return reader.table(self.identifier(table))

    def check_contract(self) -> None:
        """See that this program knows what the store's tables promise.

        Raises:
            DataError: A later program has written them.
        """
        if self.exists(_LEDGER):
            check_contract(self.spark, self.identifier(_LEDGER), self.location)

    def ensure(self, table: Table) -> None:
        """Create a table, or add nullable columns that an existing one lacks.

        Raises:
            DataError: The existing table has a column of another type, or the place is taken.
        """
        self.queue.settle()
        self._ensure(table)

    def _ensure(self, table: Table) -> None:
        if table not in self._defined:
            define(self.spark, table, self.identifier(table.name), self.address(table.name))
            self._defined.add(table)

    def replace(self, table: Table, frame: DataFrame, where: str, run_id: str) -> Written:
        """Replace the rows that a predicate selects, in one commit.

        Args:
            table: The table; it is created if it does not exist.
            frame: Exactly the table's columns, in any order.
            where: SQL predicate; every row of ``frame`` must satisfy it.
            run_id: Kept in the commit.
        """
        self.queue.settle()
        return self._write(table, frame, run_id, where)

    def replace_later(
        self,
        table: Table,
        frame: DataFrame,
        where: str,
        run_id: str,
        tell: Callable[[Written], None],
    ) -> None:
        """The same, after what was asked for before and while the caller goes on.

        Args:
            table: As in :meth:`replace`.
            frame: Without errors of its own: what it raises comes up at a later call.
            where: As in :meth:`replace`.
            run_id: As in :meth:`replace`.
            tell: Called after the commit, before anybody can look at the table.
        """
        self.queue.add(table.name, lambda: tell(self._write(table, frame, run_id, where)))

    def append_later(self, table: Table, frame: DataFrame, run_id: str) -> None:
        """Add rows in one commit, after what was asked for before and while the caller goes on.

        Such rows do not bear the turn: a run that has lost its turn may still say so.
        """
        self.queue.add(table.name, partial(self._write, table, frame, run_id, None))

    def create(self, table: Table) -> None:
        """Create a table if it does not exist, beside what is to be written, from any thread.

        Raises:
            DataError: The place is taken, also a little later: another run may be creating it.
        """
        again = Retrying(
            retry=retry_if_exception_type(DataError),
            stop=stop_after_attempt(ATTEMPTS if self.read_or_none(table.name) is None else 1),
            wait=wait_fixed(1),
            reraise=True,
        )
        again(lambda: retrying(lambda: self._ensure(table)))

    def properties(self, table: str) -> Mapping[str, str]:
        """A table's properties; none where there is no such table."""
        if self.read_or_none(table) is None:
            return {}
        return properties_of(self.spark, self.identifier(table))

    def set_properties(self, table: str, properties: Mapping[str, str]) -> None:
        """Set properties of a table."""
        set_properties(self.spark, self.identifier(table), properties)

    def remove_properties(self, table: str, keys: Collection[str]) -> None:
        """Take properties off a table."""
        if keys:
            listed = ", ".join(text(key) for key in keys)
            name = self.identifier(table)
            self.spark.sql(f"ALTER TABLE {name} UNSET TBLPROPERTIES IF EXISTS ({listed})")

    def take_turn(self, ledger: Table, row: DataFrame, run_id: str, turn: int) -> bool:
        """Add a row to the ledger, unless somebody has taken this turn or a later one.

        Args:
            ledger: The table whose rows say whose turn it is.
            row: The run's first row.
            run_id: Kept in the commit.
            turn: One more than the last one that the ledger knows.

        Returns:
            Whether the row was added; later writes of this store bear the turn.
        """
        options = {"txnAppId": f"{APPLICATION} turn", "txnVersion": str(turn)}
        try:
            written = self._write(ledger, row, run_id, None, options)
        except ConflictError:
            return False
        if written.rows:
            own_id = self.properties(ledger.name).get(ID) or self.table_id(ledger.name)
            self.fence = Fence(own_id, turn)
        return bool(written.rows)

    def fence_off(self, tables: Iterable[str], run_id: str) -> None:
        """Have every table refuse what runs of earlier turns may still write.

        Args:
            tables: Which ones, as far as they exist.
            run_id: Kept in the commits.
        """
        for table in tables:
            rows = self.read_or_none(table)
            if rows is not None and self.fence is not None:
                writer = rows.limit(0).writeTo(self.identifier(table))
                options = {"userMetadata": run_id, **self.fence.next_options()}
                for key, value in options.items():
                    writer = writer.option(key, value)
                retrying(writer.append)

    def keep_turn(self) -> None:
        """See that no later run has taken over.

        Raises:
            ConflictError: One has.
        """
        if self.fence is None:
            return
        later = self.spark.table(self.identifier(_LEDGER)).where(F.col("turn") > self.fence.turn)
        if later.limit(1).collect():
            raise ConflictError(
                "a later run took this one for dead and has taken over; nothing of this write was "
                "published. See `rfm-spark runs`"
            )

    def _write(
        self,
        table: Table,
        frame: DataFrame,
        run_id: str,
        where: str | None,
        options: Mapping[str, str] | None = None,
    ) -> Written:
        commit = f"{run_id} {uuid.uuid4().hex}"
        if options is None:
            options = self.fence.next_options() if self.fence and where is not None else {}

        def write() -> None:
            self._ensure(table)
            self._defined.discard(table)  # looked at again, should this attempt fail
            writer = self._ordered(table, frame).writeTo(self.identifier(table.name))
            for key, value in {"userMetadata": commit, **options}.items():
                writer = writer.option(key, value)
            if where is None:
                writer.append()
            else:
                writer.overwrite(F.expr(where))
            self._defined.add(table)

        retrying(write)
        return self._written(table.name, commit)

    def _ordered(self, table: Table, frame: DataFrame) -> DataFrame:
        missing = sorted(set(table.columns) ^ set(frame.columns))
        if missing:
            raise ValueError(f"{table.name}: the frame and the schema differ in {missing}")
        known = self.spark.table(self.identifier(table.name)).columns
        types = {field.name: field.type for field in table.fields}
        return frame.select(
            *(
                F.col(name).cast(types[name]).alias(name)
                if name in types
                else F.lit(None).alias(name)
                for name in known
            )
        )

    def _written(self, table: str, commit: str) -> Written:
        """The commit with that mark.

        Delta makes none where nothing is written and nothing goes, nor for a run that has lost its
        turn.
        """
        history = self.spark.sql(f"DESCRIBE HISTORY {self.identifier(table)} LIMIT 20")
        rows = history.collect()  # as it is: choosing columns would be a Spark job
        for row in rows:
            if row["userMetadata"] == commit:
                rows_written = row["operationMetrics"].get("numOutputRows", 0)
                return Written(row["version"], int(rows_written))
        self.keep_turn()
        return Written(max(row["version"] for row in rows), 0)
