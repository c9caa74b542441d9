"""Figures of the segments of a date: who is how many, and where they stand in R and F."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

import plotly.graph_objects as go

from rfm_spark.report import words
from rfm_spark.report.drawing import Drawing, figure, lines, named_axis, text
from rfm_spark.report.palette import DEEPER, INK, PAPER
from rfm_spark.report.records import Cell, Overlap, Segment

_DARK = 0.55
"""From this part of the scale on, white letters are easier to read than black ones."""


def treemap(
    segments: Sequence[Segment], known: Mapping[str, int], money: words.Money
) -> go.Figure:
    """Tiles as large as the segment has customers, the darker the more of the revenue it brings."""
    shares = [max(0.0, one.revenue_share or 0.0) for one in segments]
    most = max(shares, default=0.0) or 1.0
    shown = [one for one in segments if one.customers]
    shares = [max(0.0, one.revenue_share or 0.0) for one in shown]
    told = [
        f"{words.count(one.customers)} · {words.share(one.share)}"
        f"<br>{words.share(one.revenue_share)} of revenue"
        for one in shown
    ]
    hover = [
        lines(
            text(one.name, 80),
            words.people(one.customers),
            f"{words.share(one.share)} of all customers",
            f"{money.short(one.revenue)}, {words.share(one.revenue_share)} of revenue",
        )
        for one in shown
    ]
    trace = go.Treemap(
        ids=[f"s{place}" for place in range(len(shown))],
        labels=[f"<b>{text(one.name)}</b>" for one in shown],
        parents=[""] * len(shown),
        values=[one.customers for one in shown],
        text=told,
        hovertext=hover,
        customdata=[known.get(one.name, -1) for one in shown],
        hoverinfo="text",
        textinfo="label+text",
        textfont={"color": [_letters(one / most) for one in shares], "size": 13},
        marker={
            "colors": shares,
            "colorscale": [list(step) for step in DEEPER],
            "cmin": 0,
            "cmax": most,
            "line": {"color": PAPER, "width": 2},
        },
        tiling={"pad": 2},
        pathbar={"visible": False},
        sort=True,
    )
    return figure(trace, margin={"l": 0, "r": 0, "t": 0, "b": 0})


def _letters(part: float) -> str:
    return PAPER if part >= _DARK else INK


def score_grid(cells: Sequence[Cell], bins: tuple[int, int], money: words.Money) -> Drawing | None:
    """Recency against frequency: how many customers have each pair of scores, and what they spend.

    Customers without a purchase have no scores to speak of and are left out.
    """
    own = [cell for cell in cells if cell.has_purchase]
    if not own:
        return None
    trace = grid_trace(own, bins, money)
    high, wide = bins
    f_names, r_names = _scale(wide, "rarely", "often"), _scale(high, "long ago", "recently")
    drawn = figure(
        trace,
        xaxis=named_axis(f_names, "Frequency score", side="bottom"),
        yaxis=named_axis(r_names, "Recency score"),
    )
    return Drawing(
        "score-grid",
        "Recency and frequency",
        drawn,
        400,
        "Customers by how recently (upwards) and how often (to the right) they buy; the darker, "
        "the more of them. At the upper right are the best, at the lower right those who are "
        "slipping away.",
        "Heat map of recency score by frequency score, in customers",
    )


def grid_trace(cells: Sequence[Cell], bins: tuple[int, int], money: words.Money) -> go.Heatmap:
    """The coloured cells of :func:`score_grid`, of all customers or of one segment's."""
    sums = score_counts(cells)
    high, wide = bins
    grid = [[sums.get((r, f), (0, Decimal(0))) for f in range(1, wide + 1)] for r in range(1, high + 1)]
    most = max(n for row in grid for n, _ in row) or 1
    return go.Heatmap(
        z=[[n for n, _ in row] for row in grid],
        x=list(range(wide)),
        y=list(range(high)),
        text=[[words.count(n) if n else "" for n, _ in row] for row in grid],
        texttemplate="%{text}",
        textfont={"size": 13},
        hovertext=[
            [
                lines(
                    f"R {r + 1}, F {f + 1}",
                    words.people(n),
                    f"mean spend {money.short(float(total) / n)}" if n else "nobody",
                )
                for f, (n, total) in enumerate(row)
            ]
            for r, row in enumerate(grid)
        ],
        hoverinfo="text",
        colorscale=[list(step) for step in DEEPER],
        zmin=0,
        zmax=most,
        showscale=False,
        xgap=3,
        ygap=3,
    )


def score_counts(cells: Sequence[Cell]) -> dict[tuple[int, int], tuple[int, Decimal]]:
    """Customers and revenue by recency and frequency score."""
    sums: dict[tuple[int, int], tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for cell in cells:
        customers, revenue = sums[cell.r, cell.f]
        sums[cell.r, cell.f] = customers + cell.customers, revenue + cell.revenue
    return dict(sums)


def _scale(count: int, worst: str, best: str) -> list[str]:
    ends = {1: f"1 {worst}", count: f"{count} {best}"}
    return [ends.get(score, str(score)) for score in range(1, count + 1)]


def overlap(
    overlaps: Sequence[Overlap], segments: Sequence[str], clusters: Sequence[str]
) -> Drawing | None:
    """How the customers of each cluster spread over the rule segments, in shares of the cluster."""
    if not overlaps or not clusters:
        return None
    found = {(one.segment, one.cluster): one.customers for one in overlaps}
    totals = {name: sum(found.get((one, name), 0) for one in segments) or 1 for name in clusters}
    z = [[found.get((one, name), 0) / totals[name] for name in clusters] for one in segments]
    trace = go.Heatmap(
        z=z[::-1],
        x=list(range(len(clusters))),
        y=list(range(len(segments))),
        text=[[words.share(part, 0) if part else "" for part in row] for row in z[::-1]],
        texttemplate="%{text}",
        hovertext=[
            [
                lines(
                    f"{text(one)} in {text(name)}",
                    words.people(found.get((one, name), 0)),
                    f"{words.share(found.get((one, name), 0) / totals[name])} of the cluster",
                )
                for name in clusters
            ]
            for one in reversed(segments)
        ],
        hoverinfo="text",
        colorscale=[list(step) for step in DEEPER],
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=3,
        ygap=3,
    )
    drawn = figure(
        trace,
        xaxis=named_axis(clusters, side="top", tickangle=0 if len(clusters) < 4 else -35),  # noqa: PLR2004
        yaxis=named_axis(segments[::-1]),
    )
    return Drawing(
        "overlap",
        "Clusters and rule segments",
        drawn,
        120 + 28 * len(segments),
        "Which rule segments the customers of each cluster are in; a column comes to 100\u00a0%.",
        "Heat map of rule segments by cluster, in shares of the cluster",
    )


