"""What the features look like before they are modelled: figures, none of them row by row."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark import order_statistics

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_ALL = "all"


@dataclass(frozen=True)
class Distribution:
    """A feature over all customers; figures that need values are None without any.

    Args:
        feature: Its column.
        missing: Share of customers without a value, 0 to 1.
        zeros: Share of the values that are 0.
        mean: Of the values.
        std: Sample standard deviation.
        skew: Third standardised moment; 0 for a symmetric distribution.
        least: Smallest value.
        quantiles: At :data:`QUANTILES`; each the smallest value with that share at or below it.
        most: Largest value.
    """

    feature: str
    missing: float
    zeros: float | None
    mean: float | None
    std: float | None
    skew: float | None
    least: float | None
    quantiles: tuple[float | None, ...]
    most: float | None


def distributions(customers: DataFrame, features: Sequence[str]) -> list[Distribution]:
    """Figures of each feature over all customers.

    Mean, deviation and skew are doubles added up in parallel: their last digits may differ between
    runs. Quantiles are exact.
    """
    columns = [F.count(F.lit(1)).alias("customers")]
    for name in features:
        value = F.col(name).cast("double")
        columns += [
            F.count(value).alias(f"count_{name}"),
            F.count_if(value == 0).alias(f"zeros_{name}"),
            F.mean(value).alias(f"mean_{name}"),
            F.stddev(value).alias(f"std_{name}"),
            F.skewness(value).alias(f"skew_{name}"),
            F.min(value).alias(f"least_{name}"),
            F.max(value).alias(f"most_{name}"),
        ]
    row = customers.agg(*columns).collect()[0]
    found = _quantiles(customers, {name: row[f"count_{name}"] for name in features})
    return [_distribution(row, name, found) for name in features]


def correlations(customers: DataFrame, features: Sequence[str]) -> list[tuple[str, str, float]]:
    """Pearson's correlation of each pair of features, the strongest first.

    Customers without a value of one of the two do not count; pairs with a constant are left out.
    """
    pairs = list(itertools.combinations(features, 2))
    if not pairs:
        return []
    columns = [_correlation(*pair).alias(f"corr_{i}") for i, pair in enumerate(pairs)]
    row = customers.agg(*columns).collect()[0]
    found = [(*pair, _finite(row[f"corr_{i}"])) for i, pair in enumerate(pairs)]
    known = [(one, other, r) for one, other, r in found if r is not None]
    return sorted(known, key=lambda one: (-abs(one[2]), one[0], one[1]))


def _correlation(one: str, other: str) -> Column:
    """Null where one of the two does not vary; Spark's own would divide by zero there."""
    has_both = F.col(one).isNotNull() & F.col(other).isNotNull()
    first, second = (F.when(has_both, F.col(name).cast("double")) for name in (one, other))
    return F.try_divide(F.covar_pop(first, second), F.stddev_pop(first) * F.stddev_pop(second))


def _quantiles(customers: DataFrame, counts: dict[str, int]) -> dict[tuple[str, int], float]:
    metrics = {name: F.col(name) for name, count in counts.items() if count}
    groupings = {_ALL: F.lit(_ALL)}
    known = order_statistics.counted(customers, metrics, groupings)
    ranks = {(_ALL, _ALL, n): {_rank(q, counts[n]) for q in QUANTILES} for n in metrics}
    found = order_statistics.standings(customers, metrics, groupings, known, ranks)
    return {(key[2], rank): standing.value for (key, rank), standing in found.items()}


def _rank(quantile: float, count: int) -> int:
    return max(1, math.ceil(quantile * count))


def _distribution(row: Row, name: str, found: dict[tuple[str, int], float]) -> Distribution:
    count = row[f"count_{name}"]
    return Distribution(
        name,
        1 - count / row["customers"] if row["customers"] else 0.0,
        row[f"zeros_{name}"] / count if count else None,
        row[f"mean_{name}"],
        _finite(row[f"std_{name}"]),
        _finite(row[f"skew_{name}"]),
        row[f"least_{name}"],
        tuple(found.get((name, _rank(q, count))) for q in QUANTILES),
        row[f"most_{name}"],
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
