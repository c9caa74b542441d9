"""Stage 4: everybody's scores, rule segment and cluster, and what the segments are like."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.clustering.model import named, with_clusters
from rfm_spark.errors import DataError, ModelError
from rfm_spark.pipeline.context import Context, features_on
from rfm_spark.pipeline.drift import measured_drift, tell_alarms, write_drift
from rfm_spark.pipeline.events import read_events, write_events
from rfm_spark.pipeline.profiles import write_profiles
from rfm_spark.pipeline.registry import model_in_force, space_on
from rfm_spark.pipeline.thresholds import scored, thresholds_in_force
from rfm_spark.scoring.segments import segment_by

_KINDS = ("rfm_segment", "cluster_segment")


def segment(context: Context, *, snapshot_date: date) -> None:
    """Label every customer of a date, and describe the segments.

    Writes ``customer_segments``, ``drift``, ``segment_profiles``, ``segment_separation`` and, where
    there is a source of target events, ``segment_events``.

    The model and the edges are those with the largest snapshot date up to this one.

    Args:
        context: The run.
        snapshot_date: The date whose ``customer_features`` are labelled.

    Raises:
        DataError: The features of that date have not been computed.
        ModelError: There is no model or there are no edges for the date, or they were made with
            other settings.
    """
    context.display.stage("segment", f"as of {snapshot_date}")
    features = features_on(context, snapshot_date)
    if not features.limit(1).collect():
        raise DataError(
            f"customer_features has no row of {snapshot_date}; run `features` for it first"
        )
    model = model_in_force(context, snapshot_date=snapshot_date)
    thresholds = thresholds_in_force(context, features, snapshot_date=snapshot_date)
    if thresholds is None or model is None:
        missing = "model" if model is None else "score edges"
        raise ModelError(
            f"there is no {missing} of {snapshot_date} or before; make one with "
            f"`rfm-spark run --snapshot-date {snapshot_date} --retrain`"
        )
    context.display.note(f"model {model.version}, score edges {thresholds.version}")
    events = read_events(context, snapshot_date=snapshot_date)
    customers = scored(context, features, thresholds)
    space = space_on(context, model, snapshot_date)
    drift = measured_drift(context, customers, model, space)
    customers = customers.withColumn("rfm_segment", segment_by(context.rule_map))
    customers = with_clusters(customers, space, model.numbers, model.centroids)
    customers = customers.withColumns(
        {
            "cluster_segment": named(F.col("cluster"), model),
            "model_version": F.lit(model.version),
            "thresholds_version": F.lit(thresholds.version),
        }
    )
    table = _table(context)
    labelled = _with_previous(context, customers, snapshot_date).select(*table.columns)
    context.write(table, labelled, f"snapshot_date = DATE'{snapshot_date}'")
    write_drift(context, drift, model, snapshot_date=snapshot_date)
    tell_alarms(context, drift, model)
    write_profiles(context, customers, model, snapshot_date=snapshot_date)
    write_events(context, customers, events, snapshot_date=snapshot_date)


def used_features(context: Context) -> list[str]:
    """Feature columns that scores, rules or clusters use, in the order of the features."""
    settings = context.settings
    used = {"monetary", *settings.numeric_features, *context.rule_map.features}
    if settings.has_aum:
        used |= {"aum", "aum_per_day"}
    return [name for name in settings.feature_columns if name in used]


def _table(context: Context) -> schemas.Table:
    types = context.types_of("customer_features")
    carried = [*used_features(context), *context.settings.sources.attributes]
    fields = [schemas.Field(name, types[name]) for name in carried]
    return schemas.customer_segments(context.customer_id_type(), fields)


def _with_previous(context: Context, customers: DataFrame, snapshot_date: date) -> DataFrame:
    """Add the segment at the previous snapshot date, and since when the present one holds."""
    previous = _previous(context, snapshot_date)
    if previous is None:
        nothing = {
            **{f"previous_{kind}": F.lit(None).cast("string") for kind in _KINDS},
            **{f"{kind}_since": F.lit(snapshot_date) for kind in _KINDS},
        }
        return customers.withColumns(nothing)
    joined = customers.join(previous, on="customer_id", how="left")
    return joined.withColumns({f"{kind}_since": _since(kind, snapshot_date) for kind in _KINDS})


def _since(kind: str, snapshot_date: date) -> Column:
    unchanged = F.col(kind) == F.col(f"previous_{kind}")
    return F.when(unchanged, F.col(f"before_{kind}_since")).otherwise(F.lit(snapshot_date))


def _previous(context: Context, snapshot_date: date) -> DataFrame | None:
    history = context.store.read_or_none("customer_segments")
    if history is None:
        return None
    before = history.where(F.col("snapshot_date") < F.lit(snapshot_date))
    date_before = before.agg(F.max("snapshot_date")).collect()[0][0]
    if date_before is None:
        return None
    return before.where(F.col("snapshot_date") == F.lit(date_before)).select(
        "customer_id",
        *(F.col(kind).alias(f"previous_{kind}") for kind in _KINDS),
        *(F.col(f"{kind}_since").alias(f"before_{kind}_since") for kind in _KINDS),
    )
