"""Where the edges of each score method lie, in plain Python: ranks first, then values.

Every method cuts n bins by n - 1 edges over the customers with a value, in ascending order of the
value. What differs is which ranks an edge is made of, and on which side the edge itself falls.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

CUT_METHODS = ("value", "qcut", "rank", "ntile", "r")
FIXED = "fixed"
ORDERED_METHODS = ("rank", "ntile")
"""Methods that part customers of equal value, in order of customer_id."""


@dataclass(frozen=True)
class Position:
    """An edge between two ranks (1 = smallest), ``fraction`` of the way from one to the other."""

    lower: int
    upper: int
    fraction: float = 0.0


def positions(method: str, customers: int, bins: int) -> list[Position]:
    """The ranks that each edge is made of, lowest edge first; none without customers.

    - value: the smallest rank with at least j/n of the customers at or below it.
    - qcut: Hyndman and Fan's type 7, as numpy computes it for ``pandas.qcut``.
    - r: type 7, as R's ``quantile`` computes it.
    - rank: the last customer of each bin of ``qcut(rank(method="first"))``.
    - ntile: the last customer of each bucket of SQL's ``NTILE``; the first N mod n buckets have
      one more.

    Args:
        method: One of :data:`CUT_METHODS`.
        customers: Customers with a value.
        bins: Number of scores.
    """
    if customers == 0:
        return []
    edges = range(1, bins)
    if method == "value":
        return [_at(-(-j * customers // bins)) for j in edges]
    if method == "ntile":
        size, larger = divmod(customers, bins)
        return [_at(j * size + min(j, larger)) for j in edges]
    if method == "r":
        return [_between_as_r(customers, j, bins) for j in edges]
    between = [_between_as_numpy(customers, j, bins) for j in edges]
    if method == "qcut":
        return between
    return [_at(floor(_interpolated(p.lower, p.upper, p.fraction))) for p in between]


def edge_value(method: str, lower: float, upper: float, fraction: float) -> float:
    """The edge between the values at an edge's two ranks."""
    if method == "r":
        between = (1 - fraction) * lower + fraction * upper if lower != upper else lower
        return between + 1
    return _interpolated(lower, upper, fraction)


def includes_edge(method: str) -> bool:
    """Whether a value equal to an edge belongs to the bin below it; in R's way to that above."""
    return method != "r"


def _at(rank: int) -> Position:
    return Position(rank, rank)


def _between_as_numpy(customers: int, j: int, bins: int) -> Position:
    share = (j * (1 / bins)) * 100.0 / 100.0  # linspace, and pandas' way there and back in percent
    index = (customers - 1) * share
    lower = floor(index)
    if lower >= customers - 1:
        return _at(customers)
    return Position(lower + 1, lower + 2, index - lower)


def _between_as_r(customers: int, j: int, bins: int) -> Position:
    index = 1 + (customers - 1) * (j * (1 / bins))
    lower = floor(index)
    return Position(lower, min(ceil(index), customers), index - lower)


def _interpolated(lower: float, upper: float, fraction: float) -> float:
    """Between two values in numpy's way, which decides the last bit of the result."""
    step = upper - lower
    if fraction >= 0.5:  # noqa: PLR2004
        return upper - step * (1 - fraction)
    return lower + step * fraction
