"""Target events of a date's window, by segment."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.ingest.days import DayRange
from rfm_spark.insight.events import segment_events
from rfm_spark.pipeline import gates
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.logs import account_for, events_of, near_days, open_log, read_batch
from rfm_spark.pipeline.sources import fingerprint, naming_the_expression

FINGERPRINT = "sources.events"


def write_events(context: Context, customers: DataFrame, *, snapshot_date: date) -> None:
    """Count the customers with each target event per segment; writes ``segment_events``.

    Events count on the days of the window. Beside the table, the rejects and the report of the
    source are written. Nothing happens where there is no source ``events``.

    Args:
        context: The run.
        customers: customer_id, rfm_segment and cluster_segment of the date.
        snapshot_date: The date.

    Raises:
        DataError: Too many rows would be rejected, or customer ids have another type.
    """
    settings = context.settings
    if settings.sources.events is None:
        return
    log = open_log(context, "events", settings.sources.events)
    gates.one_id_type(context, {"events": log.mapping.id_type})
    days = _window(context, snapshot_date)
    read_fingerprint(context, snapshot_date=snapshot_date)
    batch = read_batch(context, log, days)
    events = events_of(context, log, days).select("customer_id", "event")
    table = schemas.SEGMENT_EVENTS
    with naming_the_expression(log.name, log.rows, log.expressions):
        _tell_strangers(context, events, customers)
        counted = segment_events(customers, events)
        counted = counted.withColumn("snapshot_date", F.lit(snapshot_date)).repartition(1)
        context.write(table, counted, f"snapshot_date = DATE'{snapshot_date}'")
    account_for(context, batch)


def read_fingerprint(context: Context, *, snapshot_date: date) -> None:
    """Put into the ledger what tells one content of the source from another."""
    settings = context.settings.sources.events
    if settings is None:
        return
    log = open_log(context, "events", settings)
    with (
        context.timed("looking for new events"),
        naming_the_expression(log.name, log.rows, log.expressions),
    ):
        rows = near_days(log, _window(context, snapshot_date))
        content = fingerprint(rows, log.mapping.expressions.values())
    context.run.input_versions[FINGERPRINT] = content


def _window(context: Context, snapshot_date: date) -> DayRange:
    window_days = context.settings.features.window_days
    first_day = snapshot_date - timedelta(days=window_days) if window_days else None
    return DayRange(first_day, snapshot_date - timedelta(days=1))


def _tell_strangers(context: Context, events: DataFrame, customers: DataFrame) -> None:
    people = events.select("customer_id").distinct()
    strangers = people.join(customers.select("customer_id"), on="customer_id", how="left_anti")
    if count := strangers.count():
        context.display.note(f"events: {count:,} customers have no features at that date, left out")
