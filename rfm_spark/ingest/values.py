"""Text and numbers as instants, days and money: small rules from Column to Column.

A rule returns null for what it cannot read; whoever calls it tells a missing value from an
unreadable one. Nothing is guessed: text dates start yyyy-MM-dd or follow the given pattern.
"""

from __future__ import annotations

import re

from pyspark.sql import Column
from pyspark.sql import functions as F

from rfm_spark.schemas import EXTRA_DIGITS

INTEGERS = {"tinyint", "smallint", "int", "bigint"}
INSTANT_TYPES = {"timestamp", "timestamp_ntz", "date", "string"}
_CALENDAR = ("0001-01-01", "9999-12-31")
_BLANK = r"^[\s\p{Z}]*$"
_ABSURD_EXPONENT = r"[eE][+-]?0*[1-9]\d{3,}$"
_ISO_DATE = r"^\d{4}-\d{2}-\d{2}"


def is_blank(column: Column, type_: str) -> Column:
    """Null, or text of nothing but white space."""
    blank = column.isNull()
    return blank | column.rlike(_BLANK) if type_ == "string" else blank


def is_amount_type(type_: str) -> bool:
    """Whether an amount can be read from a column of that type."""
    return type_ in {*INTEGERS, "float", "double", "string"} or type_.startswith("decimal")


def as_instant(column: Column, type_: str, pattern: str | None) -> Column:
    """A timestamp; a date, a timestamp_ntz or text without offset is wall clock in the session.

    Args:
        column: A value of type timestamp, timestamp_ntz, date or string.
        type_: Its SQL type.
        pattern: Spark datetime pattern for text; without one, text must start yyyy-MM-dd.
    """
    if type_ != "string":
        return column.cast("timestamp")
    text = F.trim(column)
    if pattern is not None:
        return F.try_to_timestamp(text, F.lit(pattern))
    return F.when(text.rlike(_ISO_DATE), text.try_cast("timestamp"))


def as_day(column: Column, type_: str, pattern: str | None) -> Column:
    """The calendar day of a value in the session's time zone; null outside the years 1 to 9999."""
    day = _day(column, type_, pattern)
    return F.when(_in_calendar(day), day)


def has_day(column: Column, type_: str, pattern: str | None) -> Column:
    """Whether :func:`as_day` finds one; Spark need not work it out for that."""
    return F.coalesce(_in_calendar(_day(column, type_, pattern)), F.lit(False))


def _day(column: Column, type_: str, pattern: str | None) -> Column:
    is_local = type_ in {"date", "timestamp_ntz"}
    return (column if is_local else as_instant(column, type_, pattern)).cast("date")


def _in_calendar(day: Column) -> Column:
    return day.between(*(F.lit(end).cast("date") for end in _CALENDAR))


def as_money(column: Column, type_: str, digits: int, scale: int) -> Column:
    """A decimal, rounded half up (away from zero); null where that is no finite number.

    Binary floats are read by their shortest decimal form, so 1.005 gives 1.01.
    """
    return _as_decimal(column, type_, f"decimal({digits},{scale})")


def is_negative(column: Column, type_: str) -> Column:
    """Whether an amount is below 0 as it was given, before it is rounded."""
    number = F.trim(column).try_cast("double") if type_ == "string" else column
    return F.coalesce(number < 0, F.lit(False))


def may_round(type_: str, scale: int) -> bool:
    """Whether an amount of that type can have more decimals than ``scale``."""
    match = re.fullmatch(r"decimal\(\d+,(\d+)\)", type_)
    return type_ not in INTEGERS and not (match and int(match[1]) <= scale)


def rounding(column: Column, type_: str, digits: int, scale: int) -> Column:
    """Rounded minus given amount, to eight further decimals; 0 where nothing was rounded."""
    if not may_round(type_, scale):
        return F.lit(0).cast(f"decimal(38,{scale + EXTRA_DIGITS})")
    exact = _as_decimal(column, type_, f"decimal({digits + EXTRA_DIGITS},{scale + EXTRA_DIGITS})")
    difference = as_money(column, type_, digits, scale) - exact
    return F.coalesce(difference, F.lit(0)).cast(f"decimal(38,{scale + EXTRA_DIGITS})")


def _as_decimal(column: Column, type_: str, target: str) -> Column:
    if type_ == "string":
        text = F.trim(column)  # Java takes minutes to write out what an exponent of millions says
        return F.when(~text.rlike(_ABSURD_EXPONENT), text.try_cast(target))
    if type_ == "float":
        return column.cast("string").try_cast(target)
    return column.try_cast(target)
