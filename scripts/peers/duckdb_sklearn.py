"""The whole work in one process: DuckDB for the log, scikit-learn for k-means, deltalake to write.

Clean with counts, take exact duplicates out, count distinct orders, add money up, cut quintiles,
sweep k, write labels as a Delta table. With --model, edges and centroids of an earlier run are
applied instead of new ones made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from peers.arguments import parser_of
from peers.result import BINS, FEATURES, SCORES, Result, Stopwatch
from peers.sweep import Space, nearest, space_of, swept, transformed

SHARES = ", ".join(str(j / BINS) for j in range(1, BINS))


def main(arguments: Sequence[str] | None = None) -> None:
    """Do the work, and write labels and ``result.json`` to --out."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", type=Path, help="result.json of an earlier run")
    parser.add_argument("--memory", help="DuckDB's limit, as in 12GB")
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    known = Result.load(asked.model) if asked.model else None
    watch = Stopwatch()
    connection = duckdb.connect()
    connection.execute(f"SET temp_directory = '{asked.out / 'spilled'}'")
    connection.execute("SET preserve_insertion_order = false")
    if asked.memory:
        connection.execute(f"SET memory_limit = '{asked.memory}'")
    with watch.step("features"):
        counts = aggregated(connection, asked.log, asked.snapshot_date)
    with watch.step("scores"):
        edges = known.edges if known else cut(connection)
        customers = scored(connection, edges)
    connection.close()
    with watch.step("clusters"):
        columns = {name: customers[name].to_numpy(zero_copy_only=False) for name in FEATURES}
        rows = transformed(columns, (asked.snapshot_date - asked.first_day).days)
        if known:
            space = Space(np.array(known.means), np.array(known.stds))
            fits, chosen = dict(known.sweep), known.chosen_k
            centroids = space.scaled(np.array(fits[chosen].centroids))
            labels, _ = nearest(space.scaled(rows), centroids)
        else:
            space = space_of(rows)
            ks = range(asked.k[0], asked.k[1] + 1)
            fits, chosen, labels = swept(space.scaled(rows), space, ks, asked.seed)
    with watch.step("labels"):
        files = written(asked.out / "labels", customers, labels)
    cut_on = known.edges_cut_on if known else str(asked.snapshot_date)
    means, stds = space.means.tolist(), space.stds.tolist()
    result = Result(counts, edges, cut_on, fits, chosen, means, stds, watch.seconds, files)
    result.save(asked.out / "result.json")


def aggregated(
    connection: duckdb.DuckDBPyConnection, log: Path, snapshot_date: date
) -> dict[str, int]:
    """Make the table ``features``, a row per customer; give the log's rows by what became of them.

    A purchase is an amount >= 0; refunds reduce money, and are no order.
    """
    source = f"""
        (SELECT * FROM read_parquet('{log}/*/*.parquet', hive_partitioning = true)
        WHERE log_date < DATE '{snapshot_date}')
    """
    counted = connection.execute(f"""
        SELECT count(*), count(*) FILTER (user_id IS NULL),
            count(*) FILTER (user_id IS NOT NULL AND amount IS NULL) FROM {source}
    """).fetchone()
    connection.execute(f"""
        CREATE TABLE features AS
        WITH accepted AS (
            SELECT DISTINCT user_id, order_id, line_number, product_id, ordered_at, amount
            FROM {source} WHERE user_id IS NOT NULL AND amount IS NOT NULL
        ), orders AS (
            SELECT user_id, order_id, count(*) AS lines, sum(amount) AS amount,
                max(ordered_at) FILTER (amount >= 0) AS purchased_at
            FROM accepted GROUP BY user_id, order_id
        )
        SELECT user_id AS customer_id,
            date_diff('day', max(purchased_at)::DATE, DATE '{snapshot_date}')::INTEGER
                AS recency_days,
            count(purchased_at) AS orders, sum(amount)::DECIMAL(28, 2) AS monetary,
            sum(lines)::BIGINT AS lines
        FROM orders GROUP BY user_id
    """)
    (kept,) = connection.execute("SELECT sum(lines)::BIGINT FROM features").fetchone() or (0,)
    read, without_id, without_amount = counted or (0, 0, 0)
    return {
        "read": read,
        "missing_customer_id": without_id,
        "missing_amount": without_amount,
        "duplicate": read - without_id - without_amount - (kept or 0),
    }


def cut(connection: duckdb.DuckDBPyConnection) -> dict[str, list[float]]:
    """Edge j of n is the smallest value with at least j/n of the customers at or below it."""
    quantiles = ", ".join(f"quantile_disc({name}, [{SHARES}])" for name in FEATURES)
    found: Any = connection.execute(
        f"SELECT {quantiles} FROM features WHERE recency_days IS NOT NULL"
    ).fetchone()
    return {
        name: [float(edge) for edge in edges] for name, edges in zip(FEATURES, found, strict=True)
    }


def scored(connection: duckdb.DuckDBPyConnection, edges: Any) -> pa.Table:
    """Features and scores of every customer; who never bought scores 1."""
    scores = []
    for name, score in SCORES.items():
        above = " + ".join(f"({name} > {edge!r})::INTEGER" for edge in edges[name])
        ascending = f"{BINS} - ({above})" if name == "recency_days" else f"1 + {above}"
        scores.append(f"if(recency_days IS NULL, 1, {ascending})::INTEGER AS {score}")
    columns = ", ".join(["customer_id", *FEATURES, *scores])
    # In one order, so that a seed gives one model.
    query = f"SELECT {columns} FROM features ORDER BY customer_id"
    table: pa.Table = connection.sql(query).to_arrow_table()
    return table


def written(path: Path, customers: pa.Table, labels: Any) -> list[str]:
    """Write the labels as a Delta table, and give its files."""
    write_deltalake(
        str(path), customers.append_column("cluster", pa.array(labels)), mode="overwrite"
    )
    return list(DeltaTable(str(path)).file_uris())


if __name__ == "__main__":
    main()
