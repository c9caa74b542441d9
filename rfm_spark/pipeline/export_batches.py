"""Batches of exports: which there are, and which of them have been sent.

A batch of changed rows is there as soon as its rows are in ``export_changes``, in one commit, and
is sent with its row in ``export_batches``. One that is there and not sent was interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.pipeline.context import Context
from rfm_spark.tables.quoting import text

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Batch:
    """What is sent at once.

    Args:
        export: Name of the export.
        number: 1, 2, ... per export.
        snapshot_date: The date whose labels it has.
        started: Start of the export that first sent it.
    """

    export: str
    number: int
    snapshot_date: date
    started: datetime

    @property
    def where(self) -> str:
        """Selects its rows, in either table."""
        return f"export = {text(self.export)} AND batch = {self.number}"

    @property
    def microseconds(self) -> int:
        """``started`` since 1970."""
        return (self.started - _EPOCH) // _MICROSECOND

    @property
    def timestamp(self) -> str:
        """``started`` as ISO 8601 in UTC."""
        return self.started.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def changes_of(context: Context, export: str) -> DataFrame | None:
    """``export_changes`` of one export; None where there is no such table yet."""
    changes = context.store.read_or_none("export_changes")
    return None if changes is None else changes.where(F.col("export") == F.lit(export))


def unfinished(context: Context, export: str) -> Batch | None:
    """The batch that was interrupted, if any: there is never more than one."""
    newest = _newest_change(context, export)
    sent = last_sent(context, export)
    if newest is None or (sent is not None and newest.number <= sent["batch"]):
        return None
    return newest


def next_batch(context: Context, export: str, snapshot_date: date) -> Batch:
    """The batch that this run would send.

    It starts with the run, and after every earlier batch even where a clock was set back: receivers
    may pass over what is not later than what they have.
    """
    assert context.run.started is not None
    sent, started = last_sent(context, export), context.run.started
    if sent is not None:
        started = max(started, _moment(sent["microseconds"]) + _MICROSECOND)
    return Batch(export, sent["batch"] + 1 if sent else 1, snapshot_date, started)


def last_sent(context: Context, export: str, snapshot_date: date | None = None) -> Row | None:
    """The newest batch that has been sent, of a date or of any; None without one.

    Beside the table's columns it has ``microseconds``: ``started`` since 1970.
    """

    def look() -> Row | None:
        batches = context.store.read_or_none(schemas.EXPORT_BATCHES.name)
        if batches is None:
            return None
        own = batches.where(F.col("export") == F.lit(export))
        if snapshot_date is not None:
            own = own.where(F.col("snapshot_date") == F.lit(snapshot_date))
        rows = own.withColumn("microseconds", F.unix_micros("started")).orderBy(F.desc("batch"))
        found = rows.limit(1).collect()
        return found[0] if found else None

    return context.once(schemas.EXPORT_BATCHES.name, (export, snapshot_date), look)


def mark_sent(
    context: Context, batch: Batch, *, rows: int, files: Mapping[str, str | None]
) -> None:
    """Say that a batch has been sent; appends to ``export_batches``, last of all.

    Args:
        context: The run.
        batch: Which one.
        rows: How many it has.
        files: Name below the export's path to SHA-256.
    """
    settings = context.settings.exports[batch.export]
    record = {
        "export": batch.export,
        "batch": batch.number,
        "type": settings.type,
        "snapshot_date": batch.snapshot_date,
        "started": batch.started,
        "rows": rows,
        "files": dict(files),
        "settings_hash": context.configuration.export_hash(batch.export),
        "table_versions": versions_read(context, batch.export),
    }
    table = schemas.EXPORT_BATCHES
    row = tuple(record[name] for name in table.columns)
    frame = context.spark.createDataFrame([row], table.ddl).coalesce(1)
    context.write_later(table, frame, batch.where)


def versions_read(context: Context, export: str) -> dict[str, int]:
    """Versions of the tables that an export is made from."""
    table = getattr(context.settings.exports[export], "table", None)
    own = {schemas.EXPORT_BATCHES.name, "export_changes", "export_assignments"} - {table}
    return {k: v for k, v in context.run.input_versions.items() if k not in own}


def _newest_change(context: Context, export: str) -> Batch | None:
    changes = changes_of(context, export)
    if changes is None:
        return None
    newest: Column = F.max(
        F.struct("batch", "snapshot_date", F.unix_micros("updated_at").alias("at"))
    )
    found = changes.agg(newest.alias("newest")).collect()[0]["newest"]
    if found is None:
        return None
    return Batch(export, found["batch"], found["snapshot_date"], _moment(found["at"]))


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
