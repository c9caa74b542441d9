"""What a report takes from the customers of a date: counts, a curve, and a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark.errors import DataError
from rfm_spark.exact_sums import means
from rfm_spark.insight.revenue_curve import revenue_curve
from rfm_spark.insight.sample import fair_sample, floor_of
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.report_tables import Stored, Tables
from rfm_spark.report import records
from rfm_spark.rules import NO_PURCHASE

SAMPLE = 2000
CURVE_STEPS = 100


@dataclass(frozen=True)
class Versions:
    """What a date's labels say of the model and of the edges that they came from."""

    model: str | None
    thresholds: str | None


@dataclass(frozen=True)
class Customers:
    """What the customers of a date come to."""

    versions: Versions
    cells: Sequence[records.Cell]
    overlaps: Sequence[records.Overlap]
    sample: Sequence[records.Point]
    sample_floor: int
    curve: Sequence[records.CurvePoint]
    score_lines: Sequence[records.ScoreLine]
    aum: Decimal | None


def customers_of(
    context: Context, tables: Tables, stored: Stored, snapshot_date: date
) -> Customers:
    """Count and sample the customers of a date."""
    labels, features = _of_date(tables, snapshot_date)
    shown = _shown_features(context, stored)
    customers = _with_features(labels, features, [*shown, "monetary"])
    own = [one for one in stored.segments if one.day == snapshot_date and one.kind == "cluster"]
    counts = {one.name: one.customers for one in own}
    money = "aum_per_day" if context.settings.has_aum else "monetary"
    return Customers(
        _versions(labels),
        _cells(customers),
        _overlaps(labels),
        _points(customers, counts, shown),
        floor_of(counts, SAMPLE) if sum(counts.values()) > SAMPLE else 0,
        [records.CurvePoint(*one) for one in revenue_curve(customers, steps=CURVE_STEPS)],
        _score_lines(customers, money),
        features.agg(F.sum("aum")).collect()[0][0] if context.settings.has_aum else None,
    )


def _of_date(tables: Tables, snapshot_date: date) -> tuple[DataFrame, DataFrame]:
    is_day = F.col("snapshot_date") == F.lit(snapshot_date)
    labels, features = tables.frame("customer_segments"), tables.frame("customer_features")
    if labels is None or features is None:
        raise DataError(
            f"there are no features of {snapshot_date} any more; `rfm-spark run --snapshot-date "
            f"{snapshot_date}` computes them"
        )
    return labels.where(is_day), features.where(is_day)


def _shown_features(context: Context, stored: Stored) -> list[str]:
    """What points are drawn by: the roles, what the clusters are made of, AUM per day."""
    settings = context.settings
    wanted = [*settings.clustering_features, *settings.scoring.feature_by_role.values()]
    wanted += ["aum_per_day"] if settings.has_aum else ["monetary"]
    return list(dict.fromkeys(name for name in wanted if not name.endswith("_score")))


def _with_features(labels: DataFrame, features: DataFrame, wanted: Sequence[str]) -> DataFrame:
    """Labels with all of the wanted features; only those that they lack are looked up."""
    lacking = [name for name in dict.fromkeys(wanted) if name not in labels.columns]
    lacking = [name for name in lacking if name in features.columns]
    if not lacking:
        return labels
    return labels.join(features.select("customer_id", *lacking), on="customer_id", how="left")


def _versions(labels: DataFrame) -> Versions:
    row = labels.agg(F.max("model_version"), F.max("thresholds_version")).collect()[0]
    return Versions(row[0], row[1])


def _cells(customers: DataFrame) -> list[records.Cell]:
    """Customers by scores and rule segment: at most a thousand codes of a few segments each."""
    keys = ("r_score", "f_score", "m_score", "rfm_segment")
    rows = customers.groupBy(*keys).agg(
        F.count(F.lit(1)).alias("customers"), F.sum("monetary").alias("revenue")
    )
    cells = [
        records.Cell(
            row["r_score"],
            row["f_score"],
            row["m_score"],
            row["rfm_segment"],
            row["rfm_segment"] != NO_PURCHASE.name,
            row["customers"],
            row["revenue"],
        )
        for row in rows.collect()
    ]
    return sorted(cells, key=lambda cell: (cell.r, cell.f, cell.m, cell.segment))


def _overlaps(labels: DataFrame) -> list[records.Overlap]:
    rows = labels.groupBy("rfm_segment", "cluster_segment").count().collect()
    overlaps = [records.Overlap(*row) for row in rows if row["cluster_segment"] is not None]
    return sorted(overlaps, key=lambda one: (one.segment, one.cluster))


def _points(
    customers: DataFrame, counts: dict[str, int], shown: Sequence[str]
) -> list[records.Point]:
    if not counts:
        return []
    sample = fair_sample(customers, by="cluster_segment", counts=counts, size=SAMPLE)
    names = [name for name in shown if name in customers.columns]
    values = [F.col(name).cast("double").alias(f"_{name}") for name in names]
    return [
        records.Point(
            row["rfm_segment"],
            row["cluster_segment"],
            row["rfm_score"],
            {name: row[f"_{name}"] for name in names},
        )
        for row in sample.select("rfm_segment", "cluster_segment", "rfm_score", *values).collect()
    ]


def _score_lines(customers: DataFrame, feature: str) -> list[records.ScoreLine]:
    """Mean of a feature by rfm_score, whose weights may make many: told to one decimal."""
    if feature not in customers.columns:
        return []
    by_score = customers.withColumn("_score", F.round("rfm_score", 1))
    found = means(by_score, [feature], ["_score"])
    lines = [
        records.ScoreLine(score, *own[feature])
        for (score,), own in found.items()
        if score is not None
    ]
    return sorted(lines, key=lambda line: line.rfm_score)
