"""Stage 1: raw logs to daily facts, with every row accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.config.sources import Balances, Log, Transactions
from rfm_spark.errors import DataError
from rfm_spark.ingest import cleaning, daily, measures
from rfm_spark.ingest.days import DayRange, days_between, missing_ranges
from rfm_spark.ingest.reading import read_source
from rfm_spark.pipeline.context import Context


@dataclass(frozen=True)
class _Source:
    """A log that is ready to be read: its settings, columns and frame."""

    name: str
    settings: Transactions | Balances
    frame: DataFrame
    mapping: cleaning.LogMapping


def ingest(context: Context, *, first: date | None, last: date) -> None:
    """Read the raw logs of some days and publish their daily facts.

    Writes ``customer_daily``, ``balance_daily``, ``rejected_transactions`` and, last,
    ``ingest_report``, which is also the record of which days are in. Nothing is published for a
    range that a gate refuses.

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
    _same_id_type(context, list(sources.values()))
    for name, ranges in work.items():
        for days in ranges:
            _ingest_range(context, sources[name], days)
    if "transactions" not in work:
        _not_lagging(context, None, last)


def _ranges(context: Context, name: str, first: date | None, last: date) -> list[DayRange]:
    if first is not None:
        return [DayRange(first, last)]
    return missing_ranges(_ingested_days(context, name), last, context.settings.reprocess_days)


def _ingested_days(context: Context, name: str) -> set[date]:
    report = context.store.read_or_none("ingest_report")
    if report is None:
        return set()
    days = report.where((F.col("source") == name) & (F.col("measure") == "read"))
    return {row[0] for row in days.select("activity_date").distinct().collect() if row[0]}


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
    expressions = settings.columns.model_dump(exclude_none=True)
    is_balances = isinstance(settings, Balances)
    mapping = cleaning.map_columns(
        frame,
        name,
        expressions,
        instant="balance_date" if is_balances else "transaction_ts",
        amount="balance" if is_balances else "amount",
    )
    return _Source(name, settings, frame, mapping)


def _same_id_type(context: Context, sources: list[_Source]) -> None:
    types = {f"sources.{source.name}": source.mapping.id_type for source in sources}
    if context.store.exists("customer_daily"):
        types[context.store.address("customer_daily")] = context.customer_id_type()
    if len(set(types.values())) > 1:
        listed = ", ".join(f"{name} has {type_}" for name, type_ in types.items())
        raise DataError(
            f"customer_id must have one type everywhere: {listed}; cast it in the mapping, as in "
            "customer_id: cast(user_id as string)"
        )


def _ingest_range(context: Context, source: _Source, days: DayRange) -> None:
    display = context.display
    display.stage("ingest", f"{source.name}, {days}")
    cleaned = _cleaned(context, source, days)
    with context.timed(f"reading {source.name}"):
        tally = measures.Tally.of(measures.measured(cleaned).collect())
    display.note(f"{tally.rows_of('read'):,} rows read")
    _check(context, source, tally)
    _check_share(context, source.name, tally)
    if source.name == "transactions":
        _not_lagging(context, tally.last_accepted_day(), days.last)
    if days.first is None:
        if not tally.dated_days:
            raise DataError(
                f"sources.{source.name}: no row up to {days.last} in "
                f"{source.settings.path or source.settings.table}; is it the right place, and "
                "the right `where`?"
            )
        days = DayRange(min(tally.dated_days), days.last)
    assert days.first is not None
    between = f"BETWEEN DATE'{days.first}' AND DATE'{days.last}'"
    if source.name == "transactions":
        _write_transactions(context, source, cleaned, tally, between)
    else:
        _write_balances(context, source, cleaned, between)
    _write_rejects(context, source.name, cleaned, tally, between)
    _write_report(context, source.name, tally, days, between)


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


def _check(context: Context, source: _Source, tally: measures.Tally) -> None:
    if source.name == "transactions" and context.settings.returns == "raise" and tally.refunds:
        raise DataError(
            f"sources.transactions: {tally.refunds:,} rows have an amount below 0 and `returns` is "
            "raise; set it to net or drop, or filter them with `where`; nothing was published"
        )


def _check_share(context: Context, name: str, tally: measures.Tally) -> None:
    read, rejected = tally.rows_of("read"), tally.rejected()
    count = sum(rejected.values())
    if not count:
        return
    share = count / read
    listed = ", ".join(f"{reason} {rows:,}" for reason, rows in rejected.items())
    if share > context.settings.max_rejected_share:
        raise DataError(
            f"sources.{name}: {count:,} of {read:,} rows ({share:.1%}) would be rejected ({listed})"
            f", more than max_rejected_share {context.settings.max_rejected_share:.1%}; check the "
            "mapping of these columns; nothing was published"
        )
    context.display.warn(f"{count:,} rows rejected ({listed}), see rejected_transactions")


def _write_transactions(
    context: Context, source: _Source, cleaned: DataFrame, tally: measures.Tally, between: str
) -> None:
    settings = source.settings
    assert isinstance(settings, Transactions)
    transactions = daily.accepted(cleaned)
    by_identity = settings.duplicates == "whole_row" or (
        settings.duplicates == "auto" and settings.columns.transaction_id is not None
    )
    if by_identity:
        entries = daily.deduplicated_entries(transactions)
        with context.timed("counting duplicates"):
            tally.add_duplicates(daily.duplicate_sums(entries).collect())
    else:
        entries = daily.entries(transactions)
    table = schemas.customer_daily(source.mapping.id_type, context.settings.amount_scale)
    context.write(table, daily.customer_daily(entries), f"activity_date {between}")


def _write_balances(context: Context, source: _Source, cleaned: DataFrame, between: str) -> None:
    balances = daily.accepted(cleaned)
    with context.timed("checking balances"):
        contradictions = daily.contradicting_balances(balances).limit(3).collect()
    if contradictions:
        listed = "; ".join(
            f"at {row['instant']}: {row['one']} and {row['other']}" for row in contradictions
        )
        raise DataError(
            "sources.balances: an account has two different balances at the same instant "
            f"({listed}); map a finer balance_date, an account_id, or filter with `where`; "
            "nothing was published"
        )
    types = source.mapping
    table = schemas.balance_daily(types.id_type, "string", context.settings.amount_scale)
    context.write(table, daily.balance_daily(balances), f"balance_date {between}")


def _write_rejects(
    context: Context, name: str, cleaned: DataFrame, tally: measures.Tally, between: str
) -> None:
    table = schemas.REJECTED_TRANSACTIONS
    nothing = not tally.rejected() and not tally.rows_of(cleaning.REFUND_DROPPED)
    if nothing and not context.store.exists(table.name):
        context.store.ensure(table)
        return
    rejects = cleaned.where(F.col("reason").isNotNull()).select(
        F.lit(name).alias("source"),
        *(F.col(f"raw_{column}").alias(column) for column in schemas.RAW_COLUMNS),
        "reason",
        "activity_date",
        "log_date",
    )
    undated = f"activity_date IS NULL AND (log_date IS NULL OR log_date {between})"
    where = f"source = '{name}' AND (activity_date {between} OR ({undated}))"
    context.write(table, rejects, where)


def _write_report(
    context: Context, name: str, tally: measures.Tally, days: DayRange, between: str
) -> None:
    assert days.first is not None
    ingested = _ingested_days(context, name)
    later = any(day > days.last for day in ingested)
    end = days.last if later else max(tally.dated_days, default=None)
    for day in days_between(days.first, end) if end else ():
        tally.add(day, "read", 0, Decimal(0))
    table = schemas.ingest_report(context.settings.amount_scale)
    exact = f"decimal(38,{context.settings.amount_scale + 8})"
    types = ", ".join(
        f"{column.name} {exact if column.name == 'amount' else column.type}"
        for column in table.fields
    )
    frame = context.spark.createDataFrame(tally.records(name), types)
    where = f"source = '{name}' AND (activity_date {between} OR activity_date IS NULL)"
    context.write(table, frame, where)


def _not_lagging(context: Context, newest: date | None, last: date) -> None:
    limit = context.settings.max_lag_days
    if limit is None:
        return
    report = context.store.read_or_none("ingest_report")
    if report is not None:
        accepted = report.where("source = 'transactions' AND measure = 'accepted' AND rows > 0")
        stored = accepted.where(F.col("activity_date") <= F.lit(last)).agg(F.max("activity_date"))
        newest = max(filter(None, (newest, stored.collect()[0][0])), default=None)
    if newest is None or (last - newest).days >= limit:
        raise DataError(
            f"no accepted transaction in the last {limit} days up to {last} (max_lag_days); the "
            f"newest is of {newest or 'no day at all'}: has the log arrived? Nothing was published"
        )
