"""A few customers who stand for all: the same ones for any layout, and some of every group."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

_UNIT = 2**53
_DRAW, _PLACE, _QUOTA, _RATE = "_draw", "_place", "_quota", "_rate"
_SPREADS = 5
"""More are drawn than wanted, by so many standard deviations, so that hardly ever fewer come."""


def quotas(counts: Mapping[str, int], size: int) -> dict[str, int]:
    """How many to draw from each group: in proportion, but no group fewer than the floor.

    Args:
        counts: Group to its customers.
        size: Customers wanted altogether.

    Returns:
        Everybody where there are no more than ``size``; else numbers that come to ``size`` at most.
    """
    everybody = sum(counts.values())
    if everybody <= size:
        return dict(counts)
    least = {group: min(n, floor_of(counts, size)) for group, n in counts.items()}
    left, rest = size - sum(least.values()), everybody - sum(least.values())
    return {group: least[group] + (n - least[group]) * left // rest for group, n in counts.items()}


def floor_of(counts: Mapping[str, int], size: int) -> int:
    """The fewest customers of a group, unless it has no more itself: half of an equal part."""
    return size // (2 * len(counts)) if counts else 0


def fair_sample(
    customers: DataFrame, *, by: str, counts: Mapping[str, int], size: int
) -> DataFrame:
    """Draw customers from every group by a hash of the customer.

    A row decides for itself whether it may be drawn, so that only about as many as are wanted are
    ever put in order. Who is drawn follows from customer_id alone.

    Args:
        customers: One row per customer.
        by: The column that parts them; customers of a group that ``counts`` lacks are not drawn.
        counts: Group to its customers.
        size: Customers wanted, at most.
    """
    wanted = quotas(counts, size)
    rates = [(group, quota, _rate(quota, counts[group])) for group, quota in wanted.items()]
    table = customers.sparkSession.createDataFrame(
        rates, f"{by} string, {_QUOTA} bigint, {_RATE} double"
    )
    draw = F.expr(f"pmod(xxhash64(customer_id, 'report'), {_UNIT}L) / {_UNIT}D")
    drawn = customers.withColumn(_DRAW, draw).join(F.broadcast(table), on=by, how="inner")
    in_order = Window.partitionBy(by).orderBy(_DRAW, "customer_id")
    placed = drawn.where(F.col(_DRAW) < F.col(_RATE)).withColumn(
        _PLACE, F.row_number().over(in_order)
    )
    chosen = placed.where(F.col(_PLACE) <= F.col(_QUOTA))
    return chosen.orderBy(_DRAW, "customer_id").select(*customers.columns)


def _rate(quota: int, count: int) -> float:
    """The share of a group that may be drawn."""
    if quota >= count:
        return 1.0
    return min(1.0, (quota + _SPREADS * math.sqrt(quota) + _SPREADS) / count)
