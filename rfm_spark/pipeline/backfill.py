"""A run of every snapshot date of a range, oldest first."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from functools import partial

from pyspark.sql import SparkSession

from rfm_spark.config import Configuration
from rfm_spark.errors import RfmSparkError
from rfm_spark.pipeline import ledger
from rfm_spark.pipeline.context import Context, Display
from rfm_spark.pipeline.execution import execute, look
from rfm_spark.pipeline.run import run
from rfm_spark.pipeline.snapshots import named_dates
from rfm_spark.pipeline.up_to_date import is_up_to_date

COMMAND = "backfill"


def backfill(
    spark: SparkSession,
    configuration: Configuration,
    display: Display,
    dates: Collection[date],
    *,
    last: date,
    patience: float,
) -> None:
    """Run every date that is not up to date, oldest first; each is a run of its own in ``runs``.

    So the same command goes on where an earlier one was stopped. Other dates of the range that are
    stale, or become so on the way, are written again in their place.

    Args:
        spark: The session.
        configuration: Settings and rule map.
        display: Where progress goes.
        dates: Snapshot dates, at least one; the range starts with the first of them.
        last: Where the range ends, included.
        patience: Seconds to wait for another run that writes the same store, for each date.

    Raises:
        RfmSparkError: Whatever a stage refuses; the dates before it are done.
    """
    ask = partial(look, spark, configuration, display, command=COMMAND)
    waiting, done = set(dates), 0
    while waiting:
        day = min(waiting)
        display.stage(COMMAND, f"{day}, {done + 1} of {done + len(waiting)}")
        if ask(work=partial(_is_done, snapshot_date=day)):
            display.note(f"{day} is up to date")
        else:
            execute(
                spark,
                configuration,
                display,
                command=COMMAND,
                snapshot_date=day,
                work=partial(run, snapshot_date=day, retrain=False),
                patience=patience,
            )
        waiting.remove(day)
        done += 1
        stale = ask(work=ledger.stale_dates)
        waiting |= {other for other in stale if day < other <= last}
    if stale:
        display.warn(f"stale, and outside of this range: {named_dates(stale)}")


def _is_done(context: Context, *, snapshot_date: date) -> bool:
    """Whether there is nothing to do; what is refused meanwhile is told by the run itself."""
    try:
        return context.store.exists("customer_daily") and is_up_to_date(context, snapshot_date)
    except RfmSparkError:
        return False
