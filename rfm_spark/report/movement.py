"""Figures of time: who moved, how the segments grew, whether the model still fits, what comes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

import plotly.graph_objects as go

from rfm_spark.report import words
from rfm_spark.report.drawing import (
    Drawing,
    axis,
    broken,
    figure,
    lines,
    money_axis,
    named_axis,
    text,
)
from rfm_spark.report.palette import (
    BAD,
    BLUE,
    GOOD,
    GREEN,
    INK,
    PAPER,
    SKY,
    SOFT,
    STEADY,
    VERMILLION,
    faded,
    ranked,
)
from rfm_spark.report.records import Drift, Move, Outlook, Segment

NEW, LEFT = "new", "left"
_HEIGHT = 548
"""Of the streams in pixels, margins taken off."""
_STABLE_PSI = 0.1
_ROOM = 0.3
"""Of the axis, for the words at a mark."""
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


def drift(rows: Sequence[Drift], limit: float) -> Drawing | None:
    """How far each feature of the model has moved since the fit, and where the alarm begins."""
    known = [(row, row.psi) for row in rows if row.psi is not None]
    if not known:
        return None
    known.sort(key=lambda one: (one[1], one[0].feature))
    names = [words.label(row.feature) for row, _ in known]
    trace = go.Bar(
        y=list(range(len(known))),
        x=[psi for _, psi in known],
        orientation="h",
        width=0.55,
        marker={"color": [VERMILLION if psi > limit else BLUE for _, psi in known]},
        text=[f"{psi:.3f}{' alarm' if psi > limit else ''}" for _, psi in known],
        textposition="auto",
        cliponaxis=False,
        hovertext=[
            lines(
                text(words.label(row.feature), 60),
                f"PSI {psi:.3f}",
                f"{words.share(row.outside_share)} of customers beyond the range of the fit",
            )
            for row, psi in known
        ],
        hoverinfo="text",
    )
    reach = max(limit * 1.35, *(psi * 1.3 for _, psi in known))
    marks = [("stable", _STABLE_PSI, SOFT), ("alarm", limit, VERMILLION)]
    marks = [one for one in marks if one[0] == "alarm" or limit - one[1] > reach * _ROOM]
    drawn = figure(
        trace,
        xaxis=axis("Population stability index (PSI)", range=[0, reach], nticks=6),
        yaxis=named_axis(names) | {"ticktext": [broken(text(one, 40)) for one in names]},
        shapes=[
            {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1}
            | {"line": {"color": colour, "width": 1.5, "dash": "dash"}}
            for _, at, colour in marks
        ],
        annotations=[
            {"x": at, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
            | {"text": f"{what} {'from' if what == 'alarm' else 'below'} {at:g}"}
            | {"font": {"color": colour, "size": 11}, "xanchor": "center"}
            for what, at, colour in marks
        ],
        margin={"l": 12, "r": 16, "t": 28, "b": 12},
    )
    return Drawing(
        "drift",
        "Does the model still fit?",
        drawn,
        150 + 44 * len(known),
        "How much the customers' distribution has moved since the clusters were fitted.",
        "Bars of population stability index by feature",
    )


def outlook(rows: Sequence[Outlook], money: words.Money) -> list[Drawing]:
    """Customers and revenue of the periods to come, if customers go on moving as they did."""
    own = [row for row in rows if row.kind == "rfm"]
    periods = sorted({row.period for row in own})
    if len(periods) < 2:  # noqa: PLR2004 - the present alone is no outlook
        return []
    customers = [sum(row.customers for row in own if row.period == period) for period in periods]
    ahead = periods[1:]

    def total(name: str, period: int) -> float:
        return float(sum(getattr(row, name) for row in own if row.period == period))

    plain = [total("revenue", period) for period in ahead]
    discounted = [total("discounted_revenue", period) for period in ahead]
    bars = [
        go.Bar(
            x=ahead,
            y=amounts,
            name=name,
            marker={"color": colour},
            hovertext=[
                lines(f"period {n}", name, money.short(one))
                for n, one in zip(ahead, amounts, strict=True)
            ],
            hoverinfo="text",
        )
        for name, amounts, colour in (("revenue", plain, SKY), ("discounted", discounted, BLUE))
    ]
    revenue = figure(
        *bars,
        barmode="group",
        bargap=0.25,
        xaxis=axis("Periods ahead", tickvals=_some(ahead), showgrid=False),
        yaxis=money_axis(money, [*plain, *discounted]),
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
    line = go.Scatter(
        x=periods,
        y=customers,
        mode="lines+markers",
        line={"color": BLUE, "width": 2.5},
        marker={"size": 7, "color": BLUE},
        hovertext=[
            lines(f"period {n}", f"{words.count(one)} customers")
            for n, one in zip(periods, customers, strict=True)
        ],
        hoverinfo="text",
    )
    base = figure(
        line,
        xaxis=axis("Periods ahead (0 is now)", tickvals=_some(periods), showgrid=False),
        yaxis=axis(
            "Customers", tickformat=",", range=[0, max(customers, default=1) * 1.1 or 1], nticks=6
        ),
    )
    return [
        Drawing(
            "outlook-revenue",
            "Revenue to come",
            revenue,
            330,
            "What today's customers bring per period, as it comes and discounted.",
            "Bars of expected revenue by period",
        ),
        Drawing(
            "outlook-customers",
            "Customers who stay",
            base,
            330,
            "How many of today's customers are expected to be there still; nobody new is counted.",
            "Line of expected customers by period",
        ),
    ]


def _some(periods: Sequence[int]) -> list[int]:
    return list(periods[:: -(-len(periods) // 12)])
