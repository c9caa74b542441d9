"""Exports of what has changed: stored first, then sent, then marked as sent.

A kill at any moment leaves a batch that is stored whole or not at all. The next export first sends
a stored one as it is stored, with the same times, and then looks for what has changed since.
"""

from __future__ import annotations

from datetime import date
from math import ceil

from pyspark.sql import Column
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.activation.changes import changed_payloads, newest_payloads
from rfm_spark.activation.payloads import braze_row, identify_call, nothing_left, payload
from rfm_spark.config.activation import BrazeExport, CdpIdentifyExport
from rfm_spark.errors import DataError
from rfm_spark.pipeline import export_files
from rfm_spark.pipeline.audience import columns_of, customers_of, without_control
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.export_batches import (
    Batch,
    changes_of,
    last_sent,
    mark_sent,
    next_batch,
    unfinished,
)
from rfm_spark.pipeline.export_files import Lines, Place, write_files, write_manifest

Settings = BrazeExport | CdpIdentifyExport


def export_changed(context: Context, *, name: str, settings: Settings, snapshot_date: date) -> None:
    """Send the customers whose attributes differ from what they were sent last.

    Writes ``export_assignments`` where there is a hold-out, ``export_changes``, the files, their
    manifest, and ``export_batches``, in this order.

    Args:
        context: The run.
        name: Which one of ``exports``.
        settings: Its settings.
        snapshot_date: The date whose customers are sent.

    Raises:
        DataError: The date has no labels, or a later one has been sent already.
    """
    interrupted = unfinished(context, name)
    if interrupted is not None:
        context.display.note(
            f"batch {interrupted.number} of {interrupted.snapshot_date} was interrupted: it is "
            "sent as it was stored"
        )
        _send(context, settings, interrupted)
        context.store.queue.settle()
    sent = last_sent(context, name)
    if sent is not None and sent["snapshot_date"] > snapshot_date:
        raise DataError(
            f"{name} has sent what customers were on {sent['snapshot_date']}, and {snapshot_date} "
            "is before that: older segments would replace newer ones. Export that date or a later "
            "one; an export of another name starts anew"
        )
    batch = next_batch(context, name, snapshot_date)
    rows = _store(context, settings, batch)
    if rows:
        _send(context, settings, batch)
        return
    last = f" since batch {sent['batch']} of {sent['snapshot_date']}" if sent is not None else ""
    context.display.note(f"nothing has changed{last}: nothing was sent")


def _store(context: Context, settings: Settings, batch: Batch) -> int:
    """Store what has changed as a batch; gives the number of rows."""
    customers = customers_of(context, batch.export, batch.snapshot_date)
    attributes = columns_of(context, batch.export, customers, settings.attributes)
    audience = without_control(context, batch.export, customers, batch.snapshot_date)
    now = audience.select("customer_id", payload(attributes).alias("payload"))
    table = schemas.export_changes(context.customer_id_type())
    stored = changes_of(context, batch.export)
    if stored is None:
        sent = now.limit(0)
    else:
        sent = newest_payloads(stored.where(F.col("batch") < batch.number))
    changed = changed_payloads(now, sent, nothing_left=nothing_left(attributes))
    keys = {
        "export": F.lit(batch.export),
        "batch": F.lit(batch.number),
        "snapshot_date": F.lit(batch.snapshot_date),
        "updated_at": F.timestamp_micros(F.lit(batch.microseconds)),
    }
    return context.write(table, changed.withColumns(keys).select(*table.columns), batch.where)


def _send(context: Context, settings: Settings, batch: Batch) -> None:
    """Write the files of a stored batch, their manifest, and that it was sent."""
    stored = changes_of(context, batch.export)
    assert stored is not None
    rows = stored.where(F.col("batch") == batch.number)
    count = rows.count()
    is_text = isinstance(settings, CdpIdentifyExport) or settings.format == "json"
    place = _place(settings, batch, ".jsonl" if is_text else ".parquet")
    with context.timed(f"writing {place.folder}") as clock:
        columns = _columns(settings, batch)
        files = write_files(
            context,
            rows,
            place,
            columns={"value": _line(settings, batch)} if is_text else columns,
            order=[F.col("customer_id")],
            files=max(1, ceil(count / export_files.ROWS_PER_FILE)),
            lines=Lines() if is_text else None,
        )
        write_manifest(
            context,
            place,
            export_files.manifest(
                batch, type_=settings.type, rows=count, columns=list(columns), files=files
            ),
        )
    mark_sent(
        context, batch, rows=count, files={f"data/{file}": sha for file, sha in files.items()}
    )
    context.run.rows[f"exports.{batch.export}"] = count
    context.display.wrote(context.run.stage, batch.export, count, clock.seconds)
    context.display.note(f"{place.folder}/{next(iter(files))}")


def _place(settings: Settings, batch: Batch, suffix: str) -> Place:
    stem = f"{batch.export}-{batch.number:06}-{batch.snapshot_date}"
    path = settings.path.rstrip("/")
    return Place(f"{path}/data", stem, suffix, f"{path}/manifests/{stem}.manifest.json")


def _columns(settings: Settings, batch: Batch) -> dict[str, Column]:
    """What a row has, by name."""
    if isinstance(settings, CdpIdentifyExport):
        return dict.fromkeys(["type", "userId", "traits", "timestamp", "messageId"], F.lit(None))
    is_text = settings.format == "json"
    time = F.lit(batch.timestamp) if is_text else F.col("updated_at")
    updated_at = time if settings.updated_at else None
    names = ["UPDATED_AT"] * settings.updated_at + ["EXTERNAL_ID", "PAYLOAD"]
    return dict(zip(names, braze_row(updated_at=updated_at), strict=True))


def _line(settings: Settings, batch: Batch) -> Column:
    """A row as a line of JSON."""
    if isinstance(settings, CdpIdentifyExport):
        return identify_call(export=batch.export, timestamp=batch.timestamp)
    return F.to_json(F.struct(*_columns(settings, batch).values()))
