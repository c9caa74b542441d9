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

from rfm_spark import smallest_units
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
    they belong to every range. The day is looked at once, as a filter works it out anew each time.
    """
    belongs = F.coalesce(F.col("activity_date"), F.col("log_date"))
    if first is None:
        inside = belongs <= F.lit(last)
    else:
        length = (last - first).days
        inside = F.abs(F.datediff(belongs, F.lit(first)) * 2 - length) <= length
    return F.coalesce(inside, F.lit(True))


def measured(
    cleaned: DataFrame,
    scale: int,
    evaluated: Iterable[str] = (),
    *,
    rounds: bool = True,
    exact: bool = False,
) -> DataFrame:
    """Rows, money and rounding per day and reject reason (null: accepted or duplicate).

    Args:
        cleaned: From ``cleaning.clean``.
        scale: Decimals of money.
        evaluated: Further columns to be evaluated for every row, so that an expression that throws
            does so before anything is published.
        rounds: Whether an amount may be rounded at all.
        exact: Add money as decimals and not as its smallest units: slower, for amounts that are
            :func:`too_large`.
    """
    rounding = F.col("rounding") if rounds else F.lit(None).cast("decimal(38,0)")
    if exact:
        sums = {"amount": F.coalesce(F.sum("amount"), F.lit(0))}
    else:
        high, low = smallest_units.high_and_low(smallest_units.units(F.col("amount"), scale))
        sums = {"high": high, "low": low}
    return cleaned.groupBy(
        F.coalesce(F.col("activity_date"), F.col("log_date")).alias("activity_date"),
        F.col("activity_date").isNotNull().alias("dated"),
        "reason",
    ).agg(
        F.count(F.lit(1)).alias("rows"),
        *(total.alias(name) for name, total in sums.items()),
        F.max(F.abs(F.col("amount").cast("double"))).alias("largest"),
        F.sum(F.col("is_refund").cast("bigint")).alias("refunds"),
        F.count_if(rounding != 0).alias("rounded_rows"),
        F.sum(rounding).alias("rounding"),
        *(F.count(name).alias(f"with_{name}") for name in evaluated),
    )


def too_large(rows: Iterable[Row], scale: int) -> bool:
    """Whether an amount is beyond what :func:`measured` can add in smallest units."""
    return any((row["largest"] or 0) * 10**scale > smallest_units.MOST for row in rows)


@dataclass
class Tally:
    """Rows and amounts per day and measure; everything read is in exactly one other measure."""

    counts: dict[tuple[date | None, str], tuple[int, Decimal]] = field(default_factory=dict)
    refunds: int = 0
    largest: float = 0
    """Smallest units of the accepted amount that is farthest from 0, to 15 digits."""
    dated_days: set[date] = field(default_factory=set)

    @classmethod
    def of(cls, rows: Iterable[Row], scale: int) -> Tally:
        """From the rows of :func:`measured`."""
        tally = cls(defaultdict(lambda: _NOTHING))
        for row in rows:
            measure = row["reason"] or "accepted"
            amount = amount_of(row, scale)
            tally.add(row["activity_date"], "read", row["rows"], amount)
            tally.add(row["activity_date"], measure, row["rows"], amount)
            if row["reason"] is None:
                tally.largest = max(tally.largest, (row["largest"] or 0) * 10**scale)
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

    def adds_as_longs(self) -> bool:
        """Whether the accepted amounts can be added in their smallest units."""
        return smallest_units.fit(self.largest, self.rows_of("accepted"))

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


def amount_of(row: Row, scale: int) -> Decimal:
    """The sum in a row, as ``amount`` or as ``high`` and ``low`` smallest units."""
    if "amount" in row:
        exact: Decimal = row["amount"]
        return exact
    return Decimal(smallest_units.joined(row["high"], row["low"])).scaleb(-scale)
