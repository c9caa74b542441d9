"""What a batch must satisfy before any of it is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from pyspark.sql import DataFrame

from rfm_spark.errors import DataError
from rfm_spark.ingest import daily, measures
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.ingested import report_of
from rfm_spark.schemas import BALANCE_COLUMNS


def one_id_type(context: Context, types: Mapping[str, str]) -> None:
    """Every source, and what is stored already, has customer ids of one type."""
    found = {f"sources.{name}": type_ for name, type_ in types.items()}
    if context.store.exists("customer_daily"):
        found[context.store.address("customer_daily")] = context.customer_id_type()
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{name} has {type_}" for name, type_ in found.items())
        raise DataError(
            f"customer_id must have one type everywhere: {listed}; cast it in the mapping, as in "
            "customer_id: cast(user_id as string)"
        )


def one_kind_of_balances(context: Context) -> None:
    """What is stored of balances is of the kind that the configuration says."""
    kind = context.settings.sources.balances_kind
    if kind is None or not context.store.exists("balance_daily"):
        return
    stored = context.types_of("balance_daily")
    if BALANCE_COLUMNS[kind] not in stored:
        other = next(name for name in BALANCE_COLUMNS if name != kind)
        raise DataError(
            f"{context.store.address('balance_daily')} was ingested as kind: {other}, and "
            f"sources.balances.kind is {kind} now; set it back, or start a new `store`"
        )


def few_rejects(context: Context, name: str, tally: measures.Tally) -> None:
    """No more than ``max_rejected_share`` of the rows read are rejected.

    Rows without any day come with every batch; those that an earlier one has reported already do
    not count again.
    """
    read, rejected = tally.rows_of("read"), tally.rejected()
    known = min(report_of(context, name).undated_rows(), tally.undated_rows())
    count, read = sum(rejected.values()) - known, read - known
    if count <= 0:
        return
    share, limit = count / read, context.settings.max_rejected_share
    listed = ", ".join(f"{reason} {rows:,}" for reason, rows in rejected.items())
    if share > limit:
        raise DataError(
            f"sources.{name}: {count:,} of {read:,} rows ({share:.1%}) would be rejected ({listed})"
            f", more than max_rejected_share {limit:.1%}; check the mapping of these columns; "
            "nothing of them was published"
        )
    context.display.warn(f"{count:,} rows rejected ({listed}), see rejected_transactions")


def no_refunds(context: Context, tally: measures.Tally) -> None:
    """No refund at all, where ``returns`` is raise."""
    if context.settings.returns == "raise" and tally.refunds:
        raise DataError(
            f"sources.transactions: {tally.refunds:,} rows have an amount below 0 and `returns` is "
            "raise; set it to net or drop, or filter them with `where`; nothing was published"
        )


def consistent_balances(context: Context, balances: DataFrame) -> None:
    """No account states two different balances at one instant."""
    with context.timed("checking balances"):
        found = daily.contradicting_balances(balances).limit(3).collect()
    if found:
        listed = "; ".join(f"at {row['at']}: {row['one']} and {row['other']}" for row in found)
        raise DataError(
            "sources.balances: an account has two different balances at the same instant "
            f"({listed}); map a finer balance_date, an account_id, or filter with `where`; "
            "nothing was published"
        )


def not_lagging(context: Context, accepted_days: Iterable[date | None], last: date) -> None:
    """An accepted transaction in the last ``max_lag_days`` days, new or stored."""
    limit = context.settings.max_lag_days
    if limit is None:
        return
    stored = report_of(context, "transactions").last_accepted_day(last)
    newest = max((day for day in [*accepted_days, stored] if day is not None), default=None)
    if newest is None or (last - newest).days >= limit:
        raise DataError(
            f"no accepted transaction in the last {limit} days up to {last} (max_lag_days); the "
            f"newest is of {newest or 'no day at all'}: has the log arrived? Nothing was published"
        )
