"""Whether two engines found the same: rows, money, edges, every customer, and the cost of fits.

Money and orders are added up here from the customers that an engine wrote, not taken from what it
says of itself, and so is the cost of centroids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import numpy as np

from peers.result import FEATURES, SCORES, Result
from peers.sweep import nearest, space_of, transformed

ALLOWED_COST = 1.01
"""rfm_spark's WCSS over the best of the others'."""
SAME_COST = 1e-3
"""What an engine says of its WCSS may differ from the WCSS of its centroids by this share."""


def totals(result: Result) -> dict[str, Any]:
    """Customers, orders and net money of all customers, as written."""
    found: Any = duckdb.execute(f"""
        SELECT count(*), count(DISTINCT customer_id), sum(orders)::BIGINT, sum(monetary)
        FROM {_customers(result)}
    """).fetchone()
    return dict(zip(("rows", "customers", "orders", "money"), found, strict=True))


def disagreements(ours: Result, theirs: Result) -> list[str]:
    """What differs, a sentence each; none: the results agree.

    Edges, and the scores that they give, are compared where both are of one snapshot date.
    """
    found = [
        f"{name}: {ours.counts[name]:,} rows here, {theirs.counts[name]:,} there"
        for name in ours.counts
        if ours.counts[name] != theirs.counts[name]
    ]
    here, there = totals(ours), totals(theirs)
    found += [f"{n}: {here[n]:,} here, {there[n]:,} there" for n in here if here[n] != there[n]]
    compared = list(FEATURES)
    if ours.edges_cut_on == theirs.edges_cut_on:
        compared += SCORES.values()
        found += [
            f"edges of {name}: {list(ours.edges[name])} here, {list(theirs.edges[name])} there"
            for name in FEATURES
            if list(ours.edges[name]) != list(theirs.edges[name])
        ]
    if customers := differing_customers(ours, theirs, compared):
        found.append(f"{customers:,} customers have other values in one of {', '.join(compared)}")
    return found


def differing_customers(ours: Result, theirs: Result, columns: Sequence[str]) -> int:
    """Customers who are in one of both only, or have another value in one of the columns."""
    differs = " OR ".join(f"a.{name} IS DISTINCT FROM b.{name}" for name in columns)
    found: Any = duckdb.execute(f"""
        SELECT count(*) FROM {_customers(ours)} AS a FULL JOIN {_customers(theirs)} AS b
            ON a.customer_id = b.customer_id
        WHERE a.customer_id IS NULL OR b.customer_id IS NULL OR {differs}
    """).fetchone()
    return int(found[0])


def costs(results: Mapping[str, Result], k: int, missing_recency: int) -> dict[str, float]:
    """WCSS of everybody's centroids for one k, on one engine's customers, in one scaling."""
    columns = duckdb.execute(
        f"SELECT {', '.join(FEATURES)} FROM {_customers(next(iter(results.values())))}"
    ).fetchnumpy()
    filled = {name: np.ma.filled(column.astype(float), np.nan) for name, column in columns.items()}
    rows = transformed(filled, missing_recency)
    space = space_of(rows)
    points = space.scaled(rows)
    return {
        name: nearest(points, space.scaled(np.array(fitted.centroids)))[1]
        for name, result in results.items()
        if (fitted := result.sweep.get(k)) and fitted.centroids is not None
    }


def poor_fits(ours: Result, others: Mapping[str, Result]) -> list[str]:
    """The k for which our WCSS is more than a hundredth above the best of the others'."""
    found = []
    for k, fitted in ours.sweep.items():
        best = min((o.sweep[k].wcss for o in others.values() if k in o.sweep), default=None)
        if best is not None and fitted.wcss > best * ALLOWED_COST:
            found.append(
                f"WCSS for k = {k}: {fitted.wcss:,.0f}, the best of the others {best:,.0f}"
            )
    return found


def wrong_costs(results: Mapping[str, Result], k: int, evaluated: Mapping[str, float]) -> list[str]:
    """Engines whose centroids cost something else than what they say."""
    return [
        f"{name} says that its WCSS for k = {k} is {said:,.1f}, and it is {cost:,.1f}"
        for name, cost in evaluated.items()
        if abs((said := results[name].sweep[k].wcss) - cost) > SAME_COST * cost
    ]


def _customers(result: Result) -> str:
    files = ", ".join(f"'{file}'" for file in result.files)
    columns = ", ".join(["customer_id", *FEATURES, *SCORES.values()])
    return f"(SELECT {columns} FROM read_parquet([{files}]))"
