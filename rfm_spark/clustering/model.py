"""A fitted model as numbers: enough to label anybody, without Spark ML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark.clustering.space import Space


@dataclass(frozen=True)
class Model:
    """What ``models`` stores of a fit; arrays are in the order of ``numbers``, which ascend."""

    version: str
    snapshot_date: date
    config_hash: str
    space: Space
    numbers: tuple[int, ...]
    centroids: tuple[tuple[float, ...], ...]
    names: tuple[str, ...]
    ranks: tuple[int, ...]
    actions: tuple[str, ...]

    @classmethod
    def from_row(cls, row: Row) -> Model:
        """From a row of ``models``."""
        space = Space(
            tuple(row["features"]),
            row["transform"],
            row["missing_recency"],
            tuple(row["means"]),
            tuple(row["stds"]),
        )
        return cls(
            row["model_version"],
            row["snapshot_date"],
            row["config_hash"],
            space,
            tuple(row["cluster_numbers"]),
            tuple(tuple(centroid) for centroid in row["centroids"]),
            tuple(row["cluster_names"]),
            tuple(row["cluster_ranks"]),
            tuple(row["cluster_actions"]),
        )


def squared_distances(space: Space, centroids: Sequence[Sequence[float]]) -> list[Column]:
    """Squared distance of a row to each centroid, summed left to right."""
    scaled = space.scaled()
    distances = []
    for centroid in centroids:
        total = F.lit(0.0)
        for value, center in zip(scaled, centroid, strict=True):
            total = total + (value - F.lit(center)) * (value - F.lit(center))
        distances.append(total)
    return distances


def with_clusters(
    customers: DataFrame, space: Space, numbers: Sequence[int], centroids: Sequence[Sequence[float]]
) -> DataFrame:
    """Add cluster (ties to the lowest number), distance and margin.

    Distance is Euclidean, in scaled units. Margin is the distance to the second nearest centroid
    minus that to the nearest: near 0 for customers on a border, null where there is one cluster.
    """
    squared = customers.withColumn("_squared", F.array(*squared_distances(space, centroids)))
    ordered = squared.withColumn("_ordered", F.sort_array("_squared"))
    nearest = F.element_at("_ordered", 1)
    place = F.array_position("_squared", nearest).cast("int")
    margin = F.lit(None).cast("double")
    if len(numbers) > 1:
        margin = F.sqrt(F.element_at("_ordered", 2)) - F.sqrt(nearest)
    return ordered.withColumns(
        {
            "cluster": F.element_at(F.array(*(F.lit(number) for number in numbers)), place),
            "distance": F.sqrt(nearest),
            "margin": margin,
        }
    ).drop("_squared", "_ordered")


def named(cluster: Column, model: Model) -> Column:
    """The business name of a cluster number."""
    name = F.lit(None).cast("string")
    for number, known in zip(model.numbers, model.names, strict=True):
        name = F.when(cluster == number, F.lit(known)).otherwise(name)
    return name


def wcss_over_all(
    customers: DataFrame,
    space: Space,
    centroid_sets: Mapping[int, Sequence[Sequence[float]]],
    *,
    total_squares: float,
) -> dict[int, float]:
    """Within-cluster sum of squares over all customers, for several models in one pass.

    Each customer's squared distance is rounded to an integer count of a small unit, so that the
    sum does not depend on its order.

    Args:
        customers: Rows with the space's features.
        space: Features and scaling.
        centroid_sets: k to centroids.
        total_squares: Sum of squares about the origin, which chooses the unit.
    """
    unit = 2.0 ** min(20, math.floor(58 - math.log2(max(total_squares, 1.0))))
    columns = []
    for k, centroids in centroid_sets.items():
        distances = squared_distances(space, centroids)
        least = F.least(*distances) if len(distances) > 1 else distances[0]
        columns.append(F.sum(F.floor(least * F.lit(unit) + 0.5).cast("bigint")).alias(f"k_{k}"))
    row = customers.agg(*columns).collect()[0]
    return {k: (row[f"k_{k}"] or 0) / unit for k in centroid_sets}
