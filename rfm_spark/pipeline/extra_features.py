"""Sources of extra features, read anew for each snapshot date."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.config.sources import FeatureSource
from rfm_spark.errors import ConfigurationError
from rfm_spark.features.extra import aggregated, with_dates
from rfm_spark.ingest.days import DayRange
from rfm_spark.ingest.mapping import own_columns
from rfm_spark.ingest.reading import first_line
from rfm_spark.pipeline import gates
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.logs import (
    OpenLog,
    account_for,
    events_of,
    note_fingerprint,
    open_log,
    read_batch,
)
from rfm_spark.pipeline.sources import naming_the_expression
from rfm_spark.pipeline.stored_features import window_of

_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
_PLAIN = (*_NUMBERS, "date", "string", "boolean")


@dataclass(frozen=True)
class ExtraFeatures:
    """The features of one source: a row per customer with rows, and values for all others."""

    log: OpenLog
    frame: DataFrame
    fields: Sequence[schemas.Field]
    missing: dict[str, Any]
    aggregates: dict[str, str]


def read_extra_features(context: Context, *, snapshot_date: date) -> list[ExtraFeatures]:
    """Aggregate every further source over the window; writes what was read and rejected of each.

    A fingerprint of each source's accepted rows goes into the ledger, as it has no version.

    Raises:
        ConfigurationError: An aggregate does not fit its source, or a role needs a number.
        DataError: Too many rows would be rejected, or customer ids have another type.
    """
    sources = context.settings.sources.feature_sources
    logs = {name: open_log(context, name, settings) for name, settings in sources.items()}
    gates.one_id_type(context, {name: log.mapping.id_type for name, log in logs.items()})
    days = window_of(context, snapshot_date)
    return [_read(context, log, days, snapshot_date) for log in logs.values()]


def read_fingerprints(context: Context, *, snapshot_date: date) -> None:
    """Put into the ledger what tells one content of each source's window from another."""
    days = window_of(context, snapshot_date)
    for name, settings in context.settings.sources.feature_sources.items():
        log = open_log(context, name, settings)
        note_fingerprint(context, log, events_of(context, log, days))


def _read(context: Context, log: OpenLog, days: DayRange, snapshot_date: date) -> ExtraFeatures:
    settings = log.settings
    assert isinstance(settings, FeatureSource)
    context.stage("features", f"{log.name}, {days}")
    events = events_of(context, log, days)
    expressions = {
        name: with_dates(feature.expr, snapshot_date=snapshot_date, window_start=days.first)
        for name, feature in settings.features.items()
    }
    frame = _aggregated(log, events, expressions)
    fields = [schemas.Field(n, t, f"from {log.name}") for n, t in frame.dtypes if n in expressions]
    missing = {name: feature.missing for name, feature in settings.features.items()}
    _check_types(context, log.name, fields, missing)
    batch = read_batch(context, log, days)
    note_fingerprint(context, log, events)
    account_for(context, batch)
    return ExtraFeatures(log, frame, fields, missing, expressions)


@contextmanager
def naming_the_aggregates(extra: Sequence[ExtraFeatures]) -> Iterator[None]:
    """Say which expression of which source threw while features are computed."""
    with ExitStack() as stack:
        for source in extra:
            aggregates = {f"features.{name}": sql for name, sql in source.aggregates.items()}
            expressions = source.log.expressions | aggregates
            stack.enter_context(
                naming_the_expression(source.log.name, source.log.rows, expressions)
            )
        yield


def _aggregated(log: OpenLog, events: DataFrame, expressions: dict[str, str]) -> DataFrame:
    refused = []
    for name, expression in expressions.items():
        try:
            _ = events.groupBy("customer_id").agg(F.expr(expression).alias(name)).schema
        except AnalysisException as error:
            refused.append(f"{name}: {expression!r} ({first_line(error)})")
    if refused:
        raise ConfigurationError(
            f"sources.{log.name}.features does not fit: {'; '.join(refused)}. Aggregates are over "
            f"{', '.join(events.columns)}, which `columns` maps from "
            f"{', '.join(own_columns(log.rows))}"
        )
    return aggregated(events, expressions)


def _check_missing(name: str, field: schemas.Field, value: Any) -> None:
    """Refuse a value for customers without rows that the feature's type cannot hold."""
    base = field.type.split("(")[0]
    is_bool, is_number = isinstance(value, bool), isinstance(value, int | float)
    fits = {
        **dict.fromkeys(_NUMBERS[:4], is_number and not is_bool and value == int(value)),
        **dict.fromkeys(_NUMBERS[4:], is_number and not is_bool),
        "boolean": is_bool,
        "string": isinstance(value, str),
        "date": isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value) is not None,
    }[base]
    if value is not None and not fits:
        raise ConfigurationError(
            f"sources.{name}.features.{field.name} is {field.type}, and missing: {value!r} is not"
        )


def _check_types(
    context: Context, name: str, fields: Sequence[schemas.Field], missing: dict[str, Any]
) -> None:
    numbers = {*context.settings.numeric_features, *context.rule_map.features}
    for field in fields:
        base = field.type.split("(")[0]
        if base not in _PLAIN:
            raise ConfigurationError(
                f"sources.{name}.features.{field.name} is {field.type}; a feature is a number, a "
                "date, a text or a boolean: cast it"
            )
        if field.name in numbers and base not in _NUMBERS:
            raise ConfigurationError(
                f"sources.{name}.features.{field.name} is {field.type}, and scoring.roles, "
                "clustering.features or the rule map needs a number: cast it"
            )
        _check_missing(name, field, missing[field.name])
