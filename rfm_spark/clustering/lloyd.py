"""K-means on a weighted sample that fits in the driver's memory, to the same bits on any machine.

A Lloyd step on 50,000 points takes milliseconds here and some 30 as a Spark job, a start by
k-means|| half a second more. So there is time for many starts, and starts are what decides how
good a fit is. Nothing but elementwise arithmetic and sums in a fixed order is used, no BLAS, whose
last bits depend on the processor.

Starts: greedy k-means++ (Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding",
SODA 2007), several of them on every n-th point, a few steps each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rfm_spark.clustering.space import GRID

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

_THINNED = 4096
"""About how many points the trials of a seed work on."""
_TRIALS, _MOST_TRIALS = 6, 30
"""Starts tried for each seed: few on that many points, more on fewer."""
_TRIAL_STEPS = 10
_TOLERANCE, _TRIAL_TOLERANCE = 1e-4, 1e-2
_SAME_COST = 1e-3
"""Costs of two trials that are closer than this, relatively, are taken for the same solution."""


@dataclass(frozen=True)
class Sample:
    """Points, a column per feature, and how much each weighs."""

    columns: tuple[Vector, ...]
    weights: Vector

    @classmethod
    def of(cls, points: Matrix, weights: Vector) -> Sample:
        """From a matrix with a row per point."""
        columns = tuple(np.ascontiguousarray(column) for column in points.T)
        return cls(columns, np.ascontiguousarray(weights))

    def __len__(self) -> int:
        return len(self.weights)

    def thinned(self, rows: int) -> Sample:
        """Every n-th point, so that about this many are left."""
        stride = max(1, len(self) // rows)
        return Sample(
            tuple(np.ascontiguousarray(column[::stride]) for column in self.columns),
            np.ascontiguousarray(self.weights[::stride]),
        )

    @property
    def distinct(self) -> int:
        """Number of distinct points."""
        return len(self.merged)

    @cached_property
    def merged(self) -> Sample:
        """Every distinct point once, with the weight of all that are equal to it."""
        rows = np.stack(self.columns, axis=1)
        points, places = np.unique(rows, axis=0, return_inverse=True)
        weights = np.bincount(places.ravel(), weights=self.weights).astype(np.float64)
        return Sample.of(points, weights)

    @cached_property
    def variance(self) -> float:
        """Weighted variance about the mean, averaged over the features."""
        total = added(self.weights)
        spreads = []
        for column in self.columns:
            mean = added(column * self.weights) / total
            spreads.append(added(((column - mean) ** 2) * self.weights) / total)
        return sum(spreads) / len(spreads)


@dataclass(frozen=True)
class Solution:
    """Where Lloyd's steps ended: centroids on the grid of 1/65536, and their cost."""

    centroids: tuple[tuple[float, ...], ...]
    cost: float
    iterations: int


def solutions(sample: Sample, k: int, seed: int, max_iter: int) -> list[Solution]:
    """The best of several starts, and the best one that ended somewhere else.

    Args:
        sample: At least ``k`` distinct points.
        k: Number of clusters.
        seed: Of the draws; the same seed gives the same solutions.
        max_iter: Lloyd steps at most, the trials' own aside.

    Returns:
        One or two, the cheaper one first.
    """
    # The stream of RandomState is frozen for good, unlike that of Generator.
    random = np.random.RandomState(seed)
    sample = sample.merged
    few = sample.thinned(_THINNED)
    trials = []
    for _ in range(min(_MOST_TRIALS, max(_TRIALS, _TRIALS * _THINNED // len(few)))):
        start = _plus_plus(few, k, random)
        centroids, cost, _ = _lloyd(few, start, _TRIAL_STEPS, _TRIAL_TOLERANCE)
        trials.append((cost, centroids))
    trials.sort(key=lambda trial: trial[0])
    lowest = trials[0][0]
    starts = [trials[0][1]]
    starts += [c for cost, c in trials if cost > lowest * (1 + _SAME_COST)][:1]
    found = []
    for start in starts:
        centroids, _, iterations = _lloyd(sample, start, max_iter, _TOLERANCE)
        rounded = on_grid(centroids)
        found.append(Solution(rounded, cost_of(sample, rounded), iterations))
    return sorted(found, key=lambda solution: solution.cost)


def on_grid(centroids: Matrix) -> tuple[tuple[float, ...], ...]:
    """Centroids rounded to 1/65536, so that they survive being stored as text."""
    rounded = np.floor(np.asarray(centroids) * GRID + 0.5) / GRID
    return tuple(tuple(float(value) for value in row) for row in rounded)


def nearest(sample: Sample, centroids: Sequence[Sequence[float]] | Matrix) -> tuple[Labels, Vector]:
    """Each point's nearest centroid (ties to the lowest number) and its squared distance."""
    labels = np.zeros(len(sample), dtype=np.int64)
    least = np.full(len(sample), np.inf)
    for number, centroid in enumerate(centroids):
        distance = np.zeros(len(sample))
        for column, center in zip(sample.columns, centroid, strict=True):
            difference = column - center
            distance += difference * difference
        labels[distance < least] = number
        np.minimum(least, distance, out=least)
    return labels, least


def cost_of(sample: Sample, centroids: Sequence[Sequence[float]]) -> float:
    """Weighted within-cluster sum of squares."""
    return added(nearest(sample, centroids)[1] * sample.weights)


def shares_of(sample: Sample, labels: Labels, k: int) -> Vector:
    """Share of the sample's weight in each cluster."""
    weights = np.bincount(labels, weights=sample.weights, minlength=k)
    return np.asarray(weights / added(sample.weights), dtype=np.float64)


def silhouette(sample: Sample, labels: Labels) -> float:
    """Mean silhouette of squared Euclidean distances, weighted, to nine decimals.

    The formula of Spark ML's ClusteringEvaluator, documented there: a point's mean squared distance
    to a cluster follows from the cluster's weight, sum and sum of squares.

    Args:
        sample: Points.
        labels: Their clusters, at least two, numbered from 0 on without gaps.
    """
    weights = sample.weights
    mass = np.bincount(labels, weights=weights)
    squares = sum(column * column for column in sample.columns)
    means = [np.bincount(labels, weights=c * weights) / mass for c in sample.columns]
    spread = np.bincount(labels, weights=squares * weights) / mass
    own = np.zeros(len(sample))
    other = np.full(len(sample), np.inf)
    for number in range(len(mass)):
        across = sum(c * mean[number] for c, mean in zip(sample.columns, means, strict=True))
        distance = squares + spread[number] - 2 * across
        is_own = labels == number
        own[is_own] = distance[is_own]
        other[~is_own] = np.minimum(other, distance)[~is_own]
    is_alone = mass[labels] <= weights
    others_mass = np.where(is_alone, 1.0, mass[labels] - weights)
    own = own * mass[labels] / others_mass  # a point is not its own neighbour
    larger = np.maximum(own, other)
    values = np.where(
        is_alone | (larger <= 0), 0.0, (other - own) / np.where(larger > 0, larger, 1)
    )
    return round(added(values * weights) / added(weights), 9)


def added(values: Vector) -> float:
    """The sum, one value after another: numpy's own adds in blocks that depend on the processor."""
    return float(np.cumsum(values)[-1])


def _lloyd(
    sample: Sample, centroids: Matrix, max_iter: int, tolerance: float
) -> tuple[Matrix, float, int]:
    """Lloyd's steps until no centroid moves by more than ``tolerance`` standard deviations."""
    enough = tolerance**2 * sample.variance
    cost, steps, furthest = 0.0, 0, np.inf
    while steps < max_iter and furthest > enough:
        moved, cost = _step(sample, centroids)
        furthest = float(((moved - centroids) ** 2).sum(axis=1).max())
        centroids, steps = moved, steps + 1
    return centroids, cost, steps


def _step(sample: Sample, centroids: Matrix) -> tuple[Matrix, float]:
    """The means of the clusters, and the cost of the centroids before."""
    labels, cost = nearest(sample, centroids)
    cost = cost * sample.weights
    k = len(centroids)
    mass = np.bincount(labels, weights=sample.weights, minlength=k)
    sums = [np.bincount(labels, weights=c * sample.weights, minlength=k) for c in sample.columns]
    moved = np.stack(sums, axis=1) / np.where(mass > 0, mass, 1.0)[:, None]
    empty = np.flatnonzero(mass == 0)
    # A centroid that has lost all its points goes to the point that costs most.
    dearest = np.argsort(-cost, kind="stable")[: len(empty)] if len(empty) else ()
    for number, place in zip(empty, dearest, strict=True):
        moved[number] = [column[place] for column in sample.columns]
    return moved, added(cost)


def _plus_plus(sample: Sample, k: int, random: np.random.RandomState) -> Matrix:
    """Greedy k-means++: of a few drawn points, the one that lowers the cost most is taken."""
    drawn = 2 + int(np.log(k))
    first = _drawn(sample.weights, random.random_sample(1))[0]
    centroids = [[column[first] for column in sample.columns]]
    _, cost = nearest(sample, centroids)
    for _ in range(k - 1):
        best: tuple[float, list[float], Vector] | None = None
        for place in _drawn(cost * sample.weights, random.random_sample(drawn)):
            centroid = [column[place] for column in sample.columns]
            remaining = np.minimum(cost, nearest(sample, [centroid])[1])
            total = added(remaining * sample.weights)
            if best is None or total < best[0]:
                best = (total, centroid, remaining)
        if best is not None:
            centroids.append(best[1])
            cost = best[2]
    return np.array(centroids)


def _drawn(mass: Vector, uniform: Vector) -> Labels:
    """Places drawn in proportion to a mass; never one without any."""
    running = np.cumsum(mass)
    places = np.searchsorted(running, uniform * running[-1], side="right")
    last = int(np.flatnonzero(mass > 0)[-1]) if running[-1] > 0 else 0
    return np.asarray(np.minimum(places, last), dtype=np.int64)
