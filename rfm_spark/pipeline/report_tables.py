"""What a report takes from the small tables: profiles, migrations, drift, outlook, models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark.pipeline.context import Context
from rfm_spark.report import records

HISTORY = 24
"""Newest snapshot dates that a report looks back on."""
_DATED = ("segment_migrations", "segment_stability", "drift")


@dataclass(frozen=True)
class Tables:
    """The store's tables for one look, each as of its first reading."""

    context: Context
    known: dict[str, DataFrame | None] = field(default_factory=dict)

    def frame(self, table: str) -> DataFrame | None:
        """A table; None where there is none."""
        if table not in self.known:
            self.known[table] = self.context.store.read_or_none(table)
        return self.known[table]

    def rows(self, table: str, where: Column, *columns: str) -> list[Row]:
        """Rows of a small table; none where there is no such table."""
        frame = self.frame(table)
        if frame is None:
            return []
        chosen = frame.where(where)
        return (chosen.select(*columns) if columns else chosen).collect()

    def edges(self, version: str | None) -> list[records.Edge]:
        """The score edges of a version."""
        rows = self.rows("score_thresholds", F.col("thresholds_version") == F.lit(version))
        names = ("metric", "score", "feature", "lower", "upper", "customers")
        edges = [records.Edge(*(row[name] for name in names)) for row in rows]
        return sorted(edges, key=lambda edge: (edge.metric, edge.score))


@dataclass(frozen=True)
class Stored:
    """The rows of small tables that a report shows."""

    segments: Sequence[records.Segment]
    moves: Sequence[records.Move]
    stability: Sequence[records.Stability]
    drift: Sequence[records.Drift]
    outlook: Sequence[records.Outlook]
    events: Sequence[records.Event]
    sweep: Sequence[Row]
    models: Sequence[Row]

    def fits(self, version: str | None) -> list[records.Fit]:
        """The best fit of each k of a model's sweep."""
        best: dict[int, Row] = {}
        for row in self.sweep:
            if row["model_version"] == version:
                known = best.get(row["k"])
                if known is None or _order(row) < _order(known):
                    best[row["k"]] = row
        return [
            records.Fit(
                k,
                row["wcss_all"] if row["wcss_all"] is not None else row["wcss"],
                row["silhouette"],
                row["min_share"],
                row["stability"],
                bool(row["chosen"]),
            )
            for k, row in sorted(best.items())
        ]

    def model(self, version: str | None) -> records.Model | None:
        """The model of a version; None where it is no longer stored."""
        row = next((row for row in self.models if row["model_version"] == version), None)
        return None if row is None else _model(row)


def tables_of(tables: Tables, snapshot_date: date) -> Stored:
    """Read what the small tables know of a date and of those before it."""
    profiles = tables.frame("segment_profiles")
    dates: list[date] = []
    if profiles is not None:
        known = profiles.where(F.col("snapshot_date") <= F.lit(snapshot_date))
        newest = known.select("snapshot_date").distinct().orderBy(F.desc("snapshot_date"))
        dates = [row[0] for row in newest.limit(HISTORY).collect()]
    is_day = F.col("snapshot_date") == F.lit(snapshot_date)
    is_near = F.col("snapshot_date").isin(dates)
    migrations, stability, drift = (tables.rows(name, is_near) for name in _DATED)
    return Stored(
        _segments(tables, profiles, dates, snapshot_date),
        [_move(row) for row in migrations],
        [_stability(row) for row in stability],
        [_drift(row) for row in drift],
        [_outlook(row) for row in tables.rows("segment_outlook", is_day)],
        _events(tables, is_day),
        tables.rows("k_sweep", F.col("snapshot_date") <= F.lit(snapshot_date)),
        tables.rows("models", F.col("snapshot_date") <= F.lit(snapshot_date)),
    )


def _segments(
    tables: Tables, profiles: DataFrame | None, dates: Sequence[date], snapshot_date: date
) -> list[records.Segment]:
    if profiles is None:
        return []
    rows = profiles.where(F.col("snapshot_date").isin(list(dates))).collect()
    features = [name.removeprefix("mean_") for name in profiles.columns if name[:5] == "mean_"]
    attributes = tables.context.settings.sources.attributes
    own = [name for name in attributes if f"shares_{name}" in profiles.columns]
    return [
        records.Segment(
            row["snapshot_date"],
            row["kind"],
            row["segment"],
            row["rank"],
            row["customers"],
            row["share"],
            row["revenue"],
            row["revenue_share"],
            row["pareto_customers"],
            row["marketing_action"],
            row["insight"],
            **(_figures(row, features, own) if row["snapshot_date"] == snapshot_date else {}),
        )
        for row in rows
    ]


def _figures(
    row: Row, features: Sequence[str], attributes: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    return {
        "means": {name: row[f"mean_{name}"] for name in features},
        "medians": {name: row[f"median_{name}"] for name in features},
        "attributes": {name: row[f"shares_{name}"] or {} for name in attributes},
    }


def _move(row: Row) -> records.Move:
    return records.Move(
        row["snapshot_date"],
        row["previous_snapshot_date"],
        row["kind"],
        row["from_segment"],
        row["to_segment"],
        row["customers"],
        row["revenue"],
        row["by_recut"],
    )


def _stability(row: Row) -> records.Stability:
    return records.Stability(
        row["snapshot_date"],
        row["previous_snapshot_date"],
        row["kind"],
        row["new_customers"],
        row["departed_customers"],
        row["customers"],
        row["kept"],
        row["kept_share"],
        row["agreement"],
        row["by_recut"],
    )


def _drift(row: Row) -> records.Drift:
    return records.Drift(
        row["snapshot_date"],
        row["model_version"],
        row["feature"],
        row["psi"],
        row["outside_share"],
        row["wcss_ratio"],
        bool(row["alarm"]),
    )


def _outlook(row: Row) -> records.Outlook:
    return records.Outlook(
        row["kind"],
        row["segment"],
        row["period"],
        row["previous_snapshot_date"],
        row["customers"],
        row["revenue"],
        row["discounted_revenue"],
        row["customer_value"],
    )


def _events(tables: Tables, is_day: Column) -> list[records.Event]:
    """Of rule segments; at most the events that happened to most customers."""
    frame = tables.frame("segment_events")
    if frame is None or tables.context.settings.sources.events is None:
        return []
    own = frame.where(is_day & (F.col("kind") == "rfm"))
    customers = own.groupBy("event").agg(F.sum("customers").alias("n"))
    most = [row[0] for row in customers.orderBy(F.desc("n"), "event").limit(8).collect()]
    names = (
        "segment",
        "event",
        "segment_customers",
        "customers",
        "rate",
        "rate_lower",
        "rate_upper",
        "lift",
    )
    rows = own.where(F.col("event").isin(most)).collect()
    events = [records.Event(*(row[name] for name in names)) for row in rows]
    return sorted(events, key=lambda one: (most.index(one.event), one.segment))


def _order(row: Row) -> tuple[bool, bool, float, int]:
    """The chosen fit of a k first, then the one measured over all customers, then the tightest."""
    return not row["chosen"], row["wcss_all"] is None, row["wcss"] or 0.0, row["seed"]


def _model(row: Row) -> records.Model:
    return records.Model(
        row["model_version"],
        row["snapshot_date"],
        row["algorithm"],
        row["k"],
        tuple(row["features"]),
        row["transform"],
        tuple(row["cluster_names"]),
        tuple(row["cluster_ranks"]),
        [_from_average(row, centroid) for centroid in row["centroids"]],
        row["chosen_because"],
        row["silhouette"],
        row["customers"],
        row["coreset_rows"],
        row["agreement"],
    )


def _from_average(row: Row, centroid: Sequence[float]) -> list[float]:
    """A centroid in standard deviations from the average customer, scaled or not."""
    averages, spreads = row["feature_means"] or row["means"], row["feature_stds"] or row["stds"]
    return [
        (value * std + mean - average) / spread if spread else 0.0
        for value, std, mean, average, spread in zip(
            centroid, row["stds"], row["means"], averages, spreads, strict=True
        )
    ]
