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
from rfm_spark.clustering.agreement import adjusted_rand_index, contingency
from rfm_spark.clustering.coreset import WEIGHT, point_columns
from rfm_spark.clustering.fits import Fit, Plan, Progress, measured_for_the_best, stability
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
    names = point_columns(space)
    values = [value.alias(name) for value, name in zip(space.transformed(), names, strict=True)]
    points = material.customers.select("customer_id", *values, F.lit(1.0).alias(WEIGHT))
    parts = -(-material.sums.customers // _ROWS_A_PART)
    points = points.repartition(parts, "customer_id").sortWithinPartitions("customer_id")
    vectors = stages.scaled_vectors(points, space, material.scaler)
    fits = []
    for done, (k, seed) in enumerate(plan.tasks, 1):
        start = time.monotonic()
        centroids, iterations = stages.fitted_centroids(
            vectors, plan.algorithm, k=k, seed=seed, max_iter=plan.max_iter
        )
        fits.append(Fit(k, seed, centroids, 0.0, 1.0, iterations, time.monotonic() - start))
        progress("fit", done, len(plan.tasks))
    fits = [fit for fit in fits if fit.is_whole]
    scaled = space.scaled([F.col(name) for name in names])
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
    """Smallest share and agreement between seeds, from the customers in each mix of clusters."""
    counted = []
    for k in dict.fromkeys(fit.k for fit in fits):
        own = [fit for fit in fits if fit.k == k]
        names = [f"seed_{fit.seed}" for fit in own]
        labels = [
            nearest_place(scaled, fit.centroids).alias(name)
            for fit, name in zip(own, names, strict=True)
        ]
        mixes = points.select(*labels).groupBy(*names).count().collect()
        table = np.array([tuple(row) for row in mixes])
        places, customers = dict(zip(names, table.T, strict=False)), table[:, -1].astype(float)
        agreement = {
            (own[i].key, own[j].key): adjusted_rand_index(
                contingency(places[names[i]], places[names[j]], customers)
            )
            for i, j in combinations(range(len(own)), 2)
        }
        for fit, name in zip(own, names, strict=True):
            sizes = np.bincount(places[name], weights=customers, minlength=k)
            share = float(sizes.min() / sizes.sum())
            counted.append(replace(fit, min_share=share, stability=stability(fit, agreement)))
    return counted
