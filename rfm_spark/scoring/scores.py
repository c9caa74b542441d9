"""Scores from edges, and segments from scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark.rules import NO_PURCHASE, RuleMap
from rfm_spark.schemas import SCORE_COLUMNS


def has_no_purchase() -> Column:
    """Customers who never bought: they have scores of 1 and their own segment."""
    return F.col("last_activity_date").isNull()


def value_score(value: Column, edges: Sequence[float], bins: int, *, small_is_best: bool) -> Column:
    """1 + the number of edges strictly below the value; turned round where small is best.

    Equal values get equal scores. A null value scores 1.

    Args:
        value: A numeric column.
        edges: Smallest first; repeated edges count each time.
        bins: Number of scores.
        small_is_best: Score n for the smallest values (recency).
    """
    number = value.cast("double")
    score = F.lit(1)
    for edge in edges:
        score = score + (number > F.lit(edge)).cast("int")
    if small_is_best:
        score = F.lit(bins + 1) - score
    return F.coalesce(score, F.lit(1))


def with_scores(
    features: DataFrame,
    *,
    roles: Mapping[str, str],
    bins: Mapping[str, int],
    edges: Mapping[str, Sequence[float]],
    weights: Mapping[str, float],
) -> DataFrame:
    """Add r_score, f_score, m_score, a_score, rfm_cell and rfm_score.

    rfm_score is the mean of the scores, weighted. a_score is null unless a feature plays aum.

    Args:
        features: ``customer_features``.
        roles: Role to feature column.
        bins: Role to number of bins.
        edges: Role to edges, smallest first.
        weights: Role to weight.
    """
    scores = {
        SCORE_COLUMNS[role]: _score(role, feature, bins[role], edges[role])
        for role, feature in roles.items()
    }
    absent = {
        name: F.lit(None).cast("int") for name in SCORE_COLUMNS.values() if name not in scores
    }
    scored = features.withColumns(scores | absent)
    separator = "-" if max(bins.values()) > 9 else ""  # noqa: PLR2004
    weighted = F.lit(0.0)
    for role in roles:
        weighted = weighted + F.col(SCORE_COLUMNS[role]) * F.lit(weights[role])
    return scored.withColumns(
        {
            "rfm_cell": F.concat_ws(separator, "r_score", "f_score", "m_score"),
            "rfm_score": weighted / F.lit(sum(weights.values())),
        }
    )


def segment_by(rule_map: RuleMap) -> Column:
    """The rule segment of a row with scores: one look-up in the resolved map."""
    names = [segment.name if (segment := rule_map.segment_of(c)) else None for c in rule_map.grid]
    _, f_bins, m_bins = rule_map.bins
    place = (
        (F.col("r_score") - 1) * (f_bins * m_bins)
        + (F.col("f_score") - 1) * m_bins
        + F.col("m_score")
    )
    by_rule = F.element_at(F.array(*(F.lit(name) for name in names)), place.cast("int"))
    return F.when(has_no_purchase(), F.lit(NO_PURCHASE.name)).otherwise(by_rule)


def nearest_code(means: Sequence[float], bins: Sequence[int]) -> tuple[int, int, int]:
    """The code next to mean scores, halves rounded up."""
    r, f, m = (min(n, max(1, int(mean + 0.5))) for mean, n in zip(means, bins, strict=True))
    return r, f, m


def _score(role: str, feature: str, bins: int, edges: Sequence[float]) -> Column:
    score = value_score(F.col(feature), edges, bins, small_is_best=role == "recency")
    if role == "aum":
        return score
    return F.when(has_no_purchase(), 1).otherwise(score)
