"""Scores from edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark.rules import separator_of
from rfm_spark.schemas import SCORE_COLUMNS
from rfm_spark.scoring.cuts import Cut
from rfm_spark.scoring.methods import includes_edge


def has_no_purchase() -> Column:
    """Customers who never bought: they have scores of 1 and their own segment."""
    return F.col("last_activity_date").isNull()


def score(value: Column, cut: Cut, *, small_is_best: bool, id_type: str = "string") -> Column:
    """1 + the number of edges below the value; turned round where small is best.

    A value equal to an edge is not above it, except for method ``r``. With rank and ntile an edge
    is a customer: of those with the same value, the ones with a larger customer_id are above it.
    Equal values get equal scores with every other method. A null value scores 1.

    Args:
        value: A numeric column.
        cut: Edges, smallest first; repeated edges count each time.
        small_is_best: Score n for the smallest values (recency).
        id_type: SQL type of ``customer_id``.
    """
    number = value.cast("double")
    ascending = F.lit(1)
    for place, edge in enumerate(cut.edges):
        is_above = number > F.lit(edge) if includes_edge(cut.method) else number >= F.lit(edge)
        if cut.customer_ids:
            is_later = F.col("customer_id") > F.lit(cut.customer_ids[place]).cast(id_type)
            is_above = is_above | ((number == F.lit(edge)) & is_later)
        ascending = ascending + is_above.cast("int")
    best_last = F.lit(cut.bins + 1) - ascending if small_is_best else ascending
    return F.when(number.isNull(), 1).otherwise(best_last)


def with_scores(
    features: DataFrame,
    *,
    roles: Mapping[str, str],
    cuts: Mapping[str, Cut],
    weights: Mapping[str, float],
) -> DataFrame:
    """Add r_score, f_score, m_score, a_score, rfm_cell and rfm_score.

    Customers without a purchase score 1 throughout, whatever they hold. rfm_score is the mean of
    the scores, weighted. a_score is null unless a feature plays aum.

    Args:
        features: ``customer_features``.
        roles: Role to feature column.
        cuts: Role to edges.
        weights: Role to weight.
    """
    scores = {SCORE_COLUMNS[role]: _score(features, role, cuts[role]) for role in roles}
    absent = {
        name: F.lit(None).cast("int") for name in SCORE_COLUMNS.values() if name not in scores
    }
    numbers = _numbers(roles)
    scored = features.withColumns(numbers).withColumns(scores | absent).drop(*numbers)
    in_cell = [cuts[role].bins for role in ("recency", "frequency", "monetary")]
    separator = separator_of(in_cell)
    weighted = F.lit(0.0)
    for role in roles:
        weighted = weighted + F.col(SCORE_COLUMNS[role]) * F.lit(weights[role])
    return scored.withColumns(
        {
            "rfm_cell": F.concat_ws(separator, "r_score", "f_score", "m_score"),
            "rfm_score": weighted / F.lit(sum(weights.values())),
        }
    )


def score_counts(
    purchasers: DataFrame, roles: Mapping[str, str], cuts: Mapping[str, Cut]
) -> dict[str, dict[int, int]]:
    """How many customers with a value get each score of a role, 0 included; one pass.

    Args:
        purchasers: Customers with a purchase.
        roles: Role to feature column.
        cuts: Role to edges.
    """
    if not roles:
        return {}
    scored = purchasers.withColumns(_numbers(roles)).select(
        *(
            F.when(F.col(feature).isNotNull(), _score(purchasers, role, cuts[role])).alias(role)
            for role, feature in roles.items()
        )
    )
    wanted = [(role, number) for role in roles for number in range(1, cuts[role].bins + 1)]
    counts = (F.count_if(F.col(r) == number).alias(f"{r}_{number}") for r, number in wanted)
    row = scored.agg(*counts).collect()[0]
    found: dict[str, dict[int, int]] = {role: {} for role in roles}
    for role, number in wanted:
        found[role][number] = row[f"{role}_{number}"]
    return found


def nearest_code(means: Sequence[float], bins: Sequence[int]) -> tuple[int, int, int]:
    """The code next to mean scores, halves rounded up."""
    r, f, m = (min(n, max(1, int(mean + 0.5))) for mean, n in zip(means, bins, strict=True))
    return r, f, m


def _numbers(roles: Mapping[str, str]) -> dict[str, Column]:
    """Each role's value as a double, once for all edges: money is slow to turn into one."""
    return {_number(role): F.col(feature).cast("double") for role, feature in roles.items()}


def _number(role: str) -> str:
    return f"_number_{role}"


def _score(features: DataFrame, role: str, cut: Cut) -> Column:
    id_type = features.schema["customer_id"].dataType.simpleString()
    value = F.col(_number(role))
    found = score(value, cut, small_is_best=role == "recency", id_type=id_type)
    return F.when(has_no_purchase(), 1).otherwise(found)
