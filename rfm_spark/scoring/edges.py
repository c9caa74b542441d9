"""Exact quantile edges without any task seeing every customer.

Edge j of n bins is the smallest value v with at least j/n of the customers at or below v: an
actual value, no interpolation. Two passes find it. The first brackets every edge by an
approximate quantile. The second counts: customers below a bracket as one number, customers
inside it by value. Only the inside of a bracket is ever ordered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

_ACCURACY = 10_000
_SLACK = 2 / _ACCURACY

Interval = tuple[float, float]


@dataclass(frozen=True)
class Bracketed:
    """A role's customers with a value, and disjoint intervals that hold its edges."""

    customers: int
    intervals: tuple[Interval, ...]


def value_edges(
    purchasers: DataFrame, features: Mapping[str, str], bins: Mapping[str, int]
) -> dict[str, list[float]]:
    """Edges of every role, smallest first; n - 1 for n bins, repeated where values tie.

    Args:
        purchasers: ``customer_features`` of customers with a purchase.
        features: Role to feature column. Customers without a value do not count.
        bins: Role to number of bins.

    Returns:
        Role to edges; no edges at all where nobody has a value.
    """
    brackets = _brackets(purchasers, features, bins)
    edges = _edges_inside(purchasers, features, bins, brackets)
    lost = {role for role, found in edges.items() if None in found}
    if lost:  # a sketch outside its own error bound: count every value of that role
        everything = {
            role: Bracketed(bracket.customers, ((float("-inf"), float("inf")),))
            for role, bracket in brackets.items()
            if role in lost
        }
        edges |= _edges_inside(purchasers, features, bins, everything)
    return {role: [edge for edge in found if edge is not None] for role, found in edges.items()}


def _value(feature: str) -> Column:
    return F.col(feature).cast("double")


def _brackets(
    purchasers: DataFrame, features: Mapping[str, str], bins: Mapping[str, int]
) -> dict[str, Bracketed]:
    probabilities = {
        role: [min(1.0, max(0.0, j / n + side * _SLACK)) for j in range(1, n) for side in (-1, 1)]
        for role, n in bins.items()
    }
    row = purchasers.agg(
        *(
            column
            for role, feature in features.items()
            for column in (
                F.count(_value(feature)).alias(f"{role}_count"),
                F.percentile_approx(_value(feature), probabilities[role], _ACCURACY).alias(
                    f"{role}_ends"
                ),
            )
        )
    ).collect()[0]
    return {role: _bracketed(row, role) for role in features}


def _bracketed(row: Row, role: str) -> Bracketed:
    ends: Sequence[float] = row[f"{role}_ends"] or ()
    merged: list[Interval] = []
    for low, high in zip(ends[::2], ends[1::2], strict=True):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return Bracketed(row[f"{role}_count"], tuple(merged))


def _edges_inside(
    purchasers: DataFrame,
    features: Mapping[str, str],
    bins: Mapping[str, int],
    brackets: Mapping[str, Bracketed],
) -> dict[str, list[float | None]]:
    counts = _counts(purchasers, features, brackets)
    totals = counts.groupBy("role", "region").agg(F.sum("customers").alias("customers")).collect()
    wanted = {
        (role, j): -(-j * bracket.customers // bins[role])
        for role, bracket in brackets.items()
        if bracket.customers
        for j in range(1, bins[role])
    }
    if not wanted:
        return {role: [] for role in brackets}
    is_edge = F.lit(False)
    places = {}
    for (role, j), rank in wanted.items():
        region, inside = _place(totals, role, rank)
        places[role, j] = (region, inside)
        hit = (F.col("running") >= inside) & (F.col("running") - F.col("customers") < inside)
        is_edge = is_edge | ((F.col("role") == role) & (F.col("region") == region) & hit)
    in_region = Window.partitionBy("role", "region").orderBy("value")
    running = counts.where(F.col("value").isNotNull()).withColumn(
        "running", F.sum("customers").over(in_region)
    )
    rows = running.where(is_edge).collect()
    found: dict[str, list[float | None]] = {role: [] for role in brackets}
    for (role, _), (region, inside) in places.items():
        found[role].append(_edge(rows, role, region, inside))
    return found


def _counts(
    purchasers: DataFrame, features: Mapping[str, str], brackets: Mapping[str, Bracketed]
) -> DataFrame:
    """Customers per role, region and, inside an interval, value.

    Regions are numbered from below: even ones are gaps, odd ones intervals.
    """
    stacked = F.array(
        *(
            F.struct(
                F.lit(role).alias("role"),
                _region(_value(features[role]), bracket.intervals).alias("region"),
                _value(features[role]).alias("value"),
            )
            for role, bracket in brackets.items()
        )
    )
    each = purchasers.select(F.explode(stacked).alias("one")).select("one.*")
    inside = F.when(F.col("region") % 2 == 1, F.col("value"))
    return (
        each.where(F.col("value").isNotNull())
        .groupBy("role", "region", inside.alias("value"))
        .agg(F.count(F.lit(1)).alias("customers"))
    )


def _region(value: Column, intervals: Sequence[Interval]) -> Column:
    region = F.lit(2 * len(intervals))
    for i, (low, high) in reversed(list(enumerate(intervals))):
        region = (
            F.when(value < F.lit(low), 2 * i)
            .when(value <= F.lit(high), 2 * i + 1)
            .otherwise(region)
        )
    return region


def _place(totals: Sequence[Row], role: str, rank: int) -> tuple[int, int]:
    """The region that holds the customer of that rank, and the rank inside it."""
    inside = rank
    regions = sorted((row["region"], row["customers"]) for row in totals if row["role"] == role)
    for region, customers in regions:
        if inside <= customers:
            return region, inside
        inside -= customers
    raise ValueError(f"rank {rank} of {role} is beyond its {rank - inside} customers")


def _edge(rows: Sequence[Row], role: str, region: int, inside: int) -> float | None:
    for row in rows:
        before = row["running"] - row["customers"]
        same = row["role"] == role and row["region"] == region
        if same and before < inside <= row["running"]:
            return float(row["value"])
    return None
