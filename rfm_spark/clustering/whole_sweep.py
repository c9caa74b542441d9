"""The sweep on all rows, by Spark ML: as slow as it sounds, and for those who want it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark.clustering import stages
from rfm_spark.clustering.agreement import adjusted_rand_index
from rfm_spark.clustering.coreset import WEIGHT, point_columns, transformed_points
from rfm_spark.clustering.fits import Fit, Plan, Progress, measured_for_the_best, stability
from rfm_spark.clustering.lloyd import Matrix
from rfm_spark.clustering.material import Material
from rfm_spark.clustering.model import nearest_place, wcss_over_all

_ROWS_A_PART = 100_000


def sweep_everybody(material: Material, plan: Plan, progress: Progress) -> list[Fit]:
    """Fits on all rows, in order of k and seed; their figures are over all rows too.

    Customers are laid out by a hash of their id, in a number of parts that depends on nothing but
    how many they are, so that starts, which Spark ML draws part by part, are the same on any
    cluster. Sums of doubles still differ in their last bits.

    Returns:
        The fits without those that found fewer clusters than asked for.
    """
    space = material.space
    one = F.lit(1.0).alias(WEIGHT)
    points = transformed_points(material.customers, space, "customer_id", one)
    parts = -(-material.sums.customers // _ROWS_A_PART)
    laid_out = points.repartition(parts, "customer_id").sortWithinPartitions("customer_id")
    vectors = stages.scaled_vectors(laid_out, space, material.scaler)
    fits = []
    for done, (k, seed) in enumerate(plan.tasks, 1):
        start = time.monotonic()
        centroids, iterations = stages.fitted_centroids(
            vectors, plan.algorithm, k=k, seed=seed, max_iter=plan.max_iter
        )
        fits.append(Fit(k, seed, centroids, 0.0, 1.0, iterations, time.monotonic() - start))
        progress("fit", done, len(plan.tasks))
    fits = [fit for fit in fits if fit.is_whole]
    scaled = space.scaled([F.col(name) for name in point_columns(space)])
    fits = [fit for fit in _counted(points, scaled, fits) if fit.is_whole]
    sets = {fit.key: fit.centroids for fit in fits}
    costs = wcss_over_all(material.customers, space, sets, most=material.total)
    measured = []
    for done, fit in enumerate(fits, 1):
        labels = nearest_place(scaled, fit.centroids).cast("double")
        silhouette = stages.silhouette(vectors.withColumn("prediction", labels), "prediction")
        cost = costs[fit.key]
        measured.append(replace(fit, wcss=cost, wcss_all=cost, silhouette=silhouette))
        progress("silhouette", done, len(fits))
    return measured_for_the_best(measured)


def _counted(points: DataFrame, scaled: Sequence[Column], fits: Sequence[Fit]) -> list[Fit]:
    """Smallest share, and agreement between seeds, from the customers in each pair of clusters."""
    counted = []
    for k in dict.fromkeys(fit.k for fit in fits):
        own = [fit for fit in fits if fit.k == k]
        pairs = list(combinations(own, 2)) or [(own[0], own[0])]
        tables = {(one.key, other.key): _pairs(points, scaled, one, other) for one, other in pairs}
        sizes = {one: table.sum(axis=1) for (one, _), table in tables.items()}
        sizes |= {other: table.sum(axis=0) for (_, other), table in tables.items()}
        agreement = {pair: adjusted_rand_index(t) for pair, t in tables.items() if len(own) > 1}
        for fit in own:
            share = float(sizes[fit.key].min() / sizes[fit.key].sum())
            counted.append(replace(fit, min_share=share, stability=stability(fit, agreement)))
    return counted


def _pairs(points: DataFrame, scaled: Sequence[Column], one: Fit, other: Fit) -> Matrix:
    """Customers by cluster of the one and cluster of the other fit."""
    places = points.select(
        nearest_place(scaled, one.centroids).alias("one"),
        nearest_place(scaled, other.centroids).alias("other"),
    )
    table = np.zeros((one.k, other.k))
    for row in places.groupBy("one", "other").count().collect():
        table[row["one"], row["other"]] = row["count"]
    return table
