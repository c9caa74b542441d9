"""What leaves the store: configured exports, as files beside it."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from rfm_spark.config.activation import (
    BrazeExport,
    CdpIdentifyExport,
    CsvExport,
    ParquetExport,
    SfmcCsvExport,
)
from rfm_spark.config.exports import BtydExport
from rfm_spark.config.mart import JdbcExport
from rfm_spark.errors import DataError
from rfm_spark.features.btyd import btyd_summary
from rfm_spark.ingest.days import ONE_DAY
from rfm_spark.pipeline.changed_exports import export_changed
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.ingest import is_everything_in
from rfm_spark.pipeline.mart import write_mart
from rfm_spark.pipeline.whole_exports import export_whole


def export(context: Context, *, name: str, snapshot_date: date) -> None:
    """Write a configured export of a date: what is new since the last time.

    Args:
        context: The run.
        name: Which one of ``exports``.
        snapshot_date: The day after the last day counted.

    Raises:
        DataError: There is nothing to export of that date, or it is too late for it.
        ConfigurationError: The settings ask for what the table does not have.
    """
    context.stage("export", f"{name}, as of {snapshot_date}")
    settings = context.settings.exports[name]
    match settings:
        case JdbcExport():
            write_mart(context, settings, name=name, snapshot_date=snapshot_date)
        case BtydExport():
            _export_btyd(context, name, settings, snapshot_date)
        case BrazeExport() | CdpIdentifyExport():
            export_changed(context, name=name, settings=settings, snapshot_date=snapshot_date)
        case SfmcCsvExport() | CsvExport() | ParquetExport():
            export_whole(context, name=name, settings=settings, snapshot_date=snapshot_date)


def _export_btyd(context: Context, name: str, settings: BtydExport, snapshot_date: date) -> None:
    """What the date has from before is replaced."""
    rows = _btyd(context, settings, snapshot_date)
    folder = f"{settings.path.rstrip('/')}/snapshot_date={snapshot_date}"
    _write_files(context, name, rows, folder, settings.format)


def _btyd(context: Context, settings: BtydExport, snapshot_date: date) -> DataFrame:
    daily = context.read("customer_daily")
    before = daily.where(F.col("activity_date") < F.lit(snapshot_date))
    if not before.limit(1).collect():
        raise DataError(f"there is no transaction before {snapshot_date}; run `ingest` first")
    if not is_everything_in(context, snapshot_date - ONE_DAY):
        context.display.warn(
            f"not every day before {snapshot_date} is in yet; T counts up to that date all the same"
        )
    return btyd_summary(daily, snapshot_date=snapshot_date, unit=settings.unit)


def _write_files(context: Context, name: str, rows: DataFrame, folder: str, format_: str) -> None:
    """Write a folder of files, and say how many rows went there."""
    observed = Observation()
    counted = rows.observe(observed, F.count(F.lit(1)).alias("rows"))
    with context.timed(f"writing {folder}") as clock:
        writer = counted.write.mode("overwrite")
        if format_ == "csv":
            writer.options(header=True, escape='"').csv(folder)
        else:
            writer.parquet(folder)
    written = int(observed.get["rows"])
    context.run.rows[f"exports.{name}"] = written
    context.display.wrote(context.run.stage, name, written, clock.seconds)
    context.display.note(folder)
