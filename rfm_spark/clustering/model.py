"""A fitted model as numbers: enough to label anybody, without Spark ML."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import TypeVar

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark.clustering.space import Space

Key = TypeVar("Key")
_MODELS_A_PASS = 10  # more make a method so large that Java no longer compiles it


@dataclass(frozen=True)
class Reference:
    """What the customers of a fit were like, for later dates to be compared with.

    Args:
        customers: How many there were.
        wcss: Their mean squared distance to the nearest centroid.
        means: Of the transformed features.
        stds: Of the same.
        lowest: Smallest transformed value of each feature.
        highest: Largest.
        edges: Per feature, edges of bins in transformed units.
        shares: Per feature, the share of customers in each bin.
    """

    customers: int
    wcss: float
    means: tuple[float, ...]
    stds: tuple[float, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    edges: tuple[tuple[float, ...], ...]
    shares: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Model:
    """What ``models`` stores of a fit; arrays are in the order of ``numbers``, which ascend.

    ``reference`` is None for models that were stored without one.
    """

    version: str
    snapshot_date: date
    config_hash: str
    space: Space
    numbers: tuple[int, ...]
    centroids: tuple[tuple[float, ...], ...]
    names: tuple[str, ...]
    ranks: tuple[int, ...]
    actions: tuple[str, ...]
    reference: Reference | None = None

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
            _nested(row["centroids"]),
            tuple(row["cluster_names"]),
            tuple(row["cluster_ranks"]),
            tuple(row["cluster_actions"]),
            _reference(row),
        )


def _reference(row: Row) -> Reference | None:
    if "bin_edges" not in row or row["bin_edges"] is None:
        return None
    return Reference(
        row["customers"],
        row["wcss_all"] / row["customers"],
        tuple(row["feature_means"]),
        tuple(row["feature_stds"]),
        tuple(row["lowest"]),
        tuple(row["highest"]),
        _nested(row["bin_edges"]),
        _nested(row["bin_shares"]),
    )


def _nested(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in rows)


def in_space(customers: DataFrame, space: Space, *columns: str) -> DataFrame:
    """Rows with their scaled features, each computed once.

    Args:
        customers: Rows with the space's features.
        space: Features and scaling.
        columns: What to keep beside; nothing keeps only the scaled features.
    """
    # Never null, which Spark does not see; told so, it leaves a check out of every operation below.
    scaled = [F.coalesce(value, F.lit(0.0)) for value in space.scaled()]
    named = [value.alias(name) for value, name in zip(scaled, scaled_names(space), strict=True)]
    return customers.select(*columns, *named)


def scaled_names(space: Space) -> list[str]:
    """Names of the scaled features."""
    return [f"_scaled_{i}" for i in range(len(space.features))]


def squared_distances(
    scaled: Sequence[Column], centroids: Sequence[Sequence[float]]
) -> list[Column]:
    """Squared distance of a row to each centroid, summed left to right."""
    distances = []
    for centroid in centroids:
        differences = [value - F.lit(x) for value, x in zip(scaled, centroid, strict=True)]
        squares = [difference * difference for difference in differences]
        distances.append(reduce(operator.add, squares))
    return distances


def nearest_place(
    scaled: Sequence[Column], centroids: Sequence[Sequence[float]], *, first: int = 0
) -> Column:
    """Place of the nearest centroid, counted from ``first``; ties to the lowest."""
    distances = squared_distances(scaled, centroids)
    return F.array_position(F.array(*distances), least(distances)).cast("int") + F.lit(first - 1)


def least(distances: Sequence[Column]) -> Column:
    """The smallest of one or more columns."""
    return F.least(*distances) if len(distances) > 1 else distances[0]


def with_clusters(
    customers: DataFrame, space: Space, numbers: Sequence[int], centroids: Sequence[Sequence[float]]
) -> DataFrame:
    """Add cluster (ties to the lowest number), distance and margin.

    Distance is Euclidean, in scaled units. Margin is the distance to the second nearest centroid
    minus that to the nearest: near 0 for customers on a border, null where there is one cluster.
    """
    scaled = scaled_names(space)
    placed = in_space(customers, space, "*")
    distances = squared_distances([F.col(name) for name in scaled], centroids)
    nearest, squared = F.col("_nearest"), F.col("_squared")
    place = F.array_position(squared, nearest).cast("int")
    margin = F.lit(None).cast("double")
    if len(numbers) > 1:
        margin = F.sqrt(F.element_at(F.sort_array(squared), 2)) - F.sqrt(nearest)
    found = {"_squared": F.array(*distances), "_nearest": least(distances)}
    return (
        placed.withColumns(found)
        .withColumns(
            {
                "cluster": F.element_at(F.array(*(F.lit(number) for number in numbers)), place),
                "distance": F.sqrt(nearest),
                "margin": margin,
            }
        )
        .drop("_squared", "_nearest", *scaled)
    )


def named(cluster: Column, model: Model) -> Column:
    """The business name of a cluster number."""
    name = F.lit(None).cast("string")
    for number, known in zip(model.numbers, model.names, strict=True):
        name = F.when(cluster == number, F.lit(known)).otherwise(name)
    return name


def wcss_over_all(
    customers: DataFrame,
    space: Space,
    centroid_sets: Mapping[Key, Sequence[Sequence[float]]],
    *,
    most: float,
) -> dict[Key, float]:
    """Within-cluster sum of squares over all customers, for several models in one pass.

    Args:
        customers: Rows with the space's features.
        space: Features and scaling.
        centroid_sets: Anything that names a model, to its centroids.
        most: What no sum is much larger than; it chooses the unit.
    """
    placed = in_space(customers, space)
    scaled = [F.col(name) for name in scaled_names(space)]
    unit = exact_unit(most)
    found: dict[Key, float] = {}
    keys = list(centroid_sets)
    for start in range(0, len(keys), _MODELS_A_PASS):
        chosen = keys[start : start + _MODELS_A_PASS]
        sums = [
            exact_sum(least(squared_distances(scaled, centroid_sets[key])), unit).alias(f"sum_{i}")
            for i, key in enumerate(chosen)
        ]
        row = placed.agg(*sums).collect()[0]
        found |= {key: (row[f"sum_{i}"] or 0) / unit for i, key in enumerate(chosen)}
    return found


def exact_unit(most: float) -> float:
    """Parts of 1 in which squared distances are counted, so that their sum fits a bigint."""
    return float(2.0 ** min(40, math.floor(58 - math.log2(max(most, 1.0)))))


def exact_sum(squared: Column, unit: float) -> Column:
    """Sum of squared distances as integers of a small unit, which no order of rows changes."""
    return F.sum(F.floor(squared * F.lit(unit) + 0.5).cast("bigint"))
