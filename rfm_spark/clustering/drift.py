"""How far customers have moved away from those that a model was fitted on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark.clustering.model import Reference, exact_unit, least, squared_distances
from rfm_spark.clustering.space import (
    GRID,
    Moments,
    Space,
    grid_values,
    moment_columns,
    moments_from,
)

Vector = NDArray[np.float64]
BINS = 10
_SMALLEST_SHARE = 1e-4
"""An empty bin counts as this share: the logarithm of 0 would say nothing."""
_NEXT_TO_NOTHING = 1e-6
"""Share of the variance below which squared distances are rounding, not distances."""


@dataclass(frozen=True)
class Standing:
    """What customers are like, in the terms of a model.

    Args:
        moments: Of the transformed features.
        shares: Per feature, the share of customers in each bin.
        outside: Per feature, the share beyond the range that the model was fitted on.
        wcss: Mean squared distance to the nearest centroid.
    """

    moments: Moments
    shares: tuple[tuple[float, ...], ...]
    outside: tuple[float, ...]
    wcss: float


def bin_edges(values: Vector, weights: Vector) -> tuple[float, ...]:
    """Weighted deciles, each an actual value; equal ones once. A bin ends at its edge, included."""
    order = np.argsort(values, kind="stable")
    running = np.cumsum(weights[order])
    wanted = running[-1] * np.arange(1, BINS) / BINS
    places = np.minimum(np.searchsorted(running, wanted), len(values) - 1)
    edges = dict.fromkeys(float(value) for value in values[order][places])
    return tuple(edge for edge in edges if edge < values.max())


def standing(
    customers: DataFrame,
    space: Space,
    centroids: Sequence[Sequence[float]],
    edges: Sequence[Sequence[float]],
    limits: Sequence[tuple[float, float]],
    *,
    most: float,
) -> Standing:
    """Measure customers against a model, in one pass.

    Args:
        customers: Rows with the space's features; at least one.
        space: Of the model.
        centroids: Of the model.
        edges: Per feature, the edges of its bins, transformed.
        limits: Per feature, the smallest and largest transformed value at the fit.
        most: About the sum of squares at the fit.
    """
    count = len(space.features)
    values = [F.col(f"t_{i}") / F.lit(float(GRID)) for i in range(count)]
    unit = exact_unit(most)
    distance = least(squared_distances(space.scaled(values), centroids))
    # Decimal, as customers may lie anywhere by now; a single one beyond a bigint counts as its end.
    units = F.floor(distance * F.lit(unit) + 0.5).cast("decimal(20,0)")
    columns = [F.sum(units).alias("squares")]
    for i, (value, (low, high)) in enumerate(zip(values, limits, strict=True)):
        outside = value.isNull() | (value < F.lit(low)) | (value > F.lit(high))
        columns.append(F.count_if(outside).alias(f"outside_{i}"))
        columns += [
            F.count_if(value <= F.lit(edge)).alias(f"upto_{i}_{j}")
            for j, edge in enumerate(edges[i])
        ]
    row = grid_values(customers, space).agg(*moment_columns(count), *columns).collect()[0]
    moments = moments_from(row, count)
    n = moments.customers

    def shares(i: int) -> tuple[float, ...]:
        upto = [0, *(row[f"upto_{i}_{j}"] for j in range(len(edges[i]))), n]
        return tuple((b - a) / n for a, b in pairwise(upto))

    return Standing(
        moments,
        tuple(shares(i) for i in range(count)),
        tuple(row[f"outside_{i}"] / n for i in range(count)),
        float(row["squares"] or 0) / unit / n,
    )


def population_stability_index(expected: Sequence[float], actual: Sequence[float]) -> float:
    """Sum of (actual - expected) * ln(actual / expected) over bins, each at least 0.0001.

    Siddiqi, "Credit Risk Scorecards" (2006): below 0.1 stable, above 0.25 another population.
    """
    pairs = [
        (max(a, _SMALLEST_SHARE), max(e, _SMALLEST_SHARE))
        for a, e in zip(actual, expected, strict=True)
    ]
    return sum((a - e) * math.log(a / e) for a, e in pairs)


def wcss_ratio(now: float, reference: Reference, space: Space) -> float | None:
    """Mean squared distance to the nearest centroid, over that at the fit.

    A millionth of the variance at the fit is added to both, so that rounding is not taken for
    drift. None where customers did not vary at all and now do.
    """
    scales = zip(reference.stds, space.stds, strict=True)
    variance = sum((own / std) ** 2 for own, std in scales if std > 0)
    floor = _NEXT_TO_NOTHING * variance
    if reference.wcss + floor > 0:
        return (now + floor) / (reference.wcss + floor)
    return None if now > 0 else 1.0
