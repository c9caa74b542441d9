"""What is known of every customer at a snapshot date, from which the next one can go on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark.features.aum import BalanceRules, roll
from rfm_spark.features.rfm import WINDOW_SUMS

BALANCE_STATE = (
    "balance_rows",
    "first_balance_date",
    "accounts",
    "opening_accounts",
    "balance_days",
)
PURCHASE_STATE = (
    "history_rows",
    "purchase_days",
    "first_activity_date",
    "last_activity_date",
    *WINDOW_SUMS,
)
_COUNTS = ("history_rows", "purchase_days", *WINDOW_SUMS, "balance_rows")


def balance_history(
    balances: DataFrame, rules: BalanceRules, *, snapshot_date: date, first_day: date | None
) -> DataFrame:
    """What each customer holds at a snapshot date, from all stated rows.

    Args:
        balances: ``balance_daily``.
        rules: How rows become balances.
        snapshot_date: The day after the last day counted.
        first_day: First day of the window; None for all history.

    Returns:
        One row per customer with a row before the snapshot date: customer_id, balance_rows,
        first_balance_date, accounts, opening_accounts (before the window; null without one),
        balance_days (the end-of-day balances of the window, added up).
    """
    stated = balances.where(F.col("balance_date") < F.lit(snapshot_date))
    if first_day is None:
        held = roll(None, stated, rules, first_day=None, end=snapshot_date)
        return _renamed(held, opening=F.lit(None).cast(held.schema["accounts"].dataType))
    day = F.col("balance_date")
    opening = roll(None, stated.where(day < F.lit(first_day)), rules, first_day=None, end=first_day)
    held = roll(
        opening.select("customer_id", "accounts"),
        stated.where(day >= F.lit(first_day)),
        rules,
        first_day=first_day,
        end=snapshot_date,
    )
    before = opening.select(
        "customer_id",
        F.col("stated_rows").alias("rows_before"),
        F.col("first_stated").alias("first_before"),
        F.col("accounts").alias("opening_accounts"),
    )
    joined = held.join(before, on="customer_id", how="left").withColumns(
        {
            "stated_rows": F.col("stated_rows") + F.coalesce("rows_before", F.lit(0)),
            "first_stated": F.coalesce("first_before", "first_stated"),
        }
    )
    return _renamed(joined, opening=F.col("opening_accounts"))


def updated_balances(
    state: DataFrame,
    entered: DataFrame,
    left: DataFrame | None,
    rules: BalanceRules,
    *,
    from_date: date,
    to_date: date,
    from_first_day: date | None,
    to_first_day: date | None,
) -> DataFrame:
    """What each customer holds, carried from one snapshot date to a later one.

    Args:
        state: ``feature_state`` of the earlier date, of customers whose rows before it are as
            they were.
        entered: Rows of ``balance_daily`` of the days between the two dates.
        left: Rows of the days that the window has left; None without a window.
        rules: How rows become balances.
        from_date: The earlier snapshot date.
        to_date: The later one.
        from_first_day: First day of the earlier window; None without one.
        to_first_day: First day of the later window; None without one.

    Returns:
        As :func:`balance_history`.
    """
    holders = state.where(F.col("balance_rows") > 0)
    held = roll(
        holders.select("customer_id", "accounts"), entered, rules, first_day=from_date, end=to_date
    )
    before = holders.select(
        "customer_id",
        F.col("balance_rows").alias("rows_before"),
        F.col("first_balance_date").alias("first_before"),
        F.col("balance_days").alias("days_before"),
    )
    joined = held.join(before, on="customer_id", how="left")
    gone, opening = F.lit(0), F.lit(None).cast(held.schema["accounts"].dataType)
    if left is not None and to_first_day is not None:
        accounts = holders.select("customer_id", F.col("opening_accounts").alias("accounts"))
        out = roll(accounts, left, rules, first_day=from_first_day, end=to_first_day)
        out = out.select(
            "customer_id",
            F.col("accounts").alias("opening_accounts"),
            F.col("held").alias("days_left"),
        )
        joined = joined.join(out, on="customer_id", how="left")
        gone, opening = F.coalesce("days_left", F.lit(0)), F.col("opening_accounts")
    changed = joined.withColumns(
        {
            "stated_rows": F.col("stated_rows") + F.coalesce("rows_before", F.lit(0)),
            "first_stated": F.coalesce("first_before", "first_stated"),
            "held": (F.coalesce("days_before", F.lit(0)) + F.col("held") - gone).cast(
                f"decimal(38,{rules.scale})"
            ),
        }
    )
    return _renamed(changed, opening=opening)


def feature_state(
    purchases: DataFrame, balances: DataFrame | None, *, constants: Mapping[str, object]
) -> DataFrame:
    """Purchases and balances side by side; customers of whom nothing is left are dropped.

    Args:
        purchases: From ``rfm.purchase_history`` or ``updating.updated_purchases``.
        balances: From :func:`balance_history` or :func:`updated_balances`; None without a source.
        constants: Columns that are the same in every row.
    """
    everybody = purchases.select("customer_id", *PURCHASE_STATE)
    if balances is not None:
        held = balances.select("customer_id", *BALANCE_STATE)
        everybody = everybody.join(held, on="customer_id", how="full_outer")
    else:
        everybody = everybody.withColumns({name: F.lit(None) for name in BALANCE_STATE})
    counted = {name: F.coalesce(F.col(name), F.lit(0)) for name in _COUNTS}
    return (
        everybody.withColumns(counted)
        .where((F.col("history_rows") > 0) | (F.col("balance_rows") > 0))
        .withColumns({name: F.lit(value) for name, value in constants.items()})
    )


def _renamed(held: DataFrame, *, opening: Column) -> DataFrame:
    return held.select(
        "customer_id",
        F.col("stated_rows").alias("balance_rows"),
        F.col("first_stated").alias("first_balance_date"),
        "accounts",
        opening.alias("opening_accounts"),
        F.col("held").alias("balance_days"),
    )
