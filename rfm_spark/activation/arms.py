"""Who is held out of an export: drawn by a hash, so that everybody draws the same lot again."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark.schemas import CONTROL, TREATMENT

_DIGITS = 13
_LOTS = 16**_DIGITS


def lot(customer_id: Column, salt: str) -> Column:
    """A number from 0 to below 1 that hangs on the customer and the salt alone.

    The first 52 bits of SHA-256 of the salt, a line feed and the id as text: the same for an id as
    a number and as text, for every version of Spark, and unrelated for two salts.
    """
    text = F.concat(F.lit(f"{salt}\n"), customer_id.cast("string"))
    digits = F.substring(F.sha2(text.cast("binary"), 256), 1, _DIGITS)
    return F.conv(digits, 16, 10).cast("bigint") / F.lit(float(_LOTS))


def arm(customer_id: Column, *, share: float, salt: str) -> Column:
    """``control`` for a share of the customers, else ``treatment``.

    A larger share holds out the same customers and others beside them.
    """
    return F.when(lot(customer_id, salt) < F.lit(share), CONTROL).otherwise(TREATMENT)


def new_assignments(
    customers: DataFrame, known: DataFrame | None, *, share: float, salt: str
) -> DataFrame:
    """Arms of the customers who have none yet.

    Args:
        customers: customer_id and rfm_segment, one row per customer.
        known: customer_id of those who have an arm; None for nobody.
        share: Of the customers, to be held out.
        salt: Draws one hold-out of many.

    Returns:
        customer_id, arm, and the segment at this moment.
    """
    new = customers
    if known is not None:
        new = customers.join(known.select("customer_id"), on="customer_id", how="left_anti")
    return new.select(
        "customer_id",
        arm(F.col("customer_id"), share=share, salt=salt).alias("arm"),
        F.col("rfm_segment").alias("segment"),
    )
