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
from typing import TypeVar

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark import order_statistics, smallest_units
from rfm_spark.exact_sums import exact_sums
from rfm_spark.order_statistics import Bucket, Counted

_FINEST, _BITS_OF_A_SUM = 52, 62
EVERYBODY = "everybody"
"""A kind with one segment of the same name: all customers."""


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


Part = TypeVar("Part", Group, int)


def columns_of(features: Sequence[str]) -> dict[str, Column]:
    """Features by their names."""
    return {name: F.col(name) for name in features}


def groupings_of(by: Mapping[str, str]) -> dict[str, Column]:
    """Kinds of segments by their columns, and everybody."""
    kinds = {kind: F.col(column) for kind, column in by.items()}
    return kinds | {EVERYBODY: F.lit(EVERYBODY)}


def counted(customers: DataFrame, features: Sequence[str], by: Mapping[str, str]) -> Counted:
    """How many customers have which values, in every segment and altogether; one pass.

    Args:
        customers: Features, and the segment columns.
        features: Feature columns.
        by: Kind to segment column.
    """
    return order_statistics.counted(customers, columns_of(features), groupings_of(by))


def frames(features: Sequence[str], known: Counted) -> dict[str, Frame]:
    """About the mean and the farthest value of each feature: deviations lie between -1 and 1.

    Args:
        features: Feature columns.
        known: From :func:`counted`.
    """
    everybody = {name: known.groups.get((EVERYBODY, EVERYBODY, name), ()) for name in features}
    return {name: _frame(buckets) for name, buckets in everybody.items()}


def _frame(buckets: Sequence[Bucket]) -> Frame:
    rows = sum(bucket.rows for bucket in buckets)
    steps = 1 << min(_FINEST, _BITS_OF_A_SUM - rows.bit_length())
    if not buckets:
        return Frame(0.0, 1.0, steps)
    middles = (bucket.rows * (bucket.least / 2 + bucket.most / 2) for bucket in buckets)
    center = math.fsum(middles) / rows
    unit = max(abs(end - center) for end in (buckets[0].least, buckets[-1].most))
    return Frame(center, unit or 1.0, steps)


def groups(
    customers: DataFrame, by: Sequence[str], frames: Mapping[str, Frame], known: Counted
) -> dict[tuple[str, ...], Group]:
    """The sums of every group of customers, in one pass.

    Args:
        customers: Features, monetary, and the columns that part the customers.
        by: Those columns; each combination of their values is a group.
        frames: Feature to center and unit.
        known: From :func:`counted`, by the same columns. What it says of a feature by value need
            not be added up again.
    """
    added = [name for name in frames if not known.is_by_value(name)]
    totals = exact_sums(customers, dict.fromkeys(["monetary", *added]))
    columns = [F.count(F.lit(1)).alias("_customers")]
    for name in added:
        frame = frames[name]
        deviation = (F.col(f"_double_{name}") - F.lit(frame.center)) / F.lit(frame.unit)
        columns += [
            F.sum(_in_steps(deviation, frame)).alias(f"deviations_{name}"),
            F.sum(_in_steps(deviation * deviation, frame)).alias(f"squares_{name}"),
        ]
    as_doubles = {f"_double_{name}": F.col(name).cast("double") for name in added}
    prepared = customers.withColumns(as_doubles) if added else customers

    def rows(as_longs: bool) -> list[Row]:
        sums = [column for one in totals for column in one.columns(as_longs=as_longs)]
        return prepared.groupBy(*by).agg(*columns, *sums).collect()

    found: dict[tuple[str, ...], Group] = {}
    for row in smallest_units.as_longs_if_they_fit(rows):
        cell = tuple(row[name] for name in by)
        total = {one.name: one.of(row) for one in totals}
        sums = {}
        for name, frame in frames.items():
            buckets = known.cells.get(((*cell, EVERYBODY), name), ())
            if not buckets:
                sums[name] = Sums()
            elif name in added:
                sums[name] = _added(row, name, frame, total[name], buckets)
            else:
                sums[name] = _by_value(frame, buckets)
        found[cell] = Group(row["_customers"], total["monetary"], sums)
    return found


def _added(row: Row, name: str, frame: Frame, total: Decimal, buckets: Sequence[Bucket]) -> Sums:
    return _sums(buckets, frame, total, row[f"deviations_{name}"], row[f"squares_{name}"])


def _by_value(frame: Frame, buckets: Sequence[Bucket]) -> Sums:
    total = deviations = squares = 0
    for bucket in buckets:
        deviation = (bucket.least - frame.center) / frame.unit
        total += bucket.rows * int(bucket.least)
        deviations += bucket.rows * _steps(deviation, frame)
        squares += bucket.rows * _steps(deviation * deviation, frame)
    return _sums(buckets, frame, Decimal(total), deviations, squares)


def _sums(
    buckets: Sequence[Bucket], frame: Frame, total: Decimal, deviations: int, squares: int
) -> Sums:
    return Sums(
        sum(bucket.rows for bucket in buckets),
        min(bucket.least for bucket in buckets),
        max(bucket.most for bucket in buckets),
        total,
        Fraction(deviations, frame.steps),
        Fraction(squares, frame.steps),
    )


def added_up(parts: Mapping[tuple[str, ...], Part], place: int) -> dict[str, Part]:
    """Groups, or counts, by one of their columns alone."""
    found: dict[str, Part] = {}
    for key, part in parts.items():
        name = key[place]
        found[name] = found[name] + part if name in found else part
    return found


def together(parts: Iterable[Group]) -> Group:
    """All groups as one."""
    first, *others = parts
    for other in others:
        first = first + other
    return first


def _in_steps(value: Column, frame: Frame) -> Column:
    return F.floor(value * F.lit(float(frame.steps)) + F.lit(0.5))


def _steps(value: float, frame: Frame) -> int:
    return math.floor(value * float(frame.steps) + 0.5)
