"""SQL expressions over a source's columns: whether they fit, and what types they have."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from rfm_spark.errors import ConfigurationError
from rfm_spark.ingest.reading import MALFORMED, first_line


def own_columns(source: DataFrame) -> list[str]:
    """The source's columns, without the one that keeps rows that do not parse."""
    return [column for column in source.columns if column != MALFORMED]


def quoted(column: str) -> Column:
    """A column of that very name, whatever it looks like."""
    return F.col(f"`{column.replace('`', '``')}`")


def expression_types(
    source: DataFrame, name: str, expressions: Mapping[str, str], section: str = "columns"
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
            f"sources.{name}.{section} does not fit the source: {'; '.join(refused)}. The source's "
            f"columns are {', '.join(own_columns(source))}"
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
            f"The source's columns are {', '.join(own_columns(source))}"
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
