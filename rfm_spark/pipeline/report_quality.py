"""What a report takes from ``ingest_report``: where rows and money went, by source and month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pyspark.sql import Row
from pyspark.sql import functions as F

from rfm_spark.ingest.days import ONE_DAY
from rfm_spark.ingest.measures import (
    DUPLICATE_MEASURES,
    EMPTY_FROM,
    EMPTY_TO,
    FORGOTTEN,
)
from rfm_spark.pipeline.report_tables import Tables
from rfm_spark.report import records

_MONTHS, _GAPS = 36, 10
_NOT_REJECTED = ("read", "accepted", "rounding", FORGOTTEN, *DUPLICATE_MEASURES)


@dataclass(frozen=True)
class Quality:
    """Where what was read before a date went."""

    measures: Sequence[records.Measure] = ()
    months: Sequence[records.Month] = ()
    days: Sequence[records.SourceDays] = ()


def quality_of(tables: Tables, snapshot_date: date) -> Quality:
    """Rows and money of every source before a date, in one pass; undated rows count."""
    report = tables.frame("ingest_report")
    if report is None:
        return Quality()
    day = F.col("activity_date")
    before = report.where(day.isNull() | (day < F.lit(snapshot_date)))
    is_mark = F.col("measure").isin(EMPTY_FROM, EMPTY_TO)
    rows = (
        before.groupBy("source", "measure", F.trunc(day, "month").alias("month"))
        .agg(
            F.sum("rows").alias("rows"),
            F.sum("amount").alias("amount"),
            F.min(F.when(F.col("rows") > 0, day)).alias("first"),
            F.max(F.when(F.col("rows") > 0, day)).alias("last"),
            F.collect_list(F.when(is_mark, day)).alias("marks"),
        )
        .collect()
    )
    counted = [row for row in rows if row["measure"] not in (EMPTY_FROM, EMPTY_TO)]
    sources = sorted({row["source"] for row in counted})
    days = [
        _days(source, [row for row in rows if row["source"] == source], snapshot_date)
        for source in sources
    ]
    return Quality(_measures(counted), _months(counted), days)


def _measures(counted: Sequence[Row]) -> list[records.Measure]:
    sums: dict[tuple[str, str], tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for row in counted:
        key = row["source"], row["measure"]
        rows, amount = sums[key]
        sums[key] = rows + row["rows"], amount + (row["amount"] or Decimal(0))
    return [records.Measure(*key, *sums[key]) for key in sorted(sums)]


def _days(source: str, rows: Sequence[Row], snapshot_date: date) -> records.SourceDays:
    def of(measure: str) -> list[date]:
        return sorted(day for row in rows if row["measure"] == measure for day in row["marks"])

    starts, stops = of(EMPTY_FROM), of(EMPTY_TO)
    if len(stops) < len(starts):  # a run of days that goes on after the date
        stops.append(snapshot_date - ONE_DAY)
    gaps = list(zip(starts, stops, strict=True))[::-1]
    length = sum((stop - start).days + 1 for start, stop in gaps)
    accepted = [row for row in rows if row["measure"] == "accepted" and row["first"]]
    first = min((row["first"] for row in accepted), default=None)
    last = max((row["last"] for row in accepted), default=None)
    return records.SourceDays(source, first, last, gaps[:_GAPS], length)


def _months(counted: Sequence[Row]) -> list[records.Month]:
    """The newest months of the transactions that have rows, oldest first."""
    found: dict[date, dict[str, Row]] = defaultdict(dict)
    for row in counted:
        if row["source"] == "transactions" and row["month"] is not None:
            found[row["month"]][row["measure"]] = row
    newest = sorted(found.items())[-_MONTHS:]
    return [_month(first, by_measure) for first, by_measure in newest]


def _month(first: date, by_measure: dict[str, Row]) -> records.Month:
    accepted = by_measure.get("accepted")
    rejected = sum(row["rows"] for name, row in by_measure.items() if name not in _NOT_REJECTED)
    rows, amount = (accepted["rows"], accepted["amount"]) if accepted else (0, None)
    return records.Month(first, rows, amount or Decimal(0), rejected)
