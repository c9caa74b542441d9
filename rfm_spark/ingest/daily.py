"""Accepted rows as daily facts: purchases per customer, balances per account."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark import smallest_units
from rfm_spark.ingest.spread import Spread
from rfm_spark.schemas import BALANCE_COLUMNS

TASK = "_rfm_task"
"""What rows are brought together by; every grouping that follows has it among its keys."""
COUNTED = ["activity_date", "customer_id", "order_id", "amount", "is_refund"]
"""What :func:`entries` looks at."""
_DAY = [TASK, "activity_date", "customer_id"]
_SUMS = ["lines", "purchase_amount", "refund_lines", "refund_amount"]
_MONEY = ["purchase_amount", "refund_amount"]
_DUPLICATE_SUMS = [
    "duplicate_rows",
    "duplicate_amount",
    "duplicate_conflicting_rows",
    "duplicate_conflicting_amount",
]


def accepted(cleaned: DataFrame, over: Spread) -> DataFrame:
    """The rows that broke no rule, brought together by day: the one shuffle of the log.

    Args:
        cleaned: From ``cleaning.clean``.
        over: Which task gets which day.
    """
    rows = cleaned.where(F.col("reason").isNull())
    key = over.key(cleaned.sparkSession, F.col("activity_date"), F.col("customer_id"))
    return rows.withColumn(TASK, key).repartition(over.tasks, TASK)


def distinct(transactions: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Of the rows of a task that are equal in the given columns one, without further columns."""
    keys = [TASK, *columns]
    return transactions.groupBy(*keys).agg(F.lit(1).alias("_")).select(*keys)


def entries(transactions: DataFrame, units_of: int | None = None) -> DataFrame:
    """Rows as countable entries, nothing being a duplicate of anything.

    Args:
        transactions: Accepted rows by day.
        units_of: Decimals of money, to count it in its smallest units.

    Returns:
        One row per transaction: activity_date, customer_id, order_id and its sums.
    """
    amount = _in_units(F.col("amount"), units_of)
    return transactions.select(*_DAY, "order_id", *_countable(amount, F.col("is_refund")))


def deduplicated_entries(transactions: DataFrame, units_of: int | None = None) -> DataFrame:
    """Rows as countable entries, of the same ``identity`` one per customer and day.

    If the copies differ, the row with the latest instant stays, then the largest amount, then
    the largest order_id, and the others count as conflicting. A null identity is never a
    duplicate.

    Args:
        transactions: Accepted rows by day.
        units_of: Decimals of money, to count it in its smallest units, but for what is left out.

    Returns:
        One row per identity (per order where there is none), with its sums and those of the
        rows left out (``duplicate_rows`` and so on).
    """
    has_identity = F.col("identity").isNotNull()
    keys = F.when(~has_identity, F.col("order_id")).alias("unidentified_order")
    row = F.struct("instant", "amount", "order_key", "order_id", "is_refund")
    counts = _countable(F.col("amount"), F.col("is_refund"))
    copies = (
        transactions.select(
            *_DAY, "identity", "order_id", "amount", keys, row.alias("row"), *counts
        )
        .groupBy(*_DAY, "identity", "unidentified_order")
        .agg(*_copies(), *(F.sum(name).alias(name) for name in _SUMS))
    )
    kept = _in_units(F.col("kept.amount"), units_of)
    sums = {name: F.col(name) for name in _SUMS}
    sums |= {name: _in_units(sums[name], units_of) for name in _MONEY}
    counted = [
        F.when(has_identity, one).otherwise(sums[name]).alias(name)
        for name, one in zip(_SUMS, _countable(kept, F.col("kept.is_refund")), strict=True)
    ]
    order = F.when(has_identity, F.col("kept.order_id")).otherwise(F.col("unidentified_order"))
    return copies.select(
        *_DAY,
        order.alias("order_id"),
        *counted,
        *_left_out(has_identity),
    )


def customer_daily(entries: DataFrame, units_of: int | None = None) -> DataFrame:
    """Orders, lines and money per business day and customer.

    An order counts on a day if it has a purchase on it; a row without order_id is an order of its
    own. A refund changes money only.

    Args:
        entries: From :func:`entries` or :func:`deduplicated_entries`.
        units_of: Decimals of money, where entries have it in its smallest units.
    """
    orders = F.when(F.col("order_id").isNull(), F.col("lines")).otherwise(
        (F.col("lines") > 0).cast("bigint")
    )
    by_order = entries.groupBy(*_DAY, "order_id").agg(*(F.sum(n).alias(n) for n in _SUMS))
    by_customer = (
        by_order.withColumn("orders", orders)
        .groupBy(*_DAY)
        .agg(*(F.sum(name).alias(name) for name in ["orders", *_SUMS]))
        .drop(TASK)
    )
    return smallest_units.in_money(by_customer, _MONEY, units_of)


def stored_sums(daily: DataFrame, units_of: int | None) -> DataFrame:
    """Rows and money per business day, from ``customer_daily``.

    Args:
        daily: The table.
        units_of: Decimals of money, to add it as ``high`` and ``low`` smallest units; an error
            where an amount is too large. None: as ``amount``.
    """
    amount = F.col("purchase_amount") + F.col("refund_amount")
    if units_of is None:
        sums = {"amount": F.sum(amount)}
    else:
        counted = [smallest_units.units_or_error(F.col(name), units_of) for name in _MONEY]
        high, low = smallest_units.high_and_low(counted[0] + counted[1])
        sums = {"high": high, "low": low}
    return daily.groupBy("activity_date").agg(
        F.sum(F.col("lines") + F.col("refund_lines")).alias("rows"),
        *(total.alias(name) for name, total in sums.items()),
    )


def conflicting_rows() -> Column:
    """How many rows of deduplicated entries were left out for one that differs."""
    return F.sum("duplicate_conflicting_rows")


def duplicate_sums(entries: DataFrame) -> DataFrame:
    """Rows and money left out as duplicates, per business day."""
    return entries.groupBy("activity_date").agg(*(F.sum(n).alias(n) for n in _DUPLICATE_SUMS))


def deduplicated_balances(balances: DataFrame, *, kind: str) -> DataFrame:
    """Statements or movements, of the same ``identity`` one per customer and day.

    If the copies differ, the latest stays, then the largest amount, and the others count as
    conflicting. A null identity is never a duplicate: such movements all count.

    Args:
        balances: From :func:`accepted`.
        kind: ``snapshot`` or ``flow``.

    Returns:
        Rows with account_id, instant and amount, and the sums of the rows left out.
    """
    has_identity = F.col("identity").isNotNull()
    row = F.struct("instant", "amount", "account_id")
    unnamed = F.when(~has_identity, row).alias("unnamed")
    copies = (
        balances.select(*_DAY, "identity", unnamed, row.alias("row"), "amount")
        .groupBy(*_DAY, "identity", "unnamed")
        .agg(*_copies())
    )
    kept = F.col("kept.amount")
    amount = F.when(has_identity, kept).otherwise(F.col("amount")) if kind == "flow" else kept
    return copies.select(
        *_DAY, "kept.account_id", "kept.instant", amount.alias("amount"), *_left_out(has_identity)
    )


def balance_daily(balances: DataFrame, *, kind: str) -> DataFrame:
    """What each account stated on each day it stated something.

    Args:
        balances: From :func:`accepted`, duplicates taken out.
        kind: ``snapshot``, the last balance of the day; ``flow``, the sum of its movements.
    """
    last = F.max_by("amount", "instant") if kind == "snapshot" else F.sum("amount")
    return (
        balances.groupBy(*_DAY, "account_id")
        .agg(last.alias(BALANCE_COLUMNS[kind]))
        .select(
            F.col("activity_date").alias("balance_date"),
            "customer_id",
            "account_id",
            BALANCE_COLUMNS[kind],
        )
    )


def contradicting_balances(balances: DataFrame) -> DataFrame:
    """Instants at which one account states two different balances."""
    return (
        balances.groupBy(*_DAY, "account_id", "instant")
        .agg(F.min("amount").alias("one"), F.max("amount").alias("other"))
        .where(F.col("one") != F.col("other"))
        .withColumn("at", F.col("instant").cast("string"))
        .select("customer_id", "account_id", "at", "one", "other")
    )


def _copies() -> list[Column]:
    """Of the rows of one identity: the one that stays, the one that differs most, their sums."""
    return [
        F.max("row").alias("kept"),
        F.min("row").alias("least"),
        F.count(F.lit(1)).alias("copies"),
        F.sum("amount").alias("amount"),
    ]


def _left_out(has_identity: Column) -> list[Column]:
    """Rows and money of the copies that do not stay, by whether they differ."""
    differ = F.col("kept") != F.col("least")
    columns = []
    for measure, is_such in (("duplicate", ~differ), ("duplicate_conflicting", differ)):
        counts = has_identity & is_such
        surplus = F.col("amount") - F.col("kept.amount")
        columns += [
            F.when(counts, F.col("copies") - 1).otherwise(0).alias(f"{measure}_rows"),
            F.when(counts, surplus).otherwise(0).alias(f"{measure}_amount"),
        ]
    return columns


def _in_units(amount: Column, units_of: int | None) -> Column:
    return amount if units_of is None else smallest_units.units(amount, units_of)


def _countable(amount: Column, is_refund: Column) -> list[Column]:
    zero = F.lit(0)
    return [
        (~is_refund).cast("bigint").alias("lines"),
        F.when(is_refund, zero).otherwise(amount).alias("purchase_amount"),
        is_refund.cast("bigint").alias("refund_lines"),
        F.when(is_refund, amount).otherwise(zero).alias("refund_amount"),
    ]
