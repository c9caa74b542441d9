"""A feature's possible values, cut into pieces that every rule of a map treats alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, inf

from rfm_spark.rules.maps import Range
from rfm_spark.schemas import WHOLE_FEATURES

_WHOLE = set(WHOLE_FEATURES)
# What a customer with a purchase can have; only such customers are judged by rules.
_LEAST = {
    "recency_days": 1,
    "first_purchase_days": 1,
    **dict.fromkeys(("orders", "active_days", "lines", "purchase_amount", "avg_order_value"), 0),
}
_MOST = {"refund_amount": 0}
_NEVER_NULL = _WHOLE | {"monetary", "purchase_amount", "refund_amount"}


@dataclass(frozen=True)
class Piece:
    """Values between two bounds, one of them as an example; None: no value at all."""

    example: float | None
    text: str


def pieces(feature: str, ranges: Iterable[Range]) -> list[Piece]:
    """The pieces of a feature, ascending, null last.

    Args:
        feature: Its column. Of features that are whole numbers, have a lowest or highest possible
            value or are never null for a customer with a purchase, only what can occur counts; an
            unknown feature may be any number or null.
        ranges: All ranges that the rules of a map give for it.
    """
    bounds = sorted({bound for range_ in ranges for bound in range_ if bound is not None})
    least, most = _LEAST.get(feature, -inf), _MOST.get(feature, inf)
    found = []
    ends = [-inf, *bounds, inf]
    for place, low in enumerate(ends[:-1]):
        high = ends[place + 1]
        between = _between(feature, low, high, least, most)
        found += [between] if between is not None else []
        is_possible = least <= high <= most and high < inf
        if is_possible and (feature not in _WHOLE or high == int(high)):
            found.append(Piece(high, f"{feature} {high:g}"))
    if feature not in _NEVER_NULL:
        found.append(Piece(None, f"{feature} null"))
    return found


def _between(feature: str, low: float, high: float, least: float, most: float) -> Piece | None:
    """The values strictly between two bounds that can occur."""
    if feature in _WHOLE:
        first = max(floor(low) + 1 if low > -inf else -inf, least)
        last = min(ceil(high) - 1 if high < inf else inf, most)
        return None if first > last else Piece(_example(first, last), _text(feature, first, last))
    if max(low, least) >= min(high, most):
        return None
    example = _example(max(low, least), min(high, most))
    return Piece(example, _text(feature, low, high, words=("above", "below", "between", "and")))


def _example(low: float, high: float) -> float:
    """A number between two bounds: no bound of a rule lies there, so any one stands for all."""
    if low == -inf and high == inf:
        return 0.0
    if low == -inf or high == inf:
        return high - 1 if low == -inf else low + 1
    return (low + high) / 2


def _text(
    feature: str,
    low: float,
    high: float,
    words: tuple[str, str, str, str] = ("from", "up to", "from", "to"),
) -> str:
    above, below, between, to = words
    if low == high:
        return f"{feature} {low:g}"
    if low == -inf and high == inf:
        return f"{feature} any"
    if low == -inf or high == inf:
        return f"{feature} {below} {high:g}" if low == -inf else f"{feature} {above} {low:g}"
    return f"{feature} {between} {low:g} {to} {high:g}"
