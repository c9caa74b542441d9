"""Sources opened by their settings, and whose expression it was that failed on a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark.config.source import Source
from rfm_spark.errors import DataError, RfmSparkError
from rfm_spark.ingest.mapping import own_columns
from rfm_spark.ingest.reading import Place, first_line, read_source, referenced_columns
from rfm_spark.pipeline.context import Context
from rfm_spark.session import temporarily

DATA_FAULTS = re.compile(
    r"\[(CAST_INVALID_INPUT|CAST_OVERFLOW|DIVIDE_BY_ZERO|ARITHMETIC_OVERFLOW|"
    r"NUMERIC_VALUE_OUT_OF_RANGE|CANNOT_PARSE_TIMESTAMP|INVALID_FRACTION_OF_SECOND|"
    r"INVALID_ARRAY_INDEX|INVALID_INDEX_OF_ZERO|DATETIME_OVERFLOW|DATETIME_FIELD_OUT_OF_BOUNDS|"
    r"INTERVAL_ARITHMETIC_OVERFLOW|MAP_KEY_DOES_NOT_EXIST|USER_RAISED_EXCEPTION)[.\w]*\] [^\n]*"
)
_FAULT = re.compile(r"\[([A-Z_]+[.\w]*)\] ([^\n]*)")
_CONTEXT = re.compile(r"== SQL[^\n]*==\n(?P<code>.*?)\n\s*\^", re.DOTALL)
_FEW = 3
_QUOTED = re.compile(r"(?<=The value ).*?(?= of the type)|'[^']*'", re.DOTALL)
_VALUE = re.compile(r"The value ('.*?'|\S+) of the type", re.DOTALL)


def open_source(context: Context, name: str, settings: Source) -> DataFrame:
    """A source's rows as they are, without those that its ``where`` drops.

    Args:
        context: The run.
        name: The source's name in the configuration.
        settings: Its settings.

    Raises:
        ConfigurationError: There is nothing at that place, or the filter does not fit.
        DataError: Spark cannot read a column's type.
    """
    place = Place(
        settings.format,
        path=settings.path,
        table=settings.table,
        url=settings.url,
        query=settings.query,
        properties=settings.properties,
        options=settings.options,
    )
    return read_source(context.spark, name, place, where=settings.where)


def fingerprint(rows: DataFrame, expressions: Iterable[str]) -> int:
    """A number that changes with any row's mapped values, whatever order the rows come in."""
    return int(rows.agg(fingerprint_column(expressions)).collect()[0][0] or 0)


def fingerprint_column(expressions: Iterable[str]) -> Column:
    """The same as an aggregate: the hashes of all rows and their number, in one bigint."""
    hashes = F.xxhash64(*(F.expr(sql).cast("string") for sql in expressions))
    total = F.sum(hashes.cast("decimal(20,0)")) + F.count(F.lit(1))
    return F.pmod(total, F.lit(2**62)).cast("bigint")


@contextmanager
def naming_the_expression(
    name: str, source: DataFrame, expressions: Mapping[str, str]
) -> Iterator[None]:
    """Say which expression of a source threw, and on which value.

    Spark quotes the code that threw, mostly; the expression that contains it is the one. Where it
    does not, each is tried by itself. The value comes from Spark's sentence, or from the first row
    for which the expression gives null once Spark gives null instead of throwing.

    Args:
        name: The source's name in the configuration.
        source: Its rows.
        expressions: Key in the configuration to SQL expression.
    """
    try:
        yield
    except RfmSparkError:
        raise
    except Exception as error:
        text = str(error)
        fault, quoted = _FAULT.search(text), _CONTEXT.search(text)
        if fault is None or not DATA_FAULTS.match(fault[0]):
            raise
        key = _owner(quoted["code"], expressions) if quoted else _thrower(source, expressions)
        if key is None:
            raise
        expression = expressions[key]
        value, said = _VALUE.search(text), fault[0]
        if _names_a_customer(source, expression, expressions.get("columns.customer_id", "")):
            said, found = without_values(said), _lost_value(source, expression, beginning_of)
            found = beginning_of(value[1].strip("'")) if value else found
        else:
            found = value[1] if value else _lost_value(source, expression, repr)
        raise DataError(
            f"sources.{name}.{key}: the expression {expression!r} fails on "
            f"{found or 'a value'}: {first_line(Exception(said))} Correct the data or the "
            "expression, or leave such rows out with `where`; nothing of this was published"
        ) from error


def without_values(text: str) -> str:
    """Spark's sentence without the values that it quotes: they may be ids of customers."""
    return _QUOTED.sub("'...'", text)


def beginning_of(value: str) -> str:
    """Enough of a value to find it in the log, and too little to tell whose id it is."""
    return repr(value) if len(value) <= _FEW else f"{value[:_FEW]!r}..."


def _names_a_customer(source: DataFrame, expression: str, customer_id: str) -> bool:
    columns = own_columns(source)
    personal = set(referenced_columns(customer_id, columns))
    return bool(personal & set(referenced_columns(expression, columns)))


def _owner(code: str, expressions: Mapping[str, str]) -> str | None:
    """The configuration key of the expression that has this code."""
    wanted = "".join(code.split())
    if not wanted:
        return None
    owners = [key for key, sql in expressions.items() if wanted in "".join(sql.split())]
    exact = [key for key in owners if "".join(expressions[key].split()) == wanted]
    return next(iter(exact or owners), None)


def _thrower(source: DataFrame, expressions: Mapping[str, str]) -> str | None:
    """The configuration key of the first expression that throws on its own."""
    for key, expression in expressions.items():
        try:
            source.agg(F.count(F.expr(expression))).collect()
        except AnalysisException:  # an aggregate: not an expression over rows
            continue
        except Exception:
            return key
    return None


def _lost_value(source: DataFrame, expression: str, show: Callable[[str], str]) -> str | None:
    named = referenced_columns(expression, own_columns(source))
    columns = [F.col(f"`{column}`") for column in named]
    if not columns:
        return None
    try:
        with temporarily(source.sparkSession, {"spark.sql.ansi.enabled": "false"}):
            lost = source.where(F.expr(expression).isNull())
            for column in columns:
                lost = lost.where(column.isNotNull())
            row = lost.select(*(column.cast("string") for column in columns)).first()
    except Exception:  # only a hint is lost
        return None
    if row is None:
        return None
    return ", ".join(f"{column} = {show(value)}" for column, value in zip(named, row, strict=True))
