"""The run ledger: who ran when, on what, and how it ended."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timezone

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark import __version__, schemas
from rfm_spark.errors import RfmSparkError
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.ledger_entries import Entry, known_entries, read_again
from rfm_spark.pipeline.turns import this_process, turn

SUCCEEDED, FAILED, STARTED, STALE = "succeeded", "failed", "started", "stale"
UNFINISHED = "killed or running"
_LABELS = "customer_segments"


def new_run_id() -> str:
    """An id that no other run has."""
    return uuid.uuid4().hex


@contextmanager
def recorded(context: Context, snapshot_date: date | None, patience: float) -> Iterator[None]:
    """Append ``started`` before the work and the final status after it; writes ``runs``.

    A run that was started and has no final row was killed. The run has its turn meanwhile.

    Args:
        context: The run.
        snapshot_date: The date that it is about, if any.
        patience: Seconds to wait for another run that is at work.

    Raises:
        ConflictError: Another run is at work.
        DataError: A later program has written the store.
    """
    context.store.check_contract()
    started = datetime.now(timezone.utc)

    def first_row() -> DataFrame:
        nonlocal started
        started = datetime.now(timezone.utc)  # a run may have waited for its turn
        context.run.started = started
        times = {"started": started, "ended": None}
        return _frame(context, [_record(context, snapshot_date, STARTED, None) | times])

    with turn(context, first_row, patience):
        try:
            yield
            context.store.queue.settle()
        except BaseException as error:
            with suppress(Exception):
                context.store.queue.settle()
            with suppress(Exception):  # the error matters more than its line in the ledger
                _append_end(
                    context, snapshot_date, FAILED, started, error=_sentence(context, error)
                )
            raise
        _append_end(context, snapshot_date, SUCCEEDED, started)


def last_success(context: Context, *, output: str, snapshot_date: date) -> Entry | None:
    """The ledger row of the last successful run that wrote a table for a date."""
    own = [
        entry
        for entry in known_entries(context)
        if entry.status == SUCCEEDED
        and entry.snapshot_date == snapshot_date
        and output in entry.output_versions
    ]
    return max(own, key=lambda entry: entry.output_versions[output], default=None)


def unfinished_since(context: Context, success: Entry, *, snapshot_date: date) -> bool:
    """Whether another run of the date has started since and may have left half of its work.

    Runs that failed before they wrote anything do not count.
    """
    harmless: dict[str, bool] = {}
    for entry in known_entries(context):
        is_other = entry.run_id != context.run.run_id and entry.snapshot_date == snapshot_date
        if not is_other or entry.command == "export" or entry.status == STALE:
            continue
        if _is_later(entry, success):
            ended_well = entry.status == SUCCEEDED
            wrote_nothing = entry.status == FAILED and not entry.output_versions
            is_harmless = ended_well or wrote_nothing
            harmless[entry.run_id] = harmless.get(entry.run_id, False) or is_harmless
    return not all(harmless.values())


def _is_later(entry: Entry, success: Entry) -> bool:
    """By turn; by time where one has none, as turns are younger than ledgers."""
    if entry.turn is None or success.turn is None:
        return entry.started > success.started
    return entry.turn > success.turn


def mark_stale(context: Context, dates: Sequence[date], why: str) -> None:
    """Say that the labels of some dates rest on what is no longer so; appends to ``runs``.

    The mark holds until the labels of such a date are written again: it bears the version that
    ``customer_segments`` has now, and a success with a later one lifts it. So it may be set before
    the write that makes it true, and a kill in between loses nothing.
    """
    version = context.store.version(_LABELS)
    assert version is not None
    now = datetime.now(timezone.utc)
    own = {"started": now, "ended": now, "output_versions": {_LABELS: version}, "rows": {}}
    _write(context, [_record(context, day, STALE, why) | own for day in dates])
    read_again(context)


def stale_dates(context: Context) -> list[date]:
    """Snapshot dates whose labels have been marked stale since they were written; in order."""
    marked: dict[date, int] = {}
    written: dict[date, int] = {}
    for entry in known_entries(context):
        noted = {STALE: marked, SUCCEEDED: written}.get(entry.status)
        version = entry.output_versions.get(_LABELS)
        if noted is not None and version is not None and entry.snapshot_date is not None:
            noted[entry.snapshot_date] = max(version, noted.get(entry.snapshot_date, 0))
    return sorted(day for day, version in marked.items() if version >= written.get(day, 0))


def newest_runs(context: Context, limit: int) -> list[Row]:
    """The last runs, newest first, one row each.

    ``status`` of a run without a final row is :data:`UNFINISHED`; ``made_stale`` are the dates that
    it marked; ``at`` is its start in the business time zone.
    """
    runs = context.store.read_or_none(schemas.RUNS.name)
    if runs is None:
        return []
    rank = F.when(F.col("status") == STALE, 0).when(F.col("status") == STARTED, 1).otherwise(2)
    last = F.max_by(F.struct(*(name for name in runs.columns if name != "run_id")), rank)
    stale = F.when(F.col("status") == STALE, F.col("snapshot_date"))
    ended = runs.groupBy("run_id").agg(
        last.alias("last"), F.sort_array(F.collect_set(stale)).alias("made_stale")
    )
    status = F.when(F.col("status") == STARTED, UNFINISHED).otherwise(F.col("status"))
    listed = ended.select("run_id", "made_stale", "last.*").withColumns(
        {"status": status, "at": F.date_format("started", "yyyy-MM-dd HH:mm:ss")}
    )
    return listed.orderBy(F.desc("started"), F.desc("run_id")).limit(limit).collect()


def _append_end(
    context: Context,
    snapshot_date: date | None,
    status: str,
    started: datetime,
    *,
    error: str | None = None,
) -> None:
    times = {"started": started, "ended": datetime.now(timezone.utc)}
    _write(context, [_record(context, snapshot_date, status, error) | times])
    context.store.queue.settle()


def _record(
    context: Context, snapshot_date: date | None, status: str, error: str | None
) -> dict[str, object]:
    run = context.run
    return {
        "run_id": run.run_id,
        "command": run.command,
        "snapshot_date": snapshot_date,
        "status": status,
        "config_hash": context.configuration.config_hash,
        "code_version": __version__,
        "input_versions": run.input_versions,
        "output_versions": run.output_versions,
        "rows": run.rows,
        "error": error,
        "turn": run.turn,
        "process": this_process(),
    }


def _write(context: Context, records: Sequence[Mapping[str, object]]) -> None:
    context.store.append_later(schemas.RUNS, _frame(context, records), context.run.run_id)


def _frame(context: Context, records: Sequence[Mapping[str, object]]) -> DataFrame:
    table = schemas.RUNS
    rows = [tuple(record[name] for name in table.columns) for record in records]
    return context.spark.createDataFrame(rows, table.ddl).coalesce(1)


def _sentence(context: Context, error: BaseException) -> str:
    text = context.configuration.redacted(str(error)).strip().splitlines()
    detail = text[0] if text else ""
    return detail if isinstance(error, RfmSparkError) else f"{type(error).__name__}: {detail}"
