"""How far two labellings of the same customers agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def contingency(
    one: NDArray[np.int64], other: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How much weight falls into each pair of clusters."""
    table = np.zeros((int(one.max()) + 1, int(other.max()) + 1))
    np.add.at(table, (one, other), weights)
    return table


def adjusted_rand_index(table: Any) -> float:
    """Agreement of two labellings, 1 for the same, about 0 for chance.

    Hubert and Arabie, "Comparing partitions", Journal of Classification 2 (1985).

    Args:
        table: Customers by cluster of the one and cluster of the other labelling.
    """
    counts = np.asarray(table, dtype=np.float64)

    def pairs(sizes: Any) -> float:
        return float((sizes * (sizes - 1) / 2).sum())

    together, in_one, in_other = pairs(counts), pairs(counts.sum(1)), pairs(counts.sum(0))
    total = float(counts.sum() * (counts.sum() - 1) / 2)
    expected = in_one * in_other / total if total else 0.0
    most = (in_one + in_other) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)
