"""Where every row and every amount of a source went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark.ingest.cleaning import REFUND_DROPPED

DUPLICATE_MEASURES = ("duplicate", "duplicate_conflicting")
UNDATED_REASONS = ("malformed", "missing_timestamp", "bad_timestamp")
"""A log's partition day may hold such rows; they say nothing of which business days are in."""
FORGOTTEN = "forgotten"
"""Rows that were accepted, and whose customers were erased since."""
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


def measured(cleaned: DataFrame, evaluated: Iterable[str] = ()) -> DataFrame:
    """Rows, money and rounding per day and reject reason (null: accepted or duplicate).

    Args:
        cleaned: From ``cleaning.clean``.
        evaluated: Further columns to be evaluated for every row, so that an expression that throws
            does so before anything is published.
    """
    is_rounded = F.col("rounding") != 0
    return cleaned.groupBy(
        F.coalesce(F.col("activity_date"), F.col("log_date")).alias("activity_date"),
        F.col("activity_date").isNotNull().alias("dated"),
        "reason",
    ).agg(
        F.count(F.lit(1)).alias("rows"),
        F.coalesce(F.sum("amount"), F.lit(0)).alias("amount"),
        F.sum(F.col("is_refund").cast("bigint")).alias("refunds"),
        F.sum(is_rounded.cast("bigint")).alias("rounded_rows"),
        F.sum("rounding").alias("rounding"),
        *(F.count(name).alias(f"with_{name}") for name in evaluated),
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
                    self._move(row["activity_date"], measure, count, Decimal(amount))

    def settle(
        self, stored: Mapping[date, tuple[int, Decimal]], *, may_have_duplicates: bool
    ) -> bool:
        """Count as duplicates what was accepted and is not in the stored sums per day.

        Args:
            stored: Rows and money per day.
            may_have_duplicates: Whether anything can be a duplicate at all.

        Returns:
            False where that cannot be so: the log changed between two readings.
        """
        accepted = {day: n for (day, name), n in self.counts.items() if name == "accepted" and day}
        for day, (rows, amount) in accepted.items():
            kept_rows, kept_amount = stored.get(day, _NOTHING)
            if kept_rows > rows or (kept_rows == rows and kept_amount != amount):
                return False
            if kept_rows < rows and not may_have_duplicates:
                return False
            if kept_rows < rows:
                self._move(day, "duplicate", rows - kept_rows, amount - kept_amount)
        return set(stored) <= set(accepted)

    def accepted_by_day(self) -> dict[date, int]:
        """Accepted rows per business day."""
        return {d: n for (d, name), (n, _) in self.counts.items() if name == "accepted" and d and n}

    def _move(self, day: date, measure: str, rows: int, amount: Decimal) -> None:
        self.add(day, measure, rows, amount)
        self.add(day, "accepted", -rows, -amount)

    def rows_of(self, measure: str) -> int:
        """Rows of a measure over all days."""
        return sum(rows for (_, name), (rows, _) in self.counts.items() if name == measure)

    def undated_rows(self) -> int:
        """Rows read that neither their own time nor the log's day puts on a day."""
        return self.counts.get((None, "read"), _NOTHING)[0]

    def rejected(self) -> dict[str, int]:
        """Rows per reject reason, without what policy dropped."""
        other = {"read", "accepted", "rounding", FORGOTTEN, EMPTY_FROM, EMPTY_TO, REFUND_DROPPED}
        other |= set(DUPLICATE_MEASURES)
        reasons = {measure for _, measure in self.counts} - other
        return {reason: self.rows_of(reason) for reason in sorted(reasons)}

    def last_accepted_day(self) -> date | None:
        """The last business day with an accepted row."""
        return max(self.accepted_by_day(), default=None)

    def first_day(self) -> date | None:
        """The first business day or, for undated rows, log day; None where there is none."""
        return min((day for day, _ in self.counts if day is not None), default=None)

    def records(self, source: str) -> list[tuple[Any, ...]]:
        """Rows of ``ingest_report``, days in order, undated ones first."""
        keys = sorted(self.counts, key=lambda key: (key[0] or date.min, key[1]))
        return [
            (source, day, measure, rows, amount, amount if measure == "rounding" else None)
            for day, measure in keys
            for rows, amount in [self.counts[day, measure]]
        ]
