"""Exact medians of every feature in every segment, without a task that sees a whole segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import order_statistics
from rfm_spark.insight.figures import Group, together
from rfm_spark.order_statistics import FEW, Key
from rfm_spark.schemas import KINDS

EVERYBODY = "everybody"


def medians(
    customers: DataFrame, features: Sequence[str], known: Mapping[str, Mapping[str, Group]]
) -> dict[Key, float]:
    """Median of each feature, by kind, segment and feature; of an even number the middle's mean.

    The kind and segment :data:`EVERYBODY` are all customers. Nulls do not count, and where a
    segment has no value at all it has no median.

    Args:
        customers: Features, and the segment columns of both kinds.
        features: Feature columns.
        known: Kind to segment to its sums, which tell how many values there are.
    """
    everybody = {EVERYBODY: {EVERYBODY: together(next(iter(known.values())).values())}}
    counts: dict[Key, int] = {
        (kind, segment, name): group.sums[name].count
        for kind, by_segment in (everybody | dict(known)).items()
        for segment, group in by_segment.items()
        for name in features
    }
    metrics = {name: F.col(name) for name in features}
    groupings = {kind: F.col(column) for kind, column in KINDS.items()}
    groupings[EVERYBODY] = F.lit(EVERYBODY)
    is_few = max(counts.values(), default=0) <= FEW
    places = order_statistics.counted(customers, metrics, groupings, by_value=is_few)
    ranks = {key: {(n + 1) // 2, n // 2 + 1} for key, n in counts.items() if n}
    found = order_statistics.standings(customers, metrics, groupings, places, ranks)
    return {
        key: (found[key, min(pair)].value + found[key, max(pair)].value) / 2
        for key, pair in ranks.items()
    }
