"""Fits of KMeans over k and seeds, each with what is needed to choose between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark import inheritable_thread_target
from pyspark.ml.clustering import KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.sql import DataFrame

from rfm_spark.clustering.coreset import WEIGHT
from rfm_spark.clustering.space import GRID
from rfm_spark.clustering.stages import SCALED

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """One k-means fit and how good it is on the coreset.

    ``centroids`` are scaled and rounded to 1/65536, so that they survive being stored as text.
    ``wcss_all`` is known for the best seed of each k only.
    """

    k: int
    seed: int
    centroids: tuple[tuple[float, ...], ...]
    wcss: float
    silhouette: float | None
    min_share: float
    iterations: int
    seconds: float
    labels: NDArray[np.int64]
    model: Any
    stability: float | None = None
    wcss_all: float | None = None


def sweep(
    vectors: DataFrame,
    points: Matrix,
    weights: Matrix,
    *,
    ks: Sequence[int],
    seeds: int,
    max_iter: int,
    threads: int,
    progress: Callable[[int, int], None],
) -> list[Fit]:
    """Fit every k with every seed, several at a time.

    Args:
        vectors: The coreset in Spark, one ordered partition, columns ``scaled`` and ``weight``.
        points: The same points here; a coreset has a bounded number of rows.
        weights: Their weights.
        ks: Numbers of clusters to try.
        seeds: Starts per k; seeds are 1 to this.
        max_iter: Lloyd steps at most.
        threads: Fits at a time.
        progress: Told fits done and fits in all.

    Returns:
        The fits in order of k and seed, without those in which Spark found fewer clusters than
        asked for.
    """
    tasks = [(k, seed) for k in ks for seed in range(1, seeds + 1)]
    fits: list[Fit] = []

    def fit_one(task: tuple[int, int]) -> Fit:
        k, seed = task
        return _fit(vectors, points, weights, k=k, seed=seed, max_iter=max_iter)

    with_session = inheritable_thread_target(vectors.sparkSession)(fit_one)
    with ThreadPoolExecutor(threads) as pool:
        results = pool.map(with_session, tasks)
        for done, fit in enumerate(results, 1):
            progress(done, len(tasks))
            if len(fit.centroids) == fit.k:
                fits.append(fit)
    return _with_stability(fits)


def _fit(
    vectors: DataFrame, points: Matrix, weights: Matrix, *, k: int, seed: int, max_iter: int
) -> Fit:
    start = time.monotonic()
    estimator = KMeans(
        featuresCol=SCALED,
        weightCol=WEIGHT,
        k=k,
        seed=seed,
        maxIter=max_iter,
        tol=1e-4,
        solver="block",  # a Lloyd step on a coreset takes about half the time of `row`
    )
    model = estimator.fit(vectors)
    centers = np.array([np.asarray(center) for center in model.clusterCenters()])
    centroids = np.floor(centers * GRID + 0.5) / GRID
    labels, cost = assign(points, centroids)
    shares = np.bincount(labels, weights=weights, minlength=k) / weights.sum()
    silhouette = None
    if len(centers) == k and shares.min() > 0:
        evaluator = ClusteringEvaluator(featuresCol=SCALED, weightCol=WEIGHT)
        silhouette = float(evaluator.evaluate(model.transform(vectors)))
    return Fit(
        k=k,
        seed=seed,
        centroids=tuple(tuple(float(value) for value in row) for row in centroids),
        wcss=float((cost * weights).sum()),
        silhouette=silhouette,
        min_share=float(shares.min()),
        iterations=int(model.summary.numIter),
        seconds=time.monotonic() - start,
        labels=labels,
        model=model,
    )


def assign(points: Matrix, centroids: Matrix) -> tuple[NDArray[np.int64], Matrix]:
    """Each point's nearest centroid (ties to the lowest number) and its squared distance."""
    distances = np.stack([((points - centroid) ** 2).sum(axis=1) for centroid in centroids], axis=1)
    labels = distances.argmin(axis=1)
    return labels, distances[np.arange(len(points)), labels]


def adjusted_rand_index(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Agreement of two labellings of the same points, 1 for the same, about 0 for chance.

    Hubert and Arabie, "Comparing partitions", Journal of Classification 2 (1985).
    """
    table = np.zeros((one.max() + 1, other.max() + 1), dtype=np.int64)
    np.add.at(table, (one, other), 1)

    def pairs(counts: NDArray[np.int64]) -> float:
        return float((counts * (counts - 1) // 2).sum())

    together, in_one, in_other = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    total = len(one) * (len(one) - 1) / 2
    expected = in_one * in_other / total if total else 0.0
    most = (in_one + in_other) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def _with_stability(fits: Iterable[Fit]) -> list[Fit]:
    fits = list(fits)
    stable = []
    for fit in fits:
        others = [other for other in fits if other.k == fit.k and other.seed != fit.seed]
        agreement = [adjusted_rand_index(fit.labels, other.labels) for other in others]
        mean = sum(agreement) / len(agreement) if agreement else None
        stable.append(replace(fit, stability=mean))
    return stable
