"""The sweep on a sample: many fits in seconds, however many customers there are.

K-means runs on the driver (``lloyd``), BisectingKMeans in Spark ML, and Spark ML's
ClusteringEvaluator judges either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations

from pyspark import inheritable_thread_target
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame

from rfm_spark.clustering import lloyd, stages
from rfm_spark.clustering.agreement import adjusted_rand_index, contingency
from rfm_spark.clustering.coreset import WEIGHT
from rfm_spark.clustering.fits import (
    Centroids,
    Fit,
    Key,
    Plan,
    Progress,
    best_by_k,
    each,
    measured_for_the_best,
    nine_digits,
    stability,
)
from rfm_spark.clustering.lloyd import Sample
from rfm_spark.clustering.material import Material
from rfm_spark.clustering.model import wcss_over_all

_RIVAL = 1.005
"""A solution that costs at most this times the best of its k on the sample may be the better one
for all customers: a sample knows differences of costs to some tenths of a percent."""
_RIVALS = 3
_SAME = 5e-5


def sweep_sample(material: Material, plan: Plan, progress: Progress) -> list[Fit]:
    """Fits on the sample, in order of k and seed.

    Returns:
        The fits without those that found fewer clusters than asked for.
    """
    sample = material.sample
    fit_one: Callable[[Key], Fit] = partial(_kmeans_fit, sample, plan)
    if plan.algorithm == "bisecting":
        fit_one = inheritable_thread_target(material.points.sparkSession)(
            partial(_bisecting_fit, material.vectors(), sample, plan)
        )
    fits = each(fit_one, plan.tasks, plan.threads, partial(progress, "fit"))
    return [fit for fit in fits if fit.is_whole]


def over_all_customers(material: Material, fits: Sequence[Fit]) -> list[Fit]:
    """The same fits, with ``wcss_all`` for the best seed of each k.

    Where solutions of a k cost about the same on the sample, the best is the one that costs least
    over all customers.
    """
    if material.is_everybody:
        return measured_for_the_best([replace(fit, wcss_all=fit.wcss) for fit in fits])
    sample = material.sample
    by_k: dict[int, list[Fit]] = {}
    for fit in fits:
        by_k.setdefault(fit.k, []).append(fit)
    candidates = {
        (k, place): fit
        for k, own in by_k.items()
        for place, fit in enumerate(_candidates(own, sample))
    }
    sets = {key: fit.centroids for key, fit in candidates.items()}
    most = max((fit.wcss for fit in candidates.values()), default=0.0)
    costs = wcss_over_all(material.customers, material.space, sets, most=most)
    measured = [replace(fit, wcss_all=costs[key]) for key, fit in candidates.items()]
    best = {fit.key: fit for fit in best_by_k(measured)}
    return [best.get(fit.key, fit) for fit in fits]


def judged(
    material: Material, fits: Sequence[Fit], plan: Plan, path: str, progress: Progress
) -> list[Fit]:
    """The same fits, each with silhouette and stability on the sample.

    The best of each k, between which is chosen, is judged by Spark ML's evaluator; the other seeds
    by the same formula here. What the best say of the sample is written to a folder first, which is
    replaced: the evaluator reads its points several times.
    """
    sample, spark = material.sample, material.points.sparkSession
    labels = {fit.key: lloyd.nearest(sample, fit.centroids)[0] for fit in fits}
    best = {f"k_{fit.k}": fit.key for fit in best_by_k(fits)}
    points = [f"z_{i}" for i in range(len(sample.columns))]
    columns = [*sample.columns, sample.weights, *(labels[key] for key in best.values())]
    schema = ", ".join(f"{name} double" for name in (*points, WEIGHT, *best))
    rows = list(zip(*(column.astype(float).tolist() for column in columns), strict=True))
    labelled = spark.createDataFrame(rows, schema).coalesce(1)
    vectors = VectorAssembler(inputCols=points, outputCol=stages.SCALED).transform(labelled)
    vectors.drop(*points).write.mode("overwrite").parquet(path)
    stored = spark.read.parquet(path).coalesce(1)
    judge = inheritable_thread_target(spark)(partial(stages.silhouette, stored))
    values = each(judge, list(best), plan.threads, partial(progress, "silhouette"))
    silhouettes = dict(zip(best.values(), values, strict=True))
    others = [fit.key for fit in fits if fit.key not in silhouettes]
    silhouettes |= {key: lloyd.silhouette(sample, labels[key]) for key in others}
    agreement = {
        (one, other): adjusted_rand_index(contingency(labels[one], labels[other], sample.weights))
        for one, other in combinations(labels, 2)
        if one[0] == other[0]
    }
    return [
        replace(fit, silhouette=silhouettes[fit.key], stability=stability(fit, agreement))
        for fit in fits
    ]


def _candidates(fits: Sequence[Fit], sample: Sample) -> list[Fit]:
    """Solutions of one k that may be the best over all customers, cheapest first."""
    rivals = [
        replace(
            fit,
            centroids=rival.centroids,
            wcss=rival.cost,
            min_share=_smallest_share(sample, rival.centroids),
            iterations=rival.iterations,
        )
        for fit in fits
        for rival in fit.rivals
    ]
    known = [fit for fit in (*fits, *rivals) if fit.is_whole]
    known.sort(key=lambda fit: (nine_digits(fit.wcss), fit.seed))
    kept: list[Fit] = []
    for fit in known:
        is_near = fit.wcss <= known[0].wcss * _RIVAL
        if is_near and (not kept or fit.wcss > kept[-1].wcss * (1 + _SAME)):
            kept.append(fit)
    return kept[:_RIVALS]


def _kmeans_fit(sample: Sample, plan: Plan, key: Key) -> Fit:
    start = time.monotonic()
    k, seed = key
    first, *others = lloyd.solutions(sample, k, seed, plan.max_iter)
    return Fit(
        k,
        seed,
        first.centroids,
        first.cost,
        _smallest_share(sample, first.centroids),
        first.iterations,
        time.monotonic() - start,
        rivals=tuple(others),
    )


def _bisecting_fit(vectors: DataFrame, sample: Sample, plan: Plan, key: Key) -> Fit:
    start = time.monotonic()
    centroids, iterations = stages.fitted_centroids(
        vectors, plan.algorithm, k=key[0], seed=key[1], max_iter=plan.max_iter
    )
    share = _smallest_share(sample, centroids)
    cost = lloyd.cost_of(sample, centroids)
    return Fit(*key, centroids, cost, share, iterations, time.monotonic() - start)


def _smallest_share(sample: Sample, centroids: Centroids) -> float:
    labels, _ = lloyd.nearest(sample, centroids)
    return float(lloyd.shares_of(sample, labels, len(centroids)).min())
