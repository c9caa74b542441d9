"""What analysts look at before modelling: the sources as they are, and how features are spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark.config.source import Log
from rfm_spark.config.sources import Customers
from rfm_spark.errors import DataError
from rfm_spark.ingest import exploring
from rfm_spark.ingest.days import DayRange
from rfm_spark.ingest.mapping import expression_types
from rfm_spark.insight.distributions import QUANTILES, correlations, distributions
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.logs import cleaned_log, open_log
from rfm_spark.pipeline.profiles import profiled_features
from rfm_spark.pipeline.sources import naming_the_expression, open_source

_END_OF_TIME = date(9999, 1, 1)
_PAIRS = 15
_DISTRIBUTION = (
    "feature", "missing", "zeros", "mean", "std", "skew", "min",
    *(f"{q:.0%}" for q in QUANTILES), "max",
)  # fmt: skip


def describe(context: Context, *, snapshot_date: date | None) -> None:
    """Show rows, gaps, duplicates and days of every source, and the spread of every feature.

    Nothing is written but the run's line in ``runs``, and no row comes to the driver.

    Args:
        context: The run.
        snapshot_date: Only log rows before it count, and the features are those of this date. None:
            all rows, and the newest features there are.

    Raises:
        ConfigurationError: A mapping does not fit its source.
        DataError: There are no features of the date asked for.
    """
    sources = context.settings.sources
    logs: dict[str, Log | None] = {
        "transactions": sources.transactions,
        "balances": sources.balances,
        "events": sources.events,
        **sources.feature_sources,
    }
    last = snapshot_date - timedelta(days=1) if snapshot_date else _END_OF_TIME
    for name, settings in logs.items():
        if settings is not None:
            _show_log(context, name, settings, DayRange(None, last))
    if sources.customers is not None:
        _show_customers(context, sources.customers)
    found = features_of(context, snapshot_date)
    if found is None:
        context.display.note("no features yet: `rfm-spark features` or `run` computes them")
        return
    day, features = found
    _show_features(context, day, features)


def features_of(context: Context, snapshot_date: date | None) -> tuple[date, DataFrame] | None:
    """The features of a date, or of the newest there is; None where there are none at all.

    Raises:
        DataError: There are none of that date.
    """
    table = context.read_or_none("customer_features")
    newest = None if table is None else table.agg(F.max("snapshot_date")).collect()[0][0]
    day = snapshot_date or newest
    if table is None or newest is None or day is None:
        return None
    features = table.where(F.col("snapshot_date") == F.lit(day))
    if snapshot_date is not None and not features.limit(1).collect():
        raise DataError(
            f"customer_features has no row of {snapshot_date}; the newest date is {newest}"
        )
    return day, features


def _show_log(context: Context, name: str, settings: Log, days: DayRange) -> None:
    context.stage("describe", f"sources.{name}")
    log = open_log(context, name, settings)
    cleaned = cleaned_log(context, log, days)
    with (
        context.timed(f"reading {name}"),
        naming_the_expression(name, log.rows, log.expressions),
    ):
        reasons = exploring.rows_by_reason(cleaned).collect()
        figures = exploring.accepted_figures(cleaned).collect()[0]
        rows: list[tuple[str, Any]] = [("rows", sum(row["rows"] for row in reasons))]
        rows += [(f"rejected: {r['reason']}", r["rows"]) for r in reasons if r["reason"]]
        mapped = log.mapping.expressions
        rows += [
            (f"accepted without {column}", figures[f"without_{column}"])
            for column in ("order_id", "transaction_id", "account_id")
            if column in mapped
        ]
        if "transaction_id" in mapped:
            rows.append(("repeated transaction_id", exploring.repeated_ids(cleaned)))
        rows.append(("rows equal in every column (whole log)", exploring.repeated_rows(log.rows)))
    rows += [(what, figures[what.replace(" ", "_")]) for what in _DAYS]
    if log.mapping.amount is not None:
        rows += [(what, figures[key]) for what, key in _MONEY.items()]
    context.display.table(f"sources.{name}", ("figure", "value"), rows)


_DAYS = ("customers", "first day", "last day")
_MONEY: Mapping[str, str] = {
    "amounts, added up": "total",
    "smallest amount": "least",
    "largest amount": "most",
    "amounts below 0": "refunds",
    "amounts of 0": "zeros",
}


def _show_customers(context: Context, settings: Customers) -> None:
    context.stage("describe", "sources.customers")
    source = open_source(context, "customers", settings)
    expressions = settings.columns.model_dump(exclude_none=True)
    expression_types(source, "customers", expressions)
    expression_types(source, "customers", settings.attributes, "attributes")
    named = {f"columns.{key}": sql for key, sql in expressions.items()}
    named |= {f"attributes.{key}": sql for key, sql in settings.attributes.items()}
    texts = {key: F.expr(sql).cast("string") for key, sql in named.items()}
    with naming_the_expression("customers", source, named):
        row = source.agg(
            F.count(F.lit(1)).alias("rows"),
            *(F.count(F.nullif(F.trim(text), F.lit(""))).alias(k) for k, text in texts.items()),
            *(F.count_distinct(text).alias(f"distinct {k}") for k, text in texts.items()),
        ).collect()[0]
    total = row["rows"]
    rows = [(key.split(".")[1], total, total - row[key], row[f"distinct {key}"]) for key in named]
    headings = ("column", "rows", "without a value", "distinct values")
    context.display.table("sources.customers", headings, rows)


def _show_features(context: Context, day: date, features: DataFrame) -> None:
    context.stage("describe", f"features of {day}")
    names = profiled_features(context, features)
    with context.timed("measuring the features"):
        found = distributions(features, names)
        varying = [one.feature for one in found if one.std]
        pairs = correlations(features, varying)
    rows: Sequence[Sequence[Any]] = [
        (
            one.feature,
            f"{one.missing:.1%}",
            None if one.zeros is None else f"{one.zeros:.1%}",
            one.mean,
            one.std,
            one.skew,
            one.least,
            *one.quantiles,
            one.most,
        )
        for one in found
    ]
    context.display.table(f"features of {day}", _DISTRIBUTION, rows)
    context.display.table(
        f"strongest correlations (Pearson) of {len(pairs)} pairs",
        ("feature", "and", "correlation"),
        pairs[:_PAIRS],
    )
