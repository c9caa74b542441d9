"""What an ingest writes: daily facts, rejects, and where every row went."""

from __future__ import annotations

from rfm_spark.schemas.fields import EXTRA_DIGITS, Field, Table, count, key, money


def customer_daily(id_type: str, scale: int) -> Table:
    """Purchases and refunds per business day and customer."""
    return Table(
        "customer_daily",
        "one row per business day and customer with an accepted row",
        (
            key("activity_date", "date", "business day in the configured time zone"),
            key("customer_id", id_type),
            count("orders", "distinct order ids with a purchase that day"),
            count("lines", "purchase rows (amount >= 0)"),
            Field("purchase_amount", money(scale), "sum of amounts >= 0", check=">= 0"),
            count("refund_lines", "refund rows (amount < 0)"),
            Field("refund_amount", money(scale), "sum of amounts < 0, so <= 0", check="<= 0"),
        ),
        ("activity_date",),
        is_followed=True,
    )


BALANCE_COLUMNS = {"snapshot": "balance", "flow": "movement"}
"""Kind of balances source to the column of ``balance_daily`` that holds its money."""


def balance_daily(id_type: str, scale: int, kind: str) -> Table:
    """Balances or movements as stated: only the days on which an account said something."""
    comments = {"snapshot": "last balance stated that day", "flow": "signed sum of the day"}
    return Table(
        "balance_daily",
        "one row per day, customer and account with a stated balance or a movement",
        (
            key("balance_date", "date", "business day of the statement"),
            key("customer_id", id_type),
            Field("account_id", "string", "null where the source names no account"),
            Field(BALANCE_COLUMNS[kind], money(scale), comments[kind]),
        ),
        ("balance_date",),
        is_followed=True,
    )


RAW_COLUMNS = (
    "customer_id",
    "transaction_ts",
    "amount",
    "order_id",
    "transaction_id",
    "account_id",
    "balance_date",
    "balance",
    "event_ts",
    "event",
)

REJECTED_TRANSACTIONS = Table(
    "rejected_transactions",
    "one row per rejected source row",
    (
        key("source", "string", "its name in the configuration"),
        *(Field(name, "string", "as the source had it") for name in RAW_COLUMNS),
        key("reason", "string", "the first rule the row broke"),
        Field("activity_date", "date", "business day; null if unreadable"),
        Field("log_date", "date", "partition day of the log, where one is mapped"),
        Field("raw_row", "string", "the whole row, where it does not parse (malformed)"),
    ),
    ("activity_date",),
)


def ingest_report(scale: int) -> Table:
    """Where every row and every amount of the source went."""
    return Table(
        "ingest_report",
        "one row per source, day and measure; the day is null for undated rows",
        (
            key("source", "string"),
            Field("activity_date", "date", "business day; for undated rows the log day, if any"),
            key("measure", "string", "read, accepted, duplicate, a reject reason, rounding ..."),
            count("rows", "source rows; for rounding, the rows that were rounded"),
            Field(
                "amount",
                f"decimal(38,{scale})",
                "sum of the (rounded) amounts; rounding: rounded - exact",
            ),
            Field(
                "exact_amount",
                f"decimal(38,{scale + EXTRA_DIGITS})",
                "rounding: the same with further decimals; null for other measures",
            ),
        ),
        ("activity_date",),
    )
