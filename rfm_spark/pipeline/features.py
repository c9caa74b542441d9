"""Stage 2: daily facts to one row of features per customer."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.errors import DataError
from rfm_spark.features import assembly, aum, rfm
from rfm_spark.features import customers as customers_source
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
    window_start = snapshot_date - timedelta(days=window_days) if window_days else None
    daily = context.read("customer_daily")
    purchases = rfm.purchase_history(daily, snapshot_date=snapshot_date, window_start=window_start)
    customers = read_customers(context, id_type)
    if customers is not None:
        customers = customers_source.standing(customers, snapshot_date=snapshot_date)
    balances = context.read_or_none("balance_daily") if settings.sources.balances else None
    first_balances = (
        aum.first_balances(balances, snapshot_date=snapshot_date) if balances is not None else None
    )
    everybody = assembly.population(purchases, first_balances, customers)
    history = None
    if balances is not None and settings.sources.balances is not None:
        steps = aum.balance_steps(
            balances,
            snapshot_date=snapshot_date,
            stale_after_days=settings.sources.balances.stale_after_days,
        )
        starts = everybody.select("customer_id", "start_date")
        history = aum.balance_history(
            steps, starts, snapshot_date=snapshot_date, window_start=window_start
        )
    all_features = assembly.customer_features(everybody, history, snapshot_date=snapshot_date)
    table = schemas.customer_features(id_type, settings.amount_scale)
    rows = context.write(
        table, _without_silent(context, all_features), f"snapshot_date = DATE'{snapshot_date}'"
    )
    if rows == 0:
        raise DataError(
            f"no customer has a transaction or a balance before {snapshot_date}; is the snapshot "
            "date the day after the last day you want counted?"
        )


def _without_silent(context: Context, everybody: DataFrame) -> DataFrame:
    limit = context.settings.features.exclude_after_days
    if limit is None:
        return everybody
    silent = assembly.is_silent(limit)
    excluded = everybody.where(silent).select(F.count(F.lit(1))).collect()[0][0]
    context.display.note(f"{excluded:,} customers silent for more than {limit} days left out")
    return everybody.where(~silent)
