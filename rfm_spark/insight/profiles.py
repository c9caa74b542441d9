"""What each segment is like: size, money, and the middle of every feature."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def segment_statistics(customers: DataFrame, segment: str, features: Sequence[str]) -> DataFrame:
    """Customers, revenue, and mean and exact median of each feature, per segment.

    Nulls count neither towards a mean nor towards a median; both are null where a segment has no
    value at all.

    Args:
        customers: ``customer_segments`` of one snapshot date.
        segment: Column that holds the segment.
        features: Feature columns.

    Returns:
        One row per segment: segment, customers, revenue, mean_<feature>, median_<feature>.
    """
    return customers.groupBy(F.col(segment).alias("segment")).agg(
        F.count(F.lit(1)).alias("customers"),
        F.sum("monetary").alias("revenue"),
        *(_mean(feature) for feature in features),
        *(F.median(F.col(name).cast("double")).alias(f"median_{name}") for name in features),
    )


def overall_means(customers: DataFrame, features: Sequence[str]) -> DataFrame:
    """One row over all customers: customers, revenue, mean_<feature>."""
    return customers.agg(
        F.count(F.lit(1)).alias("customers"),
        F.sum("monetary").alias("revenue"),
        *(_mean(feature) for feature in features),
    )


def _mean(feature: str) -> Column:
    """Exact: a sum of doubles would depend on the order in which they are added."""
    value = F.col(feature)
    exact = F.sum(value.cast("decimal(38,8)")).cast("double")
    return (exact / F.nullif(F.count(value), F.lit(0))).alias(f"mean_{feature}")
