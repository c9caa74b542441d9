"""Stage 3: score edges, a sweep over k, and the model that labels everybody."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark.clustering import choice, stages
from rfm_spark.clustering.coreset import WEIGHT, coreset, in_order, point_columns
from rfm_spark.clustering.model import wcss_over_all, with_clusters
from rfm_spark.clustering.space import Moments, Space, moments, scaled_space
from rfm_spark.clustering.sweep import Fit, sweep
from rfm_spark.config.naming import digest
from rfm_spark.errors import DataError, ModelError
from rfm_spark.insight.figures import exact_mean
from rfm_spark.pipeline.context import Context, days_of_log
from rfm_spark.pipeline.registry import Members, write_model, write_sweep
from rfm_spark.pipeline.thresholds import cut_thresholds, scored
from rfm_spark.schemas import SCORE_COLUMNS

_MOST_THREADS = 8


def train(context: Context, *, snapshot_date: date) -> None:
    """Cut score edges and fit the clusters on the features of a date.

    Writes ``score_thresholds``, ``k_sweep`` and, after the fitted pipeline has been saved,
    ``models``.

    Args:
        context: The run.
        snapshot_date: The date whose ``customer_features`` are learned from.

    Raises:
        DataError: The features of that date have not been computed.
        ModelError: The data has fewer distinct customers than the k asked for.
    """
    context.display.stage("train", f"on the features of {snapshot_date}")
    all_features = context.read("customer_features")
    features = all_features.where(F.col("snapshot_date") == F.lit(snapshot_date))
    thresholds = cut_thresholds(context, features, snapshot_date=snapshot_date)
    customers = scored(context, features, thresholds)
    space, sums, scaler = _space(context, customers, snapshot_date)
    version = _version(context, snapshot_date, space, sums, thresholds.version)
    folder = f"{context.settings.models_location}/{version}"
    points = _stored_coreset(context, customers, space, sums, f"{folder}/coreset")
    fits, rows = _fits(context, points, space, scaler)
    fits, chosen, why = _choose(context, fits, customers, space, sums)
    context.display.note(f"k = {chosen.k} chosen: {why}")
    pipeline_path = f"{folder}/pipeline"
    model = stages.pipeline_model(space, scaler, chosen.model)
    with context.timed("saving the fitted pipeline"):
        model.write().overwrite().save(pipeline_path)
    write_sweep(context, fits, chosen, version=version, snapshot_date=snapshot_date)
    members = _members(context, customers, space, chosen)
    record = {
        "model_version": version,
        "snapshot_date": snapshot_date,
        "customers": sums.customers,
        "coreset_rows": rows,
        "pipeline_path": pipeline_path,
    }
    write_model(context, record, space, chosen, members)


def _space(
    context: Context, customers: DataFrame, snapshot_date: date
) -> tuple[Space, Moments, Any]:
    """The scaled space, the sums it follows from, and the fitted scaler (None: no scaling)."""
    settings = context.settings
    names, transform = settings.clustering_features, settings.clustering.transform
    missing_days = days_of_log(context, snapshot_date)
    with context.timed("measuring the features"):
        sums = moments(customers, names, transform, missing_days)
    if sums.customers == 0:
        raise DataError(
            "customer_features has no row of that snapshot date; run `features` for it first"
        )
    scale = settings.clustering.scale == "standard"
    space = scaled_space(names, transform, missing_days, sums, scale=scale)
    if not scale:
        return space, sums, None
    scaler = stages.fitted_scaler(context.spark, list(space.means), list(space.stds))
    means, stds = (
        tuple(float(x) for x in vector.toArray()) for vector in (scaler.mean, scaler.std)
    )
    return replace(space, means=means, stds=stds), sums, scaler


def _version(
    context: Context, snapshot_date: date, space: Space, sums: Moments, thresholds_version: str
) -> str:
    clustering = context.settings.clustering.model_dump(mode="json")
    inputs = [sums.customers, sums.sums, sums.squares, space.missing_days, thresholds_version]
    return f"{snapshot_date}-{digest([inputs, space.features, clustering])}"


def _stored_coreset(
    context: Context, customers: DataFrame, space: Space, sums: Moments, path: str
) -> DataFrame:
    """The coreset, written beside the model: what was fitted can be looked at afterwards."""
    size = context.settings.clustering.coreset_size
    with context.timed("drawing the coreset"):
        sample = coreset(customers, space, size=size, population=sums.customers)
        sample.write.mode("overwrite").parquet(path)
    return in_order(context.spark.read.parquet(path), point_columns(space))


def _fits(context: Context, points: DataFrame, space: Space, scaler: Any) -> tuple[list[Fit], int]:
    clustering = context.settings.clustering
    rows = np.array([tuple(row) for row in points.collect()], dtype=np.float64)
    divisors = np.array([std if std > 0 else np.inf for std in space.stds])
    scaled = (rows[:, :-1] - np.array(space.means)) / divisors
    distinct = len(np.unique(scaled, axis=0))
    ks = _numbers_of_clusters(context, distinct)
    vectors = stages.scaled_vectors(points, space, scaler).select(stages.SCALED, WEIGHT)
    if not ks:
        return [_single_cluster(scaled, rows[:, -1])], len(rows)
    with context.timed(f"fitting k = {ks[0]} to {ks[-1]}"):
        fits = sweep(
            vectors,
            scaled,
            rows[:, -1],
            ks=ks,
            seeds=clustering.seeds,
            max_iter=clustering.max_iter,
            threads=min(_MOST_THREADS, os.cpu_count() or 1),
            progress=lambda done, total: context.display.working(f"k-means fit {done} of {total}"),
        )
    if not fits and clustering.k != "auto":
        raise ModelError(
            f"k-means found fewer than the {clustering.k} clusters that clustering.k asks for, "
            "from every start; use a smaller k, k: auto, or other features"
        )
    return fits or [_single_cluster(scaled, rows[:, -1])], len(rows)


def _numbers_of_clusters(context: Context, distinct: int) -> list[int]:
    clustering = context.settings.clustering
    if clustering.k != "auto":
        if clustering.k > distinct:
            raise ModelError(
                f"clustering.k is {clustering.k}, but the customers have only {distinct} distinct "
                "points in these features; use a smaller k, k: auto, or other features"
            )
        return [clustering.k]
    low, high = clustering.k_range
    ks = list(range(low, min(high, distinct) + 1))
    if not ks:
        context.display.warn(
            f"the customers have only {distinct} distinct points in these features: one cluster"
        )
    return ks


def _single_cluster(points: Any, weights: Any) -> Fit:
    """Everybody in one cluster, for data in which there is nothing to tell apart."""
    center = np.average(points, axis=0, weights=weights)
    cost = float((((points - center) ** 2).sum(axis=1) * weights).sum())
    labels = np.zeros(len(points), dtype=np.int64)
    centroids = (tuple(float(value) for value in center),)
    return Fit(1, 1, centroids, cost, None, 1.0, 0, 0.0, labels, None)


def _choose(
    context: Context, fits: list[Fit], customers: DataFrame, space: Space, sums: Moments
) -> tuple[list[Fit], Fit, str]:
    best = choice.best_by_k(fits)
    with context.timed("measuring every k over all customers"):
        wcss = wcss_over_all(
            customers,
            space,
            {fit.k: fit.centroids for fit in best},
            total_squares=sums.total_squares(space),
        )
    best = [replace(fit, wcss_all=wcss[fit.k]) for fit in best]
    if context.settings.clustering.k == "auto":
        chosen, why = choice.by_silhouette(best, context.settings.clustering.min_share)
    else:
        chosen, why = best[0], "as configured"
    measured = {(fit.k, fit.seed): fit for fit in best}
    return [measured.get((fit.k, fit.seed), fit) for fit in fits], chosen, why


def _members(
    context: Context, customers: DataFrame, space: Space, chosen: Fit
) -> dict[int, Members]:
    labelled = with_clusters(customers, space, range(chosen.k), chosen.centroids)
    scores = [SCORE_COLUMNS[role] for role in ("recency", "frequency", "monetary")]
    named = context.rule_map.features
    means = [exact_mean(labelled, name).alias(name) for name in ["rfm_score", *scores, *named]]
    with context.timed("naming the clusters"):
        rows = labelled.groupBy("cluster").agg(*means).collect()
    nobody = Members(0.0, [1.0] * len(scores), dict.fromkeys(named))
    return dict.fromkeys(range(chosen.k), nobody) | {
        row["cluster"]: Members(
            row["rfm_score"], [row[name] for name in scores], {name: row[name] for name in named}
        )
        for row in rows
    }
