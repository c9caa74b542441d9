"""Which days are in: kept in ``ingest_report``, beside what was read.

A day with rows has a row with the measure ``read``. Days in between that had none are kept as
runs of days, by their first and last day (``empty_from``, ``empty_to``), so that one row of the
year 1 does not fill the table with two thousand years of zeros.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal

from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.ingest.days import days_between, runs_of_days
from rfm_spark.ingest.measures import EMPTY_FROM, EMPTY_TO, UNDATED_REASONS, Tally
from rfm_spark.pipeline.context import Context


def ingested_days(context: Context, source: str) -> set[date]:
    """Days that count as ingested: they, or a later day of the same ingest, had rows."""
    return _days_in(*_marks(context, source))


def write_report(context: Context, source: str, tally: Tally, first: date, last: date) -> None:
    """Write what was read of a range, and which days are in now; writes ``ingest_report``."""
    read, starts, ends = _marks(context, source)
    days_in = _days_in(read, starts, ends)
    read = {day for day in read if not first <= day <= last} | tally.dated_days
    later = any(day > last for day in days_in)
    end = last if later else max(tally.dated_days, default=None)
    days_in = {day for day in days_in if not first <= day <= last}
    if end is not None:
        days_in.update(days_between(first, end))
    for start, stop in runs_of_days(days_in - read):
        tally.add(start, EMPTY_FROM, 0, Decimal(0))
        tally.add(stop, EMPTY_TO, 0, Decimal(0))
    table = schemas.ingest_report(context.settings.amount_scale)
    exact = f"decimal(38,{context.settings.amount_scale + schemas.EXTRA_DIGITS})"
    types = ", ".join(
        f"{column.name} {exact if column.name == 'amount' else column.type}"
        for column in table.fields
    )
    frame = context.spark.createDataFrame(tally.records(source), types)
    where = (
        f"source = '{source}' AND (activity_date BETWEEN DATE'{first}' AND DATE'{last}' OR "
        f"activity_date IS NULL OR measure IN ('{EMPTY_FROM}', '{EMPTY_TO}'))"
    )
    context.write_later(table, frame, where)


def undated_rows(context: Context, source: str) -> int:
    """Rows of a source without any day, as the last batch reported them."""
    report = context.store.read_or_none("ingest_report")
    if report is None:
        return 0
    undated = report.where((F.col("source") == source) & F.col("activity_date").isNull())
    rows = undated.where("measure = 'read'").agg(F.sum("rows")).collect()[0][0]
    return int(rows or 0)


def _days_in(read: set[date], starts: list[date], ends: list[date]) -> set[date]:
    empty = (days_between(first, end) for first, end in zip(starts, ends, strict=True))
    return read.union(*empty)


def _marks(context: Context, source: str) -> tuple[set[date], list[date], list[date]]:
    """Days with dated rows, and the first and last days of runs without."""
    return context.once("ingest_report", ("marks", source), lambda: _stored_marks(context, source))


def _stored_marks(context: Context, source: str) -> tuple[set[date], list[date], list[date]]:
    report = context.store.read_or_none("ingest_report")
    if report is None:
        return set(), [], []
    wanted = ["read", *UNDATED_REASONS, EMPTY_FROM, EMPTY_TO]
    marks = report.where((F.col("source") == source) & F.col("measure").isin(wanted))
    columns = ("activity_date", "measure", "rows")
    rows = marks.where("activity_date IS NOT NULL").select(*columns).collect()
    dated: dict[date, int] = defaultdict(int)
    for row in rows:
        sign = -1 if row["measure"] in UNDATED_REASONS else 1
        dated[row["activity_date"]] += sign * row["rows"]

    def days(measure: str) -> list[date]:
        return sorted(row["activity_date"] for row in rows if row["measure"] == measure)

    return {day for day, count in dated.items() if count > 0}, days(EMPTY_FROM), days(EMPTY_TO)
