"""RFM, AUM and customers brought together; nobody is lost in a join."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_COUNTS = ("orders", "active_days", "lines", "purchase_amount", "refund_amount")


def population(
    purchases: DataFrame,
    first_balances: DataFrame | None,
    customers: DataFrame | None,
) -> DataFrame:
    """Everybody known before the snapshot date, with the start of the relation.

    The start is the one from ``customers``, else the earlier of first purchase and first balance.

    Returns:
        One row per customer: the columns of ``purchases`` (counts 0 without transactions), the
        static aum (null without one) and start_date.
    """
    everybody = purchases
    for other in (first_balances, customers):
        if other is not None:
            everybody = everybody.join(other, on="customer_id", how="full_outer")
    first_balance = F.col("first_balance_date") if first_balances is not None else _no_date()
    given_start = F.col("start_date") if customers is not None else _no_date()
    static_aum = F.col("aum") if customers is not None else F.lit(None).cast("decimal(28,2)")
    return everybody.select(
        "customer_id",
        "first_activity_date",
        "last_activity_date",
        *(F.coalesce(F.col(name), F.lit(0)).alias(name) for name in _COUNTS),
        static_aum.alias("aum"),
        F.coalesce(given_start, F.least(F.col("first_activity_date"), first_balance)).alias(
            "start_date"
        ),
    )


def customer_features(
    population: DataFrame, balance_history: DataFrame | None, *, snapshot_date: date
) -> DataFrame:
    """The features of every customer as of the snapshot date.

    Division by zero or a negative number gives null. aum is null for a customer of whom no source
    says a balance.

    Args:
        population: From :func:`population`.
        balance_history: customer_id, aum, aum_avg; None where there is no balances source.
        snapshot_date: The day after the last day counted.
    """
    everybody = population.withColumn("aum_avg", F.lit(None).cast("double"))
    if balance_history is not None:
        known = population.drop("aum")
        everybody = known.join(balance_history, on="customer_id", how="left")
    day = F.lit(snapshot_date)
    tenure = F.datediff(day, "start_date")
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
        "aum_avg",
        _ratio("aum", tenure).alias("aum_per_day"),
    )


def is_silent(days: int) -> Column:
    """No purchase for longer than that; without any purchase the tenure counts."""
    return F.coalesce(F.coalesce("recency_days", "tenure_days") > days, F.lit(False))


def _ratio(amount: str, divisor: Column) -> Column:
    return F.when(divisor > 0, F.col(amount).cast("double") / divisor)


def _no_date() -> Column:
    return F.lit(None).cast("date")
