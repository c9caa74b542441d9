"""How revenue adds up from the customers who bring most to those who bring least."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import order_statistics
from rfm_spark.order_statistics import Key

_KEY: Key = ("all", "all", "monetary")


def revenue_curve(customers: DataFrame, *, steps: int) -> list[tuple[int, Decimal]]:
    """What the n customers with the largest net spend bring together, for n in equal steps.

    Exact: the amount at each step is found as an order statistic, and sums between two of them are
    sums of decimals. Of customers with the same amount as many count as are needed.

    Args:
        customers: With their ``monetary``; null does not count.
        steps: Points wanted; there are fewer where there are fewer customers.

    Returns:
        Customers and revenue, from one customer (or the first step) to all; none without customers.
    """
    metrics, groupings = {"monetary": F.col("monetary")}, {"all": F.lit("all")}
    known = order_statistics.counted(customers, metrics, groupings)
    everybody = known.rows(_KEY)
    if not everybody:
        return []
    tops = sorted({-(-everybody * step // steps) for step in range(1, steps + 1)} | {1})
    ranks = [everybody - top + 1 for top in tops]
    found = order_statistics.standings(customers, metrics, groupings, known, {_KEY: ranks})
    values = [found[_KEY, rank].value for rank in ranks]
    sums = _sums(customers, sorted(set(values)))
    return _added_up(tops, values, sums)


def _sums(
    customers: DataFrame, edges: Sequence[float]
) -> dict[tuple[int, bool], tuple[int, Decimal]]:
    """Customers and revenue at each edge, and strictly between the one below it and it."""
    amount, values = F.col("monetary").cast("double"), F.array(*map(F.lit, edges))
    place = F.size(F.filter(values, lambda edge: edge < amount))
    rows = (
        customers.where(amount.isNotNull())
        .groupBy(place.alias("place"), F.array_contains(values, amount).alias("is_edge"))
        .agg(F.count(F.lit(1)).alias("customers"), F.sum("monetary").alias("revenue"))
    )
    return {
        (row["place"], row["is_edge"]): (row["customers"], Decimal(row["revenue"]))
        for row in rows.collect()
    }


def _added_up(
    tops: Sequence[int],
    values: Sequence[float],
    sums: dict[tuple[int, bool], tuple[int, Decimal]],
) -> list[tuple[int, Decimal]]:
    """Walk from the largest amount down; at an edge, as many customers as the step still lacks."""
    edges = sorted(set(values))
    nobody = (0, Decimal(0))
    above: dict[float, tuple[int, Decimal]] = {}
    customers, revenue = sums.get((len(edges), False), nobody)
    for place in range(len(edges) - 1, -1, -1):
        above[edges[place]] = (customers, revenue)
        for own in (sums[place, True], sums.get((place, False), nobody)):
            customers, revenue = customers + own[0], revenue + own[1]
    curve = []
    for top, amount in zip(tops, values, strict=True):
        counted, total = above[amount]
        at_edge, at_edge_revenue = sums[edges.index(amount), True]
        curve.append((top, total + at_edge_revenue * (top - counted) / at_edge))
    return curve
