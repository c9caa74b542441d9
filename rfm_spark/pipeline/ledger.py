"""The run ledger: who ran when, on what, and how it ended."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime, timezone

from pyspark.sql import Row
from pyspark.sql import functions as F

from rfm_spark import __version__, schemas
from rfm_spark.errors import RfmSparkError
from rfm_spark.pipeline.context import Context

SUCCEEDED, FAILED, STARTED = "succeeded", "failed", "started"


def new_run_id() -> str:
    """An id that no other run has."""
    return uuid.uuid4().hex


@contextmanager
def recorded(context: Context, command: str, snapshot_date: date | None) -> Iterator[None]:
    """Append ``started`` before the work and the final status after it; writes ``runs``.

    A run that was started and has no final row was killed.
    """
    started = datetime.now(timezone.utc)
    _append(context, command, snapshot_date, STARTED, started)
    try:
        yield
    except BaseException as error:
        with suppress(Exception):  # the error itself matters more than its line in the ledger
            _append(context, command, snapshot_date, FAILED, started, error=_sentence(error))
        raise
    _append(context, command, snapshot_date, SUCCEEDED, started)


def last_success(context: Context, *, output: str, snapshot_date: date) -> Row | None:
    """The ledger row of the last successful run that wrote a table for a date."""
    runs = context.store.read_or_none(schemas.RUNS.name)
    if runs is None:
        return None
    wrote = F.element_at("output_versions", output)
    own = runs.where(
        (F.col("status") == SUCCEEDED)
        & (F.col("snapshot_date") == F.lit(snapshot_date))
        & F.map_contains_key("output_versions", output)
    )
    row = own.orderBy(wrote.desc()).first()
    return row if row is None or isinstance(row, Row) else None


def unfinished_since(context: Context, success: Row, *, snapshot_date: date) -> bool:
    """Whether another run of the date has started since and has not succeeded.

    Commands that only look do not count.
    """
    runs = context.store.read(schemas.RUNS.name).where(
        (F.col("snapshot_date") == F.lit(snapshot_date)) & (F.col("run_id") != context.run.run_id)
    )
    later = runs.where(
        (F.col("started") > F.lit(success["started"])) & (F.col("command") != "describe")
    )
    succeeded = F.max((F.col("status") == SUCCEEDED).cast("int"))
    ends = later.groupBy("run_id").agg(succeeded.alias("succeeded"))
    return bool(ends.where("succeeded = 0").limit(1).collect())


def _append(
    context: Context,
    command: str,
    snapshot_date: date | None,
    status: str,
    started: datetime,
    *,
    error: str | None = None,
) -> None:
    table, run = schemas.RUNS, context.run
    ended = None if status == STARTED else datetime.now(timezone.utc)
    row = (
        run.run_id,
        command,
        snapshot_date,
        status,
        started,
        ended,
        context.configuration.config_hash,
        __version__,
        run.input_versions,
        run.output_versions,
        run.rows,
        error,
    )
    frame = context.spark.createDataFrame([row], table.ddl).repartition(1)
    context.store.append(table, frame, run.run_id)


def _sentence(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    detail = text[0] if text else ""
    return detail if isinstance(error, RfmSparkError) else f"{type(error).__name__}: {detail}"
