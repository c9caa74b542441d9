"""Whom an export is about: a table's customers of a date, without those who are held out."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.activation.arms import new_assignments
from rfm_spark.activation.audience import campaign, in_segments
from rfm_spark.config.activation import BrazeExport, CdpIdentifyExport, Outlet
from rfm_spark.errors import ConfigurationError, DataError
from rfm_spark.pipeline import ledger
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.snapshots import labelled_dates, labels_on
from rfm_spark.pipeline.stored_features import existing_features_on
from rfm_spark.rules import NO_PURCHASE
from rfm_spark.schemas import CAMPAIGN, CONTROL, KINDS
from rfm_spark.tables.quoting import text


def customers_of(context: Context, name: str, snapshot_date: date) -> DataFrame:
    """Customers of an export, before anybody is held out.

    Args:
        context: The run.
        name: Which one of ``exports``; its table has one row per date and customer.
        snapshot_date: The date.

    Returns:
        The table's columns, those of the segments, and ``campaign``.

    Raises:
        DataError: The date has no features, or no labels where these are needed.
    """
    settings = context.settings.exports[name]
    assert isinstance(settings, Outlet)
    if settings.table == "customer_segments":
        customers = _labels(context, snapshot_date)
    else:
        customers = existing_features_on(context, snapshot_date)
        if not _needs_labels(context, settings):
            return customers
        segments = _labels(context, snapshot_date).select("customer_id", *KINDS.values())
        customers = customers.join(segments, on="customer_id", how="left")
    rules = [segment.name for segment in (*context.rule_map.segments, NO_PURCHASE)]
    named = customers.withColumn(CAMPAIGN, campaign(context.settings.campaigns, rules))
    return in_segments(named, settings.segments)


def columns_of(context: Context, name: str, rows: DataFrame, named: Sequence[str]) -> list[str]:
    """The columns that an export writes: those named, and ``campaign`` where there are campaigns.

    Raises:
        ConfigurationError: The rows have no such column.
    """
    missing = [column for column in named if column not in rows.columns]
    if missing:
        near = [m[0] for c in missing if (m := difflib.get_close_matches(c, rows.columns, n=1))]
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise ConfigurationError(
            f"exports.{name}.columns names {', '.join(missing)}, and the table has "
            f"{', '.join(rows.columns)}{hint}"
        )
    has_campaign = bool(context.settings.campaigns) and CAMPAIGN in rows.columns
    return [*named, *([CAMPAIGN] if has_campaign and CAMPAIGN not in named else [])]


def without_control(
    context: Context, name: str, customers: DataFrame, snapshot_date: date
) -> DataFrame:
    """Customers who are not held out; whoever is seen for the first time is assigned before.

    Who was ever assigned to the control arm of the export stays there, whatever the settings say
    now. Writes ``export_assignments``.
    """
    settings = context.settings.exports[name]
    assert isinstance(settings, Outlet)
    assigned = assignments_of(context, name)
    if settings.holdout:
        drawn = new_assignments(customers, assigned, share=settings.holdout, salt=settings.salt)
        _assign(context, name, drawn, assigned, snapshot_date)
        assigned = assignments_of(context, name)
    if assigned is None:
        return customers
    control = assigned.where(F.col("arm") == CONTROL).select("customer_id")
    return customers.join(control, on="customer_id", how="left_anti")


def assignments_of(context: Context, name: str) -> DataFrame | None:
    """``export_assignments`` of one export; None where there is no such table yet."""
    assigned = context.store.read_or_none("export_assignments")
    return None if assigned is None else assigned.where(F.col("export") == F.lit(name))


def _assign(
    context: Context, name: str, drawn: DataFrame, assigned: DataFrame | None, snapshot_date: date
) -> None:
    """Keep new arms beside those that were assigned on the same date before."""
    if not drawn.limit(1).collect():
        return
    table = schemas.export_assignments(context.customer_id_type())
    keys = {"export": F.lit(name), "assigned_on": F.lit(snapshot_date)}
    rows = drawn.withColumns(keys).select(*table.columns)
    if assigned is not None:
        same_day = assigned.where(F.col("assigned_on") == F.lit(snapshot_date))
        rows = rows.unionByName(same_day.select(*table.columns))
    where = f"export = {text(name)} AND assigned_on = DATE'{snapshot_date}'"
    context.write(table, rows, where)


def _needs_labels(context: Context, settings: Outlet) -> bool:
    wanted = settings.columns
    if isinstance(settings, BrazeExport | CdpIdentifyExport):
        wanted = settings.attributes
    named = {*KINDS.values(), CAMPAIGN} & set(wanted)
    return bool(settings.segments or settings.holdout or context.settings.campaigns or named)


def _labels(context: Context, snapshot_date: date) -> DataFrame:
    """``customer_segments`` of a date that has them.

    Raises:
        DataError: It has none.
    """
    if snapshot_date not in labelled_dates(context):
        raise DataError(
            f"customer_segments has no row of {snapshot_date}; "
            f"`rfm-spark run --snapshot-date {snapshot_date}` writes them"
        )
    if snapshot_date in ledger.stale_dates(context):
        context.display.warn(
            f"the labels of {snapshot_date} are stale: `rfm-spark run` for that date, then the "
            "export again"
        )
    return labels_on(context, snapshot_date)
