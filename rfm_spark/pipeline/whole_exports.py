"""Exports of all rows of a date, or of a whole table: nothing again while nothing is new."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from math import ceil

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark.activation import cells
from rfm_spark.activation.audience import in_segments, segment_columns
from rfm_spark.config.activation import CsvExport, ParquetExport, SfmcCsvExport
from rfm_spark.errors import ConfigurationError, DataError
from rfm_spark.pipeline import export_files
from rfm_spark.pipeline.audience import columns_of, customers_of, without_control
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.export_batches import (
    Batch,
    last_sent,
    mark_sent,
    next_batch,
    versions_read,
)
from rfm_spark.pipeline.export_files import Lines, Place, is_there, write_files, write_manifest
from rfm_spark.pipeline.snapshots import labelled_dates
from rfm_spark.schemas import CAMPAIGN, DATED_TABLES, KINDS

Settings = SfmcCsvExport | CsvExport | ParquetExport
_NESTED = ("array", "map", "struct")


def export_whole(context: Context, *, name: str, settings: Settings, snapshot_date: date) -> None:
    """Write the rows of a date as files, unless they are there.

    They are where neither the tables nor the settings are others than those of the last export of
    the date, and its manifest is in its place. Writes ``export_assignments`` where there is a
    hold-out, the files, their manifest, and ``export_batches``, in this order.

    Args:
        context: The run.
        name: Which one of ``exports``.
        settings: Its settings.
        snapshot_date: The date; a table that is not of a date is written whole.

    Raises:
        DataError: There is nothing of that date.
        ConfigurationError: The table has no such columns, or no segments to choose from.
    """
    rows = _rows(context, name, settings, snapshot_date)
    columns = _columns(context, name, settings, rows)
    suffix = ".parquet" if isinstance(settings, ParquetExport) else ".csv"
    folder = f"{settings.path.rstrip('/')}/snapshot_date={snapshot_date}"
    place = Place(folder, name, suffix, f"{folder}/_{name}.manifest.json")
    last = last_sent(context, name, snapshot_date)
    if (
        last is not None
        and last["settings_hash"] == context.configuration.export_hash(name)
        and last["table_versions"] == versions_read(context, name)
        and is_there(context, place.manifest)
    ):
        context.display.note(f"nothing is new since batch {last['batch']}: {folder} stays")
        return
    if settings.is_audience:
        rows = without_control(context, name, rows, snapshot_date)
    batch = next_batch(context, name, snapshot_date)
    _write(context, rows, columns, settings=settings, batch=batch, place=place)


def _rows(context: Context, name: str, settings: Settings, snapshot_date: date) -> DataFrame:
    if settings.is_audience:
        return customers_of(context, name, snapshot_date)
    rows = context.read(settings.table)
    if settings.table in DATED_TABLES:
        rows = rows.where(F.col("snapshot_date") == F.lit(snapshot_date))
        if snapshot_date not in labelled_dates(context) and not rows.limit(1).collect():
            raise DataError(
                f"nothing has been labelled on {snapshot_date}, so {settings.table} has no row of "
                f"it; `rfm-spark run --snapshot-date {snapshot_date}` writes them"
            )
    if settings.segments is not None and not segment_columns(rows.columns):
        raise ConfigurationError(
            f"exports.{name}.segments chooses segments, and {settings.table} has none; take it out"
        )
    return in_segments(rows, settings.segments)


def _columns(context: Context, name: str, settings: Settings, rows: DataFrame) -> list[str]:
    """What is written of the rows, in order."""
    named = settings.columns
    if not named:
        joined = (CAMPAIGN, *(KINDS.values() if settings.table != "customer_segments" else ()))
        aside = joined if settings.is_audience else ()
        named = [column for column in rows.columns if column not in aside]
    if isinstance(settings, SfmcCsvExport):
        named = ["customer_id", *(column for column in named if column != "customer_id")]
    return columns_of(context, name, rows, named)


def _write(
    context: Context,
    rows: DataFrame,
    columns: Sequence[str],
    *,
    settings: Settings,
    batch: Batch,
    place: Place,
) -> None:
    """Write the files, their manifest, and that the batch was sent."""
    types = dict(rows.dtypes)
    lines, written = None, {column: F.col(f"`{column}`") for column in columns}
    if not isinstance(settings, ParquetExport):
        guard = settings.formulas == "guard"
        lines = Lines(cells.LINE_END, cells.header(columns))
        written = {"value": cells.line({c: types[c] for c in columns}, guard=guard)}
    with context.timed(f"writing {place.folder}") as clock:
        count = rows.count()
        is_one = isinstance(settings, SfmcCsvExport)
        files = write_files(
            context,
            rows,
            place,
            columns=written,
            order=_order(rows, columns),
            files=1 if is_one else max(1, ceil(count / export_files.ROWS_PER_FILE)),
            lines=lines,
        )
        content = export_files.manifest(
            batch, type_=settings.type, rows=count, columns=columns, files=files
        )
        write_manifest(context, place, {**content, "table": settings.table})
    folder = place.folder.rpartition("/")[-1]
    mark_sent(
        context, batch, rows=count, files={f"{folder}/{file}": sha for file, sha in files.items()}
    )
    context.run.rows[f"exports.{batch.export}"] = count
    context.display.wrote(context.run.stage, batch.export, count, clock.seconds)
    context.display.note(f"{place.folder}/{next(iter(files))}")


def _order(rows: DataFrame, columns: Sequence[str]) -> list[Column]:
    """Expressions that put rows into one order: the customer, where there is one, then all else."""
    first = [name for name in ("customer_id",) if name in rows.columns]
    types = dict(rows.dtypes)
    return [
        F.to_json(F.col(f"`{name}`")) if types[name].startswith(_NESTED) else F.col(f"`{name}`")
        for name in [*first, *(name for name in columns if name not in first)]
    ]
