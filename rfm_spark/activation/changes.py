"""Who has changed since they were last sent."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def newest_payloads(changes: DataFrame) -> DataFrame:
    """What each customer was sent last.

    Args:
        changes: batch, customer_id and payload of one export; one row per batch and customer.

    Returns:
        customer_id and payload.
    """
    newest = F.max_by("payload", "batch").alias("payload")
    return changes.groupBy("customer_id").agg(newest)


def changed_payloads(customers: DataFrame, sent: DataFrame, *, nothing_left: str) -> DataFrame:
    """Payloads that differ from what was sent last.

    Args:
        customers: customer_id and payload of everybody in the audience, one row each.
        sent: The same of everybody who was ever sent.
        nothing_left: Payload for those who were sent before and are no longer in the audience.

    Returns:
        customer_id and payload, of those who are new, have changed or have left. Who has left and
        was told so is not told again.
    """
    both = customers.withColumnRenamed("payload", "now").join(
        sent.withColumnRenamed("payload", "before"), on="customer_id", how="full_outer"
    )
    now = F.coalesce("now", F.lit(nothing_left))
    changed = both.where(F.col("before").isNull() | (now != F.col("before")))
    return changed.select("customer_id", now.alias("payload"))
