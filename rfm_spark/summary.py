"""The closing tables of a run: segments, what they bring, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

from pyspark.sql import Row
from pyspark.sql import functions as F

from rfm_spark.display import JsonDisplay, SegmentLine, TerminalDisplay
from rfm_spark.insight.words import label
from rfm_spark.pipeline import Context
from rfm_spark.pipeline.ledger import newest_runs, stale_dates
from rfm_spark.pipeline.profiles import PARETO_SHARE
from rfm_spark.pipeline.snapshots import named_dates

Record = Mapping[str, Any]
_KINDS = (("rfm", "rule segments"), ("cluster", "clusters"))
_MOST = 3


def show_segments(
    context: Context, display: TerminalDisplay | JsonDisplay, snapshot_date: date
) -> None:
    """Show the stored profiles of a date, for people who know marketing and not Spark."""
    settings = context.settings
    of_date = partial(context.records, snapshot_date=snapshot_date)
    ranked = sorted(of_date("segment_profiles"), key=lambda row: (row["rank"], row["segment"]))
    profiles, separation = _by_kind(ranked), _by_kind(of_date("segment_separation"))
    migrations, outlook = map(_by_kind, map(of_date, ("segment_migrations", "segment_outlook")))
    for kind, what in _KINDS:
        own = profiles[kind]
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
            for row in own
        ]
        remarks = [
            *_pareto(own),
            *_separation(separation[kind]),
            *_movement(migrations[kind]),
            *_outlook(outlook[kind], settings.currency, settings.outlook.discount_rate),
            *_events(context, snapshot_date, kind),
        ]
        display.segments(f"{what}, {snapshot_date}", lines, settings.currency, remarks)


def show_runs(context: Context, display: TerminalDisplay | JsonDisplay, limit: int) -> None:
    """Show the run ledger, newest first."""
    runs = newest_runs(context, limit)
    if not runs:
        display.note(f"no run yet in {context.settings.store}")
        return
    headings = [
        "run",
        "command",
        "snapshot date",
        "status",
        "started",
        "seconds",
        "tables",
        "rows",
        "labels",
        "made stale",
        "error",
    ]
    lines = [
        [
            row["run_id"][:8],
            row["command"],
            row["snapshot_date"],
            row["status"],
            row["at"],
            (row["ended"] - row["started"]).total_seconds() if row["ended"] else None,
            *_written(row["rows"] or {}),
            named_dates(row["made_stale"]),
            row["error"],
        ]
        for row in runs
    ]
    display.table("runs, newest first", headings, lines)
    if stale := stale_dates(context):
        display.warn(f"stale, and not written again since: {named_dates(stale)}")


def _written(rows: Mapping[str, int]) -> tuple[int | None, int | None, int | None]:
    """How many tables and rows a run has written, and how many of them are labels."""
    if not rows:
        return (None, None, None)
    return (len(rows), sum(rows.values()), rows.get("customer_segments"))


def _by_kind(rows: Sequence[Record]) -> dict[str, list[Record]]:
    return {kind: [row for row in rows if row["kind"] == kind] for kind, _ in _KINDS}


def _why(row: Record) -> str:
    """The insight without what the table says beside it: the size, and the gist of the action."""
    traits = str(row["insight"].partition(": ")[2])
    return traits.rpartition(": ")[0] if ":" in row["marketing_action"] else traits


def _pareto(profiles: Sequence[Record]) -> list[str]:
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


def _separation(rows: Sequence[Record]) -> list[str]:
    """Which features the segments tell most of."""
    known = [r for r in rows if r["measure"] == "eta_squared" and r["value"] is not None]
    known.sort(key=lambda row: (-row["value"], row["feature"]))
    told = [f"{row['value']:.0%} in {label(row['feature'])}" for row in known[:_MOST]]
    if not told:
        return []
    return [f"Of the differences between customers, the segments explain {', '.join(told)}."]


def _movement(rows: Sequence[Record]) -> list[str]:
    """Who moved since the previous date."""
    if not rows:
        return []
    previous = max(row["previous_snapshot_date"] for row in rows)
    own = [row for row in rows if row["previous_snapshot_date"] == previous]
    both = [row for row in own if row["from_segment"] and row["to_segment"]]
    moves = [row for row in both if row["from_segment"] != row["to_segment"]]
    moves.sort(key=lambda row: (-row["customers"], row["from_segment"], row["to_segment"]))
    total, moved = (sum(row["customers"] for row in part) for part in (both, moves))
    new = sum(row["customers"] for row in own if row["from_segment"] is None)
    departed = sum(row["customers"] for row in own if row["to_segment"] is None)
    told = f"Since {previous}: {moved:,} of {total:,} customers have moved"
    recut = [row["by_recut"] for row in moves]
    if None not in recut and sum(recut):
        told += f" ({sum(recut):,} of them by new edges, rules or model)"
    told += f", {new:,} are new, {departed:,} have left"
    most = [f"{r['from_segment']} to {r['to_segment']} {r['customers']:,}" for r in moves[:_MOST]]
    return [f"{told}{'; most of all ' if most else ''}{', '.join(most)}."]


def _outlook(rows: Sequence[Record], currency: str, discount_rate: float) -> list[str]:
    """What the base is worth if customers go on moving like that."""
    if not rows:
        return []
    periods, previous = max(row["period"] for row in rows), rows[0]["previous_snapshot_date"]
    value = sum(row["discounted_revenue"] for row in rows if row["period"] > 0)
    days = (rows[0]["snapshot_date"] - previous).days
    unit = f"{currency} " if currency else ""
    return [
        f"If they go on moving as since {previous}, today's customers bring {unit}{value:,.2f} in "
        f"the next {periods} periods of {days} days, discounted by {discount_rate:.0%} each."
    ]


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
