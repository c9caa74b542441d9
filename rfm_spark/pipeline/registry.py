"""The model registry: every fit of a sweep, and the models that label, as rows to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pyspark.sql import Row
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.clustering.fits import Fit
from rfm_spark.clustering.model import Model, Reference
from rfm_spark.clustering.space import Space
from rfm_spark.errors import ModelError
from rfm_spark.pipeline.clusters import Clusters
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.stored_features import days_of_log


@dataclass(frozen=True)
class Fitted:
    """A model that has been fitted and saved, and is to be announced.

    Args:
        version: Of the model.
        snapshot_date: Whose features it was fitted on.
        space: Features and scaling.
        chosen: The fit.
        chosen_because: Why that one, in words.
        clusters: Its clusters, numbered and named.
        reference: What customers were like.
        coreset_rows: How many rows were fitted.
        pipeline_path: Where the PipelineModel is.
    """

    version: str
    snapshot_date: date
    space: Space
    chosen: Fit
    chosen_because: str
    clusters: Clusters
    reference: Reference
    coreset_rows: int
    pipeline_path: str


def model_in_force(context: Context, *, snapshot_date: date) -> Model | None:
    """The model with the largest snapshot date up to this one; None where there is none.

    Raises:
        ModelError: It was fitted with other features, transform, scale or algorithm.
    """
    models = context.read_or_none("models")
    if models is None:
        return None
    known = models.where(F.col("snapshot_date") <= F.lit(snapshot_date))
    newest = known.orderBy(F.desc("snapshot_date")).first
    row = context.once("models", ("in force", snapshot_date), newest)
    if row is None:
        return None
    model = Model.from_row(row)
    settings = context.settings
    if model.config_hash != settings.clustering_hash:
        wanted = ", ".join(settings.clustering_features)
        raise ModelError(
            f"the model in force at {snapshot_date} ({model.version}) was fitted on "
            f"{', '.join(model.space.features)} with transform {row['transform']}, scale "
            f"{row['scale']}, algorithm {row['algorithm']}; the configuration asks for {wanted} "
            f"with {settings.clustering.transform}, {settings.clustering.scale}, "
            f"{settings.clustering.algorithm}. Go back to those settings, or fit a new one with "
            f"`rfm-spark run --snapshot-date {snapshot_date} --retrain`"
        )
    return model


def space_on(context: Context, model: Model, snapshot_date: date) -> Space:
    """A model's space as of a date: a missing recency grows with the log."""
    return replace(model.space, missing_days=days_of_log(context, snapshot_date))


@dataclass(frozen=True)
class OtherModels:
    """What a date's new model has to know of those there are, by one look at ``models``.

    Args:
        rows: All models, the newest date last.
        snapshot_date: Of the new model.
    """

    rows: Sequence[Row]
    snapshot_date: date

    @property
    def before(self) -> Model | None:
        """The newest one of an earlier date, whatever it was fitted with; None without any."""
        earlier = [row for row in self.rows if row["snapshot_date"] < self.snapshot_date]
        return Model.from_row(earlier[-1]) if earlier else None

    @property
    def largest_number(self) -> int:
        """The largest number that a cluster of any other date has had; -1 without any."""
        others = [row for row in self.rows if row["snapshot_date"] != self.snapshot_date]
        used = [(*row["cluster_numbers"], *(row["retired_clusters"] or ())) for row in others]
        return max((number for numbers in used for number in numbers), default=-1)

    def numbers_of(self, version: str) -> dict[tuple[float, ...], int]:
        """Scaled centroids to numbers, where that version has been fitted before."""
        for row in self.rows:
            if row["model_version"] == version:
                model = Model.from_row(row)
                return dict(zip(model.centroids, model.numbers, strict=True))
        return {}


def other_models(context: Context, *, snapshot_date: date) -> OtherModels:
    """The models there are, for one that is about to be fitted on a date."""
    models = context.store.read_or_none("models")
    rows = [] if models is None else models.orderBy("snapshot_date").collect()
    return OtherModels(rows, snapshot_date)


def write_sweep(
    context: Context, fits: Sequence[Fit], chosen: Fit, *, version: str, snapshot_date: date
) -> None:
    """Every fit of a sweep, the chosen one marked; writes ``k_sweep``."""
    records = [
        {
            "model_version": version,
            "k": fit.k,
            "seed": fit.seed,
            "wcss": fit.wcss,
            "wcss_all": fit.wcss_all,
            "silhouette": fit.silhouette,
            "min_share": fit.min_share,
            "iterations": fit.iterations,
            "seconds": fit.seconds,
            "stability": fit.stability,
            "chosen": fit.key == chosen.key,
        }
        for fit in fits
    ]
    context.write_records(schemas.K_SWEEP, records, snapshot_date)


def write_model(context: Context, fitted: Fitted) -> None:
    """A model with all it takes to label customers; writes ``models``."""
    settings, space, reference = context.settings, fitted.space, fitted.reference
    clusters = fitted.clusters
    members = clusters.clusters
    record = {
        "model_version": fitted.version,
        "algorithm": settings.clustering.algorithm,
        "k": fitted.chosen.k,
        "features": space.features,
        "transform": space.transform,
        "scale": settings.clustering.scale,
        "missing_recency": space.missing_days,
        "means": space.means,
        "stds": space.stds,
        "cluster_numbers": clusters.numbers,
        "centroids": clusters.centroids,
        "centroids_natural": [space.natural(centroid) for centroid in clusters.centroids],
        "cluster_names": [cluster.name for cluster in members],
        "cluster_ranks": [cluster.rank for cluster in members],
        "cluster_actions": [cluster.action for cluster in members],
        "wcss_all": fitted.chosen.wcss_all,
        "silhouette": fitted.chosen.silhouette,
        "seed": fitted.chosen.seed,
        "chosen_because": fitted.chosen_because,
        "customers": reference.customers,
        "coreset_rows": fitted.coreset_rows,
        "matched_to": clusters.matched_to,
        "retired_clusters": clusters.retired,
        "agreement": clusters.agreement,
        "feature_means": reference.means,
        "feature_stds": reference.stds,
        "lowest": reference.lowest,
        "highest": reference.highest,
        "bin_edges": reference.edges,
        "bin_shares": reference.shares,
        "config_hash": settings.clustering_hash,
        "pipeline_path": fitted.pipeline_path,
    }
    listed = {name: _listed(value) for name, value in record.items()}
    context.write_records(schemas.MODELS, [listed], fitted.snapshot_date)


def _listed(value: Any) -> Any:
    """Lists instead of tuples, which Spark takes for structs."""
    is_vector = isinstance(value, (list, tuple)) and not isinstance(value, Row)
    return [_listed(part) for part in value] if is_vector else value
