"""Source rows as typed rows, each with the first rule it breaks, if any."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark.errors import ConfigurationError
from rfm_spark.ingest import values
from rfm_spark.ingest.mapping import expression_types, own_columns, quoted
from rfm_spark.ingest.reading import MALFORMED, referenced_columns
from rfm_spark.schemas import (
    AMOUNT_DIGITS,
    CUSTOMER_ID_TYPES,
    EXTRA_DIGITS,
    MONEY_DIGITS,
    RAW_COLUMNS,
)

REFUND_DROPPED = "refund_dropped"
_PATH = re.compile(r"(`[^`]+`|\w+)(\.(`[^`]+`|\w+))*")
"""A column, or a field within one: it loses no value."""
_IDS = ("order_id", "transaction_id", "account_id")


@dataclass(frozen=True)
class LogMapping:
    """How a log's columns are read: expressions, their types, and what they stand for.

    ``instant`` and ``amount`` name the mapped columns that hold the time and the money; a log
    without money has no ``amount``.
    """

    expressions: Mapping[str, str]
    types: Mapping[str, str]
    instant: str
    amount: str | None
    id_type: str


def map_columns(
    source: DataFrame,
    name: str,
    expressions: Mapping[str, str],
    *,
    instant: str,
    amount: str | None,
) -> LogMapping:
    """Check that the mapped expressions fit the source and have usable types.

    Raises:
        ConfigurationError: An expression or its type does not fit; all of them in one message.
    """
    types = expression_types(source, name, expressions)
    refused = []
    if types[instant] not in values.INSTANT_TYPES:
        refused.append(
            f"{instant} is {types[instant]} and must be timestamp, timestamp_ntz, date or text "
            f"(epoch seconds: timestamp_seconds({expressions[instant]}))"
        )
    if amount is not None and not values.is_amount_type(types[amount]):
        refused.append(f"{amount} is {types[amount]} and must be a number or text")
    id_type = customer_id_type(types["customer_id"])
    if id_type is None:
        refused.append(
            f"customer_id is {types['customer_id']} and must be bigint or string "
            f"(write: cast({expressions['customer_id']} as bigint))"
        )
    if refused or id_type is None:
        raise ConfigurationError(f"sources.{name}.columns: {'; '.join(refused)}")
    return LogMapping(expressions, types, instant, amount, id_type)


def customer_id_type(type_: str) -> str | None:
    """The stored type of a customer id, None for a type that is no id."""
    if type_ in values.INTEGERS:
        return "bigint"
    return type_ if type_ in CUSTOMER_ID_TYPES else None


def clean(
    source: DataFrame,
    mapping: LogMapping,
    *,
    timestamp_format: str | None,
    amount_scale: int,
    drop_refunds: bool,
    log_date: str | None,
    whole_row_identity: bool = False,
    carried: Sequence[str] = (),
) -> DataFrame:
    """One row per source row, typed, with the reason it is rejected for.

    Columns: customer_id, instant, activity_date, amount, rounding, is_refund, order_key (the order
    id in its own type), order_id (whole numbers as they are, all else as text), transaction_id,
    account_id, log_date, reason (null: accepted), identity (what makes two rows the same; null:
    nothing does), each mapped column as text under ``raw_<name>``, and ``raw_row`` where a row does
    not parse.

    Args:
        source: The source's own columns, as ``reading.read_source`` gives them.
        mapping: From :func:`map_columns`.
        timestamp_format: Spark pattern for text timestamps.
        amount_scale: Decimals of money.
        drop_refunds: Reject amounts below 0 with the reason ``refund_dropped``.
        log_date: SQL expression of the log's partition day.
        whole_row_identity: Rows equal in every source column are the same row; else rows with
            the same transaction_id are.
        carried: Further columns to keep as they are.
    """
    own = own_columns(source)
    typed = {
        "customer_id": F.expr(mapping.expressions["customer_id"]).cast(mapping.id_type),
        "instant": values.as_instant(*_column(mapping, mapping.instant), timestamp_format),
        "activity_date": values.as_day(*_column(mapping, mapping.instant), timestamp_format),
        "amount": _amount(mapping, amount_scale),
        "rounding": _rounding(mapping, amount_scale),
        "is_refund": _is_refund(mapping),
        "order_key": _order_key(mapping),
        **{name: _id(mapping, name) for name in _IDS},
        "log_date": F.expr(log_date).try_cast("date") if log_date else F.lit(None).cast("date"),
    }
    typed["identity"] = (
        F.struct(*map(quoted, own)) if whole_row_identity else typed["transaction_id"]
    )
    has_day = values.has_day(*_column(mapping, mapping.instant), timestamp_format)
    reason = _reason(mapping, typed, own, has_day, drop_refunds=drop_refunds)
    raw = {f"raw_{name}": _raw_text(mapping, name, own) for name in RAW_COLUMNS}
    columns = typed | {"reason": reason} | raw | {"raw_row": F.col(MALFORMED)}
    return source.select(*(column.alias(name) for name, column in columns.items()), *carried)


def may_round(mapping: LogMapping, amount_scale: int) -> bool:
    """Whether an amount of the log can have more decimals than money has."""
    return mapping.amount is not None and values.may_round(
        mapping.types[mapping.amount], amount_scale
    )


def computed_columns(mapping: LogMapping) -> list[str]:
    """Columns of :func:`clean` from expressions that no rule looks at, and that may throw."""
    of = {"customer_id": "customer_id", "identity": "transaction_id", "raw_event": "event"}
    of |= {name: name for name in ("order_id", "account_id")}
    return [
        column
        for column, name in of.items()
        if name in mapping.expressions and not _PATH.fullmatch(mapping.expressions[name])
    ]


def _column(mapping: LogMapping, name: str) -> tuple[Column, str]:
    return F.expr(mapping.expressions[name]), mapping.types[name]


def _amount(mapping: LogMapping, scale: int) -> Column:
    if mapping.amount is None:
        return F.lit(0).cast(f"decimal({MONEY_DIGITS},{scale})")
    amount = values.as_money(*_column(mapping, mapping.amount), AMOUNT_DIGITS, scale)
    return amount.cast(f"decimal({MONEY_DIGITS},{scale})")


def _rounding(mapping: LogMapping, scale: int) -> Column:
    if mapping.amount is None:
        return F.lit(0).cast(f"decimal(38,{scale + EXTRA_DIGITS})")
    return values.rounding(*_column(mapping, mapping.amount), AMOUNT_DIGITS, scale)


def _is_refund(mapping: LogMapping) -> Column:
    if mapping.amount is None:
        return F.lit(False)
    return values.is_negative(*_column(mapping, mapping.amount))


def _order_key(mapping: LogMapping) -> Column:
    """The order id in its own type, so that order 10 is larger than order 9."""
    if "order_id" not in mapping.expressions:
        return F.lit(None).cast("string")
    return _column(mapping, "order_id")[0]


def _id(mapping: LogMapping, name: str) -> Column:
    if name not in mapping.expressions:
        return F.lit(None).cast("string")
    column, type_ = _column(mapping, name)
    if name == "order_id" and type_ in values.INTEGERS:
        return column
    return F.when(~values.is_blank(column, type_), column.cast("string"))


def _reason(
    mapping: LogMapping,
    typed: Mapping[str, Column],
    columns: list[str],
    has_day: Column,
    *,
    drop_refunds: bool,
) -> Column:
    rules = [
        ("malformed", F.col(MALFORMED).isNotNull()),
        ("missing_customer_id", values.is_blank(*_column(mapping, "customer_id"))),
        ("missing_timestamp", _is_missing(mapping, mapping.instant, columns)),
        ("bad_timestamp", ~has_day),
    ]
    if mapping.amount is not None:
        rules.append(("missing_amount", _is_missing(mapping, mapping.amount, columns)))
        rules.append(("bad_amount", typed["amount"].isNull()))
    if drop_refunds:
        rules.append((REFUND_DROPPED, typed["is_refund"]))
    reason = F.lit(None).cast("string")
    for name, broken in reversed(rules):
        reason = F.when(broken, F.lit(name)).otherwise(reason)
    return reason


def _is_missing(mapping: LogMapping, name: str, columns: list[str]) -> Column:
    """Null or blank, and not because an expression lost a value that the source has."""
    blank = values.is_blank(*_column(mapping, name))
    expression = mapping.expressions[name]
    named = referenced_columns(expression, columns)
    if not named or _PATH.fullmatch(expression):
        return blank
    has_values = [F.coalesce(F.trim(_source_text(column)) != "", F.lit(False)) for column in named]
    return blank & ~F.least(*has_values) if len(has_values) > 1 else blank & ~has_values[0]


def _raw_text(mapping: LogMapping, name: str, columns: list[str]) -> Column:
    """The mapped value as text, or the values that the expression lost."""
    if name not in mapping.expressions:
        return F.lit(None).cast("string")
    expression = mapping.expressions[name]
    text = F.expr(expression).cast("string")
    named = [_source_text(column) for column in referenced_columns(expression, columns)]
    if not named or expression.strip("`") in columns:
        return text
    return F.coalesce(text, F.nullif(F.concat_ws(" | ", *named), F.lit("")))


def _source_text(column: str) -> Column:
    return quoted(column).cast("string")
