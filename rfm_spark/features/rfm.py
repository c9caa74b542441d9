"""Recency, frequency and monetary from daily facts."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark import smallest_units
from rfm_spark.schemas import STATE_AMOUNTS, STATE_COUNTS

WINDOW_SUMS = (*STATE_COUNTS, *STATE_AMOUNTS)


def purchase_history(
    daily: DataFrame, *, snapshot_date: date, first_day: date | None, units_of: int | None = None
) -> DataFrame:
    """What each customer did before the snapshot date.

    First and last purchase day look at all history; sums at the window, which ends the day before
    the snapshot date. A refund changes money only, so a day of nothing but refunds is no purchase
    day. Rows are brought together by customer before they are added up: a partial sum per task
    would keep every customer in memory, and save nothing where customers have few days each.

    Args:
        daily: ``customer_daily``.
        snapshot_date: The day after the last day counted.
        first_day: First day of the window; None for all history.
        units_of: Decimals of money, to add it up in its smallest units: faster, and an error where
            amounts are too large for that.

    Returns:
        One row per customer with a transaction before the snapshot date: customer_id,
        history_rows, purchase_days, first_activity_date and last_activity_date (null without
        purchase), and the sums of the window: orders, active_days, lines, refund_lines,
        purchase_amount, refund_amount.
    """
    day = F.col("activity_date")
    in_window = F.lit(True) if first_day is None else day >= F.lit(first_day)
    facts = daily.where(day < F.lit(snapshot_date)).select(
        "customer_id",
        F.when(is_purchase(), day).alias("purchase_day"),
        is_purchase().cast("bigint").alias("purchase_days"),
        *(F.when(in_window, column).otherwise(0).alias(name) for name, column in summed().items()),
    )
    history = (
        smallest_units.in_units(facts, STATE_AMOUNTS, units_of)
        .repartition("customer_id")
        .groupBy("customer_id")
        .agg(
            F.count(F.lit(1)).alias("history_rows"),
            F.sum("purchase_days").alias("purchase_days"),
            F.min("purchase_day").alias("first_activity_date"),
            F.max("purchase_day").alias("last_activity_date"),
            *(F.sum(name).alias(name) for name in WINDOW_SUMS),
        )
    )
    return smallest_units.in_money(history, STATE_AMOUNTS, units_of)


def is_purchase() -> Column:
    """Whether a row of ``customer_daily`` has a purchase."""
    return F.col("lines") > 0


def summed() -> dict[str, Column]:
    """What a row of ``customer_daily`` adds to the sums of a window."""
    return {
        name: is_purchase().cast("bigint") if name == "active_days" else F.col(name)
        for name in WINDOW_SUMS
    }
