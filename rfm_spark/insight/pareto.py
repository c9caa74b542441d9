"""The customers who together bring most of the revenue."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

_BUCKETS = 1024
FEW = 20_000
"""So many customers that their amounts may be looked at one by one."""


def revenue_threshold(customers: DataFrame, share: Decimal) -> Decimal | None:
    """The largest amount such that customers of at least that much bring a share of the revenue.

    Found by narrowing: amounts are counted in equal buckets between the smallest and the largest,
    and the bucket in which the running sum from above reaches the share is looked into again, until
    few customers are left. Customers of equal revenue are in or out together.

    Args:
        customers: With their ``monetary``.
        share: Of the sum of all revenue, refunds taken off; above 0.

    Returns:
        The amount; None where the revenue altogether is not positive.
    """
    whole = customers.agg(
        F.sum("monetary").alias("revenue"),
        F.count("monetary").alias("customers"),
        F.min("monetary").alias("least"),
        F.max("monetary").alias("most"),
    ).collect()[0]
    if whole["revenue"] is None or whole["revenue"] <= 0:
        return None
    wanted, inside = whole["revenue"] * share, whole
    while inside["customers"] > FEW and inside["least"] < inside["most"]:
        inside, above = _reaching(_buckets(customers, inside["least"], inside["most"]), wanted)
        wanted -= above
    amounts = _within(customers, inside).groupBy(F.col("monetary").alias("most"))
    rows = amounts.agg(F.sum("monetary").alias("revenue")).collect()
    reached, _ = _reaching(rows, wanted)
    return Decimal(reached["most"])


def _within(customers: DataFrame, inside: Row) -> DataFrame:
    return customers.where(F.col("monetary").between(inside["least"], inside["most"]))


def _buckets(customers: DataFrame, least: Decimal, most: Decimal) -> list[Row]:
    width = float(most - least) / _BUCKETS
    bucket = F.floor((F.col("monetary") - F.lit(least)).cast("double") / F.lit(width))
    within = customers.where(F.col("monetary").between(least, most))
    return (
        within.groupBy(F.least(bucket, F.lit(_BUCKETS - 1)).alias("bucket"))
        .agg(
            F.sum("monetary").alias("revenue"),
            F.count(F.lit(1)).alias("customers"),
            F.min("monetary").alias("least"),
            F.max("monetary").alias("most"),
        )
        .collect()
    )


def _reaching(rows: Sequence[Row], wanted: Decimal) -> tuple[Row, Decimal]:
    """The row in which the sum from the largest amount down gets there, and the sum above it."""
    above = Decimal(0)
    ordered = sorted(rows, key=lambda row: row["most"], reverse=True)
    for row in ordered:
        if above + row["revenue"] >= wanted:
            return row, above
        above += row["revenue"]
    raise ValueError(f"{wanted} is more than the {above} that the rows come to")
