"""Upkeep of the store: small files put together, old files and old rows removed."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.pipeline.context import Context
from rfm_spark.tables import delete, delete_matching, optimize, vacuum

_PER_CUSTOMER = ("customer_segments", "customer_features", "feature_state")


def maintain(context: Context) -> None:
    """Remove rows past their time, then OPTIMIZE and VACUUM every table.

    Rows of customers are kept for ``maintain.keep_snapshots`` dates; sums of segments, movement
    and models stay. So are payloads of so many batches of each export; the newest one of each
    customer stays in any case, because the next export is compared with it. Rejects are kept for
    ``maintain.keep_rejects_days`` before the last ingested day. VACUUM removes only files that
    Delta's retention has let go (a week, or what the table's
    ``delta.deletedFileRetentionDuration`` says).

    Args:
        context: The run.
    """
    store = context.store
    context.stage("maintain", store.location)
    present = [name for name in schemas.TABLE_NAMES if store.exists(name)]
    _remove_old_snapshots(context, present)
    _remove_old_rejects(context, present)
    _remove_old_payloads(context, present)
    lines = []
    for name in present:
        with context.timed(f"maintaining {name}") as clock:
            added, removed = optimize(store, name)
            vacuum(store, name)
        lines.append([name, removed, added, clock.seconds])
    headings = ["table", "files put together", "into", "seconds"]
    context.display.table("maintained", headings, lines)


def _remove_old_snapshots(context: Context, present: list[str]) -> None:
    keep = context.settings.maintain.keep_snapshots
    if keep is None or "customer_segments" not in present:
        return
    labels = context.store.read("customer_segments")
    dates = labels.select("snapshot_date").distinct().orderBy(F.desc("snapshot_date"))
    kept = [row["snapshot_date"] for row in dates.limit(keep).collect()]
    if len(kept) == keep:
        for name in _PER_CUSTOMER:
            if name in present:
                _remove_before(context, name, "snapshot_date", kept[-1])


def _remove_old_rejects(context: Context, present: list[str]) -> None:
    days, name = context.settings.maintain.keep_rejects_days, schemas.REJECTED_TRANSACTIONS.name
    if days is None or name not in present or "customer_daily" not in present:
        return
    last: date | None = (
        context.store.read("customer_daily").agg(F.max("activity_date")).collect()[0][0]
    )
    if last is not None:
        day = last - timedelta(days=days)
        _remove_before(context, name, "coalesce(activity_date, log_date)", day)


def _remove_old_payloads(context: Context, present: list[str]) -> None:
    keep, name = context.settings.maintain.keep_snapshots, "export_changes"
    if keep is None or name not in present:
        return
    changes = context.store.read(name)
    last = changes.groupBy("export").agg(F.max("batch").alias("last"))
    newest = changes.groupBy("export", "customer_id").agg(F.max("batch").alias("newest"))
    aged = changes.join(F.broadcast(last), on="export", how="inner")
    aged = aged.join(newest, on=["export", "customer_id"], how="inner")
    is_old = (F.col("batch") <= F.col("last") - keep) & (F.col("batch") < F.col("newest"))
    keys = aged.where(is_old).select("export", "batch", "customer_id")
    removed = 0
    if keys.limit(1).collect():
        match = " AND ".join(f"t.{column} = s.{column}" for column in keys.columns)
        removed = delete_matching(context.store, name, keys, match)
    if removed:
        context.display.note(f"{name}: {removed:,} payloads that newer ones replaced removed")


def _remove_before(context: Context, table: str, what: str, day: date) -> None:
    removed = delete(context.store, table, f"{what} < DATE'{day}'")
    if removed:
        context.display.note(f"{table}: {removed:,} rows before {day} removed")
