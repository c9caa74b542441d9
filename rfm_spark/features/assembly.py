"""RFM, AUM and customers brought together; nobody is lost in a join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_HAS_ROWS = "_rfm_has_rows"
_BALANCES = ("aum", "first_balance_date", "balance_days")
_COUNTS = ("orders", "active_days", "lines", "purchase_amount", "refund_amount")


def customer_features(
    purchases: DataFrame,
    balances: DataFrame | None,
    customers: DataFrame | None,
    *,
    snapshot_date: date,
    first_day: date | None,
    attributes: Sequence[str] = (),
) -> DataFrame:
    """The features of everybody known before the snapshot date.

    Known is who has a transaction or a balance before that date, or a ``customers`` row whose start
    is before it or not given. The start is the one from ``customers``, else the earlier of first
    purchase and first balance. Counts are 0 without transactions; aum is null for a customer of
    whom no source says a balance. Division by zero or a negative number gives null.

    Args:
        purchases: From ``rfm.purchase_history``.
        balances: customer_id, first_balance_date, aum and balance_days (the end-of-day balances
            of the window on or after the start, added up); None where there is no balances source.
        customers: customer_id, start_date, aum and attributes; None where there is no customers
            source.
        snapshot_date: The day after the last day counted.
        first_day: First day of the window; None for all history.
        attributes: Columns of ``customers`` to carry along.

    Returns:
        One row per customer, the columns of ``customer_features`` without extra features.
    """
    day = F.lit(snapshot_date)
    everybody = _everybody(purchases, balances, customers, snapshot_date, attributes)
    tenure = F.datediff(day, "start_date")
    mean_from = F.col("start_date")
    if first_day is not None:
        mean_from = F.greatest(mean_from, F.lit(first_day))
    return everybody.select(
        day.alias("snapshot_date"),
        "customer_id",
        "first_activity_date",
        "last_activity_date",
        "start_date",
        F.datediff(day, "last_activity_date").alias("recency_days"),
        tenure.alias("tenure_days"),
        F.datediff(day, "first_activity_date").alias("first_purchase_days"),
        "orders",
        "active_days",
        "lines",
        (F.col("purchase_amount") + F.col("refund_amount")).alias("monetary"),
        "purchase_amount",
        "refund_amount",
        _ratio("purchase_amount", F.col("orders")).alias("avg_order_value"),
        "aum",
        _ratio("balance_days", F.datediff(day, mean_from)).alias("aum_avg"),
        _ratio("aum", tenure).alias("aum_per_day"),
        *attributes,
    )


def with_extra_features(
    features: DataFrame, extra: DataFrame, missing: Mapping[str, Any]
) -> DataFrame:
    """Add features of a further source; nobody comes and nobody goes.

    Args:
        features: From :func:`customer_features`.
        extra: customer_id and the features.
        missing: Feature to value for customers without rows; None stays null.
    """
    marked = extra.withColumn(_HAS_ROWS, F.lit(True))
    joined = features.join(marked, on="customer_id", how="left")
    types = dict(extra.dtypes)
    filled = {
        name: F.when(F.col(_HAS_ROWS), F.col(name)).otherwise(F.lit(str(value)).cast(types[name]))
        for name, value in missing.items()
        if value is not None
    }
    return joined.withColumns(filled).drop(_HAS_ROWS)


def is_silent(days: int) -> Column:
    """No purchase for longer than that; without any purchase the tenure counts."""
    return F.coalesce(F.coalesce("recency_days", "tenure_days") > days, F.lit(False))


def _everybody(
    purchases: DataFrame,
    balances: DataFrame | None,
    customers: DataFrame | None,
    snapshot_date: date,
    attributes: Sequence[str],
) -> DataFrame:
    """Full outer join of what the sources know, with the start of the relation."""
    nothing = F.lit(None)
    sums = ("first_activity_date", "last_activity_date", *_COUNTS)
    everybody = purchases.select("customer_id", *sums)
    is_known = F.col("orders").isNotNull()
    aum, given_start = nothing.cast("decimal(28,2)"), nothing.cast("date")
    first_balance, balance_days = nothing.cast("date"), nothing
    if customers is not None:
        everybody = everybody.join(customers, on="customer_id", how="full_outer")
        aum, given_start = F.col("aum"), F.col("start_date")
        is_known = is_known | given_start.isNull() | (given_start < F.lit(snapshot_date))
    if balances is not None:
        held = balances.select("customer_id", *(F.col(n).alias(f"_{n}") for n in _BALANCES))
        everybody = everybody.join(held, on="customer_id", how="full_outer")
        aum, first_balance, balance_days = (F.col(f"_{name}") for name in _BALANCES)
        is_known = is_known | aum.isNotNull()
    first_known = F.least(F.col("first_activity_date"), first_balance)
    return everybody.where(is_known).select(
        "customer_id",
        "first_activity_date",
        "last_activity_date",
        *(F.coalesce(F.col(name), F.lit(0)).alias(name) for name in _COUNTS),
        aum.alias("aum"),
        balance_days.cast("decimal(38,6)").alias("balance_days"),
        F.coalesce(given_start, first_known).alias("start_date"),
        *attributes,
    )


def _ratio(amount: str, divisor: Column) -> Column:
    return F.when(divisor > 0, F.col(amount).cast("double") / divisor)
