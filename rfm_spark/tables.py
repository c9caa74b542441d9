"""The Delta store: the only room that knows Delta Lake.

A store is a folder of path tables or a catalog schema. Tables are created from ``schemas`` and
written by predicate, so that writing a date again leaves one copy of it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tenacity import (
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    wait_fixed,
    wait_random_exponential,
)

from rfm_spark.errors import ConflictError, DataError
from rfm_spark.schemas import Table
from rfm_spark.session import temporarily
from rfm_spark.write_queue import WriteQueue

_MISSING = {
    "TABLE_OR_VIEW_NOT_FOUND",
    "DELTA_TABLE_NOT_FOUND",
    "DELTA_MISSING_DELTA_TABLE",
    "DELTA_TABLE_ONLY_OPERATION",
    "DELTA_PATH_DOES_NOT_EXIST",
    "PATH_NOT_FOUND",
}
# Delta's conflicts are Java classes that PySpark does not translate; over Connect they are text.
_CONFLICT = re.compile(
    r"Concurrent(Append|DeleteRead|DeleteDelete|Transaction|Write|Modification)Exception|"
    r"(MetadataChanged|ProtocolChanged)Exception|"
    r"DELTA_(CONCURRENT_|METADATA_CHANGED|PROTOCOL_CHANGED)"
)
# All but the transaction's: that one means that a later turn has written the table. A write says
# itself which rows it replaces, so it may be made again on top of whatever came in between.
_MAY_BE_REPEATED = re.compile(
    r"Concurrent(Append|DeleteRead|DeleteDelete|Write)Exception|"
    r"(MetadataChanged|ProtocolChanged)Exception|"
    r"DELTA_(CONCURRENT_(APPEND|DELETE_READ|DELETE_DELETE|WRITE)|METADATA_CHANGED|PROTOCOL_CHANGED)"
)
_ATTEMPTS = 5
# Readers without deletion vectors or column mapping can open every table. Smallest and largest
# values per file would keep customer ids in the log, where VACUUM leaves them; files are found by
# their partition.
_PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "none",
    "delta.dataSkippingNumIndexedCols": "0",
}
# For tables whose changes are followed: the feed needs old files and the log for as long as two
# snapshot dates may lie apart; beyond that, features are computed anew.
_FEED = "delta.enableChangeDataFeed"
_FOLLOWED = {
    _FEED: "true",
    "delta.logRetentionDuration": "interval 40 days",
    "delta.deletedFileRetentionDuration": "interval 40 days",
}
_LEDGER = "runs"
_APPLICATION = "rfm_spark"
_WRITES_PER_TURN = 1_000_000
# MERGE: customers were erased, and with them the feed of it.
_NOT_FOLLOWABLE = re.compile(r"RESTORE|REPLACE TABLE|CLONE|CONVERT|MERGE")
_RETENTION_CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"
# VACUUM lists a table's folders in as many tasks as this says, 10,000 by default.
_LISTING_TASKS, _FEW_TASKS = "spark.sql.sources.parallelPartitionDiscovery.parallelism", "32"


@dataclass(frozen=True)
class Written:
    """A commit: the table's version after it, and the rows that it wrote."""

    version: int
    rows: int


@dataclass
class Fence:
    """The number that a run's commits bear, so that a table refuses those of an earlier turn.

    Delta keeps the largest number per table and application, and leaves out a write that bears one
    that is not larger (``txnAppId`` and ``txnVersion``).

    Args:
        ledger: Id of the table whose versions the turns are.
        turn: The run's turn.
        writes: How many writes it has begun.
    """

    ledger: str
    turn: int
    writes: int = 0

    def next_options(self) -> dict[str, str]:
        """Writer options of the next write."""
        self.writes += 1
        number = self.turn * _WRITES_PER_TURN + self.writes
        return {"txnAppId": f"{_APPLICATION} {self.ledger}", "txnVersion": str(number)}


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
            return f"delta.{_quoted(self.address(table))}"
        return ".".join(_quoted(part) for part in self.address(table).split("."))

    def exists(self, table: str) -> bool:
        """Whether the table has been created."""
        return self.read_or_none(table) is not None

    def version(self, table: str) -> int | None:
        """The table's newest version, None where there is no such table."""
        self.queue.settle(table)
        try:
            history = self.spark.sql(f"DESCRIBE HISTORY {self.identifier(table)} LIMIT 1")
            return int(history.select("version").collect()[0][0])
        except AnalysisException as error:
            if error.getCondition() in _MISSING:
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
            if error.getCondition() in _MISSING:
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

    def ensure(self, table: Table) -> None:
        """Create a table, or add nullable columns that an existing one lacks.

        Raises:
            DataError: The existing table has a column of another type, or the place is taken.
        """
        self.queue.settle()
        self._ensure(table)

    def _ensure(self, table: Table) -> None:
        columns = ", ".join(
            f"{_quoted(field.name)} {field.type}{'' if field.nullable else ' NOT NULL'}"
            + (f" COMMENT {_text(field.comment)}" if field.comment else "")
            for field in table.fields
        )
        partition = ", ".join(_quoted(name) for name in table.partition_by)
        properties = _listed(_PROPERTIES | (_FOLLOWED if table.is_followed else {}))
        try:
            self.spark.sql(
                f"CREATE TABLE IF NOT EXISTS {self.identifier(table.name)} ({columns}) USING delta "
                + (f"PARTITIONED BY ({partition}) " if partition else "")
                + f"COMMENT {_text(table.grain)} TBLPROPERTIES ({properties})"
            )
            self._match(table)
        except PySparkException as error:
            condition = error.getCondition() or ""
            if "NON_EMPTY_LOCATION" in condition or condition in _MISSING:
                raise DataError(
                    f"{self.address(table.name)} holds files that are no Delta table; move them, "
                    "or point `store` elsewhere"
                ) from None
            raise

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

    def replace_beside(self, table: Table, frame: DataFrame, run_id: str) -> None:
        """Replace a whole table that no stage looks at, from any thread and regardless of turns."""
        self._write(table, frame, run_id, "true", {})

    def created(self, table: Table) -> int:
        """The table's newest version; where there is no such table, it is created.

        Raises:
            DataError: The place is taken, also a little later: another run may be creating it.
        """
        again = Retrying(
            retry=retry_if_exception_type(DataError),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_fixed(1),
            reraise=True,
        )
        while (version := self.version(table.name)) is None:
            again(lambda: _retrying(lambda: self._ensure(table)))
        return version

    def delete(self, table: str, where: str) -> int:
        """Remove the rows that a predicate selects; gives their number.

        The predicate is kept in the table's log, so it must not hold customer ids.
        """
        return self._removed(f"DELETE FROM {self.identifier(table)} WHERE {where}")

    def delete_matching(self, table: str, keys: DataFrame, match: str) -> int:
        """Remove the rows of a table (``t``) that match one of the keys (``s``)."""
        with _view(keys) as view:
            return self._removed(
                f"MERGE INTO {self.identifier(table)} AS t USING {view} AS s ON {match} "
                "WHEN MATCHED THEN DELETE"
            )

    def update_matching(
        self, table: str, keys: DataFrame, match: str, values: Mapping[str, str]
    ) -> None:
        """Set columns in the rows of a table (``t``) that match a key (``s``); one each."""
        assignments = ", ".join(f"{name} = {value}" for name, value in values.items())
        with _view(keys) as view:
            self.spark.sql(
                f"MERGE INTO {self.identifier(table)} AS t USING {view} AS s ON {match} "
                f"WHEN MATCHED THEN UPDATE SET {assignments}"
            ).collect()

    def _removed(self, statement: str) -> int:
        self.queue.settle()
        rows = self.spark.sql(statement).collect()
        return int(rows[0].asDict().get("num_deleted_rows", rows[0][0]))

    def optimize(self, table: str) -> tuple[int, int]:
        """Put small files together; gives the numbers of files made and of files replaced."""
        self.queue.settle()
        metrics = self.spark.sql(f"OPTIMIZE {self.identifier(table)}").collect()[0]["metrics"]
        return metrics["numFilesAdded"], metrics["numFilesRemoved"]

    def vacuum(self, table: str, *, retain_nothing: bool = False) -> None:
        """Remove files that no version within the table's retention needs.

        Args:
            table: Which table.
            retain_nothing: Keep the newest version alone.
        """
        self.queue.settle()
        statement = f"VACUUM {self.identifier(table)}"
        settings = {_LISTING_TASKS: _FEW_TASKS}
        if retain_nothing:
            statement += " RETAIN 0 HOURS"
            settings[_RETENTION_CHECK] = "false"
        with temporarily(self.spark, settings):
            self.spark.sql(statement).collect()

    def take_turn(self, ledger: Table, row: DataFrame, run_id: str, turn: int) -> bool:
        """Add a row to the ledger, unless somebody has taken this turn or a later one.

        Args:
            ledger: The table whose rows say whose turn it is.
            row: The run's first row.
            run_id: Kept in the commit.
            turn: The ledger's version that showed nobody at work, plus one.

        Returns:
            Whether the row was added; later writes of this store bear the turn.
        """
        options = {"txnAppId": f"{_APPLICATION} turn", "txnVersion": str(turn)}
        try:
            written = self._write(ledger, row, run_id, None, options)
        except ConflictError:
            return False
        if written.rows:
            self.fence = Fence(self.table_id(ledger.name), turn)
        return bool(written.rows)

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
            writer = self._ordered(table, frame).writeTo(self.identifier(table.name))
            for key, value in {"userMetadata": commit, **options}.items():
                writer = writer.option(key, value)
            if where is None:
                writer.append()
            else:
                writer.overwrite(F.expr(where))

        _retrying(write)
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

    def _match(self, table: Table) -> None:
        existing = self.spark.table(self.identifier(table.name)).schema
        types = {field.name: field.dataType.simpleString() for field in existing}
        other = [
            f"{field.name} is {types[field.name]} there and would be {field.type}"
            for field in table.fields
            if field.name in types and types[field.name] != field.type
        ]
        if other:
            raise DataError(
                f"the table {self.address(table.name)} has another schema: {'; '.join(other)}; "
                "undo the change of sources or amount_scale, or start a new `store`"
            )
        self._follow(table)
        new = [field for field in table.fields if field.name not in types]
        if new:
            columns = ", ".join(
                f"{_quoted(field.name)} {field.type} COMMENT {_text(field.comment)}"
                for field in new
            )
            name = self.identifier(table.name)
            self.spark.sql(f"ALTER TABLE {name} ADD COLUMNS ({columns})")

    def _follow(self, table: Table) -> None:
        """Have changes recorded from now on, in a table that was created without."""
        if not table.is_followed:
            return
        name = self.identifier(table.name)
        rows = self.spark.sql(f"SHOW TBLPROPERTIES {name} ('{_FEED}')").collect()
        if rows[0]["value"] != "true":
            self.spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ({_listed(_FOLLOWED)})")

    def _written(self, table: str, commit: str) -> Written:
        """The commit with that mark; Delta makes none where nothing is written and nothing goes."""
        history = self.spark.sql(f"DESCRIBE HISTORY {self.identifier(table)} LIMIT 20")
        rows = history.select("version", "operationMetrics", "userMetadata").collect()
        for row in rows:
            if row["userMetadata"] == commit:
                rows_written = row["operationMetrics"].get("numOutputRows", 0)
                return Written(row["version"], int(rows_written))
        self._keep_turn()
        return Written(max(row["version"] for row in rows), 0)

    def _keep_turn(self) -> None:
        """See that no later run has taken over; then a write that left no commit was an empty one.

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


def _retrying(write: Callable[[], None]) -> None:
    """Write, and again where somebody else's commit came in between and Delta says it may be.

    Raises:
        ConflictError: A later run has taken over, or others came in between again and again.
    """
    again = Retrying(
        retry=retry_if_exception(lambda error: bool(_MAY_BE_REPEATED.search(str(error)))),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        reraise=True,
    )
    try:
        again(write)
    except Exception as error:
        if _CONFLICT.search(str(error)):
            raise ConflictError(
                "another program changed the same rows at the same time and won; nothing of this "
                "write was published, run the command again"
            ) from error
        raise


@contextmanager
def _view(keys: DataFrame) -> Iterator[str]:
    """A name for a frame in SQL, so that what it holds does not get into a table's log."""
    name = f"rfm_spark_{uuid.uuid4().hex}"
    keys.createOrReplaceTempView(name)
    try:
        yield name
    finally:
        keys.sparkSession.catalog.dropTempView(name)


def _listed(properties: Mapping[str, str]) -> str:
    return ", ".join(f"'{key}'='{value}'" for key, value in properties.items())


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
