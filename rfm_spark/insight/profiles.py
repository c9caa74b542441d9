"""What each segment is like: size, money, and the middle of every feature."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
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
    statistics = []
    for feature in features:
        value = F.col(feature)
        exact = F.sum(value.cast("decimal(38,8)"))  # a sum of doubles would depend on its order
        mean = exact.cast("double") / F.nullif(F.count(value), F.lit(0))
        statistics += [
            mean.alias(f"mean_{feature}"),
            F.median(value.cast("double")).alias(f"median_{feature}"),
        ]
    return customers.groupBy(F.col(segment).alias("segment")).agg(
        F.count(F.lit(1)).alias("customers"), F.sum("monetary").alias("revenue"), *statistics
    )
