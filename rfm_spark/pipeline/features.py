"""Stage 2: daily facts to one row of features per customer."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.errors import DataError
from rfm_spark.features import assembly, aum, rfm
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.customers import read_customers


def features(context: Context, *, snapshot_date: date) -> None:
    """Compute everybody's RFM and AUM as of the snapshot date; writes ``customer_features``.

    Args:
        context: The run.
        snapshot_date: The day after the last day counted.

    Raises:
        DataError: Nothing was ingested yet, or the customers source contradicts itself.
    """
    context.display.stage("features", f"as of {snapshot_date}")
    settings = context.settings
    id_type = context.customer_id_type()
    window_days = settings.features.window_days
    first_day = snapshot_date - timedelta(days=window_days) if window_days else None
    purchases = rfm.purchase_history(
        context.read("customer_daily"), snapshot_date=snapshot_date, first_day=first_day
    )
    customers = read_customers(context, id_type)
    all_features = assembly.customer_features(
        purchases,
        _balances(context, customers, snapshot_date, first_day),
        customers,
        snapshot_date=snapshot_date,
        first_day=first_day,
    )
    table = schemas.customer_features(id_type, settings.amount_scale)
    kept = _without_silent(context, all_features)
    if not kept.limit(1).collect():
        raise DataError(
            f"no customer is left to describe as of {snapshot_date}: nobody has a transaction or a "
            "balance before it, or features.exclude_after_days leaves everybody out; is the "
            "snapshot date the day after the last day you want counted? Nothing was published"
        )
    context.write(table, kept, f"snapshot_date = DATE'{snapshot_date}'")


def _balances(
    context: Context, customers: DataFrame | None, snapshot_date: date, first_day: date | None
) -> DataFrame | None:
    source = context.settings.sources.balances
    if source is None:
        return None
    steps = aum.balance_steps(
        context.read("balance_daily"),
        snapshot_date=snapshot_date,
        stale_after_days=source.stale_after_days,
    )
    starts = customers.select("customer_id", "start_date") if customers is not None else None
    return aum.balance_history(steps, starts, snapshot_date=snapshot_date, first_day=first_day)


def _without_silent(context: Context, everybody: DataFrame) -> DataFrame:
    limit = context.settings.features.exclude_after_days
    if limit is None:
        return everybody
    silent = assembly.is_silent(limit)
    excluded = everybody.where(silent).select(F.count(F.lit(1))).collect()[0][0]
    context.display.note(f"{excluded:,} customers silent for more than {limit} days left out")
    return everybody.where(~silent)
