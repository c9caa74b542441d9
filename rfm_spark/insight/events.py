"""Target events by segment: who signed up, redeemed, left."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark.schemas import KINDS

Z = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""
MISSING_EVENT = "(missing)"


def segment_events(customers: DataFrame, events: DataFrame) -> DataFrame:
    """How many customers of each segment had each event, against all customers.

    A customer counts once per event, however often it happened. Every event stands for every
    segment, also where nobody of it had the event.

    Args:
        customers: customer_id and the segment columns of both kinds, one row per customer.
        events: customer_id and event; events of other customers do not count.

    Returns:
        One row per kind, segment and event: segment_customers, customers (with the event), rate,
        lift (rate over the rate of all customers; null where nobody had the event), and 95 %
        intervals of both. That of the rate is Wilson's (1927); that of the lift is the same over
        the rate of all customers, which is taken as known.
    """
    had = events.select("customer_id", _named("event")).distinct()
    kinds = F.array(
        *(F.struct(F.lit(k).alias("kind"), F.col(c).alias("segment")) for k, c in KINDS.items())
    )
    labels = customers.select("customer_id", F.explode(kinds).alias("one"))
    labels = labels.select("customer_id", "one.*")
    sizes = labels.groupBy("kind", "segment").agg(F.count(F.lit(1)).alias("segment_customers"))
    counts = (
        labels.join(had, on="customer_id", how="inner")
        .groupBy("kind", "segment", "event")
        .agg(F.count(F.lit(1)).alias("customers"))
    )
    everybody = counts.groupBy("kind", "event").agg(F.sum("customers").alias("all_customers"))
    base = sizes.groupBy("kind").agg(F.sum("segment_customers").alias("base_customers"))
    grid = sizes.join(F.broadcast(everybody), on="kind", how="inner")
    grid = grid.join(F.broadcast(base), on="kind", how="inner")
    counted = grid.join(counts, on=["kind", "segment", "event"], how="left")
    counted = counted.withColumn("customers", F.coalesce("customers", F.lit(0)))
    k, n = F.col("customers"), F.col("segment_customers")
    overall = F.col("all_customers") / F.col("base_customers")
    lower, upper = wilson(k, n)
    rate = k / n
    return counted.select(
        "kind",
        "segment",
        "event",
        "segment_customers",
        "customers",
        rate.alias("rate"),
        lower.alias("rate_lower"),
        upper.alias("rate_upper"),
        (rate / overall).alias("lift"),
        (lower / overall).alias("lift_lower"),
        (upper / overall).alias("lift_upper"),
    )


def wilson(successes: Column, trials: Column) -> tuple[Column, Column]:
    """Wilson's 95 % score interval of a proportion (E. B. Wilson, JASA 22, 1927)."""
    share, square = successes / trials, F.lit(Z * Z)
    middle = share + square / (2 * trials)
    half = F.lit(Z) * F.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    size = 1 + square / trials
    lower = F.when(successes == 0, 0.0).otherwise((middle - half) / size)
    upper = F.when(successes == trials, 1.0).otherwise((middle + half) / size)
    return lower, upper


def _named(column: str) -> Column:
    text = F.trim(F.col(column).cast("string"))
    return F.when(F.coalesce(text, F.lit("")) == "", MISSING_EVENT).otherwise(text).alias(column)
