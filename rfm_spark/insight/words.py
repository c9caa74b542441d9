"""A short insight in words, made from a segment's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rfm_spark.schemas import FEATURE_LABELS, MONEY_FEATURES

_CLOSE = (0.8, 1.25)
_HARDLY = 0.05
"""Ratios between these say nothing worth a word."""
_WORDS = {"recency": ("recent", "not seen for long"), "frequency": ("rare", "frequent")}
"""What less and more than other customers is called."""


@dataclass(frozen=True)
class Figure:
    """A feature of a segment beside the same of all customers.

    Args:
        role: recency, frequency, monetary or aum.
        feature: Feature column that plays the role.
        own: Median (recency, frequency) or mean (money) in the segment; None without any value.
        base: The same over all customers.
    """

    role: str
    feature: str
    own: float | None
    base: float | None


@dataclass(frozen=True)
class Portrait:
    """What a sentence about a segment is made from.

    Args:
        figures: What the segment is like.
        share: Of all customers, 0 to 1.
        revenue_share: Of all revenue; None where that is not positive.
        action: The segment's marketing action; what stands before a colon is its gist.
        currency: Label of money.
    """

    figures: Sequence[Figure]
    share: float
    revenue_share: float | None
    action: str
    currency: str = ""


def insight(portrait: Portrait) -> str:
    """How a segment differs from other customers, and what follows from it.

    Figures below 0.8 or above 1.25 times that of all customers are told: what speaks for the
    segment first, then, after a "but", what speaks against it. Medians are called typical.

    Returns:
        As in "12.3% of customers, 40.1% of revenue: recent (5 days since the last purchase,
        typically 20) and frequent (25 orders, typically 10), but 0.4 x the average net spend (USD
        40, average USD 100): upsell".
    """
    size = f"{portrait.share:.1%} of customers"
    if portrait.revenue_share is not None:
        size += f", {portrait.revenue_share:.1%} of revenue"
    told = [trait for one in portrait.figures if (trait := _trait(one, portrait.currency))]
    good = _joined([text for is_good, text in told if is_good])
    bad = _joined([text for is_good, text in told if not is_good])
    traits = ", but ".join(part for part in (good, bad) if part) or "close to other customers"
    gist, colon, _ = portrait.action.partition(":")
    return f"{size}: {traits}" + (f": {gist[:1].lower()}{gist[1:]}" if colon else "")


def label(feature: str) -> str:
    """What a feature is called; an extra one by its own name."""
    return FEATURE_LABELS.get(feature, feature.replace("_", " "))


def amount(feature: str, value: float, currency: str) -> str:
    """A feature's value for people: money with its currency, small numbers with a decimal."""
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}".removesuffix(".0")  # noqa: PLR2004
    return f"{currency} {number}" if currency and feature in MONEY_FEATURES else number


def _trait(figure: Figure, currency: str) -> tuple[bool, str] | None:
    """Whether it speaks for the segment, and how; None where there is nothing to tell."""
    name = label(figure.feature)
    if figure.role == "recency" and figure.own is None:
        is_purchase = figure.feature == "recency_days"
        return False, "without any purchase so far" if is_purchase else f"without {name}"
    if figure.own is None or figure.base is None or figure.base <= 0:
        return None
    ratio = figure.own / figure.base
    if _CLOSE[0] < ratio < _CLOSE[1]:
        return None
    own, base = (amount(figure.feature, n, currency) for n in (figure.own, figure.base))
    is_more = ratio > 1
    if figure.role in _WORDS:
        word = _WORDS[figure.role][is_more]
        return is_more == (figure.role == "frequency"), f"{word} ({own} {name}, typically {base})"
    share = "less than 0.1" if 0 <= ratio < _HARDLY else f"{ratio:.1f}"
    times = f"{share} x the average" if ratio >= 0 else "negative"
    return is_more, f"{times} {name} ({own}, average {base})"


def _joined(parts: Sequence[str]) -> str:
    """Parts as a list in a sentence."""
    *first, last = parts or [""]
    return f"{', '.join(first)} and {last}" if first else last
