"""Names, types and meanings of every table this package writes.

Plain data, without Spark: the configuration checks feature names against it, ``tables`` creates
Delta tables from it, and rooms that do not import each other meet in these columns. Types that
depend on the source (the customer id) or on a setting (decimals of money) are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

CUSTOMER_ID_TYPES = ("bigint", "string")
MONEY_DIGITS = 28
"""Digits of a stored amount. A sum of such decimals still fits decimal(38)."""
AMOUNT_DIGITS = 22
"""Digits of an amount in a source; a longer one is no amount, so that sums of a day fit."""


EXTRA_DIGITS = 8
"""Further decimals of money in which a rounding difference is stated."""


@dataclass(frozen=True)
class Field:
    """A column: its Spark SQL type, and what a number in it means."""

    name: str
    type: str
    comment: str = ""
    nullable: bool = True


@dataclass(frozen=True)
class Table:
    """A table: what one row stands for, its columns in order, its partition columns."""

    name: str
    grain: str
    fields: tuple[Field, ...]
    partition_by: tuple[str, ...] = ()
    is_followed: bool = False
    """Whether readers follow its changes from version to version (Delta's change data feed)."""

    @property
    def columns(self) -> list[str]:
        """Column names in order."""
        return [field.name for field in self.fields]

    @property
    def ddl(self) -> str:
        """Columns and types, as ``createDataFrame`` takes them."""
        return ", ".join(f"{field.name} {field.type}" for field in self.fields)


def money(scale: int) -> str:
    """SQL type of an amount with that many decimals."""
    return f"decimal({MONEY_DIGITS},{scale})"


def _key(name: str, type_: str, comment: str = "") -> Field:
    return Field(name, type_, comment, nullable=False)


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
AUM_FEATURES = ("aum", "aum_avg", "aum_per_day")
SCORE_COLUMNS = {
    "recency": "r_score",
    "frequency": "f_score",
    "monetary": "m_score",
    "aum": "a_score",
}


def customer_daily(id_type: str, scale: int) -> Table:
    """Purchases and refunds per business day and customer."""
    return Table(
        "customer_daily",
        "one row per business day and customer with an accepted row",
        (
            _key("activity_date", "date", "business day in the configured time zone"),
            _key("customer_id", id_type),
            Field("orders", "bigint", "distinct order ids with a purchase that day"),
            Field("lines", "bigint", "purchase rows (amount >= 0)"),
            Field("purchase_amount", money(scale), "sum of amounts >= 0"),
            Field("refund_lines", "bigint", "refund rows (amount < 0)"),
            Field("refund_amount", money(scale), "sum of amounts < 0, so <= 0"),
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
            _key("balance_date", "date", "business day of the statement"),
            _key("customer_id", id_type),
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
)

REJECTED_TRANSACTIONS = Table(
    "rejected_transactions",
    "one row per rejected source row",
    (
        _key("source", "string", "its name in the configuration"),
        *(Field(name, "string", "as the source had it") for name in RAW_COLUMNS),
        _key("reason", "string", "the first rule the row broke"),
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
            _key("source", "string"),
            Field("activity_date", "date", "business day; for undated rows the log day, if any"),
            _key("measure", "string", "read, accepted, duplicate, a reject reason, rounding ..."),
            Field("rows", "bigint", "source rows; for rounding, the rows that were rounded"),
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


def feature_state(id_type: str, scale: int) -> Table:
    """What an incremental update of the features starts from; technical, no promise."""
    return Table(
        "feature_state",
        "one row per snapshot date and customer with a transaction or a balance",
        (
            _key("snapshot_date", "date"),
            _key("customer_id", id_type),
            Field("history_rows", "bigint", "rows of customer_daily, all history"),
            Field("purchase_days", "bigint", "days with a purchase, all history"),
            Field("first_activity_date", "date"),
            Field("last_activity_date", "date"),
            *(Field(name, "bigint", "in the window") for name in STATE_COUNTS),
            *(Field(name, money(scale), "in the window") for name in STATE_AMOUNTS),
            Field("balance_rows", "bigint", "rows of balance_daily, all history"),
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
            _key("snapshot_date", "date", "the day after the last day counted"),
            _key("customer_id", id_type),
            Field("first_activity_date", "date", "first purchase day, all history"),
            Field("last_activity_date", "date", "last purchase day, all history"),
            Field("start_date", "date", "from customers, else first purchase or balance"),
            Field("recency_days", "int", "snapshot_date - last_activity_date; null: no purchase"),
            Field("tenure_days", "int", "snapshot_date - start_date"),
            Field("first_purchase_days", "int", "snapshot_date - first_activity_date"),
            Field("orders", "bigint", "distinct orders per day, added up over the window"),
            Field("active_days", "bigint", "distinct days with a purchase in the window"),
            Field("lines", "bigint", "purchase rows in the window"),
            Field("monetary", money(scale), "purchases minus refunds in the window"),
            Field("purchase_amount", money(scale), "purchases in the window"),
            Field("refund_amount", money(scale), "refunds in the window, <= 0"),
            Field("avg_order_value", "double", "purchase_amount / orders"),
            Field("aum", money(scale), "balance at the end of the last day counted"),
            Field("aum_avg", "double", "time-weighted mean of the end-of-day balance"),
            Field("aum_per_day", "double", "aum / tenure_days"),
            *further,
        ),
        ("snapshot_date",),
    )


SCORE_THRESHOLDS = Table(
    "score_thresholds",
    "one row per thresholds version, metric and score",
    (
        _key("thresholds_version", "string"),
        _key("metric", "string", "recency, frequency, monetary or aum"),
        _key("score", "int", "1 to the number of bins, the highest best"),
        Field("lower", "double", "values above this; null: no lower edge"),
        Field("upper", "double", "values up to and including this; null: no upper edge"),
        Field("feature", "string", "the column that plays the role"),
        Field("weight", "double", "weight of this score in rfm_score"),
        Field("method", "string"),
        _key("snapshot_date", "date", "date the edges were cut on"),
        Field("customers", "bigint", "customers with a purchase, over whom they were cut"),
        Field("scoring_hash", "string", "changes with roles, bins or methods"),
        Field("use_hash", "string", "changes with the rule map or the weights"),
        Field("rules", "string", "name of the rule map in force"),
        Field("rules_hash", "string"),
        Field("rules_map", "string", "the resolved rule map as JSON"),
    ),
    ("snapshot_date",),
)

K_SWEEP = Table(
    "k_sweep",
    "one row per model version, k and seed",
    (
        _key("model_version", "string"),
        _key("snapshot_date", "date"),
        _key("k", "int"),
        _key("seed", "int"),
        Field("wcss", "double", "weighted within-cluster sum of squares on the coreset"),
        Field("wcss_all", "double", "the same over all customers, for the best seed of each k"),
        Field("silhouette", "double", "Spark's, of squared distances, on the scaled features"),
        Field("min_share", "double", "share of the smallest cluster in the coreset's weight"),
        Field("iterations", "int"),
        Field("seconds", "double"),
        Field("stability", "double", "mean adjusted Rand index to the other seeds of this k"),
        Field("chosen", "boolean"),
    ),
    ("snapshot_date",),
)

MODELS = Table(
    "models",
    "one row per model version",
    (
        _key("model_version", "string"),
        _key("snapshot_date", "date", "date whose features it was fitted on"),
        Field("algorithm", "string"),
        Field("k", "int"),
        Field("features", "array<string>", "columns, in the order of all vectors below"),
        Field("transform", "string", "log1p: sign(x) * log(1 + |x|); none"),
        Field("scale", "string"),
        Field("missing_recency", "int", "recency of a customer without purchase and without start"),
        Field("means", "array<double>", "of the transformed features"),
        Field("stds", "array<double>", "sample standard deviations of the same"),
        Field("cluster_numbers", "array<int>", "cluster of each row of the arrays below"),
        Field("centroids", "array<array<double>>", "scaled"),
        Field("centroids_natural", "array<array<double>>", "in the features' own units"),
        Field("cluster_names", "array<string>"),
        Field("cluster_ranks", "array<int>", "1 = highest mean rfm_score"),
        Field("cluster_actions", "array<string>"),
        Field("wcss_all", "double"),
        Field("silhouette", "double"),
        Field("seed", "int"),
        Field("customers", "bigint"),
        Field("coreset_rows", "bigint"),
        Field("matched_to", "string", "previous version and cluster of each cluster"),
        Field("config_hash", "string", "changes with the clustering settings"),
        Field("pipeline_path", "string", "the fitted Spark ML PipelineModel"),
    ),
    ("snapshot_date",),
)


def customer_segments(id_type: str, features: Iterable[Field]) -> Table:
    """Scores, rule segment and cluster of every customer."""
    return Table(
        "customer_segments",
        "one row per snapshot date and customer",
        (
            _key("snapshot_date", "date"),
            _key("customer_id", id_type),
            *features,
            Field("r_score", "int"),
            Field("f_score", "int"),
            Field("m_score", "int"),
            Field("a_score", "int", "null unless a feature plays the role aum"),
            Field("rfm_cell", "string", "the scores as a code, as in 543"),
            Field("rfm_score", "double", "weighted mean of the scores"),
            Field("rfm_segment", "string"),
            Field("cluster", "int"),
            Field("cluster_segment", "string"),
            Field("distance", "double", "to the own centroid, in scaled units"),
            Field("margin", "double", "distance to the second nearest centroid minus distance"),
            Field("previous_rfm_segment", "string"),
            Field("rfm_segment_since", "date"),
            Field("previous_cluster_segment", "string"),
            Field("cluster_segment_since", "date"),
            Field("model_version", "string"),
            Field("thresholds_version", "string"),
        ),
        ("snapshot_date",),
    )


RESERVED_COLUMNS = (
    *customer_features("bigint", 2).columns,
    *customer_segments("bigint", ()).columns,
)
"""Names that extra features and attributes cannot have."""


def segment_profiles(scale: int, features: Iterable[str]) -> Table:
    """What each segment is like, in numbers."""
    return Table(
        "segment_profiles",
        "one row per snapshot date, kind and segment",
        (
            _key("snapshot_date", "date"),
            _key("kind", "string", "rfm or cluster"),
            _key("segment", "string"),
            Field("rank", "int", "1 = best"),
            Field("customers", "bigint"),
            Field("share", "double", "of all customers"),
            Field("revenue", money(scale), "sum of monetary"),
            Field("revenue_share", "double", "of all revenue; null when that is not positive"),
            Field("marketing_action", "string"),
            Field("insight", "string"),
            *(
                Field(f"{statistic}_{feature}", "double", f"{statistic} of {feature}")
                for feature in features
                for statistic in ("mean", "median")
            ),
        ),
        ("snapshot_date",),
    )


RUNS = Table(
    "runs",
    "two rows per run: one when it starts, one when it ends",
    (
        _key("run_id", "string"),
        _key("command", "string"),
        Field("snapshot_date", "date"),
        _key("status", "string", "started, succeeded or failed"),
        Field("started", "timestamp"),
        Field("ended", "timestamp"),
        Field("config_hash", "string"),
        Field("code_version", "string"),
        Field("input_versions", "map<string,bigint>", "table versions read"),
        Field("output_versions", "map<string,bigint>", "table versions written"),
        Field("rows", "map<string,bigint>", "rows written per table"),
        Field("error", "string"),
    ),
)
