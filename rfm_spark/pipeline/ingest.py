"""Stage 1: raw logs to daily facts, with every row accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.config.sources import Balances, Log, Transactions
from rfm_spark.errors import DataError
from rfm_spark.ingest import cleaning, daily, measures
from rfm_spark.ingest.days import DayRange, missing_ranges
from rfm_spark.ingest.reading import check_log_date, check_pattern, read_source
from rfm_spark.pipeline import gates
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.ingested import ingested_days, write_report


@dataclass(frozen=True)
class _Source:
    """A log that is ready to be read: its settings, columns and frame."""

    name: str
    settings: Transactions | Balances
    frame: DataFrame
    mapping: cleaning.LogMapping


@dataclass(frozen=True)
class _Batch:
    """A range of days of a source, cleaned and counted, that every gate has let through."""

    source: _Source
    cleaned: DataFrame
    tally: measures.Tally
    first: date
    last: date

    @property
    def between(self) -> str:
        """SQL for the days of the range."""
        return f"BETWEEN DATE'{self.first}' AND DATE'{self.last}'"


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
        for name in ("transactions", "balances")
        if getattr(context.settings.sources, name) is not None
        and (ranges := _ranges(context, name, first, last))
    }
    if not work:
        context.display.note(f"every day up to {last} is in; nothing to read")
    sources = {name: _open(context, name) for name in work}
    gates.one_id_type(context, {source.name: source.mapping.id_type for source in sources.values()})
    batches = [_judged(context, sources[name], days) for name in work for days in work[name]]
    accepted = [b.tally.last_accepted_day() for b in batches if b.source.name == "transactions"]
    gates.not_lagging(context, accepted, last)
    for batch in batches:
        _publish(context, batch)


def _ranges(context: Context, name: str, first: date | None, last: date) -> list[DayRange]:
    if first is not None:
        return [DayRange(first, last)]
    return missing_ranges(ingested_days(context, name), last, context.settings.reprocess_days)


def _open(context: Context, name: str) -> _Source:
    settings: Log = getattr(context.settings.sources, name)
    frame = read_source(
        context.spark,
        name,
        format=settings.format,
        path=settings.path,
        table=settings.table,
        options=settings.options,
        where=settings.where,
    )
    assert isinstance(settings, Transactions | Balances)
    is_balances = isinstance(settings, Balances)
    mapping = cleaning.map_columns(
        frame,
        name,
        settings.columns.model_dump(exclude_none=True),
        instant="balance_date" if is_balances else "transaction_ts",
        amount="balance" if is_balances else "amount",
    )
    if settings.log_date is not None:
        check_log_date(frame, name, settings.log_date)
    if settings.timestamp_format is not None:
        check_pattern(context.spark, name, settings.timestamp_format)
    return _Source(name, settings, frame, mapping)


def _judged(context: Context, source: _Source, days: DayRange) -> _Batch:
    context.display.stage("ingest", f"{source.name}, {days}")
    cleaned = _cleaned(context, source, days)
    with context.timed(f"reading {source.name}"):
        tally = measures.Tally.of(measures.measured(cleaned).collect())
    context.display.note(f"{tally.rows_of('read'):,} rows read")
    gates.few_rejects(context, source.name, tally)
    if source.name == "transactions":
        gates.no_refunds(context, tally)
    else:
        gates.consistent_balances(context, daily.accepted(cleaned))
    first = days.first or tally.first_day()
    if first is None:
        raise DataError(
            f"sources.{source.name}: no row up to {days.last} in "
            f"{source.settings.path or source.settings.table}; is it the right place, and the "
            "right `where`?"
        )
    return _Batch(source, cleaned, tally, first, days.last)


def _cleaned(context: Context, source: _Source, days: DayRange) -> DataFrame:
    settings = source.settings
    frame = source.frame
    if settings.log_date is not None:
        before, after = (timedelta(days=n) for n in settings.log_slack_days)
        log_day = F.expr(settings.log_date).cast("date")
        read = log_day <= F.lit(days.last + after)
        if days.first is not None:
            read = read & (log_day >= F.lit(days.first - before))
        frame = frame.where(log_day.isNull() | read)
    cleaned = cleaning.clean(
        frame,
        source.mapping,
        timestamp_format=settings.timestamp_format,
        amount_scale=context.settings.amount_scale,
        drop_refunds=source.name == "transactions" and context.settings.returns == "drop",
        log_date=settings.log_date,
        whole_row_identity=getattr(settings, "duplicates", None) == "whole_row",
    )
    return cleaned.where(measures.in_days(days.first, days.last))


def _publish(context: Context, batch: _Batch) -> None:
    context.display.stage("publish", f"{batch.source.name}, {batch.first} to {batch.last}")
    if batch.source.name == "transactions":
        _write_transactions(context, batch)
    else:
        types, scale = batch.source.mapping, context.settings.amount_scale
        table = schemas.balance_daily(types.id_type, "string", scale)
        balances = daily.balance_daily(daily.accepted(batch.cleaned))
        context.write(table, balances, f"balance_date {batch.between}")
    _write_rejects(context, batch)
    write_report(context, batch.source.name, batch.tally, batch.first, batch.last)


def _write_transactions(context: Context, batch: _Batch) -> None:
    settings = batch.source.settings
    assert isinstance(settings, Transactions)
    transactions = daily.accepted(batch.cleaned)
    by_identity = settings.duplicates == "whole_row" or (
        settings.duplicates == "auto" and settings.columns.transaction_id is not None
    )
    if by_identity:
        entries = daily.deduplicated_entries(transactions)
        with context.timed("counting duplicates"):
            batch.tally.add_duplicates(daily.duplicate_sums(entries).collect())
    else:
        entries = daily.entries(transactions)
    table = schemas.customer_daily(batch.source.mapping.id_type, context.settings.amount_scale)
    context.write(table, daily.customer_daily(entries), f"activity_date {batch.between}")


def _write_rejects(context: Context, batch: _Batch) -> None:
    table, tally = schemas.REJECTED_TRANSACTIONS, batch.tally
    nothing = not tally.rejected() and not tally.rows_of(cleaning.REFUND_DROPPED)
    if nothing and not context.store.exists(table.name):
        context.store.ensure(table)
        return
    name = batch.source.name
    rejects = batch.cleaned.where(F.col("reason").isNotNull()).select(
        F.lit(name).alias("source"),
        *(F.col(f"raw_{column}").alias(column) for column in schemas.RAW_COLUMNS),
        "reason",
        "activity_date",
        "log_date",
    )
    undated = f"activity_date IS NULL AND (log_date IS NULL OR log_date {batch.between})"
    where = f"source = '{name}' AND (activity_date {batch.between} OR ({undated}))"
    context.write(table, rejects, where)
