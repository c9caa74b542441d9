"""The run ledger."""

from __future__ import annotations

from rfm_spark.schemas.fields import Field, Table, key

RUNS = Table(
    "runs",
    "two rows per run: one when it starts, one when it ends; one per date that it made stale",
    (
        key("run_id", "string"),
        key("command", "string"),
        Field("snapshot_date", "date"),
        key(
            "status",
            "string",
            "started, succeeded or failed; stale: this run wrote what the date's labels rest on",
            "IN ('started', 'succeeded', 'failed', 'stale')",
        ),
        Field("started", "timestamp"),
        Field("ended", "timestamp"),
        Field("config_hash", "string"),
        Field("code_version", "string"),
        Field("input_versions", "map<string,bigint>", "table versions read"),
        Field("output_versions", "map<string,bigint>", "table versions written"),
        Field("rows", "map<string,bigint>", "rows written per table"),
        Field("error", "string"),
        Field("turn", "bigint", "order in which runs wrote the store; null: only looked at it"),
        Field("process", "string", "machine and process, to tell a killed run from one at work"),
    ),
)

RUN_SIGNS = Table(
    "run_signs",
    "technical, without rows: its properties are signs of life of runs that take over a minute",
    (key("run_id", "string"),),
)
