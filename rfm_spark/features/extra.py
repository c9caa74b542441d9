"""Extra features: named aggregates over a customer's events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def aggregated(events: DataFrame, expressions: Mapping[str, str]) -> DataFrame:
    """One row per customer with rows: customer_id and each feature.

    A customer's events are brought together and put in order first, so that aggregates that depend
    on it (a sum of doubles, first, max_by among ties) give the same bits for any layout. A double
    that is no finite number becomes null.

    Args:
        events: customer_id and the columns that the aggregates name.
        expressions: Feature to SQL aggregate.
    """
    ordered = events.repartition("customer_id").sortWithinPartitions(*events.columns)
    features = ordered.groupBy("customer_id").agg(
        *(F.expr(expression).alias(name) for name, expression in expressions.items())
    )
    return features.select("customer_id", *(_finite(features, name) for name in expressions))


def with_dates(expression: str, *, snapshot_date: date, window_start: date | None) -> str:
    """Fill in ``{snapshot_date}`` and ``{window_start}``; null where there is no window."""
    start = "CAST(NULL AS DATE)" if window_start is None else f"DATE'{window_start}'"
    filled = expression.replace("{snapshot_date}", f"DATE'{snapshot_date}'")
    return filled.replace("{window_start}", start)


def _finite(features: DataFrame, name: str) -> Column:
    column = F.col(name)
    if features.schema[name].dataType.simpleString() not in ("double", "float"):
        return column
    is_finite = ~F.isnan(column) & (F.abs(column) != F.lit(float("inf")))
    return F.when(is_finite, column).alias(name)
