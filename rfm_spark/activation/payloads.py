"""Customers as the JSON that marketing tools take; text is escaped and nothing else is changed."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

_NULLS_TOO = {"ignoreNullFields": "false"}


def payload(attributes: Sequence[str]) -> Column:
    """A JSON object of a customer's attributes, in that order, nulls included.

    Decimals are numbers with all their digits, dates are text as in 2024-01-31.
    """
    return F.to_json(F.struct(*attributes), _NULLS_TOO)


def nothing_left(attributes: Sequence[str]) -> str:
    """The payload that takes every attribute off a profile: all of them null.

    Braze removes an attribute whose value is null (Cloud Data Ingestion, "Remove an attribute").
    """
    return json.dumps(dict.fromkeys(attributes), ensure_ascii=False, separators=(",", ":"))


def identify_call(*, export: str, timestamp: str) -> Column:
    """An identify call of Segment's spec, from ``customer_id`` and ``payload``.

    Args:
        export: Name of the export.
        timestamp: When the export that first sent it has begun, ISO 8601 in UTC.

    Returns:
        JSON with type, userId, traits, timestamp and messageId. The last one is a hash of the
        export, the time and the customer, so a repeated call is recognised as the same.
    """
    customer_id = F.col("customer_id").cast("string")
    message = F.concat(F.lit(f"{export}\n{timestamp}\n"), customer_id)
    return F.concat(
        F.lit('{"type":"identify",'),
        _members(F.struct(customer_id.alias("userId"))),
        F.lit(',"traits":'),
        F.col("payload"),
        F.lit(","),
        _members(
            F.struct(
                F.lit(timestamp).alias("timestamp"),
                F.sha2(message.cast("binary"), 256).alias("messageId"),
            )
        ),
        F.lit("}"),
    )


def braze_row(*, updated_at: Column | None) -> list[Column]:
    """Columns of Braze's Cloud Data Ingestion, from ``customer_id`` and ``payload``.

    Args:
        updated_at: When the export that first sent the row has begun; None leaves it out.
    """
    columns = [
        F.col("customer_id").cast("string").alias("EXTERNAL_ID"),
        F.col("payload").alias("PAYLOAD"),
    ]
    return columns if updated_at is None else [updated_at.alias("UPDATED_AT"), *columns]


def _members(struct: Column) -> Column:
    """A JSON object without its braces."""
    text = F.to_json(struct, _NULLS_TOO)
    return F.substring(text, F.lit(2), F.length(text) - 2)
