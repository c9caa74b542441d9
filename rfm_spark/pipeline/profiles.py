"""Profiles of the segments of a date, for rule segments and clusters alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.clustering.model import Model
from rfm_spark.insight.profiles import overall_means, segment_statistics
from rfm_spark.insight.words import insight
from rfm_spark.pipeline.context import Context


@dataclass(frozen=True)
class _Known:
    """What a segment's name stands for: its rank and its marketing action."""

    rank: int
    action: str


def write_profiles(
    context: Context, model: Model, features: Sequence[str], *, snapshot_date: date
) -> None:
    """Describe every segment of a date that has customers; writes ``segment_profiles``."""
    customers = context.store.read("customer_segments").where(
        F.col("snapshot_date") == F.lit(snapshot_date)
    )
    with context.timed("describing the segments"):
        overall = overall_means(customers, features).collect()[0]
        records = []
        for kind, known in (("rfm", _rule_segments(context)), ("cluster", _clusters(model))):
            rows = segment_statistics(customers, f"{kind}_segment", features).collect()
            records += [
                _record(
                    row,
                    overall,
                    features,
                    snapshot_date=snapshot_date,
                    kind=kind,
                    known=known[row["segment"]],
                )
                for row in rows
            ]
    table = schemas.segment_profiles(context.settings.amount_scale, features)
    records.sort(key=lambda record: (record["kind"], record["rank"]))
    ordered = [tuple(record[name] for name in table.columns) for record in records]
    frame = context.spark.createDataFrame(ordered, table.ddl).repartition(1)
    context.write(table, frame, f"snapshot_date = DATE'{snapshot_date}'")


def stored_profiles(context: Context, *, snapshot_date: date, kind: str) -> list[Row]:
    """The profiles of a date in order of rank."""
    profiles: DataFrame = context.store.read("segment_profiles")
    of_date = profiles.where(
        (F.col("snapshot_date") == F.lit(snapshot_date)) & (F.col("kind") == kind)
    )
    return of_date.orderBy("rank").collect()


def _rule_segments(context: Context) -> dict[str, _Known]:
    rule_map = context.rule_map
    names = [segment.name for segment in rule_map.segments] + ["No purchase"]
    return {name: _Known(rule_map.rank_of(name), rule_map.action_of(name)) for name in names}


def _clusters(model: Model) -> dict[str, _Known]:
    known = zip(model.names, model.ranks, model.actions, strict=True)
    return {name: _Known(rank, action) for name, rank, action in known}


def _record(
    row: Row,
    overall: Row,
    features: Sequence[str],
    *,
    snapshot_date: date,
    kind: str,
    known: _Known,
) -> dict[str, Any]:
    share = row["customers"] / overall["customers"]
    revenue: Decimal = row["revenue"]
    statistics = {
        f"{statistic}_{feature}": row[f"{statistic}_{feature}"]
        for feature in features
        for statistic in ("mean", "median")
    }
    means = {feature: row[f"mean_{feature}"] for feature in features}
    base = {feature: overall[f"mean_{feature}"] for feature in features}
    return {
        "snapshot_date": snapshot_date,
        "kind": kind,
        "segment": row["segment"],
        "rank": known.rank,
        "customers": row["customers"],
        "share": share,
        "revenue": revenue,
        "revenue_share": float(revenue / overall["revenue"]) if overall["revenue"] > 0 else None,
        "marketing_action": known.action,
        "insight": insight(means, base, share),
        **statistics,
    }
