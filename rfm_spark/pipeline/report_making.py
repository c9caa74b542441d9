"""What a report says of the settings, and of how the tables came about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from pyspark.sql import functions as F

from rfm_spark import __version__
from rfm_spark.pipeline import ledger
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.report_customers import Versions
from rfm_spark.pipeline.report_tables import Tables
from rfm_spark.report.records import About, Made

_SECRET = ("properties",)


def about(context: Context, snapshot_date: date) -> About:
    """The settings that the numbers cannot be read without."""
    settings = context.settings
    return About(
        snapshot_date,
        settings.currency,
        settings.amount_scale,
        settings.timezone,
        settings.features.window_days,
        settings.scoring.feature_by_role,
        settings.scoring.bins_by_role,
        settings.has_aum,
        context.rule_map.name,
        settings.drift.psi,
        settings.drift.wcss_ratio,
        settings.outlook.discount_rate,
    )


def made(
    context: Context, tables: Tables, versions: Versions, snapshot_date: date
) -> tuple[Made, bool]:
    """How the labels of a date were made, and whether a run of it did not end."""
    success = ledger.last_success(context, output="customer_segments", snapshot_date=snapshot_date)
    unfinished = success is not None and ledger.unfinished_since(
        context, success, snapshot_date=snapshot_date
    )
    cut_on = _cut_on(tables, versions.thresholds)
    return (
        Made(
            versions.model,
            versions.thresholds,
            cut_on,
            success.run_id if success else None,
            success.config_hash if success else None,
            context.configuration.config_hash,
            success.code_version if success else None,
            __version__,
            _engine(context),
            settings_of(context),
            dict(sorted(success.output_versions.items())) if success else {},
        ),
        unfinished,
    )


def settings_of(context: Context) -> list[tuple[str, str]]:
    """Name and value of every setting that is no default; how to log in is none of them."""
    chosen = context.settings.model_dump(mode="json", exclude_defaults=True)
    redacted = context.configuration.redacted
    return [(name, redacted(text)) for name, text in _flat(chosen)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if key in _SECRET:
            continue
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{prefix}{key}", text


def _cut_on(tables: Tables, version: str | None) -> date | None:
    rows = tables.rows(
        "score_thresholds", F.col("thresholds_version") == F.lit(version), "snapshot_date"
    )
    return max((row["snapshot_date"] for row in rows), default=None)


def _engine(context: Context) -> str | None:
    """Spark and Delta Lake, as the newest commit of the labels names them."""
    identifier = context.store.identifier("customer_segments")
    row = context.spark.sql(f"DESCRIBE HISTORY {identifier} LIMIT 1").collect()[0]
    return str(row["engineInfo"]) if row["engineInfo"] else None
