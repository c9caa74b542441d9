"""What kinds of customers a segment has: shares of each attribute's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from rfm_spark.schemas import KINDS

MISSING, OTHER = "(missing)", "(other)"
MOST_VALUES = 20
"""Values of an attribute that are told apart; the others count together as :data:`OTHER`."""

Counts = dict[tuple[str, str, str], int]
"""Kind, segment and value of one attribute to customers."""


def attribute_counts(customers: DataFrame, attributes: Sequence[str]) -> dict[str, Counts]:
    """Customers by segment and value of each attribute.

    A customer without a value counts as :data:`MISSING`, so that everybody is in the counts.

    Args:
        customers: The attributes as text, and the segment columns of both kinds.
        attributes: Their columns.
    """
    if not attributes:
        return {}
    each = F.explode(
        F.array(
            *(F.struct(F.lit(n).alias("attribute"), F.col(n).alias("value")) for n in attributes)
        )
    )
    stacked = customers.select(*KINDS.values(), each.alias("one")).select(*KINDS.values(), "one.*")
    named = _most_frequent(stacked, attributes)
    told_apart = F.array_contains(
        F.element_at(
            F.create_map(
                *(
                    part
                    for name in attributes
                    for part in (
                        F.lit(name),
                        F.array(*map(F.lit, named[name])).cast("array<string>"),
                    )
                )
            ),
            F.col("attribute"),
        ),
        F.col("value"),
    )
    value = (
        F.when(F.col("value").isNull(), MISSING)
        .when(told_apart, F.col("value"))
        .otherwise(OTHER)
        .alias("value")
    )
    rows = stacked.groupBy(*KINDS.values(), "attribute", value).count().collect()
    found: dict[str, Counts] = {name: {} for name in attributes}
    for row in rows:
        counts = found[row["attribute"]]
        for kind, column in KINDS.items():
            key = (kind, row[column], row["value"])
            counts[key] = counts.get(key, 0) + row["count"]
    return found


def shares(counts: Counts, kind: str, segment: str) -> dict[str, float]:
    """Share of the segment's customers with each value, the most frequent first; adds up to 1."""
    own = {v: n for (k, s, v), n in counts.items() if (k, s) == (kind, segment)}
    total = sum(own.values())
    ordered = sorted(own.items(), key=lambda item: (-item[1], item[0]))
    return {value: customers / total for value, customers in ordered}


def without_missing(counts: Counts, kind: str) -> Mapping[tuple[str, str], int]:
    """Segment and value to customers of one kind, those with a value."""
    return {(s, v): n for (k, s, v), n in counts.items() if k == kind and v != MISSING}


def _most_frequent(stacked: DataFrame, attributes: Sequence[str]) -> dict[str, list[str]]:
    most_first = Window.partitionBy("attribute").orderBy(F.desc("count"), "value")
    counts = stacked.where(F.col("value").isNotNull()).groupBy("attribute", "value").count()
    ranked = counts.withColumn("place", F.row_number().over(most_first))
    rows = ranked.where(F.col("place") <= MOST_VALUES).collect()
    found: dict[str, list[str]] = {name: [] for name in attributes}
    for row in rows:
        found[row["attribute"]].append(row["value"])
    return found
