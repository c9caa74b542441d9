"""A source as Spark reads it: every row of it, also those that do not parse."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from rfm_spark.errors import ConfigurationError, DataError
from rfm_spark.jdbc_drivers import address_for_spark, driver_of, without_secrets

MALFORMED = "_rfm_malformed_row"
"""Column that holds the text of a row that does not parse, and null for all others."""

_TEXT_FORMATS = ("csv", "json")
_UNREADABLE = {
    "PATH_NOT_FOUND": "there is nothing at that place",
    "TABLE_OR_VIEW_NOT_FOUND": "there is no such table",
    "UNABLE_TO_INFER_SCHEMA": "there are no files to read a schema from",
    "DELTA_TABLE_NOT_FOUND": "there is no such Delta table",
    "DELTA_MISSING_DELTA_TABLE": "there is no Delta table",
    "DELTA_PATH_DOES_NOT_EXIST": "there is nothing at that place",
    "FAILED_JDBC.CONNECTION": "the database does not answer, or refuses user and password",
}
_NANOSECONDS_OF_1973 = 10**17
Option = str | bool | int | float


@dataclass(frozen=True)
class Place:
    """Where a source lies and how it is stored.

    Args:
        format: parquet, csv, json, delta, table or jdbc.
        path: File, folder or URI, for files and delta.
        table: Catalog name, for format ``table``.
        url: JDBC address.
        query: SQL of the database.
        properties: user, password and what else the JDBC driver takes.
        options: Handed to the Spark reader.
    """

    format: str
    path: str | None = None
    table: str | None = None
    url: str | None = None
    query: str | None = None
    properties: Mapping[str, Option] = field(default_factory=dict)
    options: Mapping[str, Option] = field(default_factory=dict)


def read_source(spark: SparkSession, name: str, place: Place, *, where: str | None) -> DataFrame:
    """The source's own columns and :data:`MALFORMED`, without the rows that ``where`` drops.

    A row that does not parse has nulls in all columns but those of its partition, and ``where``
    drops it only if it looks at nothing else.

    Args:
        spark: The session.
        name: The source's name in the configuration, for messages.
        place: Where it is.
        where: SQL filter over the source's columns.

    Raises:
        ConfigurationError: There is nothing at that place, or the filter does not fit.
        DataError: Spark cannot read a column's type.
    """
    try:
        partitions = _partition_columns(spark, place)
        source = _loaded(spark, place, partitions)
        known = source.columns
    except Exception as error:
        raise _unreadable(spark, name, place, error) from error
    if where is None:
        return source
    try:
        keeps = F.expr(f"({where}\n)")
        named = set(referenced_columns(where, known))
        if not named or named - set(partitions):
            keeps = keeps | F.col(MALFORMED).isNotNull()
        kept = source.where(keeps)
        _ = source.select(keeps).schema, kept.schema  # over Connect, a filter is not looked at
    except AnalysisException as error:
        columns = ", ".join(column for column in known if column != MALFORMED)
        raise ConfigurationError(
            f"sources.{name}.where: {where!r} does not fit the source: {first_line(error)}; its "
            f"columns are {columns}"
        ) from None
    return kept


def first_line(error: Exception) -> str:
    """The first sentence of Spark's message, without its error class and SQL state."""
    text = str(error).strip().splitlines()[0]
    text = re.sub(r"^\[[A-Z_.]+\]\s*", "", text)
    return re.sub(r"\s*SQLSTATE: \w+.*$", "", text)


def referenced_columns(expression: str, columns: list[str]) -> list[str]:
    """Which of the source's columns an expression names."""
    words = re.findall(r"`([^`]+)`|([A-Za-z_]\w*)", expression)
    named = {(quoted or plain).lower() for quoted, plain in words}
    return [column for column in columns if column.lower() in named]


def _partition_columns(spark: SparkSession, place: Place) -> list[str]:
    """Columns that a text file's rows have by their folder."""
    if place.format not in _TEXT_FORMATS:
        return []
    files = spark.read.format("text")
    for option in ("basePath", "recursiveFileLookup", "pathGlobFilter"):
        if option in place.options:
            files = files.option(option, place.options[option])
    return [name for name in files.load(str(place.path)).columns if name != "value"]


def _loaded(spark: SparkSession, place: Place, partitions: list[str]) -> DataFrame:
    if place.format in _TEXT_FORMATS and str(place.options.get("mode", "")).lower() != "failfast":
        return _text_with_malformed(spark, place, partitions)
    reader = spark.read.options(**place.options)
    if place.format == "table":
        source = reader.table(str(place.table))
    elif place.format == "jdbc":
        source = reader.format("jdbc").options(**_jdbc_options(place)).load()
    else:
        source = reader.format(place.format).load(str(place.path))
    return source.withColumn(MALFORMED, F.lit(None).cast("string"))


def _text_with_malformed(spark: SparkSession, place: Place, partitions: list[str]) -> DataFrame:
    """Text files, with each row that does not parse kept as it is.

    Spark tells such a row only where the schema has a place for it, and, for CSV, only where no
    column is pruned. Headers of further files are compared with the first one's; else Spark would
    read columns that stand in another order by their position.
    """
    corrupt = {"columnNameOfCorruptRecord": MALFORMED}
    inferred = (
        spark.read.format(place.format)
        .options(**place.options)
        .options(**corrupt)
        .load(str(place.path))
        .schema
    )
    columns = [column for column in inferred if column.name != MALFORMED]
    options: dict[str, Option] = dict(corrupt)
    if place.format == "csv":
        options["columnPruning"] = False
        # Spark numbers columns that have no name or that of another one.
        is_named = not any(column.name.endswith(str(i)) for i, column in enumerate(columns))
        options["enforceSchema"] = place.options.get("enforceSchema", not is_named)
    schema = StructType([*columns, StructField(MALFORMED, StringType())])
    source = (
        spark.read.format(place.format)
        .options(**place.options)
        .options(**options)
        .schema(schema)
        .load(str(place.path))
    )
    parses = F.col(MALFORMED).isNull()
    kept = []
    for column in columns:
        value = F.col(f"`{column.name.replace('`', '``')}`")
        is_text = column.name not in partitions
        kept.append(F.when(parses, value).alias(column.name) if is_text else value)
    return source.select(*kept, MALFORMED)


def _jdbc_options(place: Place) -> dict[str, Option]:
    """The query as a table, so that it may be read in partitions, and times as they are meant.

    A time without zone is wall clock (``preferTimestampNTZ``). The drivers of MySQL and MariaDB
    take the server to be in the JVM's time zone unless they are told to set the connection's.
    """
    url = str(place.url)
    options: dict[str, Option] = {
        "url": address_for_spark(url),
        "dbtable": f"({str(place.query).rstrip().rstrip(';')}\n) source",
        "preferTimestampNTZ": True,
    }
    if driver := driver_of(url):
        options["driver"] = driver.driver_class
    if url.startswith(("jdbc:mysql:", "jdbc:mariadb:")):
        options |= {"connectionTimeZone": "UTC", "forceConnectionTimeZoneToSession": True}
        options["preserveInstants"] = True
    return options | dict(place.properties) | dict(place.options)


def _unreadable(spark: SparkSession, name: str, place: Place, error: Exception) -> Exception:
    text, condition = str(error), ""
    if isinstance(error, AnalysisException):
        condition = error.getCondition() or ""
    if "PARQUET_TYPE_ILLEGAL" in text and "NANOS" in text:
        return DataError(_about_nanoseconds(spark, name, place))
    if place.format == "jdbc":
        why = _UNREADABLE.get(condition) or _database_says(text)
        where = without_secrets(str(place.url))
        return ConfigurationError(f"sources.{name}: {where} cannot be read: {why}")
    if not isinstance(error, AnalysisException):
        return error
    key = "table" if place.format == "table" else "path"
    where = str(place.table or place.path)
    why = _UNREADABLE.get(condition, first_line(error))
    return ConfigurationError(f"sources.{name}.{key}: {where} cannot be read: {why}")


def _database_says(text: str) -> str:
    if "ClassNotFoundException" in text:
        return "the JDBC driver is not on Spark's class path; bring it with --packages or --jars"
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("\tat")]
    said = next((line for line in lines if re.search(r"\w(Exception|Error): ", line)), lines[0])
    return re.sub(r"^.*?\w(Exception|Error): ", "", said).strip()


def _about_nanoseconds(spark: SparkSession, name: str, place: Place) -> str:
    columns = _nanosecond_columns(spark, place)
    which = f"the column {', '.join(columns)}" if columns else "a column"
    column = columns[0] if columns else "created_at"
    return (
        f"sources.{name}: {which} of {place.path} holds timestamps in nanoseconds, which Spark "
        "cannot read. Write the files with microseconds (pandas: to_parquet(..., "
        "coerce_timestamps='us', allow_truncated_timestamps=True)), or start Spark with "
        "spark.sql.legacy.parquet.nanosAsLong=true and map the column as "
        f"timestamp_micros({column} div 1000); nothing was published"
    )


def _nanosecond_columns(spark: SparkSession, place: Place) -> list[str]:
    """Columns that hold such timestamps: whole numbers that are, as nanoseconds, after 1973."""
    key, before = "spark.sql.legacy.parquet.nanosAsLong", None
    try:
        before = spark.conf.get(key, None)
        spark.conf.set(key, "true")
        source = spark.read.format(place.format).options(**place.options).load(str(place.path))
        names = [name for name, type_ in source.dtypes if type_ == "bigint"]
        sizes = [F.max(F.abs(F.col(f"`{name}`"))) for name in names]
        found = source.limit(1000).agg(*sizes).collect()[0] if names else ()
        return [
            n for n, size in zip(names, found, strict=True) if (size or 0) >= _NANOSECONDS_OF_1973
        ]
    except Exception:  # only a hint is lost
        return []
    finally:
        if before is None:
            spark.conf.unset(key)
        else:
            spark.conf.set(key, before)
