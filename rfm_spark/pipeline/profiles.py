"""Profiles of the segments of a date, for rule segments and clusters alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame

from rfm_spark import schemas
from rfm_spark.clustering.model import Model
from rfm_spark.insight import attributes as attribute_shares
from rfm_spark.insight import figures
from rfm_spark.insight.attributes import Counts
from rfm_spark.insight.figures import EVERYBODY, Group
from rfm_spark.insight.medians import medians
from rfm_spark.insight.pareto import bringing_most
from rfm_spark.insight.separation import cramers_v, eta_squared
from rfm_spark.insight.words import Figure, Portrait, insight
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.snapshots import labels_on
from rfm_spark.rules import NO_PURCHASE
from rfm_spark.schemas import KINDS

PARETO_SHARE = Decimal("0.8")


@dataclass(frozen=True)
class _Known:
    """What a segment's name stands for: its rank and its marketing action."""

    rank: int
    action: str


@dataclass(frozen=True)
class _Portraits:
    """All figures of a date: by kind and segment, and over everybody."""

    segments: Mapping[str, Mapping[str, Group]]
    everybody: Group
    medians: Mapping[tuple[str, str, str], float]
    attributes: Mapping[str, Counts]
    pareto: Mapping[str, Mapping[str, int]] | None


def write_profiles(
    context: Context, customers: DataFrame, model: Model, *, snapshot_date: date
) -> None:
    """Describe every segment of a date; writes ``segment_profiles`` and ``segment_separation``.

    Args:
        context: The run.
        customers: ``customer_features`` of the date with rfm_segment and cluster_segment.
        model: The model that gave the clusters.
        snapshot_date: The date, whose labels are stored.
    """
    features = profiled_features(context, customers)
    names = context.settings.sources.attributes
    labels = labels_on(context, snapshot_date)
    with context.timed("describing the segments"):
        portraits = _portraits(customers, labels, features, names)
    known = {"rfm": _rule_segments(context), "cluster": _clusters(model)}
    records = [
        _record(context, portraits, kind, segment, known[kind][segment])
        for kind, segments in portraits.segments.items()
        for segment in segments
    ]
    records.sort(key=lambda record: (record["kind"], record["rank"], record["segment"]))
    table = schemas.segment_profiles(context.settings.amount_scale, features, names)
    context.write_records(table, records, snapshot_date)
    separation = _separation(portraits, features)
    context.write_records(schemas.SEGMENT_SEPARATION, separation, snapshot_date)


def profiled_features(context: Context, customers: DataFrame) -> list[str]:
    """Every numeric feature that there is, in the order of the table."""
    types = dict(customers.dtypes)
    numbers = ("int", "bigint", "smallint", "tinyint", "double", "float", "decimal")
    return [
        name
        for name in context.settings.feature_columns
        if types.get(name, "").split("(")[0] in numbers
        and (context.settings.has_aum or name not in schemas.AUM_FEATURES)
    ]


def _portraits(
    customers: DataFrame, labels: DataFrame, features: Sequence[str], attributes: Sequence[str]
) -> _Portraits:
    """From everybody's features; what labels hold too is read from them, which takes less."""
    known = figures.counted(customers, features, KINDS)
    frames = figures.frames(features, known)
    cells = figures.groups(customers, list(KINDS.values()), frames, known)
    segments = {kind: figures.added_up(cells, place) for place, kind in enumerate(KINDS)}
    return _Portraits(
        segments,
        figures.together(cells.values()),
        medians(customers, features, KINDS, known),
        attribute_shares.attribute_counts(labels, attributes),
        bringing_most(labels, PARETO_SHARE, KINDS),
    )


def _rule_segments(context: Context) -> dict[str, _Known]:
    rule_map = context.rule_map
    names = [segment.name for segment in rule_map.segments] + [NO_PURCHASE.name]
    return {name: _Known(rule_map.rank_of(name), rule_map.action_of(name)) for name in names}


def _clusters(model: Model) -> dict[str, _Known]:
    known = zip(model.names, model.ranks, model.actions, strict=True)
    return {name: _Known(rank, action) for name, rank, action in known}


def _record(
    context: Context, portraits: _Portraits, kind: str, segment: str, known: _Known
) -> dict[str, Any]:
    group, everybody = portraits.segments[kind][segment], portraits.everybody
    share = group.customers / everybody.customers
    revenue_share = None
    if everybody.revenue > 0:
        revenue_share = float(group.revenue / everybody.revenue)
    means = {name: sums.mean for name, sums in group.sums.items()}
    roles = context.settings.scoring.feature_by_role
    portrait = Portrait(
        [_figure(portraits, kind, segment, role, name) for role, name in roles.items()],
        share,
        revenue_share,
        known.action,
        context.settings.currency,
    )
    return {
        "kind": kind,
        "segment": segment,
        "rank": known.rank,
        "customers": group.customers,
        "share": share,
        "revenue": group.revenue,
        "revenue_share": revenue_share,
        "pareto_customers": portraits.pareto and portraits.pareto[kind].get(segment, 0),
        "marketing_action": known.action,
        "insight": insight(portrait),
        **{f"mean_{name}": mean for name, mean in means.items()},
        **{f"median_{name}": portraits.medians.get((kind, segment, name)) for name in means},
        **{
            f"shares_{name}": attribute_shares.shares(counts, kind, segment)
            for name, counts in portraits.attributes.items()
        },
    }


def _figure(portraits: _Portraits, kind: str, segment: str, role: str, feature: str) -> Figure:
    """Medians of what is counted, for the typical customer; means of money, which add up."""
    if role in ("recency", "frequency"):
        own = portraits.medians.get((kind, segment, feature))
        return Figure(role, feature, own, portraits.medians.get((EVERYBODY, EVERYBODY, feature)))
    own = portraits.segments[kind][segment].sums[feature].mean
    return Figure(role, feature, own, portraits.everybody.sums[feature].mean)


def _separation(portraits: _Portraits, features: Sequence[str]) -> list[dict[str, Any]]:
    records = []
    for kind, segments in portraits.segments.items():
        for name in features:
            sums = [group.sums[name] for group in segments.values()]
            customers = sum(one.count for one in sums)
            records.append(_measured(kind, name, "eta_squared", eta_squared(sums), customers))
        for name, counts in portraits.attributes.items():
            table = attribute_shares.without_missing(counts, kind)
            customers = sum(table.values())
            records.append(_measured(kind, name, "cramers_v", cramers_v(table), customers))
    return records


def _measured(
    kind: str, feature: str, measure: str, value: float | None, customers: int
) -> dict[str, Any]:
    measured = {"kind": kind, "feature": feature, "measure": measure}
    return measured | {"value": value, "customers": customers}
