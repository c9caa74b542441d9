"""The summary that customer lifetime models start from ("buy till you die")."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rfm_spark.features.rfm import is_purchase

DAYS_BY_UNIT = {"days": 1, "weeks": 7}


def btyd_summary(daily: DataFrame, *, snapshot_date: date, unit: str) -> DataFrame:
    """Repeat purchases of each customer as of a date, over all history.

    The meaning is that of Fader, Hardie and Lee, "Counting your customers the easy way", Marketing
    Science 24 (2005), in discrete days: a day with purchases is one transaction.

    Args:
        daily: ``customer_daily``.
        snapshot_date: The day after the last day counted.
        unit: Of recency and T: ``days`` or ``weeks`` (days / 7).

    Returns:
        One row per customer with a purchase before the date: customer_id; frequency, the days with
        a purchase after the first one; recency, from the first to the last of them; T, from the
        first one to the last day counted; monetary_value, the mean of the net totals of the days
        after the first one, in the currency. Refunds lower it, also those on days without a
        purchase, which are no days; it is 0 where frequency is 0.
    """
    day = F.col("activity_date")
    first = F.min(F.when(is_purchase(), day)).over(Window.partitionBy("customer_id"))
    dated = daily.where(day < F.lit(snapshot_date)).withColumn("_first", first)
    dated = dated.where(F.col("_first").isNotNull())
    is_later = day > F.col("_first")
    net = F.col("purchase_amount") + F.col("refund_amount")
    summed = dated.groupBy("customer_id", "_first").agg(
        F.count_if(is_later & is_purchase()).alias("frequency"),
        F.max(F.when(is_purchase(), day)).alias("_last"),
        F.sum(F.when(is_later, net)).cast("double").alias("_net"),
    )
    last_day = F.date_sub(F.lit(snapshot_date), 1)
    repeated = F.col("frequency") > 0
    return summed.select(
        "customer_id",
        "frequency",
        _in(unit, F.datediff("_last", "_first")).alias("recency"),
        _in(unit, F.datediff(last_day, "_first")).alias("T"),
        F.when(repeated, F.col("_net") / F.col("frequency")).otherwise(0.0).alias("monetary_value"),
    )


def _in(unit: str, days: Column) -> Column:
    return days if unit == "days" else days / F.lit(DAYS_BY_UNIT[unit])
