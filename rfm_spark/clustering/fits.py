"""A fit of a sweep, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from rfm_spark.clustering.lloyd import Solution, on_grid
from rfm_spark.clustering.space import Moments, Space

Centroids = tuple[tuple[float, ...], ...]
Key = tuple[int, int]
"""k and seed."""
Progress = Callable[[str, int, int], None]
"""Told what is done, how many of it, and of how many."""
Done = TypeVar("Done")


@dataclass(frozen=True)
class Plan:
    """What to fit.

    Args:
        algorithm: kmeans or bisecting.
        ks: Numbers of clusters, from 2 on.
        seeds: Starts per k; seeds are 1 to this.
        max_iter: Lloyd steps at most.
        threads: Fits at a time.
    """

    algorithm: str
    ks: Sequence[int]
    seeds: int
    max_iter: int
    threads: int

    @property
    def tasks(self) -> list[Key]:
        """Every k with every seed."""
        return [(k, seed) for k in self.ks for seed in range(1, self.seeds + 1)]


@dataclass(frozen=True)
class Fit:
    """One fit and how good it is. Centroids are scaled and rounded to 1/65536.

    Args:
        k: Number of clusters.
        seed: Of its draws.
        centroids: In no particular order.
        wcss: Weighted within-cluster sum of squares of what it was fitted on.
        min_share: Share of the smallest cluster.
        iterations: Lloyd steps.
        seconds: How long the fit took.
        silhouette: Of squared distances; None for one cluster.
        stability: Mean adjusted Rand index to the other seeds of this k; None without others.
        wcss_all: Over all customers; known for the best seed of each k.
        rivals: Other places where the same seed ended, which cost about as much.
    """

    k: int
    seed: int
    centroids: Centroids
    wcss: float
    min_share: float
    iterations: int
    seconds: float
    silhouette: float | None = None
    stability: float | None = None
    wcss_all: float | None = None
    rivals: tuple[Solution, ...] = ()

    @property
    def key(self) -> Key:
        """What tells it from the others of its sweep."""
        return self.k, self.seed

    @property
    def is_whole(self) -> bool:
        """Whether it has as many clusters as asked for, all of them with members."""
        return len(set(self.centroids)) == self.k and self.min_share > 0


def single_cluster(space: Space, sums: Moments) -> Fit:
    """Everybody in one cluster: where the curve of WCSS over k begins."""
    total = sums.total_squares(space)
    centroids = on_grid(np.array([sums.center(space)]))
    return Fit(1, 1, centroids, total, 1.0, 0, 0.0, wcss_all=total)


def best_by_k(fits: Iterable[Fit]) -> list[Fit]:
    """The fit of each k that costs least over all customers; ties to the lowest seed."""
    best: dict[int, Fit] = {}
    measured = [(fit, cost) for fit in fits if (cost := fit.wcss_all) is not None]
    for fit, _ in sorted(measured, key=lambda m: (m[0].k, nine_digits(m[1]), m[0].seed)):
        best.setdefault(fit.k, fit)
    return list(best.values())


def measured_for_the_best(fits: Sequence[Fit]) -> list[Fit]:
    """The same fits, without ``wcss_all`` but for the best of each k."""
    best = {fit.key for fit in best_by_k(fits)}
    return [fit if fit.key in best else replace(fit, wcss_all=None) for fit in fits]


def nine_digits(value: float) -> float:
    """A value as far as it is compared: the digits below depend on the order of sums."""
    return float(f"{value:.9g}")


def stability(fit: Fit, agreement: Mapping[tuple[Key, Key], float]) -> float | None:
    """Mean agreement of a fit with the others of its k; None without others."""
    found = [index for pair, index in agreement.items() if fit.key in pair]
    return sum(found) / len(found) if found else None


def each(
    work: Callable[[Any], Done],
    tasks: Sequence[Any],
    threads: int,
    progress: Callable[[int, int], None],
) -> list[Done]:
    """Results in the order of the tasks, several of which are under way at a time."""
    results = []
    with ThreadPoolExecutor(threads) as pool:
        for done, result in enumerate(pool.map(work, tasks), 1):
            progress(done, len(tasks))
            results.append(result)
    return results
