"""What rfm_spark is told for the comparison, and what its store says afterwards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from deltalake import DeltaTable

from peers.result import FEATURES, MEASURES, Fitted, Result

ROLES = {"recency": "recency_days", "frequency": "orders", "monetary": "monetary"}


def configure(folder: Path, log: Path, k_range: Sequence[int]) -> Path:
    """Write the configuration: the log's columns and the range of k; all else is the default."""
    settings = {
        "store": str(folder / "store"),
        "timezone": "UTC",
        "sources": {
            "transactions": {
                "path": str(log),
                "log_date": "log_date",
                "duplicates": "whole_row",
                "columns": {
                    "customer_id": "user_id",
                    "transaction_ts": "ordered_at",
                    "amount": "amount",
                    "order_id": "order_id",
                },
            }
        },
        "clustering": {"k_range": list(k_range)},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rfm.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def stages(lines: Path) -> dict[str, float]:
    """Seconds by stage, from the program's lines of JSON; and before the first and after the last.

    What came before is Spark's start, and waiting for the store; after it, the ledger and the stop.
    """
    written = [line for line in lines.read_text().splitlines() if line.startswith("{")]
    records = [json.loads(line) for line in written]
    first = next(record for record in records if record["event"] == "stage")
    found = {"start": _seconds(records[0], first)}
    last = first
    for record in records:
        if record["event"] == "stage_done":
            found[record["stage"]] = found.get(record["stage"], 0.0) + record["seconds"]
            last = record
    return found | {"end": _seconds(last, records[-1])}


def stored_result(store: Path, snapshot_date: date, seconds: dict[str, float]) -> Result:
    """What the store holds of a snapshot date, read without Spark."""
    report = _rows(store, "ingest_report", ["activity_date", "measure", "rows"])
    before = [row for row in report if row["activity_date"] < snapshot_date]
    counts = {
        measure: sum(row["rows"] for row in before if row["measure"] == measure)
        for measure in MEASURES
    }
    models = _rows(store, "models")
    model = max((m for m in models if m["snapshot_date"] <= snapshot_date), key=_date)
    means, stds = np.array(model["means"]), np.array(model["stds"])
    if tuple(model["features"]) != FEATURES:
        raise SystemExit(f"the model is on {model['features']}, not on {list(FEATURES)}")
    centroids = (np.array(model["centroids"]) * stds + means).tolist()
    sweep = {
        row["k"]: Fitted(
            row["wcss_all"],
            row["silhouette"],
            centroids if row["k"] == model["k"] else None,
        )
        for row in _rows(store, "k_sweep")
        if row["model_version"] == model["model_version"]
        and row["wcss_all"] is not None
        and row["k"] > 1
    }
    edges, cut_on = _edges(store, snapshot_date)
    labels = DeltaTable(str(store / "customer_segments"))
    files = labels.file_uris([("snapshot_date", "=", str(snapshot_date))])
    return Result(
        counts,
        edges,
        cut_on,
        sweep,
        model["k"],
        model["means"],
        model["stds"],
        seconds,
        list(files),
    )


def _edges(store: Path, snapshot_date: date) -> tuple[dict[str, list[float]], str]:
    rows = [r for r in _rows(store, "score_thresholds") if r["snapshot_date"] <= snapshot_date]
    cut_on = max(map(_date, rows))
    edges: dict[str, list[float]] = {}
    for role, feature in ROLES.items():
        mine = [r for r in rows if r["metric"] == role and r["snapshot_date"] == cut_on]
        edges[feature] = sorted(row["upper"] for row in mine if row["upper"] is not None)
    return edges, str(cut_on)


def _seconds(earlier: dict[str, Any], later: dict[str, Any]) -> float:
    start, end = (datetime.fromisoformat(record["at"]) for record in (earlier, later))
    return (end - start).total_seconds()


def _date(row: dict[str, Any]) -> date:
    found: date = row["snapshot_date"]
    return found


def _rows(store: Path, table: str, columns: list[str] | None = None) -> list[dict[str, Any]]:
    frame = DeltaTable(str(store / table)).to_pyarrow_table(columns=columns)
    rows: list[dict[str, Any]] = frame.to_pylist()
    return rows
