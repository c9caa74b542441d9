"""Stage 1: raw logs to daily facts, with every row accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from pyspark.sql import DataFrame, Observation, Row
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.config.sources import Balances, Transactions
from rfm_spark.errors import DataError
from rfm_spark.ingest import daily, measures
from rfm_spark.ingest.days import DayRange, missing_ranges
from rfm_spark.pipeline import gates
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.ingested import report_of, write_report
from rfm_spark.pipeline.logs import (
    Batch,
    OpenLog,
    distinct_rows,
    open_log,
    read_batch,
    write_rejects,
)
from rfm_spark.pipeline.sources import naming_the_expression
from rfm_spark.session import many_groups
from rfm_spark.smallest_units import as_longs_if_they_fit

_LOGS = ("transactions", "balances")


def ingest(context: Context, *, first: date | None, last: date) -> None:
    """Read the raw logs of some days and publish their daily facts.

    Writes ``customer_daily``, ``balance_daily``, ``rejected_transactions`` and, last,
    ``ingest_report``, which is also the record of which days are in. Every source is read and
    judged before anything is written, so nothing is published where a gate refuses.

    Args:
        context: The run.
        first: First day; None fills the gaps up to ``last``, or starts where the log starts.
        last: Last day, included.

    Raises:
        ConfigurationError: A source is not there, or does not fit its mapping.
        DataError: A gate refused the data.
    """
    work = {
        name: ranges
        for name in _LOGS
        if getattr(context.settings.sources, name) is not None
        and (ranges := _ranges(context, name, first, last))
    }
    if not work:
        context.display.note(f"every day up to {last} is in; nothing to read")
    logs = {name: open_log(context, name, getattr(context.settings.sources, name)) for name in work}
    gates.one_id_type(context, {log.name: log.mapping.id_type for log in logs.values()})
    gates.one_kind_of_balances(context)
    batches = [_judged(context, logs[name], days) for name in work for days in work[name]]
    accepted = [b.tally.last_accepted_day() for b in batches if b.log.name == "transactions"]
    gates.not_lagging(context, accepted, last)
    for batch in batches:
        _publish(context, batch)


def is_everything_in(context: Context, last: date) -> bool:
    """Whether :func:`ingest` up to a day would find nothing to read."""
    names = [n for n in _LOGS if getattr(context.settings.sources, n) is not None]
    return not any(_ranges(context, name, None, last) for name in names)


def _ranges(context: Context, name: str, first: date | None, last: date) -> list[DayRange]:
    if first is not None:
        return [DayRange(first, last)]
    days_in = report_of(context, name).days_in()
    return missing_ranges(days_in, last, context.settings.reprocess_days)


def _judged(context: Context, log: OpenLog, days: DayRange) -> Batch:
    context.stage("ingest", f"{log.name}, {days}")
    batch = read_batch(context, log, days)
    if log.name == "transactions":
        gates.no_refunds(context, batch.tally)
    elif context.settings.sources.balances_kind == "snapshot":
        with naming_the_expression(log.name, log.rows, log.expressions):
            gates.consistent_balances(context, _balances(context, batch))
    if batch.first is None:
        raise DataError(
            f"sources.{log.name}: no row up to {days.last} in {log.settings.place}; is it the "
            "right place, and the right `where`?"
        )
    return batch


def _publish(context: Context, batch: Batch) -> None:
    log = batch.log
    context.stage("publish", f"{log.name}, {batch.first} to {batch.last}")
    with (
        naming_the_expression(log.name, log.rows, log.expressions),
        many_groups(context.spark),
    ):
        if log.name == "transactions":
            _write_transactions(context, batch)
        else:
            _write_balances(context, batch)
        write_rejects(context, batch)
    assert batch.first is not None
    write_report(context, log.name, batch.tally, batch.first, batch.last)


def _by_identity(settings: Transactions | Balances) -> bool:
    """Whether rows may be duplicates of each other."""
    by_id = settings.duplicates == "auto" and settings.columns.transaction_id is not None
    return by_id or settings.duplicates == "whole_row"


def _write_transactions(context: Context, batch: Batch) -> None:
    """Write ``customer_daily``, and count as duplicates the accepted rows that it does not hold."""
    settings = batch.log.settings
    assert isinstance(settings, Transactions)
    scale = context.settings.amount_scale
    units_of = scale if batch.tally.adds_as_longs() else None
    table = schemas.customer_daily(batch.log.mapping.id_type, scale)
    where = f"activity_date {batch.between}"
    if settings.duplicates == "whole_row":
        entries = daily.entries(distinct_rows(context, batch), units_of)
        context.write(table, daily.customer_daily(entries, units_of), where)
    elif _by_identity(settings) and batch.tally.accepted_by_day():
        observed = Observation()
        entries = daily.deduplicated_entries(batch.by_day, units_of)
        watched = entries.observe(observed, daily.conflicting_rows().alias("conflicts"))
        context.write(table, daily.customer_daily(watched, units_of), where)
        conflicts = observed.get["conflicts"] or 0
        if conflicts:
            with context.timed("telling conflicting duplicates"):
                batch.tally.add_duplicates(daily.duplicate_sums(entries).collect())
    else:
        entries = daily.entries(batch.by_day, units_of)
        context.write(table, daily.customer_daily(entries, units_of), where)
    stored = _stored(context, where)
    if not batch.tally.settle(stored, may_have_duplicates=_by_identity(settings)):
        raise DataError(
            "sources.transactions: the log changed between two readings of it; customer_daily "
            f"of {batch.first} to {batch.last} may hold either state. Run `rfm-spark ingest --from "
            f"{batch.first} --to {batch.last}` when nobody writes the log"
        )


def _stored(context: Context, where: str) -> Mapping[date, tuple[int, Decimal]]:
    """Rows and money per day as they were just written."""
    scale = context.settings.amount_scale
    written = context.store.read("customer_daily").where(F.expr(where))

    def sums(as_longs: bool) -> list[Row]:
        return daily.stored_sums(written, scale if as_longs else None).collect()

    with context.timed("comparing with what was read"):
        rows = as_longs_if_they_fit(sums)
    return {row["activity_date"]: (row["rows"], measures.amount_of(row, scale)) for row in rows}


def _balances(context: Context, batch: Batch) -> DataFrame:
    """The batch's statements or movements, each once."""
    settings = batch.log.settings
    assert isinstance(settings, Balances)
    if not _by_identity(settings):
        return batch.by_day
    return daily.deduplicated_balances(batch.by_day, kind=settings.kind)


def _write_balances(context: Context, batch: Batch) -> None:
    settings = batch.log.settings
    assert isinstance(settings, Balances)
    rows = _balances(context, batch)
    if _by_identity(settings):
        with context.timed("counting duplicates"):
            batch.tally.add_duplicates(daily.duplicate_sums(rows).collect())
    table = schemas.balance_daily(
        batch.log.mapping.id_type, context.settings.amount_scale, settings.kind
    )
    balances = daily.balance_daily(rows, kind=settings.kind)
    context.write(table, balances, f"balance_date {batch.between}")
