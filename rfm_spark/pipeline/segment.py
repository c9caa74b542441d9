"""Stage 4: everybody's scores, rule segment and cluster, and what the segments are like."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.clustering.model import named, with_clusters
from rfm_spark.errors import ModelError
from rfm_spark.pipeline import ledger
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.drift import measured_drift, tell_alarms, write_drift
from rfm_spark.pipeline.events import read_events, write_events
from rfm_spark.pipeline.movement import write_movement
from rfm_spark.pipeline.profiles import write_profiles
from rfm_spark.pipeline.registry import model_in_force, space_on
from rfm_spark.pipeline.snapshots import (
    dates_to_compare,
    labelled_dates,
    labels_on,
    make_stale,
    still_stale,
)
from rfm_spark.pipeline.stored_features import existing_features_on
from rfm_spark.pipeline.thresholds import scored, thresholds_in_force
from rfm_spark.schemas import KINDS
from rfm_spark.scoring.segments import segment_by


def segment(context: Context, *, snapshot_date: date, compare_to: Sequence[date] = ()) -> None:
    """Label every customer of a date, describe the segments, and say who moved.

    Writes ``customer_segments`` and ``drift``; where there are labels of an earlier date,
    ``segment_migrations``, ``segment_stability`` and ``segment_outlook``; then
    ``segment_profiles`` and ``segment_separation``, and where there is a source of target events,
    ``segment_events``. Who moved is told before the segments are described, which takes longer:
    the small tables are written meanwhile.

    The model and the edges are those with the largest snapshot date up to this one. Dates after
    this one rest on it, and are marked stale in ``runs`` before it is written.

    Args:
        context: The run.
        snapshot_date: The date whose ``customer_features`` are labelled.
        compare_to: Earlier dates whose labels this one's are compared with, beside the previous
            one's.

    Raises:
        DataError: The features of that date have not been computed, or there are no labels of a
            date in ``compare_to``.
        ModelError: There is no model or there are no edges for the date, or they were made with
            other settings.
    """
    context.stage("segment", f"as of {snapshot_date}")
    features = existing_features_on(context, snapshot_date)
    dates = labelled_dates(context)
    compared = dates_to_compare(dates, snapshot_date, compare_to)
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
    previous = max((day for day in dates if day < snapshot_date), default=None)
    labelled = _with_previous(context, customers, snapshot_date, previous).select(*table.columns)
    later = [day for day in dates if day > snapshot_date]
    make_stale(context, later, f"the labels of {snapshot_date} are written")
    context.write(table, labelled, f"snapshot_date = DATE'{snapshot_date}'")
    if previous in ledger.stale_dates(context):
        still_stale(context, snapshot_date, previous)
    write_drift(context, drift, model, snapshot_date=snapshot_date)
    tell_alarms(context, drift, model)
    versions = thresholds.version, model.version
    write_movement(
        context,
        customers,
        versions,
        snapshot_date=snapshot_date,
        compared=compared,
        dates=dates,
    )
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


def _with_previous(
    context: Context, customers: DataFrame, snapshot_date: date, previous: date | None
) -> DataFrame:
    """Add the segment at the previous snapshot date, and since when the present one holds.

    The previous date's ``since`` goes on where the segment is the same; so it reaches back to the
    oldest date of the unbroken run, whatever lies between the dates.
    """
    columns = list(KINDS.values())
    if previous is None:
        nothing = {
            **{f"previous_{column}": F.lit(None).cast("string") for column in columns},
            **{f"{column}_since": F.lit(snapshot_date) for column in columns},
        }
        return customers.withColumns(nothing)
    before = labels_on(context, previous).select(
        "customer_id",
        *(F.col(column).alias(f"previous_{column}") for column in columns),
        *(F.col(f"{column}_since").alias(f"before_{column}_since") for column in columns),
    )
    joined = customers.join(before, on="customer_id", how="left")
    return joined.withColumns({f"{c}_since": _since(c, snapshot_date) for c in columns})


def _since(column: str, snapshot_date: date) -> Column:
    unchanged = F.col(column) == F.col(f"previous_{column}")
    return F.when(unchanged, F.col(f"before_{column}_since")).otherwise(F.lit(snapshot_date))
