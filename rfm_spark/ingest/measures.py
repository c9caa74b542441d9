"""Where every row and every amount of a source went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark.ingest.cleaning import REFUND_DROPPED

DUPLICATE_MEASURES = ("duplicate", "duplicate_conflicting")
EMPTY_FROM, EMPTY_TO = "empty_from", "empty_to"
_NOTHING = (0, Decimal(0))


def in_days(first: date | None, last: date) -> Column:
    """Rows that belong to a range of days.

    Dated rows by their business day; undated ones by the log's day, and where the log has none
    they belong to every range.
    """
    belongs = F.coalesce(F.col("activity_date"), F.col("log_date"))
    inside = belongs <= F.lit(last)
    if first is not None:
        inside = inside & (belongs >= F.lit(first))
    return belongs.isNull() | inside


def measured(cleaned: DataFrame) -> DataFrame:
    """Rows, money and rounding per day and reject reason (null: accepted or duplicate)."""
    is_rounded = F.col("rounding") != 0
    return cleaned.groupBy(
        F.coalesce(F.col("activity_date"), F.col("log_date")).alias("activity_date"),
        F.col("activity_date").isNotNull().alias("dated"),
        "reason",
    ).agg(
        F.count(F.lit(1)).alias("rows"),
        F.coalesce(F.sum("amount"), F.lit(0)).alias("amount"),
        F.sum(F.when(F.col("amount") < 0, 1).otherwise(0)).alias("refunds"),
        F.sum(is_rounded.cast("bigint")).alias("rounded_rows"),
        F.sum("rounding").alias("rounding"),
    )


@dataclass
class Tally:
    """Rows and amounts per day and measure; everything read is in exactly one other measure."""

    counts: dict[tuple[date | None, str], tuple[int, Decimal]] = field(default_factory=dict)
    refunds: int = 0
    dated_days: set[date] = field(default_factory=set)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Tally:
        """From the rows of :func:`measured`."""
        tally = cls(defaultdict(lambda: _NOTHING))
        for row in rows:
            measure = row["reason"] or "accepted"
            tally.add(row["activity_date"], "read", row["rows"], row["amount"])
            tally.add(row["activity_date"], measure, row["rows"], row["amount"])
            if row["rounded_rows"]:
                tally.add(row["activity_date"], "rounding", row["rounded_rows"], row["rounding"])
            tally.refunds += row["refunds"] if row["reason"] is None else 0
            if row["dated"]:
                tally.dated_days.add(row["activity_date"])
        return tally

    def add(self, day: date | None, measure: str, rows: int, amount: Decimal) -> None:
        """Count more rows of a measure."""
        old = self.counts.get((day, measure), _NOTHING)
        self.counts[day, measure] = (old[0] + rows, old[1] + Decimal(amount))

    def add_duplicates(self, rows: Iterable[Row]) -> None:
        """Move duplicates out of the accepted rows; from the rows of ``daily.duplicate_sums``."""
        for row in rows:
            for measure in DUPLICATE_MEASURES:
                count, amount = row[f"{measure}_rows"], row[f"{measure}_amount"]
                if count:
                    self.add(row["activity_date"], measure, count, amount)
                    self.add(row["activity_date"], "accepted", -count, -Decimal(amount))

    def rows_of(self, measure: str) -> int:
        """Rows of a measure over all days."""
        return sum(rows for (_, name), (rows, _) in self.counts.items() if name == measure)

    def rejected(self) -> dict[str, int]:
        """Rows per reject reason, without what policy dropped."""
        other = {"read", "accepted", "rounding", EMPTY_FROM, EMPTY_TO, REFUND_DROPPED}
        other |= set(DUPLICATE_MEASURES)
        reasons = {measure for _, measure in self.counts} - other
        return {reason: self.rows_of(reason) for reason in sorted(reasons)}

    def last_accepted_day(self) -> date | None:
        """The last business day with an accepted row."""
        days = [d for (d, name), (n, _) in self.counts.items() if name == "accepted" and d and n]
        return max(days, default=None)

    def first_day(self) -> date | None:
        """The first business day or, for undated rows, log day; None where there is none."""
        return min((day for day, _ in self.counts if day is not None), default=None)

    def records(self, source: str) -> list[tuple[Any, ...]]:
        """Rows of ``ingest_report``, days in order, undated ones first."""
        keys = sorted(self.counts, key=lambda key: (key[0] or date.min, key[1]))
        return [(source, day, measure, *self.counts[day, measure]) for day, measure in keys]
