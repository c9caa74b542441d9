"""What a report takes from ``ingest_report``: where rows and money went, by source and month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pyspark.sql import DataFrame, Row
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

_MONTHS = 36
_NOT_REJECTED = ("read", "accepted", "rounding", FORGOTTEN, *DUPLICATE_MEASURES)


@dataclass(frozen=True)
class Quality:
    """Where what was read before a date went."""

    measures: Sequence[records.Measure] = ()
    months: Sequence[records.Month] = ()
    days: Sequence[records.SourceDays] = ()


def quality_of(tables: Tables, snapshot_date: date) -> Quality:
    """Rows and money of every source before a date; undated rows count."""
    report = tables.frame("ingest_report")
    if report is None:
        return Quality()
    before = report.where(
        F.col("activity_date").isNull() | (F.col("activity_date") < F.lit(snapshot_date))
    )
    marks = before.where(F.col("measure").isin(EMPTY_FROM, EMPTY_TO)).collect()
    counted = before.where(~F.col("measure").isin(EMPTY_FROM, EMPTY_TO))
    sums = counted.groupBy("source", "measure").agg(
        F.sum("rows").alias("rows"), F.sum("amount").alias("amount")
    )
    measures = [
        records.Measure(row["source"], row["measure"], row["rows"], row["amount"] or Decimal(0))
        for row in sums.collect()
    ]
    measures.sort(key=lambda one: (one.source, one.measure))
    sources = sorted({one.source for one in measures})
    ends = {row["source"]: row for row in _ends(counted).collect()}
    days = [_days(source, ends.get(source), marks, snapshot_date) for source in sources]
    return Quality(measures, _months(counted), days)


def _ends(counted: DataFrame) -> DataFrame:
    accepted = counted.where((F.col("measure") == "accepted") & (F.col("rows") > 0))
    return accepted.groupBy("source").agg(
        F.min("activity_date").alias("first"), F.max("activity_date").alias("last")
    )


def _days(
    source: str, ends: Row | None, marks: Sequence[Row], snapshot_date: date
) -> records.SourceDays:
    def of(measure: str) -> list[date]:
        own = [row for row in marks if row["source"] == source and row["measure"] == measure]
        return sorted(row["activity_date"] for row in own)

    starts, stops = of(EMPTY_FROM), of(EMPTY_TO)
    if len(stops) < len(starts):  # a run of days that goes on after the date
        stops.append(snapshot_date - ONE_DAY)
    gaps = list(zip(starts, stops, strict=True))[::-1]
    length = sum((stop - start).days + 1 for start, stop in gaps)
    first, last = (ends["first"], ends["last"]) if ends else (None, None)
    return records.SourceDays(source, first, last, gaps[:10], length)


def _months(counted: DataFrame) -> list[records.Month]:
    """The newest months of the transactions that have rows, oldest first."""
    dated = counted.where((F.col("source") == "transactions") & F.col("activity_date").isNotNull())
    month = F.trunc("activity_date", "month").alias("month")
    rows = dated.groupBy(month, "measure").agg(
        F.sum("rows").alias("rows"), F.sum("amount").alias("amount")
    )
    newest = rows.select("month").distinct().orderBy(F.desc("month")).limit(_MONTHS)
    found: dict[date, dict[str, Row]] = defaultdict(dict)
    for row in rows.join(F.broadcast(newest), on="month", how="inner").collect():
        found[row["month"]][row["measure"]] = row
    return [_month(first, by_measure) for first, by_measure in sorted(found.items())]


def _month(first: date, by_measure: dict[str, Row]) -> records.Month:
    accepted = by_measure.get("accepted")
    rejected = sum(row["rows"] for name, row in by_measure.items() if name not in _NOT_REJECTED)
    rows, amount = (accepted["rows"], accepted["amount"]) if accepted else (0, None)
    return records.Month(first, rows, amount or Decimal(0), rejected)
