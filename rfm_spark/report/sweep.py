"""Figures of the sweep: why there are so many clusters."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from rfm_spark.report.drawing import (
    Drawing,
    axis,
    figure,
    lines,
)
from rfm_spark.report.palette import (
    BLUE,
    PAPER,
    VERMILLION,
)
from rfm_spark.report.records import Fit


def sweep(fits: Sequence[Fit]) -> list[Drawing]:
    """Elbow and silhouette over k, the chosen one marked."""
    if sum(fit.k > 1 for fit in fits) < 2:  # noqa: PLR2004 - a fixed k has no curve
        return []
    chosen = next((fit.k for fit in fits if fit.chosen), None)
    wcss = [(fit.k, fit.wcss) for fit in fits if fit.wcss is not None]
    silhouette = [(fit.k, fit.silhouette) for fit in fits if fit.silhouette is not None]
    whole = max((value for _, value in wcss), default=0.0) or 1.0
    drawn = []
    if wcss:
        shares = [(k, value / whole) for k, value in wcss]
        elbow = _curve(shares, chosen, "Spread left within the clusters", ".0%", "spread")
        drawn.append(
            Drawing(
                "elbow",
                "Elbow",
                elbow,
                320,
                "How much of the differences between customers is left inside the clusters "
                "(WCSS); where the curve bends, further clusters help little.",
                "Line of within-cluster sum of squares by number of clusters",
            )
        )
    if silhouette:
        curve = _curve(silhouette, chosen, "Silhouette", ".2f", "silhouette")
        drawn.append(
            Drawing(
                "silhouette",
                "Silhouette",
                curve,
                320,
                "How clearly customers belong to their own cluster rather than to the next one: "
                "1 is perfect, 0 is a coin toss.",
                "Line of silhouette by number of clusters",
            )
        )
    return drawn


def _curve(
    points: Sequence[tuple[int, float]], chosen: int | None, title: str, form: str, what: str
) -> go.Figure:
    low, high = min(value for _, value in points), max(value for _, value in points)
    pad = (high - low) * 0.18 or abs(high) * 0.1 or 0.1
    line = go.Scatter(
        x=[k for k, _ in points],
        y=[value for _, value in points],
        mode="lines+markers",
        line={"color": BLUE, "width": 2.5},
        marker={"size": 8, "color": BLUE},
        hovertext=[lines(f"k = {k}", f"{what} {value:{form}}") for k, value in points],
        hoverinfo="text",
    )
    own = [(k, value) for k, value in points if k == chosen]
    mark = go.Scatter(
        x=[k for k, _ in own],
        y=[value for _, value in own],
        mode="markers",
        marker={
            "size": 15,
            "color": VERMILLION,
            "symbol": "diamond",
            "line": {"color": PAPER, "width": 2},
        },
        hoverinfo="skip",
    )
    shapes, notes = [], []
    if chosen is not None:
        shapes = [
            {"type": "line", "x0": chosen, "x1": chosen, "yref": "paper", "y0": 0, "y1": 1}
            | {"line": {"color": VERMILLION, "width": 1.5, "dash": "dash"}, "layer": "below"}
        ]
        side = "left" if chosen <= (points[0][0] + points[-1][0]) / 2 else "right"
        notes = [
            {"x": chosen, "y": 1, "yref": "paper", "yanchor": "top", "xanchor": side}
            | {
                "text": f"<b>k = {chosen}</b> chosen",
                "showarrow": False,
                "xshift": 8 if side == "left" else -8,
            }
            | {"font": {"color": VERMILLION, "size": 13}, "bgcolor": PAPER}
        ]
    ks = [k for k, _ in points]
    return figure(
        line,
        mark,
        xaxis=axis("Number of clusters (k)", tickvals=ks[:: -(-len(ks) // 12)], showgrid=False),
        yaxis=axis(title, range=[low - pad, high + pad * 1.6], tickformat=form, nticks=6),
        shapes=shapes,
        annotations=notes,
    )
