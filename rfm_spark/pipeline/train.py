"""Stage 3: score edges, a sweep over k, and the model that labels everybody."""

from __future__ import annotations

import os
from datetime import date
from functools import partial
from typing import Any

import numpy as np
from pyspark.sql import DataFrame

from rfm_spark import schemas
from rfm_spark.clustering import choice, stages
from rfm_spark.clustering.coreset import coreset, in_order, point_columns
from rfm_spark.clustering.drift import bin_edges, standing
from rfm_spark.clustering.fits import Fit, Plan, best_by_k, single_cluster
from rfm_spark.clustering.lloyd import Matrix
from rfm_spark.clustering.material import Material
from rfm_spark.clustering.model import Reference
from rfm_spark.clustering.sample_sweep import judged, over_all_customers, sweep_sample
from rfm_spark.clustering.space import Moments, Space, moments, scaled_space
from rfm_spark.clustering.whole_sweep import sweep_everybody
from rfm_spark.config.naming import digest
from rfm_spark.errors import DataError, ModelError
from rfm_spark.pipeline.clusters import Numbering, identified
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.registry import (
    Fitted,
    other_models,
    write_model,
    write_sweep,
)
from rfm_spark.pipeline.snapshots import labelled_dates, make_stale
from rfm_spark.pipeline.stored_features import days_of_log, existing_features_on
from rfm_spark.pipeline.thresholds import cut_thresholds, scored

_MOST_THREADS = 8
_REFERENCE_ROWS = 50_000


def train(context: Context, *, snapshot_date: date) -> None:
    """Cut score edges and fit the clusters on the features of a date.

    Writes ``score_thresholds``, ``k_sweep`` and, after the fitted pipeline has been saved,
    ``models``. Clusters that continue those of the model before keep their number and name.

    Args:
        context: The run.
        snapshot_date: The date whose ``customer_features`` are learned from.

    Raises:
        DataError: The features of that date have not been computed, or cannot be clustered.
        ModelError: The data has fewer distinct customers than the k asked for.
    """
    context.stage("train", f"on the features of {snapshot_date}")
    features = existing_features_on(context, snapshot_date)
    rest = [day for day in labelled_dates(context) if day >= snapshot_date]
    make_stale(context, rest, f"a model of {snapshot_date} is fitted")
    if context.store.exists("models"):  # of another shape, it is refused before anything is written
        context.store.ensure(schemas.MODELS)
    thresholds = cut_thresholds(context, features, snapshot_date=snapshot_date)
    customers = scored(context, features, thresholds)
    space, sums, scaler = _space(context, customers, snapshot_date)
    others = other_models(context, snapshot_date=snapshot_date)
    previous = others.before
    before = previous.version if previous else None
    version = _version(context, snapshot_date, space, sums, [thresholds.version, before])
    folder = f"{context.settings.models_location}/{version}"
    points, rows = _stored_coreset(context, customers, space, sums, f"{folder}/coreset")
    material = Material(customers, space, sums, scaler, points, rows)
    fits = _fits(context, material, folder)
    chosen, why = _chosen(context, fits)
    context.display.note(f"k = {chosen.k} chosen: {why}")
    numbering = Numbering(others.numbers_of(version), others.largest_number)
    clusters = identified(context, material, chosen.centroids, previous, numbering)
    reference = _reference(context, material, chosen)
    path = f"{folder}/pipeline"
    numbers, centroids = clusters.numbers, clusters.centroids
    with context.timed("saving the fitted pipeline"):
        pipeline = stages.pipeline_model(context.spark, space, scaler, numbers, centroids)
        pipeline.write().overwrite().save(path)
    write_sweep(context, fits, chosen, version=version, snapshot_date=snapshot_date)
    is_sampled = context.settings.clustering.coreset_size > 0
    fitted = len(rows) if is_sampled else sums.customers
    write_model(
        context,
        Fitted(version, snapshot_date, space, chosen, why, clusters, reference, fitted, path),
    )


def _space(
    context: Context, customers: DataFrame, snapshot_date: date
) -> tuple[Space, Moments, Any]:
    """The scaled space, the sums it follows from, and the fitted scaler (None: no scaling)."""
    settings = context.settings
    names, transform = settings.clustering_features, settings.clustering.transform
    missing_days = days_of_log(context, snapshot_date)
    with context.timed("measuring the features"):
        sums = moments(customers, names, transform, missing_days)
    unusable = {name: n for name, n in zip(names, sums.unusable, strict=True) if n}
    if unusable:
        listed = ", ".join(f"{name} of {n:,} customers" for name, n in unusable.items())
        raise DataError(
            f"these features are NaN, infinite, or too large to be clustered: {listed}; mend them "
            "where they come from, use clustering.transform: log1p, or leave them out of "
            "clustering.features"
        )
    scale = settings.clustering.scale == "standard"
    space = scaled_space(names, transform, missing_days, sums, scale=scale)
    if not scale:
        return space, sums, None
    # The last bits of the scaler's own numbers depend on the cluster; the space's do not.
    scaler = stages.fitted_scaler(context.spark, list(space.means), list(space.stds))
    return space, sums, scaler


def _version(
    context: Context, snapshot_date: date, space: Space, sums: Moments, made_with: list[str | None]
) -> str:
    clustering = context.settings.clustering
    inputs = [sums.customers, sums.sums, sums.squares, space.missing_days, *made_with]
    settings = [space.features, clustering.ks, clustering.model_dump(mode="json")]
    return f"{snapshot_date}-{digest([inputs, *settings])}"


def _stored_coreset(
    context: Context, customers: DataFrame, space: Space, sums: Moments, path: str
) -> tuple[DataFrame, Matrix]:
    """The coreset, written beside the model: what was fitted can be looked at afterwards.

    Where everybody is fitted, it only says what customers were like.
    """
    size = context.settings.clustering.coreset_size or _REFERENCE_ROWS
    with context.timed("drawing the coreset"):
        coreset(customers, space, sums, size=size).write.mode("overwrite").parquet(path)
        points = in_order(context.spark.read.parquet(path), point_columns(space))
        rows = np.array([tuple(row) for row in points.collect()], dtype=np.float64)
    return points, rows


def _fits(context: Context, material: Material, folder: str) -> list[Fit]:
    """Every fit of the sweep, the best seed of each k measured over all customers."""
    clustering = context.settings.clustering
    plan = Plan(
        clustering.algorithm,
        _numbers_of_clusters(context, material),
        clustering.seeds,
        clustering.max_iter,
        min(_MOST_THREADS, os.cpu_count() or 1),
    )
    single = single_cluster(material.space, material.sums)
    if not plan.ks:
        return [single]
    told = partial(_told, context)
    with context.timed(f"fitting k = {plan.ks[0]} to {plan.ks[-1]}"):
        if clustering.coreset_size == 0:
            fits = sweep_everybody(material, plan, told)
        else:
            fits = over_all_customers(material, sweep_sample(material, plan, told))
            fits = judged(material, fits, plan, f"{folder}/labels", told)
    found = {fit.k for fit in fits}
    if clustering.k != "auto" and clustering.k not in found:
        raise ModelError(
            f"k-means found fewer than the {clustering.k} clusters that clustering.k asks for, "
            "from every start; use a smaller k, k: auto, or other features"
        )
    missing = [str(k) for k in plan.ks if k not in found]
    if missing:
        context.display.warn(f"no start found as many clusters as k = {', '.join(missing)}")
    return [single, *fits]


def _told(context: Context, what: str, done: int, total: int) -> None:
    context.display.working(f"{context.settings.clustering.algorithm}: {what} {done} of {total}")


def _numbers_of_clusters(context: Context, material: Material) -> list[int]:
    clustering = context.settings.clustering
    if clustering.coreset_size > 0:
        distinct = material.sample.distinct
    else:
        points = material.customers.select(*material.space.transformed())
        distinct = points.distinct().limit(max(clustering.ks)).count()
    if clustering.k != "auto" and clustering.k > distinct:
        raise ModelError(
            f"clustering.k is {clustering.k}, but the customers have only {distinct} distinct "
            "points in these features; use a smaller k, k: auto, or other features"
        )
    ks = [k for k in clustering.ks if k <= distinct]
    if not ks:
        context.display.warn(
            f"the customers have only {distinct} distinct points in these features: one cluster"
        )
    return ks


def _chosen(context: Context, fits: list[Fit]) -> tuple[Fit, str]:
    clustering = context.settings.clustering
    best = best_by_k(fits)
    if clustering.k != "auto":
        return next(fit for fit in best if fit.k == clustering.k), "as configured"
    low, high = clustering.k_range
    candidates = [fit for fit in best if low <= fit.k <= high] or best
    if clustering.select == "elbow":
        return choice.by_elbow(best, [fit.k for fit in candidates], clustering.min_share)
    several = [fit for fit in candidates if fit.k > 1]  # one cluster has no silhouette
    return choice.by_silhouette(several or candidates, clustering.min_share)


def _reference(context: Context, material: Material, chosen: Fit) -> Reference:
    """What customers are like now, for later dates to be compared with."""
    space, sums, rows = material.space, material.sums, material.rows
    edges = [bin_edges(rows[:, i], rows[:, -1]) for i in range(len(space.features))]
    lowest, highest = sums.range()
    limits = list(zip(lowest, highest, strict=True))
    with context.timed("describing the customers of the fit"):
        now = standing(
            material.customers,
            space,
            chosen.centroids,
            edges,
            limits,
            most=material.total,
        )
    return Reference(
        sums.customers,
        now.wcss,
        tuple(sums.means()),
        tuple(sums.stds()),
        tuple(lowest),
        tuple(highest),
        tuple(edges),
        now.shares,
    )
