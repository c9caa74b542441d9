"""The rows of ``runs``, looked up once: what earlier runs did is asked for many times in a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.pipeline.context import Context


@dataclass(frozen=True)
class Entry:
    """A row of ``runs``.

    Args:
        run_id: Whose row it is.
        command: Of the run.
        snapshot_date: Which date it is about.
        status: As in the table.
        turn: The run's turn; None where it only looked.
        process: Machine and process.
        code_version: Of the program.
        config_hash: Of its configuration.
        input_versions: Versions of the tables that it read.
        output_versions: Versions of the tables that it wrote.
        started: Unix microseconds.
        at: The same in the business time zone, for people.
    """

    run_id: str
    command: str
    snapshot_date: date | None
    status: str
    turn: int | None
    process: str | None
    code_version: str | None
    config_hash: str | None
    input_versions: Mapping[str, int]
    output_versions: Mapping[str, int]
    started: int
    at: str


_NAME = schemas.RUNS.name
_AS_THEY_ARE = (
    "run_id",
    "command",
    "snapshot_date",
    "status",
    "turn",
    "process",
    "code_version",
    "config_hash",
    "input_versions",
    "output_versions",
)


def read_entries(context: Context) -> Sequence[Entry]:
    """All rows as they are now; none where there is no ledger yet.

    A store that has not been written for long may lack younger columns, until it is.
    """
    runs = context.store.read_or_none(_NAME)
    entries = []
    if runs is not None:
        there = runs.columns
        own = (F.col(name) if name in there else F.lit(None).alias(name) for name in _AS_THEY_ARE)
        started = F.unix_micros("started").alias("started")
        at = F.date_format("started", "yyyy-MM-dd HH:mm:ss").alias("at")
        for row in runs.select(*own, started, at).collect():
            told = row.asDict()
            versions = {name: told[name] or {} for name in ("input_versions", "output_versions")}
            entries.append(Entry(**told | versions))
    context.run.found[_NAME] = entries
    return entries


def known_entries(context: Context) -> Sequence[Entry]:
    """All rows as they were when this run took its turn, or since it has added some."""
    found: Sequence[Entry] | None = context.run.found.get(_NAME)
    return read_entries(context) if found is None else found


def read_again(context: Context) -> None:
    """This run adds rows: the next look reads all of them; nobody else adds any meanwhile."""
    context.run.found.pop(_NAME, None)
