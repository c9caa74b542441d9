"""Logs read by days: opened, cleaned, counted, judged; their rejects and their report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.config.source import Log
from rfm_spark.config.sources import Balances, Events, FeatureSource, Transactions
from rfm_spark.ingest import cleaning, daily, measures
from rfm_spark.ingest.days import DayRange, moved
from rfm_spark.ingest.mapping import check_log_date, check_pattern, own_columns, quoted
from rfm_spark.ingest.reading import MALFORMED
from rfm_spark.ingest.spread import Spread, spread
from rfm_spark.pipeline import gates
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.ingested import write_report
from rfm_spark.pipeline.sources import fingerprint, naming_the_expression, open_source

# What an expression may say that does not follow from the columns of a row alone.
_BEYOND_THE_ROW = re.compile(
    r"\binput_file_|\b_metadata\b|\b(rand|randn|random|uuid|now|shuffle)\s*\(|\bcurrent_"
    r"|\bmonotonically_|\bspark_partition_id\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class OpenLog:
    """A log that is ready to be read: its settings, rows and mapping."""

    name: str
    settings: Transactions | Balances | FeatureSource | Events
    rows: DataFrame
    mapping: cleaning.LogMapping

    @property
    def expressions(self) -> dict[str, str]:
        """Key in the configuration to SQL expression."""
        named = {f"columns.{name}": sql for name, sql in self.mapping.expressions.items()}
        further = {"where": self.settings.where, "log_date": self.settings.log_date}
        return named | {key: sql for key, sql in further.items() if sql is not None}


@dataclass(frozen=True)
class Batch:
    """A range of days of a log, cleaned and counted, that every gate has let through."""

    log: OpenLog
    cleaned: DataFrame
    tally: measures.Tally
    first: date | None
    last: date

    @property
    def between(self) -> str:
        """SQL for the days of the range."""
        if self.first is None:
            return f"<= DATE'{self.last}'"
        return f"BETWEEN DATE'{self.first}' AND DATE'{self.last}'"

    @property
    def over(self) -> Spread:
        """Which task groups the rows of which day."""
        return spread(self.tally.accepted_by_day())

    @property
    def by_day(self) -> DataFrame:
        """The accepted rows, brought together by day."""
        return daily.accepted(self.cleaned, self.over)


def open_log(context: Context, name: str, settings: Log) -> OpenLog:
    """Open a log and check that its mapping fits.

    Raises:
        ConfigurationError: It is not there, or an expression does not fit it.
    """
    rows = open_source(context, name, settings)
    assert isinstance(settings, Transactions | Balances | FeatureSource | Events)
    instant, amount = {
        Transactions: ("transaction_ts", "amount"),
        Balances: ("balance_date", "balance"),
        FeatureSource: ("event_ts", None),
        Events: ("event_ts", None),
    }[type(settings)]
    expressions = settings.columns.model_dump(exclude_none=True)
    mapping = cleaning.map_columns(rows, name, expressions, instant=instant, amount=amount)
    if settings.log_date is not None:
        check_log_date(rows, name, settings.log_date)
    if settings.timestamp_format is not None:
        check_pattern(context.spark, name, settings.timestamp_format)
    return OpenLog(name, settings, rows, mapping)


def read_batch(context: Context, log: OpenLog, days: DayRange) -> Batch:
    """Clean a range of days and count where every row goes; nothing is written.

    Raises:
        DataError: Too many rows would be rejected, or an expression fails on a value.
    """
    cleaned = cleaned_log(context, log, days)
    with (
        context.timed(f"reading {log.name}"),
        naming_the_expression(log.name, log.rows, log.expressions),
    ):
        tally = _tally(log, cleaned, context.settings.amount_scale)
    context.display.note(f"{log.name}: {tally.rows_of('read'):,} rows read")
    gates.few_rejects(context, log.name, tally)
    return Batch(log, cleaned, tally, days.first or tally.first_day(), days.last)


def _tally(log: OpenLog, cleaned: DataFrame, scale: int) -> measures.Tally:
    evaluated = cleaning.computed_columns(log.mapping)
    rounds = cleaning.may_round(log.mapping, scale)
    rows = measures.measured(cleaned, scale, evaluated, rounds=rounds).collect()
    if measures.too_large(rows, scale):
        rows = measures.measured(cleaned, scale, evaluated, rounds=rounds, exact=True).collect()
    return measures.Tally.of(rows, scale)


def events_of(context: Context, log: OpenLog, days: DayRange) -> DataFrame:
    """The accepted rows of a range of days: customer_id, event_ts and all other mapped columns."""
    names = [name for name in log.mapping.expressions if name not in ("customer_id", "event_ts")]
    carried = {f"_event_{name}": F.expr(log.mapping.expressions[name]) for name in names}
    return (
        cleaned_log(context, log, days, carried)
        .where(F.col("reason").isNull())
        .select(
            "customer_id",
            F.col("instant").alias("event_ts"),
            *(F.col(f"_event_{name}").alias(name) for name in names),
        )
    )


def fingerprint_name(source: str) -> str:
    """Under which name the ledger keeps what tells one content of a source from another."""
    return f"sources.{source}"


def note_fingerprint(context: Context, log: OpenLog, events: DataFrame) -> None:
    """Put a fingerprint of a log's accepted rows into the ledger, as it has no version."""
    with (
        context.timed(f"looking for changes of {log.name}"),
        naming_the_expression(log.name, log.rows, log.expressions),
    ):
        content = fingerprint(events, (f"`{name}`" for name in events.columns))
    context.run.input_versions[fingerprint_name(log.name)] = content


def cleaned_log(
    context: Context, log: OpenLog, days: DayRange, carried: Mapping[str, Column] | None = None
) -> DataFrame:
    """The rows of a range of days, from no more partitions of the log than may hold them."""
    further = dict(carried or {})
    rows = near_days(log, days)
    cleaned = _cleaned(context, log, rows.withColumns(further) if further else rows, tuple(further))
    return cleaned.where(measures.in_days(days.first, days.last))


def distinct_rows(context: Context, batch: Batch) -> DataFrame:
    """The accepted rows of a batch by day, of those equal in every column of the source one.

    Only the source's own columns are brought together; what follows from them is worked out
    again, which costs less than to carry it along.
    """
    log = batch.log
    own = {f"_own_{i}": name for i, name in enumerate(own_columns(log.rows))}
    carried = {alias: quoted(name) for alias, name in own.items()}
    rows = cleaned_log(context, log, DayRange(batch.first, batch.last), carried)
    rows = daily.accepted(rows, batch.over)
    if any(_BEYOND_THE_ROW.search(sql) for sql in log.expressions.values()):
        return daily.distinct(rows, [*own, *daily.COUNTED])
    source = daily.distinct(rows, list(own)).select(
        daily.TASK,
        *(F.col(alias).alias(name) for alias, name in own.items()),
        F.lit(None).cast("string").alias(MALFORMED),
    )
    return _cleaned(context, log, source, (daily.TASK,))


def _cleaned(
    context: Context, log: OpenLog, rows: DataFrame, carried: tuple[str, ...]
) -> DataFrame:
    settings = log.settings
    return cleaning.clean(
        rows,
        log.mapping,
        timestamp_format=settings.timestamp_format,
        amount_scale=context.settings.amount_scale,
        drop_refunds=log.name == "transactions" and context.settings.returns == "drop",
        log_date=settings.log_date,
        whole_row_identity=getattr(settings, "duplicates", None) == "whole_row",
        carried=carried,
    )


def write_rejects(context: Context, batch: Batch) -> None:
    """Replace the rejects of the range's days; writes ``rejected_transactions``."""
    table, tally = schemas.REJECTED_TRANSACTIONS, batch.tally
    nothing = not tally.rejected() and not tally.rows_of(cleaning.REFUND_DROPPED)
    stored = context.store.read_or_none(table.name)
    if nothing and stored is None:
        context.store.ensure(table)
        return
    undated = f"activity_date IS NULL AND (log_date IS NULL OR log_date {batch.between})"
    where = f"source = '{batch.log.name}' AND (activity_date {batch.between} OR ({undated}))"
    if nothing and stored is not None and not stored.where(where).limit(1).collect():
        return
    rejects = batch.cleaned.where(F.col("reason").isNotNull()).select(
        F.lit(batch.log.name).alias("source"),
        *(F.col(f"raw_{column}").alias(column) for column in schemas.RAW_COLUMNS),
        "reason",
        "activity_date",
        "log_date",
        "raw_row",
    )
    context.write(table, rejects, where)


def account_for(context: Context, batch: Batch) -> None:
    """Write the rejects of a batch and the report of what was read."""
    write_rejects(context, batch)
    if batch.first is not None:
        write_report(context, batch.log.name, batch.tally, batch.first, batch.last)


def near_days(log: OpenLog, days: DayRange) -> DataFrame:
    """The log's rows from no more partitions than may hold those days."""
    settings = log.settings
    if settings.log_date is None:
        return log.rows
    before, after = settings.log_slack_days
    log_day = F.expr(settings.log_date).try_cast("date")
    near = log_day <= F.lit(moved(days.last, after))
    if days.first is not None:
        near = near & (log_day >= F.lit(moved(days.first, -before)))
    return log.rows.where(log_day.isNull() | near)
