"""Figures of the clusters: where they lie, and what sets them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from rfm_spark.report import words
from rfm_spark.report.drawing import (
    Drawing,
    axis,
    broken,
    figure,
    lines,
    log_axis,
    named_axis,
    signed_log,
    text,
)
from rfm_spark.report.palette import (
    AROUND,
    INK,
    LINE,
    SOFT,
    category,
    symbol,
)
from rfm_spark.report.records import Model, Point, Segment
from rfm_spark.schemas import MONEY_FEATURES

_FAR = 2.0
"""Standard deviations from which on a colour is as deep as it gets."""
_AXES = 3


def space(
    sample: Sequence[Point],
    names: Sequence[str],
    features: Sequence[str],
    places: Mapping[str, int],
    money: words.Money,
) -> Drawing | None:
    """The sample in three dimensions, coloured by cluster."""
    axes = _axes(sample, features)
    if len(axes) < _AXES:
        return None
    traces = [
        go.Scatter3d(
            **_coordinates(points, axes, "xyz"),
            mode="markers",
            name=text(name),
            marker={
                "size": 3.2,
                "opacity": 0.75,
                "color": category(place),
                "symbol": symbol(place),
            },
            hovertext=[_told(point, axes, money) for point in points],
            customdata=[places.get(point.segment, -1) for point in points],
            hoverinfo="text",
        )
        for place, name in enumerate(names)
        if (points := [point for point in sample if point.cluster == name])
    ]
    scene = {
        f"{letter}axis": {
            **_axis_of(sample, one, money),
            "gridcolor": LINE,
            "showbackground": False,
            "tickfont": {"size": 10},
            "color": SOFT,
        }
        for letter, one in zip("xyz", axes, strict=True)
    }
    camera = {"eye": {"x": 1.55, "y": -1.55, "z": 0.75}, "center": {"x": 0, "y": 0, "z": -0.08}}
    drawn = figure(
        *traces,
        scene={**scene, "camera": camera, "aspectmode": "cube", "dragmode": "turntable"},
        showlegend=True,
        legend=_legend(),
        dragmode="turntable",
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
    )
    return Drawing(
        "space",
        "Clusters in space",
        drawn,
        470,
        "Each mark is a customer of the sample; drag to turn.",
        "3-D scatter by cluster",
    )


def flat(
    sample: Sequence[Point],
    names: Sequence[str],
    features: Sequence[str],
    places: Mapping[str, int],
    money: words.Money,
) -> Drawing | None:
    """The same customers from one side: the first feature against the last of the first three."""
    axes = _axes(sample, features)
    if len(axes) < 2:  # noqa: PLR2004 - a plane has two sides
        return None
    pair = [axes[0], axes[-1]]
    traces = [
        go.Scatter(
            **_coordinates(points, pair, "xy"),
            mode="markers",
            name=text(name),
            marker={"size": 6, "opacity": 0.55, "color": category(place), "symbol": symbol(place)},
            hovertext=[_told(point, axes, money) for point in points],
            customdata=[places.get(point.segment, -1) for point in points],
            hoverinfo="text",
        )
        for place, name in enumerate(names)
        if (points := [point for point in sample if point.cluster == name])
    ]
    drawn = figure(
        *traces,
        xaxis={**axis(), **_axis_of(sample, pair[0], money)},
        yaxis={**axis(), **_axis_of(sample, pair[1], money)},
        showlegend=True,
        legend=_legend(),
    )
    return Drawing(
        "flat",
        "The same from one side",
        drawn,
        470,
        "The same customers by two of the features; hover for all of them.",
        "Scatter by cluster",
    )


def _legend() -> dict[str, object]:
    return {
        "orientation": "h",
        "x": 0,
        "y": 1.02,
        "yanchor": "bottom",
        "itemsizing": "constant",
        "font": {"size": 12, "color": INK},
    }


def _axes(sample: Sequence[Point], features: Sequence[str]) -> list[str]:
    known = set(sample[0].values) if sample else set()
    return [one for one in dict.fromkeys(features) if one in known][:_AXES]


def _coordinates(
    points: Sequence[Point], axes: Sequence[str], letters: str
) -> dict[str, list[float | None]]:
    return {
        letter: [
            None if (value := point.values[one]) is None else signed_log(value) for point in points
        ]
        for letter, one in zip(letters, axes, strict=True)
    }


def _axis_of(sample: Sequence[Point], feature: str, money: words.Money) -> dict[str, object]:
    values = [value for point in sample if (value := point.values[feature]) is not None]
    own = money if feature in MONEY_FEATURES else None
    return log_axis(values, words.label(feature), own)


def _told(point: Point, axes: Sequence[str], money: words.Money) -> str:
    features = [f"{words.label(one)}: {words.value(one, point.values[one], money)}" for one in axes]
    return lines(text(point.cluster), text(point.segment), *(text(one, 80) for one in features))


def profiles(model: Model, segments: Sequence[Segment], money: words.Money) -> Drawing | None:
    """What sets the clusters apart: colours say how far from the average, numbers what it is."""
    own = {one.name: one for one in segments}
    rows = [
        (name, z)
        for _, name, z in sorted(zip(model.ranks, model.names, model.z, strict=True))
        if name in own
    ]
    if not rows:
        return None
    z = [far for _, far in rows]
    names = [name for name, _ in rows]
    told = [
        [
            f"{_natural(own[name], one, money)}<br>{_signed(far)}"
            for one, far in zip(model.features, row, strict=True)
        ]
        for name, row in rows
    ]
    hover = [
        [
            lines(
                f"{text(name)}: {text(words.label(one), 60)}",
                f"typically {_natural(own[name], one, money)}",
                f"{_signed(far)} standard deviations from the average customer",
            )
            for one, far in zip(model.features, row, strict=True)
        ]
        for name, row in rows
    ]
    trace = go.Heatmap(
        z=z[::-1],
        x=list(range(len(model.features))),
        y=list(range(len(names))),
        text=told[::-1],
        texttemplate="%{text}",
        textfont={"size": 12},
        hovertext=hover[::-1],
        hoverinfo="text",
        colorscale=[list(step) for step in AROUND],
        zmin=-_FAR,
        zmax=_FAR,
        showscale=False,
        xgap=3,
        ygap=3,
    )
    labels = [words.label(one) for one in model.features]
    drawn = figure(
        trace,
        xaxis=named_axis(labels, side="top", tickangle=0)
        | {"ticktext": [broken(text(one, 40)) for one in labels]},
        yaxis=named_axis(names[::-1]),
    )
    return Drawing(
        "profiles",
        "What sets the clusters apart",
        drawn,
        110 + 58 * len(names),
        "Upper number: the median of the cluster's customers now. Lower number and colour: how "
        "many standard deviations the cluster's centre lies above (+, blue) or below (\u2212, "
        "orange) the average customer.",
        "Heat map of clusters by feature in standard deviations",
        tall=True,
    )


def _natural(segment: Segment, feature: str, money: words.Money) -> str:
    return words.value(feature, segment.medians.get(feature), money)


def _signed(far: float) -> str:
    return f"{far:+.1f}".replace("-", "\u2212").replace("+0.0", "0.0").replace("\u22120.0", "0.0")
