"""Which customer stands on an edge among those who share its value.

Methods that part equal values do so in order of customer_id. The customer at a place in that order
is found by narrowing: a sample by hash says between which two ids to look, a count says on which
side of them the place lies, until few customers are left to be ordered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, sqrt
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_FEW = 20_000
_SAMPLE = 4_000
_HASHES = 1 << 20


@dataclass(frozen=True)
class Tie:
    """Customers who share a value of a feature, and which of them is looked for.

    ``place`` counts from 1 in order of customer_id, among the ``customers`` whose ids are above
    ``above`` and at most ``upto``; null means no bound.
    """

    feature: str
    value: float
    customers: int
    place: int
    above: Any = None
    upto: Any = None

    def holds(self) -> Column:
        """Rows of the customers among whom the place lies."""
        held = F.col(self.feature).cast("double") == F.lit(self.value)
        if self.above is not None:
            held = held & (F.col("customer_id") > F.lit(self.above))
        if self.upto is not None:
            held = held & (F.col("customer_id") <= F.lit(self.upto))
        return held


def customers_at(purchasers: DataFrame, ties: Sequence[Tie]) -> list[Any]:
    """The customer_id at the place of each tie, in the order of the ties.

    Args:
        purchasers: customer_id, each once, and the features of the ties.
        ties: What to look for.
    """
    ties = list(ties)
    seed = 0
    while any(tie.customers > _FEW for tie in ties):
        ties, seed = _narrowed(purchasers, ties, seed), seed + 1
    ids = _ids(purchasers, [(i, tie.holds()) for i, tie in enumerate(ties)])
    return [sorted(ids[i])[tie.place - 1] for i, tie in enumerate(ties)]


def _narrowed(purchasers: DataFrame, ties: list[Tie], seed: int) -> list[Tie]:
    large = [(i, tie) for i, tie in enumerate(ties) if tie.customers > _FEW]
    drawn = F.pmod(F.xxhash64("customer_id", F.lit(seed)), F.lit(_HASHES))
    samples = _ids(
        purchasers,
        [(i, tie.holds() & (drawn < ceil(_HASHES * _SAMPLE / tie.customers))) for i, tie in large],
    )
    bounds = {i: _bounds(tie, sorted(samples[i])) for i, tie in large}
    customer_id, columns = F.col("customer_id"), []
    for i, tie in large:
        low, high = bounds[i]
        columns += [
            F.count_if(tie.holds() & (customer_id <= F.lit(low))).alias(f"low_{i}"),
            F.count_if(tie.holds() & (customer_id <= F.lit(high))).alias(f"high_{i}"),
        ]
    counts = purchasers.agg(*columns).collect()[0]
    narrowed = list(ties)
    for i, tie in large:
        (low, high), (below, upto) = bounds[i], (counts[f"low_{i}"], counts[f"high_{i}"])
        if tie.place <= below:
            narrowed[i] = replace(tie, customers=below, upto=low)
        elif tie.place <= upto:
            narrowed[i] = replace(
                tie, customers=upto - below, place=tie.place - below, above=low, upto=high
            )
        else:
            narrowed[i] = replace(
                tie, customers=tie.customers - upto, place=tie.place - upto, above=high
            )
    return narrowed


def _bounds(tie: Tie, sample: Sequence[Any]) -> tuple[Any, Any]:
    """Two sampled ids with the place between them, but for one case in ten thousand or so."""
    near, slack = tie.place / tie.customers * len(sample), 2 * sqrt(len(sample)) + 1
    low, high = floor(near - slack), ceil(near + slack)
    return sample[max(low, 0)], sample[min(high, len(sample) - 1)]


def _ids(purchasers: DataFrame, wanted: Sequence[tuple[int, Column]]) -> dict[int, list[Any]]:
    """The ids of the rows that satisfy each condition, by its number."""
    numbers = F.array_compact(F.array(*(F.when(holds, F.lit(i)) for i, holds in wanted)))
    found: dict[int, list[Any]] = {i: [] for i, _ in wanted}
    for row in purchasers.select(F.explode(numbers).alias("number"), "customer_id").collect():
        found[row["number"]].append(row["customer_id"])
    return found
