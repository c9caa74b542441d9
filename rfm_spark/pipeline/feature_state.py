"""What customers did and hold as of a date: carried on from an earlier date, or counted anew.

Both ways give the same rows. Carrying on costs what has changed since, and is taken wherever the
earlier state and the versions of the daily tables allow it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.exact_sums import exact_sums
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.earlier import carried_on, find_earlier
from rfm_spark.pipeline.history import History, counted_anew
from rfm_spark.pipeline.ingested import report_of
from rfm_spark.session import many_groups
from rfm_spark.smallest_units import as_longs_if_they_fit


def current_state(context: Context, history: History) -> DataFrame:
    """Everybody's state as of the date; writes ``feature_state`` where updates are wanted."""
    if not context.settings.features.incremental:
        return counted_anew(history, None)
    earlier, why = find_earlier(context, history)
    if earlier is not None:
        context.display.note(f"features carried on from {earlier.snapshot_date}")
        stored = _stored(context, history, partial(carried_on, history, earlier))
        why = _disagreement(context, history, stored)
        if why is None:
            return stored
    context.display.note(f"features counted anew: {why}")
    return _stored(context, history, partial(counted_anew, history))


def _stored(
    context: Context, history: History, state_of: Callable[[int | None], DataFrame]
) -> DataFrame:
    table = schemas.feature_state(context.customer_id_type(), context.settings.amount_scale)

    def write(as_longs: bool) -> None:
        state = state_of(context.settings.amount_scale if as_longs else None)
        rows = state.withColumn("snapshot_date", F.lit(history.snapshot_date))
        context.write(table, rows, f"snapshot_date = DATE'{history.snapshot_date}'")

    with many_groups(context.spark):
        as_longs_if_they_fit(write)
    return _state_of(context, history.snapshot_date)


def _state_of(context: Context, snapshot_date: date) -> DataFrame:
    stored = context.store.read("feature_state")
    return stored.where(F.col("snapshot_date") == F.lit(snapshot_date))


def _disagreement(context: Context, history: History, state: DataFrame) -> str | None:
    """Why the carried state cannot be right: its sums are not those of the accepted rows."""
    sums = exact_sums(state, ["purchase_amount", "refund_amount", "lines", "refund_lines"])

    def totals(as_longs: bool) -> Row:
        columns = [column for one in sums for column in one.columns(as_longs=as_longs)]
        return state.agg(*columns).collect()[0]

    row = as_longs_if_they_fit(totals)
    total = {one.name: one.of(row) for one in sums}
    money = total["purchase_amount"] + total["refund_amount"]
    rows = total["lines"] + total["refund_lines"]
    report = report_of(context, "transactions")
    accepted_rows, accepted_money = report.accepted(history.first_day, history.snapshot_date)
    if rows == accepted_rows and money == accepted_money:
        return None
    return (
        f"its sums ({rows} rows, {money}) are not those of the accepted rows "
        f"({accepted_rows} rows, {accepted_money})"
    )
