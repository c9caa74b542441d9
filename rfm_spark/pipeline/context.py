"""What every stage is handed: the session, the settings, the store, the run and its display."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

from pyspark.sql import DataFrame, SparkSession

from rfm_spark.config import Configuration, RfmSettings
from rfm_spark.errors import DataError
from rfm_spark.rules import RuleMap
from rfm_spark.schemas import Table
from rfm_spark.session import describe_jobs
from rfm_spark.tables import Store, Written

Found = TypeVar("Found")


class Display(Protocol):
    """Where progress goes: a terminal, or a log."""

    def run(self, run_id: str) -> None:
        """A run begins; what follows is about it."""

    def stage(self, name: str, about: str) -> None:
        """A stage begins."""

    def stage_done(self, name: str, seconds: float) -> None:
        """A stage has ended, well or not."""

    def working(self, what: str) -> None:
        """Something that takes a while is under way."""

    def wrote(self, stage: str | None, table: str, rows: int, seconds: float) -> None:
        """A stage has written a table, maybe while the next one went on."""

    def note(self, text: str) -> None:
        """Something that the reader should know."""

    def warn(self, text: str) -> None:
        """Something that the reader should look at."""

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Figures to look at."""


@dataclass
class Run:
    """One run of a command: what it read and wrote, for the ledger, and what it looked up."""

    run_id: str
    command: str
    turn: int | None = None
    started: datetime | None = None
    stage: str | None = None
    stage_clock: Clock = field(default_factory=lambda: Clock())  # noqa: PLW0108 - defined below
    input_versions: dict[str, int] = field(default_factory=dict)
    output_versions: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    found: dict[Hashable, Any] = field(default_factory=dict)
    records: dict[tuple[str, date], Sequence[Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pinned:
    """A table at one of its versions."""

    name: str
    frame: DataFrame
    version: int
    table_id: str


@dataclass(frozen=True)
class Context:
    """Everything a stage needs, handed in."""

    spark: SparkSession
    configuration: Configuration
    store: Store
    display: Display
    run: Run

    @property
    def settings(self) -> RfmSettings:
        """The checked settings."""
        return self.configuration.settings

    @property
    def rule_map(self) -> RuleMap:
        """The rule map in force."""
        return self.configuration.rule_map

    def stage(self, name: str, about: str) -> None:
        """Say that a stage begins; Spark's jobs bear its name until the next one does."""
        self.end_stage()
        self.display.stage(name, about)
        self.run.stage, self.run.stage_clock = name, Clock()
        self.spark.addTag(_tag(name))
        describe_jobs(self.spark, f"rfm_spark {self.run.command}: {name} {about}")

    def end_stage(self) -> None:
        """Spark's jobs bear no stage any more."""
        if self.run.stage is not None:
            self.spark.removeTag(_tag(self.run.stage))
            self.run.stage_clock.stop()
            self.display.stage_done(self.run.stage, self.run.stage_clock.seconds)
            self.run.stage = None

    def read(self, table: str) -> DataFrame:
        """A table that must exist; its version goes into the ledger."""
        frame = self.store.read(table)
        self._version_read(table)
        return frame

    def read_or_none(self, table: str) -> DataFrame | None:
        """A table that may not exist; its version goes into the ledger."""
        frame = self.store.read_or_none(table)
        if frame is not None:
            self._version_read(table)
        return frame

    def once(self, table: str, what: object, look: Callable[[], Found]) -> Found:
        """What a look at a table finds; looked up anew only after this run has written the table.

        Args:
            table: The only table that is looked at.
            what: What is looked for.
            look: Finds it.
        """
        self.store.queue.settle(table)
        key = (table, self.run.output_versions.get(table), what)
        if key not in self.run.found:
            self.run.found[key] = look()
        found: Found = self.run.found[key]
        return found

    def read_pinned(self, table: str) -> Pinned:
        """A table that must exist, at the version that goes into the ledger."""
        self.store.read(table)
        version = self._version_read(table)
        frame = self.store.read_version(table, version)
        table_id = self.store.table_id(table)
        self.run.input_versions[identity_of(table)] = number_of(table_id)
        return Pinned(table, frame, version, table_id)

    def write(self, table: Table, frame: DataFrame, where: str) -> int:
        """Replace the rows of a table that a predicate selects.

        Returns:
            The number of rows written.
        """
        with self.timed(f"writing {table.name}") as clock:
            written = self.store.replace(table, frame, where, self.run.run_id)
        self._note_write(table, written, clock, self.run.stage)
        return written.rows

    def write_later(self, table: Table, frame: DataFrame, where: str) -> None:
        """The same for a few rows that are at hand already, while the caller goes on.

        Whoever looks at the table, and whoever writes another, waits for it.
        """
        clock, stage = Clock(), self.run.stage

        def tell(written: Written) -> None:
            clock.stop()
            self._note_write(table, written, clock, stage)

        self.store.replace_later(table, frame, where, self.run.run_id, tell)

    def _note_write(self, table: Table, written: Written, clock: Clock, stage: str | None) -> None:
        self.run.output_versions[table.name] = written.version
        self.run.rows[table.name] = self.run.rows.get(table.name, 0) + written.rows
        self.display.wrote(stage, table.name, written.rows, clock.seconds)

    def write_records(
        self, table: Table, records: Sequence[Mapping[str, Any]], snapshot_date: date
    ) -> None:
        """Replace the rows of a date by a few records of all other columns, later.

        Without records, what the date has from before goes, and no table is created.
        """
        where = f"snapshot_date = DATE'{snapshot_date}'"
        if not records:
            self.run.records[table.name, snapshot_date] = []
            stored = self.store.read_or_none(table.name)
            if stored is None or not stored.where(where).limit(1).collect():
                return
        dated = [{**record, "snapshot_date": snapshot_date} for record in records]
        self.run.records[table.name, snapshot_date] = dated
        rows = [tuple(record[name] for name in table.columns) for record in dated]
        self.write_later(table, self.spark.createDataFrame(rows, table.ddl).coalesce(1), where)

    def records(self, table: str, snapshot_date: date) -> Sequence[Mapping[str, Any]]:
        """A small table's rows of a date, as this run wrote them, or else as they are stored.

        No rows where there is no such table yet.
        """
        if (table, snapshot_date) not in self.run.records:
            stored = self.store.read_or_none(table)
            if stored is None:
                return []
            rows = stored.where(f"snapshot_date = DATE'{snapshot_date}'").collect()
            self.run.records[table, snapshot_date] = [row.asDict() for row in rows]
        return self.run.records[table, snapshot_date]

    @contextmanager
    def timed(self, what: str) -> Iterator[Clock]:
        """Say what is under way, and measure how long it takes."""
        self.display.working(what)
        clock = Clock()
        yield clock
        clock.stop()

    def customer_id_type(self) -> str:
        """The stored type of customer ids, known once something has been ingested."""
        fields = self.types_of("customer_daily")
        return fields["customer_id"]

    def types_of(self, table: str) -> Mapping[str, str]:
        """SQL types of a table's columns."""
        schema = self.store.read(table).schema
        return {field.name: field.dataType.simpleString() for field in schema}

    def _version_read(self, table: str) -> int:
        """Note the table's version, which is asked for once: looking it up takes a Spark job.

        Should another run write the table in the meantime, the ledger has the older version, and
        what was made from it counts as out of date.
        """
        known = self.run.output_versions.get(table, self.run.input_versions.get(table))
        version = self.store.version(table) if known is None else known
        if version is None:
            raise DataError(f"the table {self.store.address(table)} vanished while it was read")
        self.run.input_versions[table] = version
        return version


def _tag(stage: str) -> str:
    return f"rfm_spark stage {stage}"


def identity_of(table: str) -> str:
    """Under which name the ledger keeps what tells a table from one created in its place."""
    return f"{table}.id"


def number_of(table_id: str) -> int:
    """A table's id as the ledger keeps it."""
    return int(hashlib.sha256(table_id.encode()).hexdigest()[:15], 16)


class Clock:
    """Seconds since it was made, until it was stopped."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.seconds = 0.0

    def stop(self) -> None:
        """Freeze ``seconds``."""
        self.seconds = time.monotonic() - self._start
