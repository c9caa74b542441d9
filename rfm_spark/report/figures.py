"""All figures of a report, those that follow the filters included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import plotly.graph_objects as go

from rfm_spark.report import clusters, money, movement, prospects, segments, sweep, words
from rfm_spark.report.drawing import Drawing
from rfm_spark.report.records import Records


@dataclass(frozen=True)
class Figures:
    """What the page draws.

    Args:
        drawings: Key to figure.
        names: The rule segments of all dates, best first; places in it stand for them in figures.
        dated: Key to the same figure at each date that has one.
        grids: The fields of both score grids for each of the names; None where nobody has bought.
    """

    drawings: Mapping[str, Drawing]
    names: Sequence[str]
    dated: Mapping[str, Mapping[date, go.Figure]]
    grids: Sequence[tuple[go.Heatmap, go.Heatmap] | None]


def figures_of(records: Records, unit: words.Money) -> Figures:
    """Draw whatever there is something to draw of."""
    names = _names(records)
    known = {name: place for place, name in enumerate(names)}
    bins = records.about.bins["recency"], records.about.bins["frequency"]
    dated = {"treemap": _treemaps(records, known, unit), "sankey": _sankeys(records, known)}
    day = records.about.snapshot_date
    drawn: list[Drawing | None] = [
        _of_date("treemap", "Segments by size", dated["treemap"], day, 430),
        *segments.score_grids(records.cells, bins, unit),
        money.pareto(records.curve, unit),
        money.months(records.months, day, unit),
        money.score_against(records.sample, records.score_lines, _worth(records), known, unit),
        *_cluster_figures(records, known, unit),
        _of_date("sankey", "Who moved where", dated["sankey"], day, 560),
        movement.sizes(records.segments, "rfm", known),
        prospects.drift([one for one in records.drift if one.day == day], records.about.psi_limit),
        *prospects.outlook(records.outlook, unit),
    ]
    own = [[cell for cell in records.cells if cell.segment == name] for name in names]
    grids = [
        segments.grid_traces(bought, bins, unit)
        if (bought := [cell for cell in cells if cell.has_purchase])
        else None
        for cells in own
    ]
    return Figures({one.key: one for one in drawn if one is not None}, names, dated, grids)


def _names(records: Records) -> list[str]:
    """Rule segments of all dates in order of their newest rank."""
    own = sorted((one for one in records.segments if one.kind == "rfm"), key=lambda one: one.day)
    ranks = {one.name: one.rank for one in own}
    return sorted(ranks, key=lambda name: (ranks[name], name))


def _worth(records: Records) -> str:
    return "aum_per_day" if records.about.has_aum else "monetary"


def _treemaps(
    records: Records, known: Mapping[str, int], unit: words.Money
) -> dict[date, go.Figure]:
    by_day = {
        day: [one for one in records.segments if one.kind == "rfm" and one.day == day]
        for day in records.dates
    }
    return {
        day: segments.treemap(own, known, unit)
        for day, own in by_day.items()
        if any(one.customers for one in own)
    }


def _sankeys(records: Records, known: Mapping[str, int]) -> dict[date, go.Figure]:
    ranks = {name: place + 1 for name, place in known.items()}
    by_day = {day: movement.moves_of(records.moves, "rfm", day) for day in records.dates}
    return {day: movement.sankey(own, ranks, known) for day, own in by_day.items() if own}


_LEADS = {
    "treemap": (
        "Each tile is a segment: the larger, the more customers; the darker, the more of the "
        "revenue it brings.",
        "Treemap of segments by customers, coloured by share of revenue",
    ),
    "sankey": (
        "From the segments of the earlier date (left) to those of the later one (right). Blue "
        "streams lead to a better segment, orange ones to a worse one, grey ones stay; green are "
        "new customers, dark ones have left.",
        "Streams of customers between segments of two dates",
    ),
}


def _of_date(
    key: str, title: str, by_day: Mapping[date, go.Figure], day: date, height: int
) -> Drawing | None:
    """A figure that follows the date; it is on the page if any date has one."""
    if not by_day:
        return None
    figure = by_day.get(day) or by_day[max(by_day)]
    return Drawing(key, title, figure, height, *_LEADS[key], tall=True)


def _cluster_figures(
    records: Records, known: Mapping[str, int], unit: words.Money
) -> Iterable[Drawing | None]:
    own = records.of_kind("cluster")
    if not own:
        return
    names = [one.name for one in own]
    features = _axes(records)
    yield from sweep.sweep(records.fits)
    yield clusters.space(records.sample, names, features, known, unit)
    yield clusters.flat(records.sample, names, features, known, unit)
    if records.model is not None:
        yield clusters.profiles(records.model, own, unit)
    yield segments.overlap(
        records.overlaps, [one.name for one in records.of_kind("rfm") if one.customers], names
    )


def _axes(records: Records) -> list[str]:
    """What the clusters are made of, and the roles where that is less than three features."""
    own = [*(records.model.features if records.model else ()), *records.about.roles.values()]
    return [one for one in dict.fromkeys(own) if not one.endswith("_score")]
