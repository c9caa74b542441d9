"""The space in which customers are clustered: transformed on a grid, then scaled.

A transformed value is rounded once, to 1/65536, and kept as an integer. Executors add integers
only, so that means and standard deviations have the same bits for any layout of the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

GRID = 65536
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
        moved = (
            value * std + mean
            for value, std, mean in zip(scaled, self.stds, self.means, strict=True)
        )
        if self.transform == "none":
            return list(moved)
        return [math.copysign(math.expm1(abs(value)), value) for value in moved]

    def scaled(self) -> list[Column]:
        """The scaled value of each feature of a row, in order; constant features are 0."""
        return [
            (F.expr(f"{grid} / {GRID}D") - F.lit(mean)) / F.lit(std) if std > 0 else F.lit(0.0)
            for grid, mean, std in zip(
                grid_expressions(self.features, self.transform, self.missing_days),
                self.means,
                self.stds,
                strict=True,
            )
        ]

    def is_scaled(self) -> bool:
        """Whether values are standardised at all."""
        return any(mean != 0.0 for mean in self.means) or any(std != 1.0 for std in self.stds)


@dataclass(frozen=True)
class Moments:
    """Exact sums over all customers of the gridded values and of their squares."""

    customers: int
    sums: tuple[int, ...]
    squares: tuple[int, ...]

    def means(self) -> list[float]:
        """Means of the transformed features."""
        return [float(Fraction(total, self.customers * GRID)) for total in self.sums]

    def stds(self) -> list[float]:
        """Sample standard deviations (n - 1) of the transformed features; 0 for one customer."""
        n = self.customers
        if n < 2:  # noqa: PLR2004
            return [0.0] * len(self.sums)
        return [
            math.sqrt(float(Fraction(n * square - total**2, n * (n - 1) * GRID**2)))
            for total, square in zip(self.sums, self.squares, strict=True)
        ]

    def total_squares(self, space: Space) -> float:
        """Sum of squares about the origin of the scaled space."""
        if space.is_scaled():
            return float((self.customers - 1) * sum(std > 0 for std in space.stds))
        return float(Fraction(sum(self.squares), GRID**2))


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


def grid_expressions(features: Sequence[str], transform: str, missing_days: int) -> list[str]:
    """SQL for each feature's transformed value as a bigint in units of 1/65536.

    log1p is sign(x) * log(1 + |x|), defined for negative values too.
    """
    expressions = []
    for feature in features:
        value = f"cast({natural_expression(feature, missing_days)} as double)"
        if transform == "log1p":
            value = f"signum({value}) * log1p(abs({value}))"
        expressions.append(f"cast(floor({value} * {GRID}D + 0.5D) as bigint)")
    return expressions


def moments(
    customers: DataFrame, features: Sequence[str], transform: str, missing_days: int
) -> Moments:
    """One pass: the sums that means and standard deviations follow from."""
    columns = []
    for i, grid in enumerate(grid_expressions(features, transform, missing_days)):
        value = F.expr(grid).cast("decimal(19,0)")
        columns += [F.sum(value).alias(f"sum_{i}"), F.sum(value * value).alias(f"square_{i}")]
    row = customers.agg(F.count(F.lit(1)).alias("customers"), *columns).collect()[0]
    count = range(len(features))
    return Moments(
        row["customers"],
        tuple(int(row[f"sum_{i}"] or 0) for i in count),
        tuple(int(row[f"square_{i}"] or 0) for i in count),
    )
