"""Figures of time: who moved, and how the segments grew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

import plotly.graph_objects as go

from rfm_spark.report import words
from rfm_spark.report.drawing import (
    Drawing,
    axis,
    figure,
    lines,
    text,
)
from rfm_spark.report.palette import (
    BAD,
    GOOD,
    GREEN,
    INK,
    PAPER,
    STEADY,
    faded,
    ranked,
)
from rfm_spark.report.records import Move, Segment

NEW, LEFT = "new", "left"
_HEIGHT = 548
"""Of the streams in pixels, margins taken off."""
_STREAMS = 0.65
"""Of the height; the rest is between the segments."""


def moves_of(moves: Sequence[Move], kind: str, day: date) -> list[Move]:
    """The matrix of a date and a kind since the newest date that it is compared with."""
    own = [move for move in moves if move.kind == kind and move.day == day and move.customers]
    previous = max((move.previous for move in own), default=None)
    return [move for move in own if move.previous == previous]


def sankey(moves: Sequence[Move], ranks: Mapping[str, int], known: Mapping[str, int]) -> go.Figure:
    """Streams from the segments of the earlier date (left) to those of the later one (right)."""
    last = max(ranks.values(), default=0) + 1

    def order(name: str | None) -> tuple[int, str]:
        return (last + 1, "") if name is None else (ranks.get(name, last), name)

    origins = sorted({move.origin for move in moves}, key=order)
    targets = sorted({move.target for move in moves}, key=order)
    places = {("from", name): place for place, name in enumerate(origins)}
    places |= {("to", name): len(origins) + place for place, name in enumerate(targets)}
    sums: dict[tuple[str, str | None], int] = defaultdict(int)
    for move in moves:
        sums["from", move.origin] += move.customers
        sums["to", move.target] += move.customers
    named = [(side, name) for side, names in (("from", origins), ("to", targets)) for name in names]
    labels = [f"{_node(side, name)} {words.count(sums[side, name])}" for side, name in named]
    ordered = sorted(moves, key=lambda one: (order(one.origin), order(one.target)))
    trace = go.Sankey(
        arrangement="fixed",
        node={
            "label": labels,
            "pad": (1 - _STREAMS) * _HEIGHT / max(1, len(origins) - 1, len(targets) - 1),
            "thickness": 14,
            "color": ["#5b6b7a" if name is not None else "#b9c2ca" for _, name in named],
            "line": {"width": 0},
            "hovertemplate": "%{label}<extra></extra>",
            "customdata": [-1 if name is None else known.get(name, -1) for _, name in named],
            **_positions(origins, targets, sums),
        },
        link={
            "source": [places["from", move.origin] for move in ordered],
            "target": [places["to", move.target] for move in ordered],
            "value": [move.customers for move in ordered],
            "color": [faded(_direction(move, ranks), 0.5) for move in ordered],
            "customdata": [
                lines(
                    f"{_node('from', move.origin)} \u2192 {_node('to', move.target)}",
                    words.people(move.customers),
                )
                for move in ordered
            ],
            "hovertemplate": "%{customdata}<extra></extra>",
        },
        textfont={"size": 1, "color": "rgba(0,0,0,0)"},  # annotations say it more readably
    )
    at = _positions(origins, targets, sums)
    notes = [
        {"text": label, "x": x, "y": 1 - y, "xref": "paper", "yref": "paper", "showarrow": False}
        | {
            "xanchor": "left" if side == "from" else "right",
            "xshift": 17 if side == "from" else -17,
        }
        | {"yanchor": "middle", "bgcolor": "rgba(255,255,255,0.82)", "borderpad": 1}
        | {"font": {"size": 11, "color": INK}}
        for (side, _), label, x, y in zip(named, labels, at["x"], at["y"], strict=True)
    ]
    return figure(trace, annotations=notes, margin={"l": 4, "r": 4, "t": 6, "b": 6})


def _positions(
    origins: Sequence[str | None],
    targets: Sequence[str | None],
    sums: Mapping[tuple[str, str | None], int],
) -> dict[str, list[float]]:
    """Both sides in order of rank, so that a level stream is a segment that stayed one."""
    x, y = [], []
    for side, names, at in (("from", origins, 0.001), ("to", targets, 0.999)):
        total = sum(sums[side, name] for name in names) or 1
        gap = (1 - _STREAMS) / max(1, len(origins) - 1, len(targets) - 1)
        above = 0.0
        for name in names:
            height = sums[side, name] / total * _STREAMS
            x.append(at)
            y.append(min(0.999, max(0.001, above + height / 2)))
            above += height + gap
    return {"x": x, "y": y}


def _node(side: str, name: str | None) -> str:
    if name is None:
        return {"from": NEW, "to": LEFT}[side]
    return text(name, 20)


def _direction(move: Move, ranks: Mapping[str, int]) -> str:
    """Up, down, new, or neither."""
    if move.origin is None:
        return GREEN
    if move.target is None:
        return "#4a4a4a"
    change = ranks.get(move.target, 0) - ranks.get(move.origin, 0)
    return GOOD if change < 0 else BAD if change > 0 else STEADY


def sizes(history: Sequence[Segment], kind: str, known: Mapping[str, int]) -> Drawing | None:
    """How many customers each segment had at each date, the best at the bottom."""
    own = [one for one in history if one.kind == kind]
    dates = sorted({one.day for one in own})
    if len(dates) < 2:  # noqa: PLR2004 - one date has no course
        return None
    ranks = {one.name: one.rank for one in sorted(own, key=lambda one: one.day)}
    names = sorted(ranks, key=lambda name: (ranks[name], name))
    found = {(one.name, one.day): one for one in own}
    traces = []
    for name, colour in zip(names, ranked(len(names)), strict=True):
        rows = [found.get((name, day)) for day in dates]
        traces.append(
            go.Bar(
                x=list(range(len(dates))),
                y=[one.customers if one else 0 for one in rows],
                name=text(name),
                meta=known.get(name, -1),
                marker={"color": colour, "line": {"color": PAPER, "width": 0.7}},
                hovertext=[
                    lines(
                        f"{text(name)}, {words.short_day(day)}",
                        words.people(one.customers if one else 0),
                        f"{words.share(one.share if one else 0)} of all customers",
                    )
                    for day, one in zip(dates, rows, strict=True)
                ],
                hoverinfo="text",
            )
        )
    step = -(-len(dates) // 8)
    places = list(range(len(dates) - 1, -1, -step))[::-1]
    ticks = [f"{dates[place].day} {dates[place]:%b}<br>{dates[place].year}" for place in places]
    drawn = figure(
        *traces,
        barmode="stack",
        bargap=0.15,
        xaxis=axis(tickvals=places, ticktext=ticks, showgrid=False, tickangle=0),
        yaxis=axis("Customers", tickformat=",", rangemode="tozero"),
        showlegend=True,
        legend={
            "orientation": "h",
            "x": 0,
            "y": -0.16,
            "yanchor": "top",
            "traceorder": "normal",
            "font": {"size": 11},
        },
    )
    return Drawing(
        f"sizes-{kind}",
        "Sizes over time",
        drawn,
        460,
        "Customers by segment at each snapshot date; the best segment is at the bottom and "
        "darkest.",
        "Stacked bars of customers by segment and date",
    )
