"""Numbers, dates and names as people read them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from rfm_spark.schemas import FEATURE_LABELS, MONEY_FEATURES

NONE = "\u2013"
_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"
_STEPS = ((10**12, "T"), (10**9, "B"), (10**6, "M"))
_FULL = 100_000
"""Money from here on is told in millions where space is short; below, in full."""
_MANY = 100


@dataclass(frozen=True)
class Money:
    """Amounts with their currency and its decimals."""

    currency: str
    scale: int = 2

    def exact(self, amount: Decimal | None) -> str:
        """To the last decimal, as in ``USD 4,596,039.58``."""
        return NONE if amount is None else self._unit(f"{amount:,.{self.scale}f}")

    def short(self, amount: Decimal | float | None) -> str:
        """With the digits that tell, as in ``USD 4.60 M``."""
        if amount is None:
            return NONE
        return self._unit(_short(float(amount)))

    def _unit(self, number: str) -> str:
        number = number.replace("-", "\u2212")
        return f"{self.currency}\u00a0{number}" if self.currency else number


def _short(value: float) -> str:
    size = abs(value)
    if size < _FULL:
        return number(value)
    for step, letter in _STEPS:
        if size >= step:
            scaled = value / step
            digits = 2 if abs(scaled) < 10 else 1 if abs(scaled) < _MANY else 0  # noqa: PLR2004
            return f"{scaled:,.{digits}f}\u00a0{letter}"
    return f"{value / 1000:,.0f}\u00a0k"


def number(value: float | None) -> str:
    """A number with the digits that tell: 1,234, 56.7, 8.91, 0.0123."""
    if value is None:
        return NONE
    size = abs(value)
    if size >= _MANY or value == int(value):
        text = f"{value:,.0f}"
    elif size >= 1:
        text = f"{value:,.1f}" if size >= 10 else f"{value:,.2f}"  # noqa: PLR2004
    else:
        text = f"{value:.2g}"
    return ("0" if text in ("-0", "-0.0") else text).replace("-", "\u2212")


def count(value: float | None) -> str:
    """How many: a whole number with thousands separators."""
    return NONE if value is None else f"{value:,.0f}"


def share(value: float | None, digits: int = 1) -> str:
    """A part of a whole in percent; what is small but not nothing is never told as 0."""
    if value is None:
        return NONE
    text = f"{value:.{digits}%}"
    if value > 0 and not text.strip("0.%"):
        text = f"< {10**-digits / 100:.{digits}%}"
    return text.replace("-", "\u2212").replace("%", "\u00a0%")


def people(value: int) -> str:
    """``1 customer``, ``1,234 customers``."""
    return f"{value:,} customer{'' if value == 1 else 's'}"


def day(value: date | None) -> str:
    """``1 January 2018``."""
    return NONE if value is None else f"{value.day} {value:%B} {value.year}"


def short_day(value: date) -> str:
    """``1 Jan 2018``."""
    return f"{value.day} {value:%b} {value.year}"


def name(text: str | None, most: int | None = None) -> str:
    """A name from data on one line: no newlines, control characters or turned directions.

    Args:
        text: The name; None and blank ones are told as such.
        most: Characters at most; the end of a longer one is left out.
    """
    kept = "".join(
        " " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter
        for letter in text or ""
        if letter not in _BIDI and unicodedata.category(letter) != "Cs"
    )
    line = " ".join(kept.split()) or "(no name)"
    return line if most is None or len(line) <= most else f"{line[: most - 1].rstrip()}…"


def label(feature: str) -> str:
    """What a feature is called; an extra one by its own name."""
    return name(FEATURE_LABELS.get(feature, feature.replace("_", " ")))


def value(feature: str, amount: float | None, money: Money) -> str:
    """A feature's value with its unit."""
    if amount is None:
        return NONE
    if feature in MONEY_FEATURES:
        return money.short(amount)
    if feature.endswith("_days") and feature != "active_days":
        return f"{number(amount)} day{'' if amount == 1 else 's'}"
    return number(amount)


def listed(parts: Sequence[str]) -> str:
    """Parts as a list in a sentence."""
    *first, last = parts or [""]
    return f"{', '.join(first)} and {last}" if first else last
