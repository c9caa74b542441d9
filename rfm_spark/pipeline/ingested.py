"""Which days are in: kept in ``ingest_report``, beside what was read.

A day with rows has a row with the measure ``read``. Days in between that had none are kept as
runs of days, by their first and last day (``empty_from``, ``empty_to``), so that one row of the
year 1 does not fill the table with two thousand years of zeros.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.ingest.days import days_between, runs_of_days
from rfm_spark.ingest.measures import EMPTY_FROM, EMPTY_TO, FORGOTTEN, UNDATED_REASONS, Tally
from rfm_spark.pipeline.context import Context

_TABLE = "ingest_report"
_COLUMNS = ("activity_date", "measure", "rows", "amount")
_ENDS = (EMPTY_FROM, EMPTY_TO)


class Line(NamedTuple):
    """A row of ``ingest_report``, for undated rows without a day."""

    day: date | None
    measure: str
    rows: int
    amount: Decimal


def report_of(context: Context, source: str) -> Sequence[Line]:
    """What ``ingest_report`` says of a source, as this run wrote it, or else as it is stored.

    That is some rows a day, whatever the log; nothing where there is no such table yet.
    """
    known: dict[str, Sequence[Line]] = context.run.found.setdefault(_TABLE, {})
    if source not in known:
        report = context.store.read_or_none(_TABLE)
        known[source] = []
        if report is not None:
            rows = report.where(F.col("source") == source).select(*_COLUMNS).collect()
            known[source] = [Line(*row) for row in rows]
    return known[source]


def ingested_days(context: Context, source: str) -> set[date]:
    """Days that count as ingested: they, or a later day of the same ingest, had rows."""
    lines = report_of(context, source)
    return _days_in(_days_read(lines), _ends(lines))


def write_report(context: Context, source: str, tally: Tally, first: date, last: date) -> None:
    """Write what was read of a range, and which days are in now; writes ``ingest_report``."""
    lines = report_of(context, source)
    ends = _ends(lines)
    before, days_in = _days_read(lines), _days_in(_days_read(lines), ends)
    read = {day for day in before if not first <= day <= last} | tally.dated_days
    later = any(day > last for day in days_in)
    end = last if later else max(tally.dated_days, default=None)
    days_in = {day for day in days_in if not first <= day <= last}
    if end is not None:
        days_in.update(days_between(first, end))
    new_ends = {
        mark for run in runs_of_days(days_in - read) for mark in zip(run, _ENDS, strict=True)
    }
    moved = {day for day, _ in ends ^ new_ends if not first <= day <= last}
    for day, measure in new_ends:
        if first <= day <= last or day in moved:
            tally.add(day, measure, 0, Decimal(0))
    table = schemas.ingest_report(context.settings.amount_scale)
    exact = f"decimal(38,{context.settings.amount_scale + schemas.EXTRA_DIGITS})"
    types = ", ".join(
        f"{column.name} {exact if column.name == 'amount' else column.type}"
        for column in table.fields
    )
    records = tally.records(source)
    frame = context.spark.createDataFrame(records, types).coalesce(1)
    context.write_later(table, frame, _replaced(source, first, last, moved))
    kept = [line for line in lines if not _is_replaced(line, first, last, moved)]
    written = [Line(day, measure, rows, amount) for _, day, measure, rows, amount, _ in records]
    context.run.found[_TABLE][source] = [*kept, *written]


def undated_rows(context: Context, source: str) -> int:
    """Rows of a source without any day, as the last batch reported them."""
    lines = report_of(context, source)
    return sum(line.rows for line in lines if line.day is None and line.measure == "read")


def last_accepted_day(context: Context, source: str, upto: date) -> date | None:
    """The last day, up to one, with an accepted row; None where there is none."""
    lines = (line for line in report_of(context, source) if line.measure == "accepted")
    days = (line.day for line in lines if line.rows and line.day and line.day <= upto)
    return max(days, default=None)


def accepted(context: Context, source: str, first: date | None, end: date) -> tuple[int, Decimal]:
    """Accepted rows and their money on some days, without those forgotten since.

    Args:
        context: The run.
        source: Its name in the configuration.
        first: The first day; None for all history.
        end: The day after the last.
    """
    rows, money = 0, Decimal(0)
    for line in report_of(context, source):
        if line.day is None or line.day >= end or (first is not None and line.day < first):
            continue
        sign = {"accepted": 1, FORGOTTEN: -1}.get(line.measure, 0)
        rows, money = rows + sign * line.rows, money + sign * line.amount
    return rows, money


def _days_read(lines: Sequence[Line]) -> set[date]:
    """Days with dated rows."""
    dated: dict[date, int] = defaultdict(int)
    for line in lines:
        if line.day is not None:
            sign = {"read": 1, **dict.fromkeys(UNDATED_REASONS, -1)}.get(line.measure, 0)
            dated[line.day] += sign * line.rows
    return {day for day, rows in dated.items() if rows > 0}


def _ends(lines: Sequence[Line]) -> set[tuple[date, str]]:
    """The first and last days of runs of days without rows, and which of both they are."""
    return {(line.day, line.measure) for line in lines if line.day and line.measure in _ENDS}


def _days_in(read: set[date], ends: set[tuple[date, str]]) -> set[date]:
    first_days, last_days = (sorted(day for day, end in ends if end == which) for which in _ENDS)
    empty = (days_between(first, last) for first, last in zip(first_days, last_days, strict=True))
    return read.union(*empty)


def _replaced(source: str, first: date, last: date, moved: Collection[date]) -> str:
    """SQL for the rows that a report of a range replaces; it names their partitions first."""
    days = f"activity_date BETWEEN DATE'{first}' AND DATE'{last}' OR activity_date IS NULL"
    if not moved:
        return f"source = '{source}' AND ({days})"
    listed = ", ".join(f"DATE'{day}'" for day in sorted(moved))
    ends = ", ".join(f"'{end}'" for end in _ENDS)
    return (
        f"source = '{source}' AND ({days} OR activity_date IN ({listed})) "
        f"AND ({days} OR measure IN ({ends}))"
    )


def _is_replaced(line: Line, first: date, last: date, moved: Collection[date]) -> bool:
    if line.day is None or first <= line.day <= last:
        return True
    return line.day in moved and line.measure in _ENDS
