"""Accepted rows as daily facts: purchases per customer, balances per account."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_DAY = ["activity_date", "customer_id"]
_SUMS = ["lines", "purchase_amount", "refund_lines", "refund_amount"]
_DUPLICATE_SUMS = [
    "duplicate_rows",
    "duplicate_amount",
    "duplicate_conflicting_rows",
    "duplicate_conflicting_amount",
]


def accepted(cleaned: DataFrame) -> DataFrame:
    """The rows that broke no rule, brought together by day: the one shuffle of the log."""
    return cleaned.where(F.col("reason").isNull()).repartition("activity_date")


def entries(transactions: DataFrame) -> DataFrame:
    """Rows as countable entries, nothing being a duplicate of anything.

    Returns:
        One row per transaction: activity_date, customer_id, order_id and its sums.
    """
    return transactions.select(*_DAY, "order_id", *_countable(F.col("amount")))


def deduplicated_entries(transactions: DataFrame) -> DataFrame:
    """Rows as countable entries, of the same ``identity`` one per customer and day.

    If the copies differ, the row with the latest instant stays, then the largest amount, then
    the largest order_id, and the others count as conflicting. A null identity is never a
    duplicate.

    Returns:
        One row per identity (per order where there is none), with its sums and those of the
        rows left out.
    """
    has_identity = F.col("identity").isNotNull()
    keys = F.when(~has_identity, F.col("order_id")).alias("unidentified_order")
    row = F.struct(F.col("instant"), F.col("amount"), F.col("order_id"))
    copies = (
        transactions.select(
            *_DAY, "identity", "order_id", "amount", keys, row.alias("row"), *_countable()
        )
        .groupBy(*_DAY, "identity", "unidentified_order")
        .agg(
            F.max("row").alias("kept"),
            F.min("row").alias("least"),
            F.count(F.lit(1)).alias("copies"),
            F.sum("amount").alias("amount"),
            *(F.sum(name).alias(name) for name in _SUMS),
        )
    )
    kept = F.col("kept.amount")
    counted = [
        F.when(has_identity, one).otherwise(F.col(name)).alias(name)
        for name, one in zip(_SUMS, _countable(kept), strict=True)
    ]
    surplus_rows = F.when(has_identity, F.col("copies") - 1).otherwise(0)
    surplus_amount = F.when(has_identity, F.col("amount") - kept).otherwise(0)
    differ = F.col("kept") != F.col("least")
    order = F.when(has_identity, F.col("kept.order_id")).otherwise(F.col("unidentified_order"))
    return copies.select(
        *_DAY,
        order.alias("order_id"),
        *counted,
        F.when(~differ, surplus_rows).otherwise(0).alias("duplicate_rows"),
        F.when(~differ, surplus_amount).otherwise(0).alias("duplicate_amount"),
        F.when(differ, surplus_rows).otherwise(0).alias("duplicate_conflicting_rows"),
        F.when(differ, surplus_amount).otherwise(0).alias("duplicate_conflicting_amount"),
    )


def customer_daily(entries: DataFrame) -> DataFrame:
    """Orders, lines and money per business day and customer.

    An order counts on a day if it has a purchase on it; a row without order_id is an order of its
    own. A refund changes money only.
    """
    orders = F.when(F.col("order_id").isNull(), F.col("lines")).otherwise(
        (F.col("lines") > 0).cast("bigint")
    )
    by_order = entries.groupBy(*_DAY, "order_id").agg(*(F.sum(n).alias(n) for n in _SUMS))
    return (
        by_order.withColumn("orders", orders)
        .groupBy(*_DAY)
        .agg(*(F.sum(name).alias(name) for name in ["orders", *_SUMS]))
    )


def duplicate_sums(entries: DataFrame) -> DataFrame:
    """Rows and money left out as duplicates, per business day."""
    return entries.groupBy("activity_date").agg(*(F.sum(n).alias(n) for n in _DUPLICATE_SUMS))


def balance_daily(balances: DataFrame) -> DataFrame:
    """The last balance that each account stated on each day it stated one."""
    return (
        balances.groupBy("activity_date", "customer_id", "account_id")
        .agg(F.max(F.struct("instant", "amount")).alias("last"))
        .select(
            F.col("activity_date").alias("balance_date"),
            "customer_id",
            "account_id",
            F.col("last.amount").alias("balance"),
        )
    )


def contradicting_balances(balances: DataFrame) -> DataFrame:
    """Instants at which one account states two different balances."""
    return (
        balances.groupBy("customer_id", "account_id", "instant")
        .agg(F.min("amount").alias("one"), F.max("amount").alias("other"))
        .where(F.col("one") != F.col("other"))
        .withColumn("at", F.col("instant").cast("string"))
        .drop("instant")
    )


def _countable(amount: Column | None = None) -> list[Column]:
    amount = F.col("amount") if amount is None else amount
    is_purchase, zero = amount >= 0, F.lit(0)
    return [
        is_purchase.cast("bigint").alias("lines"),
        F.when(is_purchase, amount).otherwise(zero).alias("purchase_amount"),
        (~is_purchase).cast("bigint").alias("refund_lines"),
        F.when(is_purchase, zero).otherwise(amount).alias("refund_amount"),
    ]
