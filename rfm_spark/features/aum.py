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


def balance_history(
    steps: DataFrame, given_starts: DataFrame | None, *, snapshot_date: date, first_day: date | None
) -> DataFrame:
    """What each customer holds, and held day by day.

    ``balance_days`` adds up the end-of-day balances of the days from ``first_day`` and from the
    given start on. A start that is not given is never later than the first balance, so it cuts
    nothing off.

    Args:
        steps: From :func:`balance_steps`.
        given_starts: customer_id, start_date of the customers source; None without one.
        snapshot_date: The day after the last day counted.
        first_day: First day of the window; None for all history.

    Returns:
        One row per customer with a balance: customer_id, first_balance_date, aum, balance_days.
    """
    start = F.col("from_date")
    if given_starts is not None:
        steps = steps.join(given_starts, on="customer_id", how="left")
        start = F.greatest(start, F.col("start_date"))
    if first_day is not None:
        start = F.greatest(start, F.lit(first_day))
    held = F.greatest(F.datediff("to_date", start), F.lit(0))
    is_last = F.col("to_date") == F.lit(snapshot_date)
    return steps.groupBy("customer_id").agg(
        F.min("from_date").alias("first_balance_date"),
        F.sum(F.when(is_last, F.col("balance")).otherwise(0)).alias("aum"),
        F.sum(F.col("balance") * held).alias("balance_days"),
    )
