"""The closing tables of a run: segments, what they bring, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Row
from pyspark.sql import functions as F

from rfm_spark.display import JsonDisplay, SegmentLine, TerminalDisplay
from rfm_spark.insight.words import label
from rfm_spark.pipeline import Context
from rfm_spark.pipeline.profiles import PARETO_SHARE, stored_profiles

_KINDS = (("rfm", "rule segments"), ("cluster", "clusters"))
_MOST = 3


def show_segments(
    context: Context, display: TerminalDisplay | JsonDisplay, snapshot_date: date
) -> None:
    """Show the stored profiles of a date, for people who know marketing and not Spark."""
    settings = context.settings
    for kind, what in _KINDS:
        profiles = stored_profiles(context, snapshot_date=snapshot_date, kind=kind)
        lines = [
            SegmentLine(
                row["segment"],
                row["customers"],
                row["share"],
                row["revenue"],
                row["revenue_share"],
                row["marketing_action"],
                _why(row),
                row["mean_aum_per_day"] if settings.has_aum else None,
            )
            for row in profiles
        ]
        remarks = [
            *_pareto(profiles),
            *_separation(context, snapshot_date, kind),
            *_events(context, snapshot_date, kind),
        ]
        display.segments(f"{what}, {snapshot_date}", lines, settings.currency, remarks)


def _why(row: Row) -> str:
    """The insight without what the table says beside it: the size, and the gist of the action."""
    traits = str(row["insight"].partition(": ")[2])
    return traits.rpartition(": ")[0] if ":" in row["marketing_action"] else traits


def _pareto(profiles: Sequence[Row]) -> list[str]:
    """Which customers bring most of the revenue."""
    top = sum(row["pareto_customers"] or 0 for row in profiles)
    if not top:
        return []
    share = top / sum(row["customers"] for row in profiles)
    most_first = sorted(profiles, key=lambda row: (-row["pareto_customers"], row["rank"]))
    places = [
        f"{row['pareto_customers'] / top:.0%} of them in {row['segment']}"
        for row in most_first[:_MOST]
        if row["pareto_customers"]
    ]
    listed, part = ", ".join(places), f"{PARETO_SHARE:.0%}"
    return [f"{share:.1%} of the customers bring {part} of the revenue: {listed}."]


def _separation(context: Context, snapshot_date: date, kind: str) -> list[str]:
    """Which features the segments tell most of."""
    table = context.store.read("segment_separation").where(
        (F.col("snapshot_date") == F.lit(snapshot_date)) & (F.col("kind") == kind)
    )
    strongest = table.where("value IS NOT NULL").orderBy(F.desc("value"), "feature")
    rows = strongest.where("measure = 'eta_squared'").limit(_MOST).collect()
    told = [f"{row['value']:.0%} in {label(row['feature'])}" for row in rows]
    if not told:
        return []
    return [f"Of the differences between customers, the segments explain {', '.join(told)}."]


def _events(context: Context, snapshot_date: date, kind: str) -> list[str]:
    """Where target events happen most often."""
    if context.settings.sources.events is None:
        return []
    table = context.store.read("segment_events").where(
        (F.col("snapshot_date") == F.lit(snapshot_date)) & (F.col("kind") == kind)
    )
    most = F.max_by(
        F.struct("segment", "rate", "lift", "lift_lower", "lift_upper"),
        F.struct("rate", "segment_customers", "segment"),
    )
    events = table.groupBy("event").agg(
        F.sum("customers").alias("customers"),
        F.sum("segment_customers").alias("everybody"),
        most.alias("most"),
    )
    rows = events.orderBy(F.desc("customers"), "event").limit(_MOST).collect()
    return [_event(row) for row in rows]


def _event(row: Row) -> str:
    most, overall = row["most"], row["customers"] / row["everybody"]
    return (
        f"{row['event']}: {overall:.1%} of all customers, most often {most['segment']} with "
        f"{most['rate']:.1%} ({most['lift']:.1f} x; 95 % interval {most['lift_lower']:.1f} to "
        f"{most['lift_upper']:.1f})."
    )
