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


def treemap(segments: Sequence[Segment], known: Mapping[str, int], money: words.Money) -> go.Figure:
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
            "pad": dict.fromkeys("tlrb", 0),
        },
        root={"color": PAPER},
        tiling={"pad": 2},
        pathbar={"visible": False},
        sort=True,
    )
    none = dict.fromkeys("lrtb", 0)
    return figure(trace, margin=none, uniformtext={"minsize": 10, "mode": "hide"})


def _letters(part: float) -> str:
    return PAPER if part >= _DARK else INK


def score_grids(cells: Sequence[Cell], bins: tuple[int, int], money: words.Money) -> list[Drawing]:
    """Recency against frequency: how many customers have each pair of scores, and what they spend.

    Customers without a purchase have no scores to speak of and are left out.
    """
    own = [cell for cell in cells if cell.has_purchase]
    if not own:
        return []
    high, wide = bins
    axes = {
        "xaxis": named_axis(_scale(wide, "rarely", "often"), "Frequency score"),
        "yaxis": named_axis(_scale(high, "long ago", "recently"), "Recency score"),
    }
    crowd, spend = grid_traces(own, bins, money)
    return [
        Drawing(
            "score-grid",
            "How many: recency and frequency",
            figure(crowd, **axes),
            400,
            "Customers by how recently (upwards) and how often (to the right) they buy; the "
            "darker, the more of them. At the upper right are the best, at the lower right those "
            "who are slipping away.",
            "Heat map of recency score by frequency score, in customers",
        ),
        Drawing(
            "spend-grid",
            "How much: mean spend of the same",
            figure(spend, **axes),
            400,
            "What a customer of each field has spent on average; the darker, the more.",
            "Heat map of recency score by frequency score, in mean net spend",
        ),
    ]


def grid_traces(
    cells: Sequence[Cell], bins: tuple[int, int], money: words.Money
) -> tuple[go.Heatmap, go.Heatmap]:
    """The coloured fields of :func:`score_grids`, of all customers or of one segment's."""
    sums = score_counts(cells)
    high, wide = bins
    grid = [
        [sums.get((r, f), (0, Decimal(0))) for f in range(1, wide + 1)] for r in range(1, high + 1)
    ]
    means = [[float(total) / n if n else None for n, total in row] for row in grid]
    hover = [
        [
            lines(
                f"R {r}, F {f}",
                words.people(n),
                f"mean spend {money.short(mean)}" if n else "nobody",
            )
            for f, ((n, _), mean) in enumerate(zip(row, own, strict=True), 1)
        ]
        for r, (row, own) in enumerate(zip(grid, means, strict=True), 1)
    ]
    crowd = [[words.count(n) if n else "" for n, _ in row] for row in grid]
    bare = words.Money("", money.scale)
    spend = [["" if mean is None else bare.short(mean) for mean in row] for row in means]
    counts: list[list[float | None]] = [[n for n, _ in row] for row in grid]
    return _fields(counts, crowd, hover), _fields(means, spend, hover)


def _fields(
    values: Sequence[Sequence[float | None]],
    told: Sequence[Sequence[str]],
    hover: Sequence[Sequence[str]],
) -> go.Heatmap:
    """Fields at 0, 1, 2 and so on, the darker the larger the value."""
    most = max((value for row in values for value in row if value is not None), default=0.0)
    return go.Heatmap(
        z=values,
        x=list(range(len(values[0]))),
        y=list(range(len(values))),
        text=told,
        texttemplate="%{text}",
        textfont={"size": 13},
        hovertext=hover,
        hoverinfo="text",
        colorscale=[list(step) for step in DEEPER],
        zmin=0,
        zmax=most if most > 0 else 1,
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
        tall=True,
    )
