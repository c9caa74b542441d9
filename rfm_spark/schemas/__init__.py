"""Names, types and meanings of every table this package writes.

Plain data, without Spark: the configuration checks feature names against it, ``tables`` creates
Delta tables from it, and rooms that do not import each other meet in these columns. Types that
depend on the source (the customer id) or on a setting (decimals of money) are arguments.
"""

from rfm_spark.schemas.activation import (
    AUDIENCE_TABLES,
    CAMPAIGN,
    CONTROL,
    EXPORT_BATCHES,
    TREATMENT,
    export_assignments,
    export_changes,
)
from rfm_spark.schemas.facts import (
    BALANCE_COLUMNS,
    RAW_COLUMNS,
    REJECTED_TRANSACTIONS,
    balance_daily,
    customer_daily,
    ingest_report,
)
from rfm_spark.schemas.features import (
    AUM_FEATURES,
    DAY_FEATURES,
    FEATURE_LABELS,
    MONEY_FEATURES,
    SCORE_COLUMNS,
    STATE_AMOUNTS,
    STATE_COUNTS,
    WHOLE_FEATURES,
    customer_features,
    feature_state,
)
from rfm_spark.schemas.fields import (
    AMOUNT_DIGITS,
    CONTRACT_VERSION,
    CUSTOMER_ID_TYPES,
    EXTRA_DIGITS,
    MONEY_DIGITS,
    Field,
    Table,
    money,
)
from rfm_spark.schemas.models import DRIFT, K_SWEEP, MODELS, SCORE_THRESHOLDS
from rfm_spark.schemas.movement import SEGMENT_STABILITY, segment_migrations, segment_outlook
from rfm_spark.schemas.runs import RUN_SIGNS, RUNS
from rfm_spark.schemas.segments import (
    KINDS,
    RESERVED_COLUMNS,
    SEGMENT_EVENTS,
    SEGMENT_SEPARATION,
    customer_segments,
    segment_profiles,
)

TABLE_NAMES = (
    "customer_daily",
    "balance_daily",
    "rejected_transactions",
    "ingest_report",
    "feature_state",
    "customer_features",
    "score_thresholds",
    "k_sweep",
    "models",
    "customer_segments",
    "drift",
    "segment_profiles",
    "segment_separation",
    "segment_events",
    "segment_migrations",
    "segment_stability",
    "segment_outlook",
    "export_assignments",
    "export_changes",
    "export_batches",
    "runs",
    "run_signs",
)
"""Every table that a store may hold."""

DATED_TABLES = (
    "customer_features",
    "customer_segments",
    "drift",
    "segment_profiles",
    "segment_separation",
    "segment_events",
    "segment_migrations",
    "segment_stability",
    "segment_outlook",
)
"""Results of a snapshot date, replaced date by date; other tables are of all dates."""

__all__ = [
    "AMOUNT_DIGITS",
    "AUDIENCE_TABLES",
    "AUM_FEATURES",
    "BALANCE_COLUMNS",
    "CAMPAIGN",
    "CONTRACT_VERSION",
    "CONTROL",
    "CUSTOMER_ID_TYPES",
    "DATED_TABLES",
    "DAY_FEATURES",
    "DRIFT",
    "EXPORT_BATCHES",
    "EXTRA_DIGITS",
    "FEATURE_LABELS",
    "KINDS",
    "K_SWEEP",
    "MODELS",
    "MONEY_DIGITS",
    "MONEY_FEATURES",
    "RAW_COLUMNS",
    "REJECTED_TRANSACTIONS",
    "RESERVED_COLUMNS",
    "RUNS",
    "RUN_SIGNS",
    "SCORE_COLUMNS",
    "SCORE_THRESHOLDS",
    "SEGMENT_EVENTS",
    "SEGMENT_SEPARATION",
    "SEGMENT_STABILITY",
    "STATE_AMOUNTS",
    "STATE_COUNTS",
    "TABLE_NAMES",
    "TREATMENT",
    "WHOLE_FEATURES",
    "Field",
    "Table",
    "balance_daily",
    "customer_daily",
    "customer_features",
    "customer_segments",
    "export_assignments",
    "export_changes",
    "feature_state",
    "ingest_report",
    "money",
    "segment_migrations",
    "segment_outlook",
    "segment_profiles",
]
