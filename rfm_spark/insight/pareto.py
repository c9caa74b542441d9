"""The customers who together bring most of the revenue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark.exact_sums import exact_sums
from rfm_spark.insight.figures import added_up
from rfm_spark.order_statistics import bucket_number
from rfm_spark.smallest_units import as_longs_if_they_fit

_BUCKETS = 256
FEW = 20_000
"""So many customers that their amounts may be looked at one by one."""


@dataclass
class _Slice:
    """Customers whose amounts lie next to each other, by the segments that they are in."""

    least: Decimal
    most: Decimal
    revenue: Decimal = Decimal(0)
    customers: Counter[tuple[str, ...]] = field(default_factory=Counter)

    @property
    def is_one_amount(self) -> bool:
        """Whether they are in or out together."""
        return self.least == self.most


def bringing_most(
    customers: DataFrame, share: Decimal, by: Mapping[str, str]
) -> dict[str, dict[str, int]] | None:
    """How many of each segment are among the fewest customers that bring a share of the revenue.

    They are found by narrowing, from the largest amount down: amounts are counted in buckets, and
    the bucket in which the running sum reaches the share is looked into again, until it holds one
    amount. Customers of equal revenue are in or out together.

    Args:
        customers: With their ``monetary``, null for none, and the segment columns.
        share: Of the sum of all revenue, refunds taken off; above 0.
        by: Kind to segment column.

    Returns:
        By kind and segment; None where the revenue altogether is not positive.
    """
    amounts = customers.select("monetary", *by.values()).where(F.col("monetary").isNotNull())
    slices = _slices(amounts, bucket_number(F.col("monetary").cast("double")), by)
    wanted = sum((one.revenue for one in slices), Decimal(0)) * share
    if wanted <= 0:
        return None
    found: Counter[tuple[str, ...]] = Counter()
    while True:
        at = _reaching(slices, wanted)
        for above in slices[:at]:
            found += above.customers
            wanted -= above.revenue
        reached = slices[at]
        if reached.is_one_amount:
            found += reached.customers
            return {kind: added_up(found, place) for place, kind in enumerate(by)}
        amounts = amounts.where(F.col("monetary").between(reached.least, reached.most))
        slices = _slices(amounts, _finer(reached), by)


def _slices(amounts: DataFrame, bucket: Column, by: Mapping[str, str]) -> list[_Slice]:
    """Customers by bucket, those of the largest amounts first; one pass."""
    (revenue,) = exact_sums(amounts, ["monetary"])

    def rows(as_longs: bool) -> list[Row]:
        counts = F.count(F.lit(1)).alias("customers")
        ends = F.min("monetary").alias("least"), F.max("monetary").alias("most")
        grouped = amounts.groupBy(*by.values(), bucket.alias("bucket"))
        return grouped.agg(*revenue.columns(as_longs=as_longs), counts, *ends).collect()

    found: dict[object, _Slice] = {}
    for row in as_longs_if_they_fit(rows):
        least, most = row["least"], row["most"]
        own = found.setdefault(row["bucket"], _Slice(least, most))
        own.least, own.most = min(own.least, least), max(own.most, most)
        own.revenue += revenue.of(row)
        own.customers[tuple(row[column] for column in by.values())] += row["customers"]
    return sorted(found.values(), key=lambda one: one.most, reverse=True)


def _finer(reached: _Slice) -> Column:
    """Equal buckets of a slice, or its amounts themselves where they are few."""
    if reached.customers.total() <= FEW:
        return F.col("monetary")
    width = float(reached.most - reached.least) / _BUCKETS
    place = F.floor((F.col("monetary") - F.lit(reached.least)).cast("double") / F.lit(width))
    return F.least(place, F.lit(_BUCKETS - 1))


def _reaching(slices: Sequence[_Slice], wanted: Decimal) -> int:
    """The place of the slice in which the sum from the largest amount down gets there."""
    running = Decimal(0)
    for at, one in enumerate(slices):
        running += one.revenue
        if running >= wanted:
            return at
    raise ValueError(f"{wanted} is more than the {running} that the slices come to")
