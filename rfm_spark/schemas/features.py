"""Features: their names, their tables, and the state that the next date starts from."""

from __future__ import annotations

from collections.abc import Iterable

from rfm_spark.schemas.fields import Field, Table, count, key, money

# What a numeric feature is called in a sentence. Roles, clustering and profiles may name any of
# these; `customer_features` has them as columns.
FEATURE_LABELS = {
    "recency_days": "days since the last purchase",
    "tenure_days": "days since the start",
    "first_purchase_days": "days since the first purchase",
    "orders": "orders",
    "active_days": "days with a purchase",
    "lines": "lines",
    "monetary": "net spend",
    "purchase_amount": "gross spend",
    "refund_amount": "refunds",
    "avg_order_value": "order value",
    "aum": "AUM",
    "aum_avg": "average AUM",
    "aum_per_day": "AUM per day",
}
WHOLE_FEATURES = (
    "recency_days",
    "tenure_days",
    "first_purchase_days",
    "orders",
    "active_days",
    "lines",
)
"""Features that are whole numbers; the first three are days."""
DAY_FEATURES = WHOLE_FEATURES[:3]
MONEY_FEATURES = (
    "monetary",
    "purchase_amount",
    "refund_amount",
    "avg_order_value",
    "aum",
    "aum_avg",
    "aum_per_day",
)
AUM_FEATURES = ("aum", "aum_avg", "aum_per_day")
SCORE_COLUMNS = {
    "recency": "r_score",
    "frequency": "f_score",
    "monetary": "m_score",
    "aum": "a_score",
}


def feature_state(id_type: str, scale: int) -> Table:
    """What an incremental update of the features starts from; technical, no promise."""
    return Table(
        "feature_state",
        "one row per snapshot date and customer with a transaction or a balance",
        (
            key("snapshot_date", "date"),
            key("customer_id", id_type),
            count("history_rows", "rows of customer_daily, all history"),
            count("purchase_days", "days with a purchase, all history"),
            Field("first_activity_date", "date"),
            Field("last_activity_date", "date"),
            *(count(name, "in the window") for name in STATE_COUNTS),
            *(Field(name, money(scale), "in the window") for name in STATE_AMOUNTS),
            count("balance_rows", "rows of balance_daily, all history"),
            Field("first_balance_date", "date"),
            Field("accounts", _accounts(scale), "what each account holds at the end"),
            Field("opening_accounts", _accounts(scale), "before the window; null: none"),
            Field("balance_days", f"decimal(38,{scale})", "end-of-day balances, added up"),
            Field("daily_table", "string", "customer_daily that was read: table id"),
            Field("daily_version", "bigint", "and version"),
            Field("balance_table", "string", "balance_daily that was read: table id"),
            Field("balance_version", "bigint", "and version"),
            Field("state_hash", "string", "changes with whatever changes the meaning of the state"),
        ),
        ("snapshot_date",),
    )


STATE_COUNTS = ("orders", "active_days", "lines", "refund_lines")
STATE_AMOUNTS = ("purchase_amount", "refund_amount")


def _accounts(scale: int) -> str:
    """One entry per account: its last statement, and the balance since."""
    money_type = money(scale)
    return f"array<struct<account_id:string,balance_date:date,balance:{money_type}>>"


def customer_features(id_type: str, scale: int, further: Iterable[Field] = ()) -> Table:
    """RFM and AUM of every customer as of the snapshot date, and further columns."""
    return Table(
        "customer_features",
        "one row per snapshot date and customer",
        (
            key("snapshot_date", "date", "the day after the last day counted"),
            key("customer_id", id_type),
            Field("first_activity_date", "date", "first purchase day, all history"),
            Field("last_activity_date", "date", "last purchase day, all history"),
            Field("start_date", "date", "from customers, else first purchase or balance"),
            Field(
                "recency_days",
                "int",
                "snapshot_date - last_activity_date; null: no purchase",
                check=">= 1",
            ),
            Field("tenure_days", "int", "snapshot_date - start_date"),
            Field(
                "first_purchase_days", "int", "snapshot_date - first_activity_date", check=">= 1"
            ),
            count("orders", "distinct orders per day, added up over the window"),
            count("active_days", "distinct days with a purchase in the window"),
            count("lines", "purchase rows in the window"),
            Field("monetary", money(scale), "purchases minus refunds in the window"),
            Field("purchase_amount", money(scale), "purchases in the window", check=">= 0"),
            Field("refund_amount", money(scale), "refunds in the window, <= 0", check="<= 0"),
            Field("avg_order_value", "double", "purchase_amount / orders"),
            Field("aum", money(scale), "balance at the end of the last day counted"),
            Field("aum_avg", "double", "time-weighted mean of the end-of-day balance"),
            Field("aum_per_day", "double", "aum / tenure_days"),
            *further,
        ),
        ("snapshot_date",),
    )
