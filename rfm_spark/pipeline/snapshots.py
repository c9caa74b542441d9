"""The snapshot dates that have labels: which there are, and what rests on which."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark.errors import DataError
from rfm_spark.pipeline import ledger
from rfm_spark.pipeline.context import Context

_MOST_NAMED = 12


def labelled_dates(context: Context) -> list[date]:
    """Every snapshot date in ``customer_segments``, in order."""

    def look() -> list[date]:
        labels = context.store.read_or_none("customer_segments")
        if labels is None:
            return []
        return sorted(row[0] for row in labels.select("snapshot_date").distinct().collect())

    return list(context.once("customer_segments", "dates", look))


def labels_on(context: Context, snapshot_date: date) -> DataFrame:
    """``customer_segments`` of a date."""
    labels = context.read("customer_segments")
    return labels.where(F.col("snapshot_date") == F.lit(snapshot_date))


def dates_to_compare(
    dates: Sequence[date], snapshot_date: date, asked: Sequence[date]
) -> list[date]:
    """The dates to compare a date with: the previous one, and those asked for; in order.

    Raises:
        DataError: There are no labels of a date that is asked for.
    """
    before = [day for day in dates if day < snapshot_date]
    missing = [day for day in asked if day not in before]
    if missing:
        raise DataError(
            f"--compare-to {named_dates(missing)}: there are no labels of that date; of those "
            f"before {snapshot_date} there are {named_dates(before) or 'none'}"
        )
    return sorted({*before[-1:], *asked})


def make_stale(context: Context, dates: Sequence[date], why: str) -> None:
    """Mark the dates that are not marked yet, and name them.

    Args:
        context: The run.
        dates: Snapshot dates whose labels rest on what is about to be written.
        why: What that is, in words.
    """
    if not dates:
        return
    known = ledger.stale_dates(context)
    new = [day for day in dates if day not in known]
    if not new:
        context.display.note(f"still stale: {named_dates(dates)}")
        return
    ledger.mark_stale(context, new, why)
    context.display.warn(
        f"{why}: the labels of {named_dates(dates)} rest on it and are marked stale in `runs`; "
        f"`rfm-spark backfill` over these dates writes them again"
    )


def still_stale(context: Context, snapshot_date: date, previous: date) -> None:
    """Mark a date that has just been written, because the previous one is stale."""
    why = f"the labels of {previous}, which those of {snapshot_date} start from, are stale"
    ledger.mark_stale(context, [snapshot_date], why)
    context.display.warn(f"{why}: so are those of {snapshot_date}, until both are written again")


def named_dates(dates: Sequence[date]) -> str:
    """Dates for people, the middle of a long list left out."""
    texts = [str(day) for day in dates]
    if len(texts) > _MOST_NAMED:
        half = _MOST_NAMED // 2
        texts = [*texts[:half], f"... {len(texts) - 2 * half} more ...", *texts[-half:]]
    return ", ".join(texts)
