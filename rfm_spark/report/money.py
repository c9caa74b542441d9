"""Figures of money: who brings it, when it came, and how it goes with the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

import plotly.graph_objects as go

from rfm_spark.report import words
from rfm_spark.report.drawing import (
    Drawing,
    axis,
    figure,
    lines,
    log_axis,
    money_axis,
    signed_log,
    text,
)
from rfm_spark.report.palette import BLUE, INK, ORANGE, SOFT, VERMILLION, faded
from rfm_spark.report.records import CurvePoint, Month, Point, ScoreLine

_MOST_REVENUE = Decimal("0.8")
_GOLDEN = 0.6180339887498949


def top_share(curve: Sequence[CurvePoint], part: float) -> float | None:
    """The share of revenue that the best part of the customers brings; None without revenue."""
    if not curve or curve[-1].revenue <= 0:
        return None
    everybody = curve[-1].customers
    near = min(curve, key=lambda point: abs(point.customers - part * everybody))
    if abs(near.customers / everybody - part) > 0.02:  # noqa: PLR2004 - too few customers to tell
        return None
    return float(near.revenue / curve[-1].revenue)


def pareto(curve: Sequence[CurvePoint], money: words.Money) -> Drawing | None:
    """How revenue adds up over the customers, largest first, and where 80 % are reached."""
    if not curve or curve[-1].revenue <= 0:
        return None
    whole, everybody = curve[-1].revenue, curve[-1].customers
    x = [0.0, *(point.customers / everybody for point in curve)]
    y = [0.0, *(float(point.revenue / whole) for point in curve)]
    hover = ["", *(_reached(point, whole, everybody, money) for point in curve)]
    reached = next(point for point in curve if point.revenue >= _MOST_REVENUE * whole)
    at, height = reached.customers / everybody, float(reached.revenue / whole)
    curve_trace = go.Scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": BLUE, "width": 3},
        fill="tozeroy",
        fillcolor=faded(BLUE, 0.08),
        hovertext=hover,
        hoverinfo="text",
    )
    equal = go.Scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": SOFT, "width": 1, "dash": "dot"}
    )
    equal.update(hoverinfo="skip")
    mark = go.Scatter(
        x=[at],
        y=[height],
        mode="markers+text",
        marker={"color": VERMILLION, "size": 11, "symbol": "diamond"},
        text=[f"<b>{words.share(at, 0)}</b> of customers,<br>{words.share(height, 0)} of revenue"],
        textposition="bottom right" if at < 0.55 else "bottom left",  # noqa: PLR2004
        hoverinfo="skip",
        cliponaxis=False,
    )
    top = max(1.02, *(value + 0.03 for value in y))
    percent = {"tickformat": ".0%", "dtick": 0.2}
    drawn = figure(
        curve_trace,
        equal,
        mark,
        xaxis=axis("Share of customers, largest net spend first", range=[0, 1.03], **percent),
        yaxis=axis("Share of revenue", range=[0, top], **percent),
        margin={"l": 12, "r": 24, "t": 12, "b": 12},
    )
    return Drawing(
        "pareto",
        "Who brings the revenue",
        drawn,
        380,
        "The further the curve lies above the dotted line (all customers alike), the more the "
        "revenue rests on few customers.",
        "Curve of cumulative revenue by share of customers",
    )


def _reached(point: CurvePoint, whole: Decimal, everybody: int, money: words.Money) -> str:
    return lines(
        f"best {words.people(point.customers)} ({words.share(point.customers / everybody)})",
        money.short(point.revenue),
        f"{words.share(float(point.revenue / whole))} of revenue",
    )


def months(rows: Sequence[Month], snapshot_date: date, money: words.Money) -> Drawing | None:
    """Accepted money per calendar month; the month of the snapshot date is marked as cut short."""
    if len(rows) < 2:  # noqa: PLR2004 - one bar says no more than a number
        return None
    amounts = [float(row.amount) for row in rows]
    cut = [row.first_day <= snapshot_date < _next_month(row.first_day) for row in rows]
    trace = go.Bar(
        x=list(range(len(rows))),
        y=amounts,
        marker={"color": [faded(BLUE, 0.45) if part else BLUE for part in cut]},
        hovertext=[
            lines(
                f"{row.first_day:%B %Y}{' (not over)' if part else ''}",
                money.exact(row.amount),
                f"{words.count(row.rows)} rows accepted, {words.count(row.rejected)} rejected",
            )
            for row, part in zip(rows, cut, strict=True)
        ],
        hoverinfo="text",
    )
    step = -(-len(rows) // 12)
    places = list(range(len(rows) - 1, -1, -step))[::-1]
    names = [f"{rows[place].first_day:%b}<br>{rows[place].first_day:%Y}" for place in places]
    drawn = figure(
        trace,
        xaxis=axis(tickvals=places, ticktext=names, showgrid=False, tickangle=0),
        yaxis=money_axis(money, amounts),
        bargap=0.25,
    )
    return Drawing(
        "months",
        "Money per month",
        drawn,
        340,
        "Net of refunds, from the rows that were accepted; a paler last bar is a month that was "
        "not over.",
        "Bars of accepted money per month",
    )


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def score_against(
    sample: Sequence[Point],
    score_lines: Sequence[ScoreLine],
    feature: str,
    places: Mapping[str, int],
    money: words.Money,
) -> Drawing | None:
    """The weighted score against AUM per day, or net spend where nobody knows of AUM."""
    points = [
        (point, float(score), float(value))
        for point in sample
        if (score := point.rfm_score) is not None
        and (value := point.values.get(feature)) is not None
    ]
    if not points:
        return None
    means = [(line.rfm_score, line.mean) for line in score_lines if line.mean is not None]
    values = [value for *_, value in points]
    spread = [(place * _GOLDEN) % 1 - 0.5 for place in range(len(points))]
    dots = go.Scatter(
        x=[score + 0.18 * beside for (_, score, _), beside in zip(points, spread, strict=True)],
        y=[signed_log(value) for value in values],
        mode="markers",
        marker={"color": faded(BLUE, 0.35), "size": 5},
        hovertext=[
            lines(text(point.segment), f"score {words.number(score)}", money.short(value))
            for point, score, value in points
        ],
        customdata=[places.get(point.segment, -1) for point, *_ in points],
        hoverinfo="text",
        name="customers of the sample",
    )
    line = go.Scatter(
        x=[score for score, _ in means],
        y=[signed_log(mean) for _, mean in means],
        mode="lines+markers",
        line={"color": ORANGE, "width": 3},
        marker={
            "color": ORANGE,
            "size": 8,
            "symbol": "diamond",
            "line": {"color": INK, "width": 1},
        },
        hovertext=[
            lines(
                f"score {words.number(one.rfm_score)}",
                f"mean {money.short(one.mean)}",
                words.people(one.customers),
            )
            for one in score_lines
            if one.mean is not None
        ],
        hoverinfo="text",
        name="mean of all customers",
    )
    name = words.label(feature)
    y_axis = log_axis([*values, *(mean for _, mean in means)], name, money)
    drawn = figure(
        dots,
        line,
        xaxis=axis("RFM score (weighted mean of the scores)"),
        yaxis={**axis(), **y_axis},
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
    return Drawing(
        "score-against",
        f"Score against {name}",
        drawn,
        400,
        f"Each dot is a customer of the sample; the orange line is the mean {name} of all "
        "customers with that score. Where the line climbs, the score tells who is worth more.",
        f"Scatter of RFM score and {name}",
    )
