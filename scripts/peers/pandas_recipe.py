"""The published recipe: the whole log in pandas, quintiles, KMeans of scikit-learn for every k.

As notebooks on RFM have it, with what this comparison asks for: rows that are dropped are counted,
refunds are no orders, and equal values get equal scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable, write_deltalake

from peers.arguments import parser_of
from peers.result import BINS, FEATURES, SCORES, Result, Stopwatch
from peers.sweep import space_of, swept, transformed


def main(arguments: Sequence[str] | None = None) -> None:
    """Do the work, and write labels and ``result.json`` to --out."""
    asked = parser_of(__doc__).parse_args(arguments)
    watch = Stopwatch()
    with watch.step("features"):
        counts, customers = aggregated(log_rows(asked.log), asked.snapshot_date)
    with watch.step("scores"):
        edges = cut(customers)
        scored(customers, edges)
    with watch.step("clusters"):
        rows = transformed(dict(customers.items()), (asked.snapshot_date - asked.first_day).days)
        space = space_of(rows)
        ks = range(asked.k[0], asked.k[1] + 1)
        fits, chosen, customers["cluster"] = swept(space.scaled(rows), space, ks, asked.seed)
    with watch.step("labels"):
        files = written(asked.out / "labels", customers)
    means, stds = space.means.tolist(), space.stds.tolist()
    cut_on = str(asked.snapshot_date)
    result = Result(counts, edges, cut_on, fits, chosen, means, stds, watch.seconds, files)
    result.save(asked.out / "result.json")


def log_rows(log: Path) -> pd.DataFrame:
    """The log as it is; amounts as doubles, as recipes have them."""
    table = ds.dataset(log, partitioning="hive").to_table()
    place = table.schema.get_field_index("amount")
    table = table.set_column(place, "amount", table["amount"].cast(pa.float64()))
    frame: pd.DataFrame = table.drop_columns(["log_date"]).to_pandas(self_destruct=True)
    return frame


def aggregated(log: pd.DataFrame, snapshot_date: date) -> tuple[dict[str, int], pd.DataFrame]:
    """Rows of the log by what became of them, and a row per customer."""
    has_id, has_amount = log["user_id"].notna(), log["amount"].notna()
    accepted = log[has_id & has_amount]
    kept = accepted.drop_duplicates()
    counts = {
        "read": len(log),
        "missing_customer_id": int((~has_id).sum()),
        "missing_amount": int((has_id & ~has_amount).sum()),
        "duplicate": len(accepted) - len(kept),
    }
    purchases = kept[kept["amount"] >= 0].groupby("user_id")
    customers = kept.groupby("user_id").agg(monetary=("amount", "sum"))
    customers["orders"] = purchases["order_id"].nunique()
    last = purchases["ordered_at"].max().dt.normalize()
    customers["recency_days"] = (pd.Timestamp(snapshot_date) - last).dt.days
    customers["orders"] = customers["orders"].fillna(0).astype("int64")
    customers["monetary"] = customers["monetary"].round(2)
    return counts, customers


def cut(customers: pd.DataFrame) -> dict[str, list[float]]:
    """Edge j of n is the smallest value with at least j/n of the customers at or below it."""
    bought = customers[customers["recency_days"].notna()]
    places = [-(-j * len(bought) // BINS) - 1 for j in range(1, BINS)]
    return {name: np.sort(bought[name].to_numpy())[places].tolist() for name in FEATURES}


def scored(customers: pd.DataFrame, edges: dict[str, list[float]]) -> None:
    """Add the scores; who never bought scores 1."""
    bought = customers["recency_days"].notna()
    for name, score in SCORES.items():
        above = np.searchsorted(edges[name], customers[name], side="left")
        found = BINS - above if name == "recency_days" else 1 + above
        customers[score] = np.where(bought, found, 1).astype("int32")


def written(path: Path, customers: pd.DataFrame) -> list[str]:
    """Write the labels as a Delta table, money exact, and give its files."""
    columns: dict[str, Any] = {"customer_id": customers.index.astype("int64")}
    columns |= {name: customers[name] for name in (*FEATURES, *SCORES.values(), "cluster")}
    columns["recency_days"] = columns["recency_days"].astype("Int32")
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    place = table.schema.get_field_index("monetary")
    # 18 digits, since only they can be cast from doubles with the nearest cent.
    money = table["monetary"].cast(pa.decimal128(18, 2))
    write_deltalake(str(path), table.set_column(place, "monetary", money), mode="overwrite")
    return list(DeltaTable(str(path)).file_uris())


if __name__ == "__main__":
    main()
