"""Target events of a date's window, by segment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.insight.events import segment_events
from rfm_spark.pipeline import gates
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.logs import (
    Batch,
    OpenLog,
    account_for,
    events_of,
    fingerprint_name,
    note_fingerprint,
    open_log,
    read_batch,
)
from rfm_spark.pipeline.sources import naming_the_expression
from rfm_spark.pipeline.stored_features import window_of

FINGERPRINT = fingerprint_name("events")


@dataclass(frozen=True)
class TargetEvents:
    """The events of a date's window, read and judged."""

    log: OpenLog
    batch: Batch
    events: DataFrame


def read_events(context: Context, *, snapshot_date: date) -> TargetEvents | None:
    """Read the target events on the days of the window; None where there is no such source.

    Every expression is evaluated here, so that nothing is published of a date whose events are
    refused.

    Raises:
        ConfigurationError: The source is not there, or its mapping does not fit.
        DataError: Too many rows would be rejected, or customer ids have another type.
    """
    settings = context.settings.sources.events
    if settings is None:
        return None
    log = open_log(context, "events", settings)
    gates.one_id_type(context, {"events": log.mapping.id_type})
    days = window_of(context, snapshot_date)
    events = events_of(context, log, days)
    note_fingerprint(context, log, events)
    return TargetEvents(log, read_batch(context, log, days), events.select("customer_id", "event"))


def write_events(
    context: Context, customers: DataFrame, target: TargetEvents | None, *, snapshot_date: date
) -> None:
    """Count the customers with each target event per segment; writes ``segment_events``.

    Beside the table, the rejects and the report of the source are written. Without a source,
    what the date has from before is taken away.

    Args:
        context: The run.
        customers: customer_id, rfm_segment and cluster_segment of the date.
        target: From :func:`read_events`.
        snapshot_date: The date.
    """
    table = schemas.SEGMENT_EVENTS
    if target is None:
        context.write_records(table, [], snapshot_date)
        return
    log = target.log
    with naming_the_expression(log.name, log.rows, log.expressions):
        _tell_strangers(context, target.events, customers)
        counted = segment_events(customers, target.events)
        counted = counted.withColumn("snapshot_date", F.lit(snapshot_date)).repartition(1)
        context.write(table, counted, f"snapshot_date = DATE'{snapshot_date}'")
    account_for(context, target.batch)


def read_fingerprint(context: Context, *, snapshot_date: date) -> None:
    """Put into the ledger what tells one content of the source from another."""
    settings = context.settings.sources.events
    if settings is None:
        return
    log = open_log(context, "events", settings)
    note_fingerprint(context, log, events_of(context, log, window_of(context, snapshot_date)))


def _tell_strangers(context: Context, events: DataFrame, customers: DataFrame) -> None:
    people = events.select("customer_id").distinct()
    strangers = people.join(customers.select("customer_id"), on="customer_id", how="left_anti")
    if count := strangers.count():
        context.display.note(f"events: {count:,} customers have no features at that date, left out")
