"""The questions that a reader comes with, answered in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rfm_spark.report import words
from rfm_spark.report.money import top_share
from rfm_spark.report.quality import Trust, trust
from rfm_spark.report.records import Cell, Records, Segment
from rfm_spark.report.tables import traits_of

_FEW = 3
_LOW, _HIGH = 0.4, 0.8
"""Of the scores there are: up to here is low, from there on high; 2 and 4 of 5."""


@dataclass(frozen=True)
class Answer:
    """A question, its answer in a sentence, and more sentences."""

    question: str
    answer: str
    further: Sequence[str] = ()
    is_alarm: bool = False


@dataclass(frozen=True)
class Slipping:
    """Good customers who have not been seen for long."""

    customers: int
    revenue: Decimal
    share: float | None
    places: Sequence[tuple[str, int]]
    rule: str


def answers(records: Records, money: words.Money) -> list[Answer]:
    """Who is best, what do they bring, who slips away, what to do, and whether to trust it."""
    segments = records.of_kind("rfm")
    return [
        _best(records, segments, money),
        _bring(records, segments),
        _slipping(slipping(records), money),
        _what_to_do(segments),
        _trusted(trust(records, money)),
    ]


def best(segments: Sequence[Segment]) -> Segment | None:
    """The best-ranked segment that has customers."""
    return next((one for one in segments if one.customers), None)


def slipping(records: Records) -> Slipping:
    """Low recency, high frequency or money, and a net spend above 0."""
    bins = records.about.bins
    low = max(1, math.floor(_LOW * bins["recency"]))
    often, much = (math.ceil(_HIGH * bins[role]) for role in ("frequency", "monetary"))
    own = [
        cell
        for cell in records.cells
        if cell.has_purchase and cell.r <= low and (cell.f >= often or cell.m >= much)
    ]
    positive = [cell for cell in own if cell.revenue > 0]
    revenue = sum((cell.revenue for cell in positive), Decimal(0))
    share = float(revenue / records.revenue) if records.revenue > 0 else None
    rule = f"recency score up to {low}, and frequency from {often} on or money from {much} on"
    return Slipping(
        sum(cell.customers for cell in positive), revenue, share, _places(positive), rule
    )


def _places(cells: Sequence[Cell]) -> list[tuple[str, int]]:
    """Segments by how many of the customers they have, most first."""
    counts: dict[str, int] = {}
    for cell in cells:
        counts[cell.segment] = counts.get(cell.segment, 0) + cell.customers
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def _best(records: Records, segments: Sequence[Segment], money: words.Money) -> Answer:
    question, first = "Who are our best customers, and how many?", best(segments)
    if first is None:
        return Answer(question, "There are no customers.")
    told = (
        f"{words.name(first.name)}: {words.people(first.customers)}, {words.share(first.share)} of "
        f"all, who brought {money.short(first.revenue)}"
    )
    if first.revenue_share is not None:
        told += f" or {words.share(first.revenue_share)} of the revenue"
    traits = traits_of(first)
    return Answer(question, f"{told}.", [f"They are {traits}."] if traits else [])


def _bring(records: Records, segments: Sequence[Segment]) -> Answer:
    question = "What do they bring?"
    top = sum(one.pareto_customers or 0 for one in segments)
    if records.revenue <= 0 or not top:
        return Answer(question, "Revenue altogether is not above 0, so nobody has a share of it.")
    everybody = records.customers
    told = f"{words.people(top)} ({words.share(top / everybody)}) bring 80\u00a0% of the revenue."
    most = sorted(segments, key=lambda one: (-(one.pareto_customers or 0), one.rank))
    places = [
        f"{words.share((one.pareto_customers or 0) / top, 0)} of them are in {words.name(one.name)}"
        for one in most[:_FEW]
        if one.pareto_customers
    ]
    parts = [
        (part, share)
        for part in (0.1, 0.2)
        if (share := top_share(records.curve, part)) is not None
    ]
    further = [f"{_sentence(words.listed(places))}."]
    if parts:
        shares = [
            f"the best {words.share(part, 0)} bring {words.share(share, 0)}"
            for part, share in parts
        ]
        further.append(f"{_sentence(words.listed(shares))}.")
    return Answer(question, told, further)


def _slipping(found: Slipping, money: words.Money) -> Answer:
    question = "Who is slipping away?"
    if not found.customers:
        return Answer(
            question, "Nobody who was worth much has been silent for long.", [f"({found.rule})"]
        )
    told = (
        f"{words.people(found.customers)} who used to buy often or much and have not been seen for "
        f"long; they brought {money.short(found.revenue)}"
    )
    if found.share is not None:
        told += f", {words.share(found.share)} of the revenue"
    places = [f"{words.count(n)} in {words.name(name)}" for name, n in found.places[:_FEW]]
    return Answer(question, f"{told}.", [f"{words.listed(places)}.", f"Counted: {found.rule}."])


def _what_to_do(segments: Sequence[Segment]) -> Answer:
    by_money = sorted(segments, key=lambda one: (-one.revenue, one.rank))
    top = [one for one in by_money if one.customers][:_FEW]
    if not top:
        return Answer("What should we do?", "There is nobody to do anything for.")
    told = "Begin where the money is; the table of segments below has an action for each."
    further = [
        f"{words.name(one.name)} ({words.count(one.customers)}): {words.name(one.action)}."
        for one in top
    ]
    return Answer("What should we do?", told, further)


def _trusted(found: Trust) -> Answer:
    return Answer("Can I trust it?", found.verdict, found.reasons, found.is_alarm)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
