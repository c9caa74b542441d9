"""Stage 2: daily facts to one row of features per customer."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.errors import DataError
from rfm_spark.features import assembly
from rfm_spark.features.aum import from_the_start_on, held_at, late_starters
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.customers import read_customers
from rfm_spark.pipeline.extra_features import (
    ExtraFeatures,
    naming_the_aggregates,
    read_extra_features,
)
from rfm_spark.pipeline.feature_state import current_state
from rfm_spark.pipeline.history import History, read_history
from rfm_spark.pipeline.stored_features import window_of


def features(context: Context, *, snapshot_date: date) -> None:
    """Compute everybody's features as of the snapshot date.

    Writes ``customer_features``; before it ``feature_state``, and the rejects and the report of
    the sources of extra features.

    Args:
        context: The run.
        snapshot_date: The day after the last day counted.

    Raises:
        DataError: Nothing was ingested yet, or a source contradicts itself.
    """
    context.stage("features", f"as of {snapshot_date}")
    settings = context.settings
    id_type = context.customer_id_type()
    first_day = window_of(context, snapshot_date).first
    customers = read_customers(context, id_type)
    extra = read_extra_features(context, snapshot_date=snapshot_date)
    history = read_history(context, snapshot_date=snapshot_date, first_day=first_day)
    state = current_state(context, history)
    everybody = assembly.customer_features(
        state.where(F.col("history_rows") > 0),
        _balances(history, state, customers),
        customers,
        snapshot_date=snapshot_date,
        first_day=first_day,
        attributes=settings.sources.attributes,
    )
    for source in extra:
        everybody = assembly.with_extra_features(everybody, source.frame, source.missing)
    table = schemas.customer_features(id_type, settings.amount_scale, _further(context, extra))
    with naming_the_aggregates(extra):
        kept = _without_silent(context, everybody, state, customers)
        context.write(table, kept, f"snapshot_date = DATE'{snapshot_date}'")


def _further(context: Context, extra: list[ExtraFeatures]) -> list[schemas.Field]:
    """Columns beside those that everybody has: attributes, then extra features."""
    attributes = [
        schemas.Field(n, "string", "attribute") for n in context.settings.sources.attributes
    ]
    return attributes + [field for source in extra for field in source.fields]


def _balances(history: History, state: DataFrame, customers: DataFrame | None) -> DataFrame | None:
    if history.balances is None or history.rules is None:
        return None
    balances = held_at(state, history.rules, snapshot_date=history.snapshot_date)
    if customers is None:
        return balances
    late = late_starters(
        balances, customers, snapshot_date=history.snapshot_date, first_day=history.first_day
    )
    if not late.limit(1).collect():
        return balances
    return from_the_start_on(
        balances, late, history.balances.frame, history.rules, first_day=history.first_day
    )


def _without_silent(
    context: Context, everybody: DataFrame, state: DataFrame, customers: DataFrame | None
) -> DataFrame:
    """Those who are not left out.

    Raises:
        DataError: Nobody is left.
    """
    limit = context.settings.features.exclude_after_days
    kept = everybody
    if limit is None:
        is_anybody = bool(state.limit(1).collect())
        if not is_anybody and customers is not None:
            is_anybody = bool(everybody.limit(1).collect())
    else:
        silent = assembly.is_silent(limit)
        columns = F.count(F.lit(1)).alias("known"), F.sum(silent.cast("bigint")).alias("silent")
        counted = everybody.agg(*columns).collect()[0]
        excluded = counted["silent"] or 0
        context.display.note(f"{excluded:,} customers silent for more than {limit} days left out")
        kept, is_anybody = everybody.where(~silent), counted["known"] > excluded
    if not is_anybody:
        raise DataError(
            "no customer is left to describe at that snapshot date: nobody has a "
            "transaction or a balance before it, or features.exclude_after_days leaves everybody "
            "out; is the snapshot date the day after the last day you want counted? Nothing was "
            "published"
        )
    return kept
