"""What a date is compared with, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame

from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.migrations import Versions, migrations, write_migrations
from rfm_spark.pipeline.outlook import outlook_date, write_outlook


def write_movement(
    context: Context,
    customers: DataFrame,
    versions: Versions,
    *,
    snapshot_date: date,
    compared: Sequence[date],
    dates: Sequence[date],
) -> None:
    """Say who moved, and where the base goes from there.

    Writes ``segment_migrations``, ``segment_stability`` and ``segment_outlook``, each as far as
    there is an earlier date to compare with.

    Args:
        context: The run.
        customers: ``customer_features`` of the date with rfm_segment and cluster_segment.
        versions: What these come from.
        snapshot_date: The date.
        compared: Earlier dates to compare with.
        dates: All dates with labels; one of them may be a step of the outlook away.
    """
    if not any(day < snapshot_date for day in dates):
        return  # what is stored of a date before, if anything, outlives that date's labels
    projected = outlook_date(context, dates, snapshot_date)
    wanted = {*compared} if projected is None else {*compared, projected}
    found = {
        day: migrations(
            context,
            customers,
            versions,
            snapshot_date=snapshot_date,
            previous_date=day,
            dates=dates,
        )
        for day in sorted(wanted)
    }
    write_migrations(context, list(found.values()), snapshot_date=snapshot_date)
    write_outlook(context, found[projected] if projected else None, snapshot_date=snapshot_date)
