"""Sums that means, deviations and shares follow from, with the same bits for any layout.

Executors add integers and decimals, never doubles: what a sum of doubles comes to depends on their
order. Deviations and their squares are added as whole steps, as small as their number allows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

_FINEST, _BITS_OF_A_SUM = 52, 62


@dataclass(frozen=True)
class Frame:
    """Where a feature's values lie: deviations are counted from ``center`` in ``unit``.

    A deviation lies between -1 and 1 and is rounded to one of ``steps`` before it is added up.
    """

    center: float
    unit: float
    steps: int


@dataclass(frozen=True)
class Sums:
    """Of one feature in one group: values that are not null, their sum, and about the center.

    ``least`` and ``most`` are the smallest and the largest value, None without any.
    """

    count: int = 0
    least: float | None = None
    most: float | None = None
    total: Decimal = Decimal(0)
    deviations: Fraction = Fraction(0)
    squares: Fraction = Fraction(0)

    def __add__(self, other: Sums) -> Sums:
        """The sums of both groups together."""
        if not self.count or not other.count:
            return self if self.count else other
        return Sums(
            self.count + other.count,
            min(one for one in (self.least, other.least) if one is not None),
            max(one for one in (self.most, other.most) if one is not None),
            self.total + other.total,
            self.deviations + other.deviations,
            self.squares + other.squares,
        )

    @property
    def mean(self) -> float | None:
        """Mean of the values; None without any."""
        return float(self.total) / self.count if self.count else None

    @property
    def scatter(self) -> Fraction:
        """Sum of squared deviations from the mean, in squared units of the frame.

        Exactly 0 for equal values, of which rounding would leave a trace.
        """
        if self.least == self.most:
            return Fraction(0)
        return max(Fraction(0), self.squares - self.deviations**2 / self.count)

    def std(self, frame: Frame) -> float | None:
        """Sample standard deviation (n - 1); None below two values."""
        if self.count < 2:  # noqa: PLR2004
            return None
        return math.sqrt(float(self.scatter / (self.count - 1))) * frame.unit


@dataclass(frozen=True)
class Group:
    """A group of customers: how many, their revenue, and the sums of each feature."""

    customers: int
    revenue: Decimal
    sums: Mapping[str, Sums]

    def __add__(self, other: Group) -> Group:
        """Both groups together."""
        sums = {name: self.sums[name] + other.sums[name] for name in self.sums}
        return Group(self.customers + other.customers, self.revenue + other.revenue, sums)


def exact_total(customers: DataFrame, name: str) -> Column:
    """Sum of a numeric column; doubles are rounded to eight decimals before they are added up."""
    type_ = customers.schema[name].dataType.simpleString()
    exact = {"double": "decimal(38,8)", "float": "decimal(38,8)", "bigint": "decimal(20,0)"}
    return F.sum(F.col(name).cast(exact.get(type_, type_)))


def exact_mean(customers: DataFrame, name: str) -> Column:
    """Mean of a numeric column from its exact sum; null without values."""
    return exact_total(customers, name).cast("double") / F.nullif(F.count(name), F.lit(0))


def frames(customers: DataFrame, features: Sequence[str]) -> dict[str, Frame]:
    """Center and unit of each feature, so that deviations lie between -1 and 1; one pass."""
    row = customers.agg(
        F.count(F.lit(1)).alias("_customers"),
        *(exact_mean(customers, name).alias(f"mean_{name}") for name in features),
        *(F.min(F.col(name).cast("double")).alias(f"least_{name}") for name in features),
        *(F.max(F.col(name).cast("double")).alias(f"most_{name}") for name in features),
    ).collect()[0]
    bits = min(_FINEST, _BITS_OF_A_SUM - int(row["_customers"]).bit_length())
    return {name: _frame(row, name, 1 << bits) for name in features}


def _frame(row: Row, name: str, steps: int) -> Frame:
    center = row[f"mean_{name}"] or 0.0
    ends = (row[f"least_{name}"], row[f"most_{name}"])
    unit = max((abs(end - center) for end in ends if end is not None), default=0.0)
    return Frame(center, unit or 1.0, steps)


def groups(
    customers: DataFrame, by: Sequence[str], frames: Mapping[str, Frame]
) -> dict[tuple[str, ...], Group]:
    """The sums of every group of customers, in one pass.

    Args:
        customers: Features, monetary, and the columns that part the customers.
        by: Those columns; each combination of their values is a group.
        frames: Feature to center and unit.
    """
    columns = [F.count(F.lit(1)).alias("_customers"), F.sum("monetary").alias("_revenue")]
    for name, frame in frames.items():
        value = F.col(name)
        deviation = (value.cast("double") - F.lit(frame.center)) / F.lit(frame.unit)
        columns += [
            F.count(value).alias(f"count_{name}"),
            F.min(value.cast("double")).alias(f"least_{name}"),
            F.max(value.cast("double")).alias(f"most_{name}"),
            exact_total(customers, name).alias(f"total_{name}"),
            F.sum(_in_steps(deviation, frame)).alias(f"deviations_{name}"),
            F.sum(_in_steps(deviation * deviation, frame)).alias(f"squares_{name}"),
        ]
    rows = customers.groupBy(*by).agg(*columns).collect()
    return {tuple(row[name] for name in by): _group(row, frames) for row in rows}


def added_up(parts: Mapping[tuple[str, ...], Group], place: int) -> dict[str, Group]:
    """Groups by one of their columns alone."""
    found: dict[str, Group] = {}
    for key, group in parts.items():
        name = key[place]
        found[name] = found[name] + group if name in found else group
    return found


def together(parts: Iterable[Group]) -> Group:
    """All groups as one."""
    first, *others = parts
    for other in others:
        first = first + other
    return first


def _group(row: Row, frames: Mapping[str, Frame]) -> Group:
    sums = {
        name: Sums(
            row[f"count_{name}"],
            row[f"least_{name}"],
            row[f"most_{name}"],
            Decimal(row[f"total_{name}"] or 0),
            Fraction(row[f"deviations_{name}"] or 0, frame.steps),
            Fraction(row[f"squares_{name}"] or 0, frame.steps),
        )
        for name, frame in frames.items()
    }
    return Group(row["_customers"], row["_revenue"], sums)


def _in_steps(value: Column, frame: Frame) -> Column:
    return F.floor(value * F.lit(float(frame.steps)) + F.lit(0.5))
