"""Exact medians of every feature in every segment, without a task that sees a whole segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame

from rfm_spark import order_statistics
from rfm_spark.insight.figures import columns_of, groupings_of
from rfm_spark.order_statistics import Counted, Key


def medians(
    customers: DataFrame, features: Sequence[str], by: Mapping[str, str], known: Counted
) -> dict[Key, float]:
    """Median of each feature, by kind, segment and feature; of an even number the middle's mean.

    The kind and segment ``figures.EVERYBODY`` are all customers. Nulls do not count, and where a
    segment has no value at all it has no median.

    Args:
        customers: Features, and the segment columns.
        features: Feature columns.
        by: Kind to segment column.
        known: From ``figures.counted``, of the same customers, features and segments.
    """
    counts = {key: known.rows(key) for key in known.groups if key[2] in features}
    ranks = {key: {(n + 1) // 2, n // 2 + 1} for key, n in counts.items()}
    found = order_statistics.standings(
        customers, columns_of(features), groupings_of(by), known, ranks
    )
    return {
        key: (found[key, min(pair)].value + found[key, max(pair)].value) / 2
        for key, pair in ranks.items()
    }
