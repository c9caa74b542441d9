"""Business names of clusters: from the rule map or the configuration, kept across refits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor

from rfm_spark.clustering.fits import Centroids
from rfm_spark.clustering.identity import Match
from rfm_spark.clustering.material import Material
from rfm_spark.clustering.model import Model, with_clusters
from rfm_spark.clustering.naming import is_name_of
from rfm_spark.errors import ModelError
from rfm_spark.exact_sums import means
from rfm_spark.pipeline.context import Context
from rfm_spark.rules import NO_PURCHASE
from rfm_spark.schemas import SCORE_COLUMNS, WHOLE_FEATURES
from rfm_spark.scoring.scores import nearest_code

_SCORES = [SCORE_COLUMNS[role] for role in ("recency", "frequency", "monetary")]


@dataclass(frozen=True)
class Members:
    """What the members of a cluster are like on average.

    Args:
        rfm_score: Mean rfm_score.
        scores: Mean R, F and M scores.
        features: Means of the raw features that the rule map looks at, None without any value.
    """

    rfm_score: float
    scores: Sequence[float]
    features: Mapping[str, float | None]


def members_of(context: Context, material: Material, centroids: Centroids) -> dict[int, Members]:
    """What the members of each cluster are like, by the place of its centroid."""
    places = range(len(centroids))
    labelled = with_clusters(material.customers, material.space, places, centroids)
    named = context.rule_map.features
    names = list(dict.fromkeys(["rfm_score", *_SCORES, *named]))
    with context.timed("naming the clusters"):
        found = means(labelled, names, ["cluster"])
    nobody = Members(0.0, [1.0] * len(_SCORES), dict.fromkeys(named))
    return dict.fromkeys(places, nobody) | {
        cluster: Members(
            own["rfm_score"].value or 0.0,
            [own[name].value or 1.0 for name in _SCORES],
            {name: own[name].value for name in named},
        )
        for (cluster,), own in found.items()
    }


def segment_of_members(context: Context, members: Members) -> str:
    """The rule segment of the members' mean scores and features."""
    code = nearest_code(members.scores, context.rule_map.bins)
    values = {name: _as_counted(name, value) for name, value in members.features.items()}
    segment = context.rule_map.segment_of(code, values)
    return (segment or NO_PURCHASE).name  # members without any purchase fit no rule on features


def kept_names(
    context: Context, previous: Model | None, found: Mapping[int, Match]
) -> dict[int, str]:
    """Names of the clusters that continue one, by place.

    A name that the configuration no longer knows, by its list or its rule map, is not kept.
    """
    if previous is None:
        return {}
    names = dict(zip(previous.numbers, previous.names, strict=True))
    wanted = context.settings.clustering.names
    known = {place: names[match.number] for place, match in found.items()}
    if isinstance(wanted, list):
        return {place: name for place, name in known.items() if name in wanted}
    return {place: name for place, name in known.items() if segment_of_name(context, name, "")}


def segment_of_name(context: Context, name: str, otherwise: str) -> str:
    """The rule segment that a cluster's name was made from."""
    segments = [segment.name for segment in (*context.rule_map.segments, NO_PURCHASE)]
    made_from = [segment for segment in segments if is_name_of(segment, name)]
    return max(made_from, key=len, default=otherwise)


def given_names(
    wanted: Sequence[str], kept: Mapping[int, str], best_first: Sequence[int]
) -> list[str]:
    """The configured names by place: those that are not taken go to the others, best first."""
    if len(wanted) != len(best_first):
        raise ModelError(
            f"clustering.names has {len(wanted)} names and the model has {len(best_first)} "
            "clusters; name as many, fix clustering.k, or use names: rules"
        )
    free = iter([name for name in wanted if name not in kept.values()])
    given = {place: kept[place] if place in kept else next(free) for place in best_first}
    return [given[place] for place in sorted(given)]


def _as_counted(feature: str, mean: float | None) -> float | None:
    """A mean of whole numbers as a whole number, so that it cannot fall between two ranges."""
    return floor(mean + 0.5) if mean is not None and feature in WHOLE_FEATURES else mean
