"""The space in which customers are clustered: transformed on a grid, then scaled.

A transformed value is rounded once, to 1/65536, and kept as an integer. Executors add integers
only, so that means and standard deviations have the same bits for any layout of the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

GRID = 65536
LARGEST = 2**40
"""Transformed values from here on are refused: they would soon not fit the sums of squares, whose
root mean square may be up to 6.8e10 for five million customers. log1p comes nowhere near it."""
_DAY_FEATURES = ("recency_days", "first_purchase_days")


@dataclass(frozen=True)
class Space:
    """Features, how they are transformed, and the numbers that scale them.

    ``missing_days`` stands in for days since a purchase where a customer has neither a purchase
    nor a start: the days since the first ingested day.
    """

    features: tuple[str, ...]
    transform: str
    missing_days: int
    means: tuple[float, ...]
    stds: tuple[float, ...]

    def natural(self, scaled: Sequence[float]) -> list[float]:
        """A point of the scaled space in the features' own units."""
        moved = self.transformed_point(scaled)
        if self.transform == "none":
            return moved
        return [math.copysign(math.expm1(abs(value)), value) for value in moved]

    def transformed(self) -> list[Column]:
        """The transformed value of each feature of a row, in order."""
        grids = grid_expressions(self.features, self.transform, self.missing_days)
        return [F.expr(f"{grid} / {GRID}D") for grid in grids]

    def scaled(self, transformed: Sequence[Column] | None = None) -> list[Column]:
        """The scaled value of each feature of a row, in order; constant features are 0.

        Args:
            transformed: Columns with the transformed values, where a row has them already.
        """
        values = self.transformed() if transformed is None else transformed
        return [
            (value - F.lit(mean)) / F.lit(std) if std > 0 else F.lit(0.0)
            for value, mean, std in zip(values, self.means, self.stds, strict=True)
        ]

    def scaled_point(self, transformed: Sequence[float]) -> list[float]:
        """One transformed point, scaled."""
        return [
            (value - mean) / std if std > 0 else 0.0
            for value, mean, std in zip(transformed, self.means, self.stds, strict=True)
        ]

    def transformed_point(self, scaled: Sequence[float]) -> list[float]:
        """One scaled point, in transformed units."""
        return [
            value * std + mean
            for value, std, mean in zip(scaled, self.stds, self.means, strict=True)
        ]


@dataclass(frozen=True)
class Moments:
    """Exact sums over all customers of the gridded values and of their squares, and their range.

    ``unusable`` counts the customers whose value is NaN, infinite, or too large to be added up;
    they are in none of the other figures.
    """

    customers: int
    sums: tuple[int, ...]
    squares: tuple[int, ...]
    lowest: tuple[int, ...]
    highest: tuple[int, ...]
    unusable: tuple[int, ...]

    def means(self) -> list[float]:
        """Means of the transformed features; 0 where no value is usable."""
        counts = [self.customers - missing for missing in self.unusable]
        return [
            float(Fraction(total, n * GRID)) if n else 0.0
            for total, n in zip(self.sums, counts, strict=True)
        ]

    def stds(self) -> list[float]:
        """Sample standard deviations (n - 1) of the transformed features; 0 for one customer."""
        counts = [self.customers - missing for missing in self.unusable]
        return [
            math.sqrt(float(Fraction(n * square - total**2, n * (n - 1) * GRID**2)))
            if n > 1
            else 0.0
            for total, square, n in zip(self.sums, self.squares, counts, strict=True)
        ]

    def center(self, space: Space) -> list[float]:
        """The mean of all customers in the scaled space."""
        return space.scaled_point(self.means())

    def total_squares(self, space: Space) -> float:
        """Sum of squared distances from the mean in the scaled space: the WCSS of one cluster."""
        spreads = zip(self.stds(), space.stds, strict=True)
        variances = [(own / std) ** 2 for own, std in spreads if std > 0]
        return float((self.customers - 1) * sum(variances))

    def range(self) -> tuple[list[float], list[float]]:
        """Smallest and largest transformed value of each feature."""
        return [low / GRID for low in self.lowest], [high / GRID for high in self.highest]


def scaled_space(
    features: Sequence[str], transform: str, missing_days: int, sums: Moments, *, scale: bool
) -> Space:
    """The space of these features; without scaling, means of 0 and deviations of 1."""
    count = len(features)
    means = sums.means() if scale else [0.0] * count
    stds = sums.stds() if scale else [1.0] * count
    return Space(tuple(features), transform, missing_days, tuple(means), tuple(stds))


def natural_expression(feature: str, missing_days: int) -> str:
    """SQL for a feature without nulls.

    A missing recency is the tenure, or ``missing_days`` where that is null too; any other missing
    value is 0.
    """
    if feature in _DAY_FEATURES:
        return f"coalesce(`{feature}`, `tenure_days`, {missing_days})"
    return f"coalesce(`{feature}`, 0)"


def transformed_expressions(
    features: Sequence[str], transform: str, missing_days: int
) -> list[str]:
    """SQL for each feature's transformed value, not rounded.

    log1p is sign(x) * log(1 + |x|), defined for negative values too.
    """
    expressions = []
    for feature in features:
        value = f"cast({natural_expression(feature, missing_days)} as double)"
        if transform == "log1p":
            value = f"signum({value}) * log1p(abs({value}))"
        expressions.append(value)
    return expressions


def grid_expressions(features: Sequence[str], transform: str, missing_days: int) -> list[str]:
    """SQL for each feature's transformed value as a bigint in units of 1/65536."""
    values = transformed_expressions(features, transform, missing_days)
    return [f"cast(floor({value} * {GRID}D + 0.5D) as bigint)" for value in values]


def grid_values(customers: DataFrame, space: Space) -> DataFrame:
    """The features as integers t_0 .. t_n; null where a value is NaN, infinite or too large."""
    names, transform, days = space.features, space.transform, space.missing_days
    values = transformed_expressions(names, transform, days)
    grids = grid_expressions(names, transform, days)
    return customers.select(
        *(
            F.expr(f"CASE WHEN abs({value}) < {LARGEST}D THEN {grid} END").alias(f"t_{i}")
            for i, (value, grid) in enumerate(zip(values, grids, strict=True))
        )
    )


def moment_columns(count: int) -> list[Column]:
    """Aggregates over ``grid_values`` that moments are made from."""
    columns = [F.count(F.lit(1)).alias("customers")]
    for i in range(count):
        value = F.col(f"t_{i}").cast("decimal(19,0)")
        columns += [
            F.sum(value).alias(f"sum_{i}"),
            F.sum(value * value).alias(f"square_{i}"),
            F.min(f"t_{i}").alias(f"low_{i}"),
            F.max(f"t_{i}").alias(f"high_{i}"),
            F.count(f"t_{i}").alias(f"usable_{i}"),
        ]
    return columns


def moments_from(row: Row, count: int) -> Moments:
    """Moments from the aggregates."""

    def each(name: str) -> tuple[int, ...]:
        return tuple(int(row[f"{name}_{i}"] or 0) for i in range(count))

    unusable = tuple(row["customers"] - usable for usable in each("usable"))
    return Moments(
        row["customers"], each("sum"), each("square"), each("low"), each("high"), unusable
    )


def moments(
    customers: DataFrame, features: Sequence[str], transform: str, missing_days: int
) -> Moments:
    """One pass: the sums that means and standard deviations follow from."""
    count = len(features)
    plain = Space(tuple(features), transform, missing_days, (0.0,) * count, (1.0,) * count)
    row = grid_values(customers, plain).agg(*moment_columns(count)).collect()[0]
    return moments_from(row, count)
