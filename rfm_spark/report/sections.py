"""What the sections of the page say beside their figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rfm_spark.report import tables, words
from rfm_spark.report.movement import moves_of
from rfm_spark.report.quality import SourceQuality, drift_alarms, latest_drift, sources
from rfm_spark.report.records import Records, SourceDays

Rows = Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class SegmentSection:
    """Segments of every date of the history."""

    by_day: Sequence[tuple[str, str, Sequence[tables.SegmentRow]]]


@dataclass(frozen=True)
class ClusterSection:
    """Clusters of the date, and why there are so many."""

    rows: Sequence[tables.SegmentRow]
    why: str
    sample: str
    fits: Rows


@dataclass(frozen=True)
class MovementSection:
    """Who moved, how stable the segments are, what is expected."""

    moves: Sequence[tuple[str, str, Rows]]
    recut: str
    stability: Rows
    drift: str
    value: str
    outlook: Rows
    previous: str


@dataclass(frozen=True)
class PeopleSection:
    """Attributes and target events by segment."""

    attributes: Sequence[tables.Crossed]
    events: Sequence[tuple[str, Rows]]


@dataclass(frozen=True)
class SourceTable:
    """Where the rows of a source went, and which days it has."""

    source: str
    days: str
    lines: Rows
    adds_up: bool
    has_money: bool


@dataclass(frozen=True)
class QualitySection:
    """Sources, their money and their days."""

    sources: Sequence[SourceTable]
    state: str


@dataclass(frozen=True)
class MakingSection:
    """Versions, settings and edges."""

    facts: Rows
    settings: Rows
    tables: Rows
    edge_headings: Sequence[str]
    edges: Rows


def segments(records: Records, money: words.Money) -> SegmentSection:
    """A table for each date, the report's own first."""
    days = sorted(
        records.dates, key=lambda day: (day != records.about.snapshot_date, -day.toordinal())
    )
    return SegmentSection(
        [
            (str(day), words.day(day), tables.segment_rows(records, "rfm", day, money))
            for day in days
        ]
    )


def clusters(records: Records, money: words.Money) -> ClusterSection:
    """Clusters of the report's date."""
    model, day = records.model, records.about.snapshot_date
    rows = tables.segment_rows(records, "cluster", day, money)
    why = ""
    if model is not None:
        features = words.listed([words.label(one) for one in model.features])
        why = (
            f"k = {model.k} was chosen: {words.name(model.because)}. The clusters were fitted on "
            f"{words.people(model.customers)} as of {words.day(model.snapshot_date)}, by "
            f"{'k-means' if model.algorithm == 'kmeans' else 'bisecting k-means'} on {features}"
            f"{' (logarithms)' if model.transform == 'log1p' else ''}."
        )
    fits = [
        (
            f"{fit.k}{' (chosen)' if fit.chosen else ''}",
            words.number(fit.wcss),
            words.NONE if fit.silhouette is None else f"{fit.silhouette:.3f}",
            words.share(fit.min_share),
            words.NONE if fit.stability is None else f"{fit.stability:.2f}",
        )
        for fit in records.fits
    ]
    return ClusterSection(rows, why, _sample(records), fits)


def _sample(records: Records) -> str:
    everybody, drawn = records.customers, len(records.sample)
    if not drawn:
        return ""
    if drawn >= everybody:
        return f"All {words.people(everybody)} are shown."
    return (
        f"{words.count(drawn)} of {words.people(everybody)} are shown, drawn by lot (a hash of the "
        f"customer, so that the same ones come each time) from every cluster in proportion, but at "
        f"least {words.count(records.sample_floor)} of each, or all that it has: small clusters "
        "look larger here than they are."
    )


def movement(records: Records, money: words.Money) -> MovementSection:
    """Who moved since the previous date, and what follows from it."""
    day = records.about.snapshot_date
    moves = []
    for one in reversed(records.dates):
        rows = tables.largest_moves(records, "rfm", one, money)
        previous = max((m.previous for m in moves_of(records.moves, "rfm", one)), default=None)
        if previous is not None:
            moves.append((str(one), f"{words.day(previous)} to {words.day(one)}", rows))
    own = [one for one in records.stability if one.kind == "rfm" and one.day == day]
    newest = max(own, key=lambda one: one.previous, default=None)
    return MovementSection(
        moves,
        _moved(newest.customers - newest.kept, newest.customers, newest.by_recut) if newest else "",
        tables.stability_rows(records),
        _drift(records),
        _value(records, money),
        tables.outlook_rows(records.outlook, "rfm", money),
        words.day(newest.previous) if newest else "",
    )


def _moved(moved: int, customers: int, by_recut: int | None) -> str:
    told = f"{words.count(moved)} of {words.people(customers)} of both dates have moved"
    if by_recut is None:
        return f"{told}; whether they or the borders moved is no longer known."
    if not by_recut:
        return f"{told}, all by what they did: the borders between the segments have not moved."
    return f"{told}. {words.people(by_recut)} would be elsewhere by the earlier borders or model."


def _drift(records: Records) -> str:
    own = latest_drift(records)
    if not own:
        return ""
    about, alarms = records.about, drift_alarms(records)
    ratio = own[0].wcss_ratio
    told = (
        "Customers lie as close to their clusters' centres as at the fit."
        if ratio is None
        else f"Customers lie {ratio:.2f} times as far (squared) from their clusters' centres as at "
        f"the fit; the alarm is at {about.wcss_limit:g}."
    )
    verdict = f"Alarm: {words.listed(alarms)}. " if alarms else "No alarm. "
    return verdict + told


def _value(records: Records, money: words.Money) -> str:
    found = tables.base_value(records.outlook)
    if found is None:
        return ""
    value, periods = found
    days = (records.about.snapshot_date - records.outlook[0].previous).days
    return (
        f"If customers go on moving as they did since {words.day(records.outlook[0].previous)}, "
        f"today's customers bring {money.short(value)} in the next {periods} periods of {days} "
        f"days, discounted by {words.share(records.about.discount_rate, 0)} each. Nobody new is "
        "counted."
    )


def people(records: Records) -> PeopleSection:
    """Who they are, and what they did beside buying."""
    own = records.of_kind("rfm")
    ranks = {one.name: one.rank for one in own}
    return PeopleSection(
        tables.attribute_tables([one for one in own if one.customers]),
        tables.event_tables(records.events, ranks),
    )


def quality(records: Records, money: words.Money) -> QualitySection:
    """Where rows and money of each source went."""
    days = {one.source: one for one in records.days}
    found = sources(records.measures)
    return QualitySection(
        [_source(one, _days(days.get(one.source)), money) for one in found], _state(records)
    )


def _source(found: SourceQuality, days: str, money: words.Money) -> SourceTable:
    def row(what: str, rows: int, amount: Decimal | None) -> tuple[str, ...]:
        part = words.share(rows / found.read, 2) if found.read else words.NONE
        return what, words.count(rows), part, money.exact(amount)

    lines = [
        row("read", found.read, found.read_amount),
        row("accepted", found.accepted, found.accepted_amount),
        *(row(one.what, one.rows, one.amount) for one in found.lines),
    ]
    return SourceTable(
        words.name(found.source), days, lines, found.adds_up, found.read_amount is not None
    )


def _days(found: SourceDays | None) -> str:
    if found is None or found.first is None:
        return "No row was accepted."
    told = f"Accepted rows from {words.day(found.first)} to {words.day(found.last)}"
    if not found.gap_days:
        return f"{told}; no day in between is without rows."
    gaps = [
        words.short_day(first)
        if first == last
        else f"{words.short_day(first)} to {words.short_day(last)}"
        for first, last in found.gaps[:5]
    ]
    more = (
        ", and others" if found.gap_days > sum((b - a).days + 1 for a, b in found.gaps[:5]) else ""
    )
    days = f"{words.count(found.gap_days)} day{'s'[: found.gap_days != 1]}"
    return f"{told}; {days} without rows: {', '.join(gaps)}{more}."


def _state(records: Records) -> str:
    if records.is_stale:
        return (
            "Out of date: what the labels rest on has been written again since; `backfill` writes "
            "them anew."
        )
    if records.is_unfinished:
        return (
            "A later run of this date was killed or is at work: some tables may be newer than "
            "others."
        )
    return "Up to date: nothing that the labels rest on has been written since."


def making(records: Records, money: words.Money) -> MakingSection:
    """Versions, settings and what the scores mean."""
    made, about = records.made, records.about
    facts = [
        ("Snapshot date", f"{about.snapshot_date} (everything before this day counts)"),
        ("Window", "all history" if about.window_days is None else f"{about.window_days} days"),
        ("Business days in", about.timezone),
        ("Rule map", words.name(about.rules)),
        ("Model", made.model_version or words.NONE),
        ("Score edges", f"{made.thresholds_version or words.NONE}, cut on {made.thresholds_date}"),
        ("Run", made.run_id or words.NONE),
        ("Settings (hash)", made.config_hash or words.NONE),
        ("rfm_spark", f"{made.code_version or words.NONE} (report: {made.report_version})"),
        ("Written by", words.name(made.engine) if made.engine else words.NONE),
    ]
    return MakingSection(
        facts,
        [(words.name(key), words.name(value)) for key, value in made.settings],
        [(name, words.count(version)) for name, version in made.tables.items()],
        *tables.edge_table(records.edges, money),
    )
