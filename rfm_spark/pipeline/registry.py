"""The model registry: every fit of a sweep, and the one that labels, as rows to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import floor
from typing import Any

from rfm_spark import schemas
from rfm_spark.clustering.naming import unique_names
from rfm_spark.clustering.space import Space
from rfm_spark.clustering.sweep import Fit
from rfm_spark.errors import ModelError
from rfm_spark.pipeline.context import Context
from rfm_spark.rules import NO_PURCHASE
from rfm_spark.schemas import WHOLE_FEATURES
from rfm_spark.scoring.scores import nearest_code


@dataclass(frozen=True)
class Members:
    """What the members of a cluster are like on average.

    Args:
        rfm_score: Mean rfm_score.
        scores: Mean R, F and M scores.
        features: Means of the raw features that the rule map looks at, None without any value.
    """

    rfm_score: float
    scores: Sequence[float]
    features: Mapping[str, float | None]


def write_sweep(
    context: Context, fits: Sequence[Fit], chosen: Fit, *, version: str, snapshot_date: date
) -> None:
    """Every fit of a sweep, the chosen one marked; writes ``k_sweep``."""
    rows = [
        (
            version,
            snapshot_date,
            fit.k,
            fit.seed,
            fit.wcss,
            fit.wcss_all,
            fit.silhouette,
            fit.min_share,
            fit.iterations,
            fit.seconds,
            fit.stability,
            (fit.k, fit.seed) == (chosen.k, chosen.seed),
        )
        for fit in fits
    ]
    table = schemas.K_SWEEP
    frame = context.spark.createDataFrame(rows, table.ddl).repartition(1)
    context.write(table, frame, f"snapshot_date = DATE'{snapshot_date}'")


def write_model(
    context: Context,
    record: dict[str, Any],
    space: Space,
    chosen: Fit,
    members: Mapping[int, Members],
) -> None:
    """The chosen fit with all it takes to label customers, and its names; writes ``models``.

    Raises:
        ModelError: ``clustering.names`` is a list of another length than the model has clusters.
    """
    clustering = context.settings.clustering
    numbers = list(range(chosen.k))
    best_first = sorted(numbers, key=lambda number: (-members[number].rfm_score, number))
    segments = [_segment_name(context, members[number]) for number in numbers]
    names = unique_names(segments, chosen.centroids, space.features)
    if isinstance(clustering.names, list):
        if len(clustering.names) != chosen.k:
            raise ModelError(
                f"clustering.names has {len(clustering.names)} names and the model has {chosen.k} "
                "clusters; name as many, fix clustering.k, or use names: rules"
            )
        given = dict(zip(best_first, clustering.names, strict=True))
        names = [given[number] for number in numbers]
    record |= {
        "algorithm": clustering.algorithm,
        "k": chosen.k,
        "features": list(space.features),
        "transform": space.transform,
        "scale": clustering.scale,
        "missing_recency": space.missing_days,
        "means": list(space.means),
        "stds": list(space.stds),
        "cluster_numbers": numbers,
        "centroids": [list(centroid) for centroid in chosen.centroids],
        "centroids_natural": [space.natural(centroid) for centroid in chosen.centroids],
        "cluster_names": names,
        "cluster_ranks": [best_first.index(number) + 1 for number in numbers],
        "cluster_actions": [context.rule_map.action_of(name) for name in segments],
        "wcss_all": chosen.wcss_all,
        "silhouette": chosen.silhouette,
        "seed": chosen.seed,
        "matched_to": None,
        "config_hash": context.settings.clustering_hash,
    }
    table = schemas.MODELS
    row = tuple(record[name] for name in table.columns)
    frame = context.spark.createDataFrame([row], table.ddl).repartition(1)
    context.write(table, frame, f"snapshot_date = DATE'{record['snapshot_date']}'")


def _segment_name(context: Context, members: Members) -> str:
    """The rule segment of the members' mean scores and features."""
    code = nearest_code(members.scores, context.rule_map.bins)
    values = {name: _as_counted(name, value) for name, value in members.features.items()}
    segment = context.rule_map.segment_of(code, values)
    return (segment or NO_PURCHASE).name  # members without any purchase fit no rule on features


def _as_counted(feature: str, mean: float | None) -> float | None:
    """A mean of whole numbers as a whole number, so that it cannot fall between two ranges."""
    return floor(mean + 0.5) if mean is not None and feature in WHOLE_FEATURES else mean
