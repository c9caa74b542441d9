"""Figures of what comes: whether the model still fits, and what today's customers will bring."""

from __future__ import annotations

from collections.abc import Sequence

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
    BLUE,
    SKY,
    SOFT,
    VERMILLION,
)
from rfm_spark.report.records import Drift, Outlook

_STABLE_PSI = 0.1
_ROOM = 0.3
"""Of the axis, for the words at a mark."""


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
