"""RFM, AUM and customers brought together; nobody is lost in a join."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_COUNTS = ("orders", "active_days", "lines", "purchase_amount", "refund_amount")


def customer_features(
    purchases: DataFrame,
    balances: DataFrame | None,
    customers: DataFrame | None,
    *,
    snapshot_date: date,
    first_day: date | None,
) -> DataFrame:
    """The features of everybody known before the snapshot date.

    Known is who has a transaction or a balance before that date, or a ``customers`` row whose start
    is before it or not given. The start is the one from ``customers``, else the earlier of first
    purchase and first balance. Counts are 0 without transactions; aum is null for a customer of
    whom no source says a balance. Division by zero or a negative number gives null.

    Args:
        purchases: From ``rfm.purchase_history``.
        balances: From ``aum.balance_history``; None where there is no balances source.
        customers: customer_id, start_date, aum; None where there is no customers source.
        snapshot_date: The day after the last day counted.
        first_day: First day of the window; None for all history.

    Returns:
        One row per customer, the columns of ``customer_features``.
    """
    day = F.lit(snapshot_date)
    everybody = _everybody(purchases, balances, customers, snapshot_date)
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
    )


def is_silent(days: int) -> Column:
    """No purchase for longer than that; without any purchase the tenure counts."""
    return F.coalesce(F.coalesce("recency_days", "tenure_days") > days, F.lit(False))


def _everybody(
    purchases: DataFrame,
    balances: DataFrame | None,
    customers: DataFrame | None,
    snapshot_date: date,
) -> DataFrame:
    """Full outer join of what the sources know, with the start of the relation."""
    nothing = F.lit(None)
    everybody, first_balance, balance_days = purchases, nothing.cast("date"), nothing
    aum, given_start = nothing.cast("decimal(28,2)"), nothing.cast("date")
    if customers is not None:
        everybody = everybody.join(customers, on="customer_id", how="full_outer")
        aum, given_start = F.col("aum"), F.col("start_date")
    if balances is not None:
        balances = balances.withColumnRenamed("aum", "balance")
        everybody = everybody.join(balances, on="customer_id", how="full_outer")
        first_balance, balance_days = F.col("first_balance_date"), F.col("balance_days")
        aum = F.col("balance")
    is_known = F.col("orders").isNotNull()
    if balances is not None:
        is_known = is_known | F.col("balance").isNotNull()
    if customers is not None:
        is_known = is_known | given_start.isNull() | (given_start < F.lit(snapshot_date))
    first_known = F.least(F.col("first_activity_date"), first_balance)
    return everybody.where(is_known).select(
        "customer_id",
        "first_activity_date",
        "last_activity_date",
        *(F.coalesce(F.col(name), F.lit(0)).alias(name) for name in _COUNTS),
        aum.alias("aum"),
        balance_days.cast("decimal(38,6)").alias("balance_days"),
        F.coalesce(given_start, first_known).alias("start_date"),
    )


def _ratio(amount: str, divisor: Column) -> Column:
    return F.when(divisor > 0, F.col(amount).cast("double") / divisor)
