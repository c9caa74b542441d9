"""Assets under management: balances carried forward per account, added up per customer."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def balance_steps(
    balances: DataFrame, *, snapshot_date: date, stale_after_days: int | None
) -> DataFrame:
    """Each account's balance as steps that hold from a day until before another.

    A stated balance holds at the end of its day and until the next statement of that account; the
    last one holds up to the snapshot date, or until it is stale.

    Args:
        balances: ``balance_daily``.
        snapshot_date: The day after the last day counted.
        stale_after_days: A balance older than this counts 0; None never.

    Returns:
        One row per account and statement: customer_id, balance, from_date, to_date (excluded).
    """
    by_account = Window.partitionBy("customer_id", "account_id").orderBy("balance_date")
    end = F.coalesce(F.lead("balance_date").over(by_account), F.lit(snapshot_date))
    if stale_after_days is not None:
        end = F.least(end, F.date_add("balance_date", stale_after_days + 1))
    return balances.where(F.col("balance_date") < F.lit(snapshot_date)).select(
        "customer_id",
        "balance",
        F.col("balance_date").alias("from_date"),
        F.least(end, F.lit(snapshot_date)).alias("to_date"),
    )


def first_balances(balances: DataFrame, *, snapshot_date: date) -> DataFrame:
    """The first day on which each customer stated a balance: customer_id, first_balance_date."""
    known = balances.where(F.col("balance_date") < F.lit(snapshot_date))
    return known.groupBy("customer_id").agg(F.min("balance_date").alias("first_balance_date"))


def balance_history(
    steps: DataFrame, starts: DataFrame, *, snapshot_date: date, window_start: date | None
) -> DataFrame:
    """Balance at the end of the last day, and the mean over the days of the window.

    The mean runs over the days of the window on or after the start date; a day before the first
    statement counts 0.

    Args:
        steps: From :func:`balance_steps`.
        starts: customer_id, start_date.
        snapshot_date: The day after the last day counted.
        window_start: First day of the window; None for all history.

    Returns:
        One row per customer with a balance: customer_id, aum, aum_avg (null where no day of the
        window lies on or after the start).
    """
    first = F.col("start_date")
    if window_start is not None:
        first = F.greatest(first, F.lit(window_start))
    held = F.greatest(
        F.datediff("to_date", F.greatest(F.col("from_date"), F.col("first_day"))), F.lit(0)
    )
    days = F.datediff(F.lit(snapshot_date), F.col("first_day"))
    is_last = F.col("to_date") == F.lit(snapshot_date)
    return (
        steps.join(starts, on="customer_id", how="left")
        .withColumn("first_day", first)
        .groupBy("customer_id", "first_day")
        .agg(
            F.sum(F.when(is_last, F.col("balance")).otherwise(0)).alias("aum"),
            F.sum(F.col("balance") * held).alias("balance_days"),
        )
        .select(
            "customer_id",
            "aum",
            F.when(days > 0, F.col("balance_days").cast("double") / days).alias("aum_avg"),
        )
    )
