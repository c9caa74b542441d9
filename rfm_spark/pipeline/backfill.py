"""A run of every snapshot date of a range, oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial

from pyspark.sql import SparkSession

from rfm_spark.config import Configuration
from rfm_spark.pipeline import ledger
from rfm_spark.pipeline.context import Context, Display
from rfm_spark.pipeline.execution import execute, look
from rfm_spark.pipeline.run import run
from rfm_spark.pipeline.snapshots import named
from rfm_spark.pipeline.up_to_date import is_up_to_date

COMMAND = "backfill"


def backfill(
    spark: SparkSession, configuration: Configuration, display: Display, dates: Sequence[date]
) -> None:
    """Run every date that is not up to date, oldest first; each is a run of its own in ``runs``.

    So the same command goes on where an earlier one was stopped, and dates that were marked stale
    are written again.

    Args:
        spark: The session.
        configuration: Settings and rule map.
        display: Where progress goes.
        dates: Snapshot dates.

    Raises:
        RfmSparkError: Whatever a stage refuses; the dates before it are done.
    """
    for place, day in enumerate(sorted(dates), 1):
        display.stage(COMMAND, f"{day}, {place} of {len(dates)}")
        is_done = partial(_is_done, snapshot_date=day)
        if look(spark, configuration, display, command=COMMAND, work=is_done):
            display.note(f"{day} is up to date")
            continue
        execute(
            spark,
            configuration,
            display,
            command=COMMAND,
            snapshot_date=day,
            work=partial(run, snapshot_date=day, retrain=False),
        )
    if stale := look(spark, configuration, display, command=COMMAND, work=ledger.stale_dates):
        display.warn(f"stale, and not among these dates: {named(stale)}")


def _is_done(context: Context, *, snapshot_date: date) -> bool:
    return context.store.exists("customer_daily") and is_up_to_date(context, snapshot_date)
