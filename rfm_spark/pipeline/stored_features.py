"""The features of a date as they are stored, and the days that they are of."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark.errors import DataError
from rfm_spark.ingest.days import DayRange
from rfm_spark.pipeline.context import Context


def window_of(context: Context, snapshot_date: date) -> DayRange:
    """The days whose sums are the features of a date; no first day means all history."""
    window_days = context.settings.features.window_days
    first_day = snapshot_date - timedelta(days=window_days) if window_days else None
    return DayRange(first_day, snapshot_date - timedelta(days=1))


def days_of_log(context: Context, snapshot_date: date) -> int:
    """Days from the first ingested day to the snapshot date."""
    daily = context.read("customer_daily")
    first: date | None = context.once(
        "customer_daily", "first day", lambda: daily.agg(F.min("activity_date")).collect()[0][0]
    )
    return (snapshot_date - first).days if first else 0


def existing_features_on(context: Context, snapshot_date: date) -> DataFrame:
    """``customer_features`` of a date.

    Raises:
        DataError: There are none.
    """
    features = features_on(context, snapshot_date)
    what = ("has rows", snapshot_date)
    if not context.once("customer_features", what, features.limit(1).collect):
        raise DataError(
            f"customer_features has no row of {snapshot_date}; run `features` for it first"
        )
    return features


def features_on(context: Context, snapshot_date: date) -> DataFrame:
    """``customer_features`` of a date."""
    features = context.read("customer_features")
    return features.where(F.col("snapshot_date") == F.lit(snapshot_date))
