"""The tables of the page, as rows of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from rfm_spark.report import words
from rfm_spark.report.movement import LEFT, NEW, moves_of
from rfm_spark.report.records import Edge, Event, Outlook, Records, Segment

_SPARK_WIDTH, _SPARK_HEIGHT = 84, 24
_MOST_VALUES = 8
_METRICS = {"recency": "R", "frequency": "F", "monetary": "M", "aum": "A"}


@dataclass(frozen=True)
class SegmentRow:
    """A segment of a date; ``bar`` is its share of customers in percent of the largest one."""

    name: str
    rank: int
    customers: str
    share: str
    revenue: str
    exact: str
    revenue_share: str
    per_customer: str
    bar: float
    action: str
    why: str
    trend: str
    change: str


@dataclass(frozen=True)
class Crossed:
    """A table of shares with names at both sides; cells are text and depth of colour."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[str, float]]]]
    left_out: int = 0


def segment_rows(records: Records, kind: str, day: date, money: words.Money) -> list[SegmentRow]:
    """The segments of a date, best first."""
    own = sorted(
        (one for one in records.segments if one.kind == kind and one.day == day),
        key=lambda one: (one.rank, one.name),
    )
    widest = max((one.share for one in own), default=0.0) or 1.0
    return [
        SegmentRow(
            words.name(one.name),
            one.rank,
            words.count(one.customers),
            words.share(one.share),
            money.short(one.revenue),
            money.exact(one.revenue),
            words.share(one.revenue_share),
            money.short(float(one.revenue) / one.customers) if one.customers else words.NONE,
            100 * one.share / widest,
            words.name(one.action),
            traits_of(one),
            *_trend(records, one),
        )
        for one in own
    ]


def traits_of(segment: Segment) -> str:
    """What the insight says beside sizes and action."""
    middle = segment.insight.partition(": ")[2]
    if ":" in segment.action:
        middle = middle.rpartition(": ")[0]
    return words.name(middle) if middle else ""


def _trend(records: Records, segment: Segment) -> tuple[str, str]:
    """Points of a small line of the sizes up to that date, and the change since the one before."""
    dates = [day for day in records.dates if day <= segment.day]
    if len(dates) < 2:  # noqa: PLR2004 - one date has no trend
        return "", ""
    found = {
        one.day: one.customers
        for one in records.segments
        if one.kind == segment.kind and one.name == segment.name
    }
    values = [found.get(day, 0) for day in dates]
    most = max(values) or 1
    step = (_SPARK_WIDTH - 6) / (len(values) - 1)
    points = " ".join(
        f"{3 + place * step:.1f},{_SPARK_HEIGHT - 3 - value / most * (_SPARK_HEIGHT - 6):.1f}"
        for place, value in enumerate(values)
    )
    change = values[-1] - values[-2]
    sign = "+" if change > 0 else "\u2212" if change < 0 else "±"
    return points, f"{sign}{abs(change):,}"


def largest_moves(
    records: Records, kind: str, day: date, money: words.Money
) -> list[tuple[str, ...]]:
    """The ten pairs of segments that most customers moved between."""
    moves = [one for one in moves_of(records.moves, kind, day) if one.origin != one.target]
    moves.sort(key=lambda one: (-one.customers, one.origin or "", one.target or ""))
    return [
        (
            NEW if one.origin is None else words.name(one.origin),
            LEFT if one.target is None else words.name(one.target),
            words.count(one.customers),
            money.short(one.revenue),
            words.count(one.by_recut),
        )
        for one in moves[:10]
    ]


def stability_rows(records: Records) -> list[tuple[str, ...]]:
    """How stable the segments were from date to date, newest first."""
    rows = sorted(
        records.stability, key=lambda one: (one.day, one.previous, one.kind == "rfm"), reverse=True
    )
    return [
        (
            words.short_day(one.day),
            words.short_day(one.previous),
            {"rfm": "rule segments", "cluster": "clusters"}.get(one.kind, one.kind),
            words.count(one.new),
            words.count(one.departed),
            words.share(one.kept_share),
            words.NONE if one.agreement is None else f"{one.agreement:.2f}",
            words.count(one.by_recut),
        )
        for one in rows
    ]


def outlook_rows(rows: Sequence[Outlook], kind: str, money: words.Money) -> list[tuple[str, ...]]:
    """Segments now and at the last period, and what a customer of each is worth until then."""
    own = [row for row in rows if row.kind == kind]
    last = max((row.period for row in own), default=0)
    now = {row.segment: row for row in own if row.period == 0}
    then = {row.segment: row for row in own if row.period == last}
    ordered = sorted(now, key=lambda name: (-(then[name].customer_value or 0), name))
    return [
        (
            words.name(name),
            words.count(now[name].customers),
            words.count(then[name].customers),
            money.short(then[name].customer_value),
            money.short(float(then[name].customer_value or 0) * now[name].customers),
        )
        for name in ordered
        if last
    ]


def base_value(rows: Sequence[Outlook]) -> tuple[Decimal, int] | None:
    """What today's customers bring in all periods to come, discounted, and how many those are."""
    own = [row for row in rows if row.kind == "rfm"]
    last = max((row.period for row in own), default=0)
    if not last:
        return None
    return sum((row.discounted_revenue for row in own if row.period), Decimal(0)), last


def attribute_tables(segments: Sequence[Segment]) -> list[Crossed]:
    """Shares of each attribute's values by segment, the commonest values of all customers."""
    names = segments[0].attributes if segments else {}
    return [_attribute(name, segments) for name in names]


def _attribute(name: str, segments: Sequence[Segment]) -> Crossed:
    totals: dict[str, float] = {}
    for one in segments:
        for known, part in one.attributes[name].items():
            totals[known] = totals.get(known, 0.0) + part * one.customers
    values = sorted(totals, key=lambda known: (-totals[known], known))
    shown = sorted(values[:_MOST_VALUES], key=_natural)
    rows = [
        (
            words.name(one.name),
            [
                (
                    words.share(part, 0) if (part := one.attributes[name].get(known, 0.0)) else "",
                    part,
                )
                for known in shown
            ],
        )
        for one in segments
    ]
    return Crossed(
        words.label(name), [words.name(one) for one in shown], rows, len(values) - len(shown)
    )


def _natural(name: str) -> tuple[int, float, str]:
    """Values that begin with a number in order of it; missing ones last."""
    digits = "".join(letter for letter in name.lstrip("<>~ ").partition("-")[0] if letter.isdigit())
    if name.startswith("("):
        return 2, 0.0, name
    return (0, float(digits[:15]), name) if digits else (1, 0.0, name)


def event_tables(
    events: Sequence[Event], ranks: Mapping[str, int]
) -> list[tuple[str, Sequence[tuple[str, ...]]]]:
    """For each target event: how often it happens in each segment, beside all customers."""
    tables: list[tuple[str, Sequence[tuple[str, ...]]]] = []
    for event in dict.fromkeys(one.event for one in events):
        own = [one for one in events if one.event == event]
        own.sort(key=lambda one: (ranks.get(one.segment, 0), one.segment))
        rows = [
            (
                words.name(one.segment),
                words.count(one.customers),
                words.share(one.rate),
                f"{words.share(one.rate_lower)} to {words.share(one.rate_upper)}",
                words.NONE if one.lift is None else f"{one.lift:.2f}\u00a0×",  # noqa: RUF001
            )
            for one in own
        ]
        tables.append((words.name(event), rows))
    return tables


def edge_table(
    edges: Sequence[Edge], money: words.Money
) -> tuple[list[str], list[tuple[str, ...]]]:
    """What each score means in natural units: headings, and a row for each role."""
    most = max((edge.score for edge in edges), default=0)
    headings = ["Score", *(str(score) for score in range(1, most + 1))]
    rows = []
    for metric, letter in _METRICS.items():
        own = {edge.score: edge for edge in edges if edge.metric == metric}
        if own:
            feature = words.label(own[min(own)].feature)
            cells = [_range(own[n], money) if n in own else "" for n in range(1, most + 1)]
            rows.append((f"{letter}: {feature}", *cells))
    return headings, rows


def _range(edge: Edge, money: words.Money) -> str:
    low, high = (
        None if limit is None else words.value(edge.feature, limit, money)
        for limit in (edge.lower, edge.upper)
    )
    if low is None:
        return "any value" if high is None else f"up to {high}"
    return f"above {low}" if high is None else f"above {low}, up to {high}"
