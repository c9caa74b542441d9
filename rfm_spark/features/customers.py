"""The customers source: one row per customer, with start date and static AUM."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def standing(customers: DataFrame, *, snapshot_date: date) -> DataFrame:
    """Customers whose relation began before the snapshot date, or began nobody knows when.

    Args:
        customers: customer_id, start_date, aum.
        snapshot_date: The day after the last day counted.
    """
    start = F.col("start_date")
    return customers.where(start.isNull() | (start < F.lit(snapshot_date)))


def repeated(customers: DataFrame) -> DataFrame:
    """Customer ids that stand in more than one row."""
    return customers.groupBy("customer_id").count().where(F.col("count") > 1)
