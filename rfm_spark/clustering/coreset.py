"""A weighted sample that stands for all customers.

Lightweight coreset of Bachem, Lucic and Krause, "Scalable k-Means Clustering via Lightweight
Coresets" (KDD 2018): a row is drawn with a probability that is half uniform, half proportional to
its squared distance from the mean, and weighs the inverse of it. The weighted cost of any k
centroids is then close to the cost over everybody, for a sample whose size does not depend on the
number of customers.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark.clustering.model import squared_distances
from rfm_spark.clustering.space import Moments, Space

WEIGHT = "weight"
_KEEP = "_keep"
_UNIT = 2**53


def coreset(customers: DataFrame, space: Space, sums: Moments, *, size: int) -> DataFrame:
    """The sample, in one partition and in an order that follows from its values.

    Each row decides for itself by a hash of its customer_id, so the sample does not depend on how
    the data is laid out. With no more customers than ``size`` it is everybody with weight 1.

    Args:
        customers: ``customer_features``, with scores where the space names them.
        space: Features and scaling.
        sums: Mean and spread of the same customers.
        size: Rows wanted; the expected number, not the exact one.

    Returns:
        x_0 .. x_n (transformed, not scaled) and weight.
    """
    squared = squared_distances(space.scaled(), [sums.center(space)])[0]
    total = sums.total_squares(space)
    tail = F.lit(0.5 * sums.customers / total) * squared if total > 0 else F.lit(0.5)
    keep = F.least(F.lit(1.0), F.lit(size / sums.customers) * (F.lit(0.5) + tail))
    if sums.customers <= size:
        keep = F.lit(1.0)
    draw = F.expr(f"pmod(xxhash64(customer_id, 'coreset'), {_UNIT}L) / {_UNIT}D")
    drawn = customers.withColumn(_KEEP, keep).where(draw < F.col(_KEEP))
    sample = transformed_points(drawn, space, (F.lit(1.0) / F.col(_KEEP)).alias(WEIGHT))
    return in_order(sample.repartition(1), point_columns(space))


def transformed_points(customers: DataFrame, space: Space, *beside: Column | str) -> DataFrame:
    """Columns x_0 .. x_n with the transformed features, and others beside them."""
    values = zip(space.transformed(), point_columns(space), strict=True)
    return customers.select(*(value.alias(name) for value, name in values), *beside)


def in_order(sample: DataFrame, names: Sequence[str]) -> DataFrame:
    """One partition, sorted by all values: whoever draws from it always sees the same sequence."""
    return sample.coalesce(1).sortWithinPartitions(*names, WEIGHT)


def point_columns(space: Space) -> list[str]:
    """Names of the transformed features in a coreset."""
    return [f"x_{i}" for i in range(len(space.features))]
