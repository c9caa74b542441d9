"""Recency, frequency and monetary from daily facts."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

_WINDOW_SUMS = ("orders", "lines", "purchase_amount", "refund_amount")


def purchase_history(daily: DataFrame, *, snapshot_date: date, first_day: date | None) -> DataFrame:
    """What each customer did before the snapshot date.

    First and last purchase day look at all history; sums at the window, which ends the day before
    the snapshot date. A refund changes money only, so a day of nothing but refunds is no purchase
    day.

    Args:
        daily: ``customer_daily``.
        snapshot_date: The day after the last day counted.
        first_day: First day of the window; None for all history.

    Returns:
        One row per customer with a transaction before the snapshot date: customer_id,
        first_activity_date and last_activity_date (null without purchase), orders, active_days,
        lines, purchase_amount, refund_amount.
    """
    day, is_purchase = F.col("activity_date"), F.col("lines") > 0
    in_window = F.lit(True) if first_day is None else day >= F.lit(first_day)
    return (
        daily.where(day < F.lit(snapshot_date))
        .groupBy("customer_id")
        .agg(
            F.min(F.when(is_purchase, day)).alias("first_activity_date"),
            F.max(F.when(is_purchase, day)).alias("last_activity_date"),
            F.sum((is_purchase & in_window).cast("bigint")).alias("active_days"),
            *(
                F.sum(F.when(in_window, F.col(name)).otherwise(0)).alias(name)
                for name in _WINDOW_SUMS
            ),
        )
    )
