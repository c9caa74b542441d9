"""What customers of an export have done since they were assigned to their arm."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

# Of one customer's revenue in the smallest unit of money: its square still is a decimal.
_UNITS = "decimal(18,0)"


def outcomes(
    assignments: DataFrame, daily: DataFrame, *, snapshot_date: date, scale: int
) -> DataFrame:
    """Purchases and revenue per segment of the assignment and arm.

    A customer's days are those from ``assigned_on`` (the first day after the labels) to the day
    before the snapshot date. Sums and squares are exact: whole units of the smallest decimal.

    Args:
        assignments: ``export_assignments`` of one export.
        daily: ``customer_daily``.
        snapshot_date: The day after the last day counted; who was assigned on it or later has no
            day yet and is left out.
        scale: Decimals of money.

    Returns:
        One row per segment and arm: customers, buyers (with a purchase), units (net revenue) and
        squares (of each customer's units, added up), both in 10 ^ -scale of the currency.
    """
    own = assignments.where(F.col("assigned_on") < F.lit(snapshot_date))
    own = own.select("customer_id", "arm", "segment", "assigned_on")
    days = daily.where(F.col("activity_date") < F.lit(snapshot_date)).join(
        own.select("customer_id", "assigned_on"), on="customer_id", how="inner"
    )
    net = F.sum(F.col("purchase_amount") + F.col("refund_amount"))
    done = (
        days.where(F.col("activity_date") >= F.col("assigned_on"))
        .groupBy("customer_id")
        .agg(
            F.bool_or(F.col("lines") > 0).alias("bought"),
            (net.cast(f"decimal(38,{scale})") * F.lit(10**scale)).cast(_UNITS).alias("units"),
        )
    )
    everybody = own.join(done, on="customer_id", how="left")
    units = F.coalesce("units", F.lit(0).cast(_UNITS))
    return everybody.groupBy("segment", "arm").agg(
        F.count(F.lit(1)).alias("customers"),
        F.count_if(F.coalesce("bought", F.lit(False))).alias("buyers"),
        F.sum(units).cast("decimal(38,0)").alias("units"),
        F.sum((units * units).cast("decimal(38,0)")).cast("decimal(38,0)").alias("squares"),
    )
