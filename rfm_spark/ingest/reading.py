"""A source as Spark reads it, and the types of the expressions mapped over it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from rfm_spark.errors import ConfigurationError

_UNREADABLE = {
    "PATH_NOT_FOUND": "there is nothing at that place",
    "TABLE_OR_VIEW_NOT_FOUND": "there is no such table",
    "UNABLE_TO_INFER_SCHEMA": "there are no files to read a schema from",
    "DELTA_TABLE_NOT_FOUND": "there is no such Delta table",
    "DELTA_MISSING_DELTA_TABLE": "there is no Delta table",
    "DELTA_PATH_DOES_NOT_EXIST": "there is nothing at that place",
}


def read_source(
    spark: SparkSession,
    name: str,
    *,
    format: str,
    path: str | None,
    table: str | None,
    options: Mapping[str, str | bool | int | float],
    where: str | None,
) -> DataFrame:
    """The source's own columns, without the rows that ``where`` drops.

    Args:
        spark: The session.
        name: The source's name in the configuration, for messages.
        format: parquet, csv, json, delta or table.
        path: File, folder or URI; for all formats but ``table``.
        table: Catalog name; for format ``table``.
        options: Handed to the Spark reader.
        where: SQL filter over the source's columns.

    Raises:
        ConfigurationError: There is nothing at that place, or the filter does not fit.
    """
    reader = spark.read.options(**options)
    place = str(table or path)
    try:
        source = reader.table(place) if format == "table" else reader.format(format).load(place)
        known = source.columns
    except AnalysisException as error:
        why = _UNREADABLE.get(error.getCondition() or "", first_line(error))
        key = "table" if format == "table" else "path"
        raise ConfigurationError(f"sources.{name}.{key}: {place} cannot be read: {why}") from None
    if where is None:
        return source
    try:
        filtered = source.where(F.expr(where))
        _ = filtered.schema
    except AnalysisException as error:
        raise ConfigurationError(
            f"sources.{name}.where: {where!r} does not fit the source: {first_line(error)}; its "
            f"columns are {', '.join(known)}"
        ) from None
    return filtered


def expression_types(
    source: DataFrame, name: str, expressions: Mapping[str, str]
) -> dict[str, str]:
    """SQL type of each mapped expression.

    Raises:
        ConfigurationError: Expressions that do not fit the source, all of them in one message.
    """
    types, refused = {}, []
    for column, expression in expressions.items():
        try:
            field = source.select(F.expr(expression).alias(column)).schema[0]
            types[column] = field.dataType.simpleString()
        except AnalysisException as error:
            refused.append(f"{column}: {expression!r} ({first_line(error)})")
    if refused:
        raise ConfigurationError(
            f"sources.{name}.columns does not fit the source: {'; '.join(refused)}. The source's "
            f"columns are {', '.join(source.columns)}"
        )
    return types


def check_log_date(source: DataFrame, name: str, log_date: str) -> None:
    """Refuse a log_date that is no day of this source.

    Raises:
        ConfigurationError: The expression does not fit the source.
    """
    try:
        _ = source.select(F.expr(log_date).cast("date")).schema
    except AnalysisException as error:
        raise ConfigurationError(
            f"sources.{name}.log_date: {log_date!r} is no day of the source: {first_line(error)}. "
            f"The source's columns are {', '.join(source.columns)}"
        ) from None


def check_pattern(spark: SparkSession, name: str, pattern: str) -> None:
    """Refuse a timestamp_format that Spark cannot read text by.

    Raises:
        ConfigurationError: It is no datetime pattern of Spark.
    """
    try:
        spark.range(1).select(F.try_to_timestamp(F.lit("x"), F.lit(pattern))).collect()
    except Exception as error:
        raise ConfigurationError(
            f"sources.{name}.timestamp_format: {pattern!r} is no datetime pattern of Spark: "
            f"{first_line(error)}"
        ) from None


def referenced_columns(expression: str, columns: list[str]) -> list[str]:
    """Which of the source's columns an expression names."""
    words = re.findall(r"`([^`]+)`|([A-Za-z_]\w*)", expression)
    named = {(quoted or plain).lower() for quoted, plain in words}
    return [column for column in columns if column.lower() in named]


def first_line(error: Exception) -> str:
    """The first sentence of Spark's message, without its error class and SQL state."""
    text = str(error).strip().splitlines()[0]
    text = re.sub(r"^\[[A-Z_.]+\]\s*", "", text)
    return re.sub(r"\s*SQLSTATE: \w+.*$", "", text)
