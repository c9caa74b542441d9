"""Features of one snapshot date from those of an earlier one, and what has changed in between.

Everything is added and taken away in exact integers and decimals, so that the result equals a
recomputation row for row.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark import smallest_units
from rfm_spark.features.rfm import WINDOW_SUMS, is_purchase, summed
from rfm_spark.schemas import STATE_AMOUNTS

_SIGN = "sign"


def signed_changes(feed: DataFrame) -> DataFrame:
    """Delta's change feed with +1 for what a version added and -1 for what it took away."""
    added = F.col("_change_type").isin("insert", "update_postimage")
    return feed.withColumn(_SIGN, F.when(added, 1).otherwise(-1).cast("bigint"))


def net_purchase_changes(changes: DataFrame, *, before: date, first_day: date | None) -> DataFrame:
    """What the changes of days before a date come to; days rewritten as they were vanish.

    Args:
        changes: Signed rows of ``customer_daily``.
        before: The earlier snapshot date.
        first_day: First day of its window; None for all history.

    Returns:
        One row per customer and day that is not as it was: customer_id, day, history_rows,
        purchase_days and the sums of the window (0 on days before it).
    """
    day, sign = F.col("activity_date"), F.col(_SIGN)
    signed = changes.where(day < F.lit(before)).select(
        "customer_id",
        day.alias("day"),
        sign.alias("history_rows"),
        (sign * is_purchase().cast("bigint")).alias("purchase_days"),
        *(_signed(column, sign).alias(name) for name, column in summed().items()),
    )
    names = ("history_rows", "purchase_days", *WINDOW_SUMS)
    net = signed.groupBy("customer_id", "day").agg(*(F.sum(n).alias(n) for n in names))
    in_window = F.lit(True) if first_day is None else F.col("day") >= F.lit(first_day)
    is_changed = F.lit(False)
    for name in names:
        is_changed = is_changed | (F.col(name) != 0)
    return net.where(is_changed).select(
        "customer_id",
        "day",
        "history_rows",
        "purchase_days",
        *(F.when(in_window, F.col(name)).otherwise(0).alias(name) for name in WINDOW_SUMS),
    )


def updated_purchases(
    state: DataFrame,
    changes: DataFrame | None,
    entered: DataFrame,
    left: DataFrame | None,
    units_of: int | None = None,
) -> DataFrame:
    """Purchase history carried from one snapshot date to a later one.

    window = previous window + changes + days that entered - days that left. The last purchase day
    is the largest of the previous one and the gained ones, unless the previous one was lost; then
    it may be any day in between, and the row is marked ``is_unsure``. The first is its mirror.

    Args:
        state: ``feature_state`` of the earlier date.
        changes: From :func:`net_purchase_changes`; None where nothing changed.
        entered: Rows of ``customer_daily`` of the days between the two dates.
        left: Rows of the days that the window has left; None without a window.
        units_of: As in ``rfm.purchase_history``.

    Returns:
        The columns of ``rfm.purchase_history``, and is_unsure.
    """
    nothing = F.lit(None).cast("date")
    counted = ("history_rows", "purchase_days", *WINDOW_SUMS)
    days = ("first_before", "last_before", "gained", "lost")
    before = {
        "first_before": F.col("first_activity_date"),
        "last_before": F.col("last_activity_date"),
    }
    parts = [_part(state, {name: F.col(name) for name in counted}, before)]
    facts = {"history_rows": F.lit(1), "purchase_days": is_purchase().cast("bigint"), **summed()}
    gained = {"gained": F.when(is_purchase(), F.col("activity_date"))}
    parts.append(_part(entered, facts, gained))
    if changes is not None:
        gains, losses = F.col("purchase_days") > 0, F.col("purchase_days") < 0
        moved = {"gained": F.when(gains, F.col("day")), "lost": F.when(losses, F.col("day"))}
        parts.append(_part(changes, {name: F.col(name) for name in counted}, moved))
    if left is not None:
        taken = {name: _signed(column, F.lit(-1)) for name, column in summed().items()}
        parts.append(_part(left, taken, {}))
    union = parts[0].select("customer_id", *counted, *days)
    for part in parts[1:]:
        union = union.unionByName(part.select("customer_id", *counted, *days))
    together = (
        smallest_units.in_units(union, STATE_AMOUNTS, units_of)
        .repartition("customer_id")
        .groupBy("customer_id")
        .agg(
            *(F.sum(name).alias(name) for name in counted),
            F.min("first_before").alias("first_before"),
            F.max("last_before").alias("last_before"),
            F.min("gained").alias("first_gained"),
            F.max("gained").alias("last_gained"),
            F.min("lost").alias("first_lost"),
            F.max("lost").alias("last_lost"),
        )
    )
    first, is_first_unsure = _end("first")
    last, is_last_unsure = _end("last")
    has_purchase = F.col("purchase_days") > 0
    return smallest_units.in_money(together, STATE_AMOUNTS, units_of).select(
        "customer_id",
        "history_rows",
        "purchase_days",
        F.when(has_purchase, first).otherwise(nothing).alias("first_activity_date"),
        F.when(has_purchase, last).otherwise(nothing).alias("last_activity_date"),
        *WINDOW_SUMS,
        (has_purchase & (is_first_unsure | is_last_unsure)).alias("is_unsure"),
    )


def found_again(purchases: DataFrame, daily: DataFrame) -> DataFrame:
    """First and last purchase day of those who may have lost theirs, looked up in all history.

    Args:
        purchases: From :func:`updated_purchases`.
        daily: ``customer_daily`` of the days before the later snapshot date.
    """
    unsure = purchases.where("is_unsure").select("customer_id")
    days = (
        daily.where(is_purchase())
        .join(unsure, on="customer_id", how="left_semi")
        .groupBy("customer_id")
        .agg(F.min("activity_date").alias("first_day"), F.max("activity_date").alias("last_day"))
    )
    joined = purchases.join(days, on="customer_id", how="left")
    found = {
        "first_activity_date": F.coalesce("first_day", "first_activity_date"),
        "last_activity_date": F.coalesce("last_day", "last_activity_date"),
    }
    return joined.withColumns(found).drop("first_day", "last_day")


def changed_holders(changes: DataFrame, money: str, *, before: date) -> DataFrame:
    """Customers with a balance row before a date that is not as it was.

    A row that vanished with a balance of 0 counts too.

    Args:
        changes: Signed rows of ``balance_daily``.
        money: Its column of money.
        before: The earlier snapshot date.
    """
    sign = F.col(_SIGN)
    return (
        changes.where(F.col("balance_date") < F.lit(before))
        .groupBy("customer_id", "account_id", "balance_date")
        .agg(F.sum(sign).alias("rows"), F.sum(_signed(F.col(money), sign)).alias("money"))
        .where((F.col("rows") != 0) | (F.col("money") != 0))
        .select("customer_id")
        .distinct()
    )


def _part(frame: DataFrame, counts: dict[str, Column], days: dict[str, Column]) -> DataFrame:
    names = ("history_rows", "purchase_days", *WINDOW_SUMS)
    dates = ("first_before", "last_before", "gained", "lost")
    return frame.select(
        "customer_id",
        *(counts.get(name, F.lit(0)).alias(name) for name in names),
        *(days.get(name, F.lit(None)).cast("date").alias(name) for name in dates),
    )


def _end(name: str) -> tuple[Column, Column]:
    """The ``first`` or ``last`` purchase day, and whether it has to be looked up."""
    before, gained, lost = (F.col(f"{name}_{part}") for part in ("before", "gained", "lost"))
    is_lost = F.coalesce(lost == before, F.lit(False))
    beyond = gained < before if name == "first" else gained > before
    is_unsure = is_lost & ~F.coalesce(beyond, F.lit(False))
    kept = F.least(before, gained) if name == "first" else F.greatest(before, gained)
    return F.when(is_lost, gained).otherwise(kept), is_unsure


def _signed(column: Column, sign: Column) -> Column:
    """A value or its negation; a product would widen the decimal."""
    return F.when(sign > 0, column).otherwise(-column)
