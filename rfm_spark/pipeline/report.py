"""The HTML report of a date: what the store knows of it, gathered for one page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rfm_spark.errors import DataError
from rfm_spark.pipeline import ledger
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.report_customers import customers_of
from rfm_spark.pipeline.report_making import about, made
from rfm_spark.pipeline.report_quality import quality_of
from rfm_spark.pipeline.report_tables import Tables, tables_of
from rfm_spark.pipeline.snapshots import labelled_dates, named_dates
from rfm_spark.report.output import write_page
from rfm_spark.report.records import Records

_NEAREST = 5


def report(context: Context, *, snapshot_date: date, out: Path) -> None:
    """Write the page of a date; the store is only looked at.

    Args:
        context: The look.
        snapshot_date: The day after the last day counted.
        out: The file.

    Raises:
        DataError: There are no labels of that date, or later stages have not been run.
        ConfigurationError: The file cannot be written.
    """
    from rfm_spark.report.page import page  # noqa: PLC0415 - only this command needs plotly

    context.stage("report", f"as of {snapshot_date}")
    with context.timed("gathering what the tables say"):
        records = gathered(context, snapshot_date=snapshot_date)
    with context.timed(f"writing {out}"):
        write_page(page(records), out)


def gathered(context: Context, *, snapshot_date: date) -> Records:
    """Everything that the page of a date shows; bounded, whatever the number of customers.

    Raises:
        DataError: There are no labels of that date, or later stages have not been run.
    """
    _check_date(labelled_dates(context), snapshot_date)
    tables = Tables(context)
    stored = tables_of(tables, snapshot_date)
    if not any(one.day == snapshot_date for one in stored.segments):
        raise DataError(
            f"segment_profiles has nothing of {snapshot_date}, though customers have labels: the "
            f"stage `segment` did not end. `rfm-spark run --snapshot-date {snapshot_date}` goes on"
        )
    found = customers_of(context, tables, stored, snapshot_date)
    quality = quality_of(tables, snapshot_date)
    how, is_unfinished = made(context, tables, found.versions, snapshot_date)
    return Records(
        about(context, snapshot_date),
        stored.segments,
        found.cells,
        how,
        overlaps=found.overlaps,
        sample=found.sample,
        sample_floor=found.sample_floor,
        curve=found.curve,
        score_lines=found.score_lines,
        aum=found.aum,
        fits=stored.fits(found.versions.model),
        model=stored.model(found.versions.model),
        moves=stored.moves,
        stability=stored.stability,
        drift=stored.drift,
        outlook=stored.outlook,
        events=stored.events,
        measures=quality.measures,
        months=quality.months,
        days=quality.days,
        edges=tables.edges(found.versions.thresholds),
        is_stale=snapshot_date in ledger.stale_dates(context),
        is_unfinished=is_unfinished,
    )


def _check_date(dates: Sequence[date], snapshot_date: date) -> None:
    if not dates:
        raise DataError(
            "nothing has been labelled yet, so there is nothing to report on; "
            f"`rfm-spark run --snapshot-date {snapshot_date}` comes first"
        )
    if snapshot_date not in dates:
        near = sorted(dates, key=lambda day: (abs(day - snapshot_date), day))[:_NEAREST]
        raise DataError(
            f"--snapshot-date {snapshot_date}: there are no labels of that date; the nearest there "
            f"are: {named_dates(sorted(near))}. Name one of these, or label it with `rfm-spark run "
            f"--snapshot-date {snapshot_date}`"
        )
