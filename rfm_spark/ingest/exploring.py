"""A log as it is, before anything of it is counted."""

from __future__ import annotations

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark.ingest.mapping import own_columns


def rows_by_reason(cleaned: DataFrame) -> DataFrame:
    """Rows per reject reason; null: accepted."""
    return cleaned.groupBy("reason").agg(F.count(F.lit(1)).alias("rows")).orderBy("reason")


def accepted_figures(cleaned: DataFrame) -> DataFrame:
    """One row over the accepted rows: customers, first and last day, money, missing ids."""
    accepted = cleaned.where(F.col("reason").isNull())
    missing = ("order_id", "transaction_id", "account_id")
    return accepted.agg(
        F.count_distinct("customer_id").alias("customers"),
        F.min("activity_date").alias("first_day"),
        F.max("activity_date").alias("last_day"),
        F.sum("amount").alias("total"),
        F.min("amount").alias("least"),
        F.max("amount").alias("most"),
        F.count_if("is_refund").alias("refunds"),
        F.count_if(F.col("amount") == 0).alias("zeros"),
        *(F.count_if(F.col(name).isNull()).alias(f"without_{name}") for name in missing),
    )


def repeated_ids(cleaned: DataFrame) -> int:
    """Accepted rows that have the transaction_id of another one of the same customer and day."""
    keys = ["customer_id", "activity_date", "transaction_id"]
    named = cleaned.where(F.col("reason").isNull() & F.col("transaction_id").isNotNull())
    return _surplus(named.groupBy(*keys).count())


def repeated_rows(source: DataFrame) -> int | None:
    """Rows that equal another one in every column; None where a column cannot be compared."""
    columns = [f"`{name.replace('`', '``')}`" for name in own_columns(source)]
    try:
        counts = source.groupBy(*(F.col(name) for name in columns)).count()
        return _surplus(counts)
    except AnalysisException:  # a map among the columns
        return None


def _surplus(counts: DataFrame) -> int:
    return int(counts.agg(F.sum(F.col("count") - 1)).collect()[0][0] or 0)
