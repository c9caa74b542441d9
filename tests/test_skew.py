"""Logs that are far from even, in a small driver."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from processes import start

pytestmark = pytest.mark.release
ROWS = 3_500_000
CONFIG = """
store: ./warehouse
timezone: UTC
sources:
  transactions:
    path: ./log
    columns:
      {customer_id: user, transaction_ts: at, amount: paid, order_id: basket, transaction_id: id}
"""
BOTH = """
import sys
from rfm_spark.cli import main

config = sys.argv[1:]
assert main(["ingest", "--to", "2024-01-10", *config]) == 0
assert main(["features", "--snapshot-date", "2024-01-11", *config]) == 0
"""
DAY = 86_400_000_000
START = 19_723 * DAY  # 2024-01-01 in microseconds


def skewed_log(folder: Path) -> tuple[int, int]:
    """Write a log of ten days in four files; returns its distinct rows and their cents.

    Six rows in ten are of one day, and six in ten, of all days alike, of one customer.
    """
    draw = np.random.default_rng(7)
    day, user = draw.integers(0, 10, ROWS), draw.integers(1, 200_000, ROWS)
    day[draw.random(ROWS) < 0.6] = 4
    user[draw.random(ROWS) < 0.6] = 0
    cents = draw.integers(-500, 20_000, ROWS)
    row = np.arange(ROWS)
    twice = draw.integers(0, ROWS, ROWS // 50)
    order = np.concatenate([row, twice])
    table = pa.table(
        {
            "user": pa.array(user[order]),
            "at": pa.array(START + day[order] * DAY + 43_200_000_000, pa.timestamp("us", "UTC")),
            "paid": pa.array(cents[order] / 100),
            "basket": pa.array(row[order] // 3),
            "id": pa.array(row[order]),
        }
    )
    folder.mkdir()
    size = len(order) // 4 + 1
    for n in range(4):
        pq.write_table(table.slice(n * size, size), folder / f"part-{n}.parquet")
    return ROWS, int(cents.sum())


def test_a_day_and_a_customer_with_most_of_the_rows_fit_a_small_driver(tmp_path) -> None:
    rows, cents = skewed_log(tmp_path / "log")
    (tmp_path / "rfm.yaml").write_text(CONFIG)
    submit = "--master local[2] --driver-memory 2g --conf spark.ui.enabled=false pyspark-shell"
    config = str(tmp_path / "rfm.yaml")
    start(sys.executable, "-c", BOTH, "--config", config, PYSPARK_SUBMIT_ARGS=submit)
    store = tmp_path / "warehouse"
    daily = DeltaTable(str(store / "customer_daily")).to_pyarrow_table()
    lines = sum(daily["lines"].to_numpy()) + sum(daily["refund_lines"].to_numpy())
    assert lines == rows
    columns = ("purchase_amount", "refund_amount")
    money = sum(pc.sum(daily[name]).as_py() for name in columns)
    assert money * 100 == cents
    features = DeltaTable(str(store / "customer_features")).to_pyarrow_table(columns=["monetary"])
    assert pc.sum(features["monetary"]).as_py() == money
