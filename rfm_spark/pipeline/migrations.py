"""Who moved since earlier snapshot dates, and whether customers or the cut moved them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.clustering.agreement import adjusted_rand_index
from rfm_spark.clustering.model import Model, named, with_clusters
from rfm_spark.movement import matrix
from rfm_spark.movement.matrix import Cell
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.registry import space_on
from rfm_spark.pipeline.snapshots import labels_on
from rfm_spark.rules import RuleMap
from rfm_spark.schemas import KINDS, SCORE_COLUMNS
from rfm_spark.scoring.scores import with_scores
from rfm_spark.scoring.segments import segment_by
from rfm_spark.scoring.thresholds import Thresholds, thresholds_from

Versions = tuple[str, str]
"""Of the edges and of the model that labels come from."""


@dataclass(frozen=True)
class Migrations:
    """The matrices of a date and an earlier one, by kind of segment."""

    previous_date: date
    cells: Mapping[str, Sequence[Cell]]


@dataclass(frozen=True)
class InForce:
    """What decides a customer's segments: edges, rule map and model, as they were in force."""

    thresholds: Thresholds
    rule_map: RuleMap
    model: Model

    @property
    def features(self) -> set[str]:
        """The features that it looks at."""
        named = {*self.thresholds.features.values(), *self.rule_map.features}
        return named | (set(self.model.space.features) - set(SCORE_COLUMNS.values()))


def migrations(
    context: Context,
    customers: DataFrame,
    versions: Versions,
    *,
    snapshot_date: date,
    previous_date: date,
    dates: Sequence[date],
) -> Migrations:
    """Count who went where between two dates; nothing is written.

    Movement is by re-cut where the edges, the rule map or the model of the earlier date would put
    the customer, as the customer is now, elsewhere than those of the present date do.

    Args:
        context: The run.
        customers: ``customer_features`` of the date with rfm_segment and cluster_segment.
        versions: What these come from.
        snapshot_date: The date, whose labels are stored.
        previous_date: An earlier date that has labels.
        dates: All dates that had labels when those of the date were written.
    """
    previous = labels_on(context, previous_date)
    revenue = _revenue(context, previous_date, snapshot_date)
    earlier = _versions(previous)
    is_same_cut = earlier == versions
    if is_same_cut:
        present = labels_on(context, snapshot_date)
        present = present.withColumns({f"recut_{kind}": F.lit(False) for kind in KINDS})
    else:
        present = _told_apart(context, customers, earlier, snapshot_date, previous_date)
    is_last = previous_date == max(day for day in dates if day < snapshot_date)
    with context.timed(f"counting who moved since {previous_date}"):
        if is_same_cut and is_last:
            rows = _crossed_within(previous, present, revenue)
        else:
            rows = matrix.crossed(previous, present, revenue).collect()
    return Migrations(previous_date, {kind: matrix.cells_of(rows, kind) for kind in KINDS})


def _crossed_within(previous: DataFrame, present: DataFrame, revenue: DataFrame) -> list[Row]:
    """From labels alone, which name the previous segments; a look at both for who departed."""
    rows = matrix.crossed_within(present, revenue).collect()
    if matrix.at_previous(rows) < previous.count():
        departed = previous.join(present, on="customer_id", how="left_anti")
        rows += matrix.crossed(departed, present.limit(0), revenue).collect()
    return rows


def write_migrations(context: Context, found: Sequence[Migrations], *, snapshot_date: date) -> None:
    """Store the matrices of a date; writes ``segment_migrations`` and ``segment_stability``."""
    scale = context.settings.amount_scale
    migrations = [
        {
            "previous_snapshot_date": one.previous_date,
            "kind": kind,
            "from_segment": cell.from_segment,
            "to_segment": cell.to_segment,
            "customers": cell.customers,
            "revenue": cell.revenue,
            "by_behaviour": cell.by_behaviour,
            "by_recut": cell.by_recut,
        }
        for one in found
        for kind, cells in one.cells.items()
        for cell in cells
    ]
    context.write_records(schemas.segment_migrations(scale), migrations, snapshot_date)
    stability = [
        {"previous_snapshot_date": one.previous_date, "kind": kind, **_stability(cells)}
        for one in found
        for kind, cells in one.cells.items()
    ]
    context.write_records(schemas.SEGMENT_STABILITY, stability, snapshot_date)


def _stability(cells: Sequence[Cell]) -> dict[str, Any]:
    """How far the labels of both dates agree."""
    both, kept = matrix.at_both(cells), matrix.kept(cells)
    recut = [cell.by_recut for cell in cells]
    return {
        "new_customers": sum(c.customers for c in cells if c.from_segment is None),
        "departed_customers": sum(c.customers for c in cells if c.to_segment is None),
        "customers": both,
        "kept": kept,
        "kept_share": kept / both if both else None,
        "agreement": adjusted_rand_index(matrix.contingency(cells)) if both else None,
        "by_recut": None if None in recut else sum(n for n in recut if n is not None),
    }


def _revenue(context: Context, first: date, end: date) -> DataFrame:
    """Net money of each customer on the days from one date to the day before another."""
    day = F.col("activity_date")
    days = context.read("customer_daily").where((day >= F.lit(first)) & (day < F.lit(end)))
    net = F.sum(F.col("purchase_amount") + F.col("refund_amount"))
    return days.groupBy("customer_id").agg(net.alias("revenue"))


def _told_apart(
    context: Context,
    customers: DataFrame,
    versions: Versions | None,
    snapshot_date: date,
    previous_date: date,
) -> DataFrame:
    """Present labels, and whether the cut of an earlier date would give others."""
    earlier = _in_force(context, versions)
    lost = None if earlier is None else sorted(earlier.features - _features_now(context))
    if earlier is None or lost:
        what = f"features that are gone ({', '.join(lost)})" if lost else "what is no longer stored"
        context.display.warn(
            f"whether customers or a new cut moved them since {previous_date} cannot be told: the "
            f"labels of that date rest on {what}"
        )
        unknown = {f"recut_{kind}": F.lit(None).cast("boolean") for kind in KINDS}
        return customers.select("customer_id", *KINDS.values()).withColumns(unknown)
    space = space_on(context, earlier.model, snapshot_date)
    then = with_scores(
        customers.withColumnsRenamed({column: f"_{column}" for column in KINDS.values()}),
        roles=earlier.thresholds.features,
        cuts=earlier.thresholds.cuts,
        weights=dict.fromkeys(earlier.thresholds.features, 1.0),
    ).withColumn("rfm_segment", segment_by(earlier.rule_map))
    then = with_clusters(then, space, earlier.model.numbers, earlier.model.centroids)
    then = then.withColumn("cluster_segment", named(F.col("cluster"), earlier.model))
    recut = {
        f"recut_{kind}": F.col(f"_{column}") != F.col(column) for kind, column in KINDS.items()
    }
    return then.withColumns(recut).select(
        "customer_id", *(F.col(f"_{c}").alias(c) for c in KINDS.values()), *recut
    )


def _features_now(context: Context) -> set[str]:
    """Features that have values; columns of earlier settings may still be there, empty."""
    settings = context.settings
    missing = () if settings.has_aum else schemas.AUM_FEATURES
    return set(settings.feature_columns) - set(missing)


def _versions(labels: DataFrame) -> Versions | None:
    row = labels.select("thresholds_version", "model_version").first()
    return None if row is None else (row[0], row[1])


def _in_force(context: Context, versions: Versions | None) -> InForce | None:
    """Edges, rule map and model by their versions; None where one of them is no longer stored."""
    if versions is None:
        return None
    edges = context.read("score_thresholds").where(F.col("thresholds_version") == versions[0])
    models = context.read("models").where(F.col("model_version") == versions[1])
    rows, model = edges.collect(), models.first()
    if not rows or model is None:
        return None
    rule_map = RuleMap.from_json(rows[0]["rules_map"])
    return InForce(thresholds_from(rows), rule_map, Model.from_row(model))
