"""Number, name, rank and action of each cluster of a new model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import Row
from pyspark.sql import functions as F

from rfm_spark.clustering.agreement import adjusted_rand_index
from rfm_spark.clustering.fits import Centroids
from rfm_spark.clustering.identity import Match, matches, new_numbers
from rfm_spark.clustering.material import Material
from rfm_spark.clustering.model import Model, nearest_place
from rfm_spark.clustering.naming import unique_names
from rfm_spark.pipeline.cluster_names import (
    given_names,
    kept_names,
    members_of,
    segment_of_members,
    segment_of_name,
)
from rfm_spark.pipeline.context import Context
from rfm_spark.schemas import SCORE_COLUMNS


@dataclass(frozen=True)
class Cluster:
    """A cluster of a model.

    Args:
        number: Kept across refits, never given again.
        centroid: Scaled.
        name: Business name.
        rank: 1 = highest mean rfm_score of its members.
        action: What marketing does about it.
        continues: The cluster of the model before that this one continues, if any.
        kept_share: Share of that one's members who are in this one.
    """

    number: int
    centroid: tuple[float, ...]
    name: str
    rank: int
    action: str
    continues: Match | None
    kept_share: float | None


@dataclass(frozen=True)
class Clusters:
    """All clusters of a model, in the order of their numbers.

    Args:
        clusters: The clusters.
        previous: Version of the model before, if there is one.
        retired: Numbers of that one's clusters that no cluster continues.
        agreement: Adjusted Rand index between the labels of both.
    """

    clusters: Sequence[Cluster]
    previous: str | None
    retired: Sequence[int]
    agreement: float | None

    @property
    def numbers(self) -> list[int]:
        """Their numbers, ascending."""
        return [cluster.number for cluster in self.clusters]

    @property
    def matched_to(self) -> list[Row]:
        """Which cluster of the model before each one continues, as in ``models``."""
        return [
            Row(
                cluster=cluster.number,
                previous_version=self.previous,
                previous_cluster=cluster.continues.number,
                distance=cluster.continues.distance,
                kept_share=cluster.kept_share,
            )
            for cluster in self.clusters
            if cluster.continues is not None
        ]

    @property
    def centroids(self) -> Centroids:
        """Their centroids, scaled."""
        return tuple(cluster.centroid for cluster in self.clusters)


@dataclass(frozen=True)
class Numbering:
    """Which numbers clusters may get.

    Args:
        known: Scaled centroids to numbers, where the same model has been fitted before.
        largest: The largest number that a cluster of another date has had; -1 without any.
    """

    known: Mapping[tuple[float, ...], int]
    largest: int

    def of(
        self, best_first: Sequence[int], centroids: Centroids, found: Mapping[int, Match]
    ) -> dict[int, int]:
        """A number for each place: fitting a model again gives the numbers that it had."""
        if self.known.keys() == set(centroids):
            return {place: self.known[centroids[place]] for place in best_first}
        return new_numbers(best_first, found, self.largest)


def identified(
    context: Context,
    material: Material,
    centroids: Centroids,
    previous: Model | None,
    numbering: Numbering,
) -> Clusters:
    """Match the clusters to those of the model before, and number and name them.

    Args:
        context: The run.
        material: Customers and space of the new model.
        centroids: Of the new model, in any order.
        previous: The model before.
        numbering: Which numbers are taken.

    Raises:
        ModelError: ``clustering.names`` is a list of another length than there are clusters.
    """
    members = members_of(context, material, centroids)
    best_first = sorted(members, key=lambda place: (-members[place].rfm_score, centroids[place]))
    found = {}
    if previous is not None and _is_comparable(context, previous):
        found = matches(previous, material.space, centroids)
    numbers = numbering.of(best_first, centroids, found)
    segments = [segment_of_members(context, members[place]) for place in range(len(centroids))]
    kept = kept_names(context, previous, found)
    if isinstance(context.settings.clustering.names, list):
        names = given_names(context.settings.clustering.names, kept, best_first)
    else:
        names = unique_names(segments, centroids, material.space.features, kept)
        segments = [segment_of_name(context, name, segments[i]) for i, name in enumerate(names)]
    places = sorted(numbers, key=lambda place: numbers[place])
    mixed = {}
    if previous is not None and found:
        ordered = {numbers[place]: centroids[place] for place in places}
        mixed = _mixed(material, ordered, previous)
    clusters = [
        Cluster(
            numbers[place],
            centroids[place],
            names[place],
            best_first.index(place) + 1,
            context.rule_map.action_of(segments[place]),
            found.get(place),
            _kept(mixed, numbers[place], found[place].number) if place in found else None,
        )
        for place in places
    ]
    continued = {match.number for match in found.values()}
    retired = [n for n in previous.numbers if n not in continued] if previous else []
    _tell(context, clusters, retired, previous)
    return Clusters(clusters, previous.version if previous else None, retired, _agreement(mixed))


def _is_comparable(context: Context, previous: Model) -> bool:
    """Whether features of one name mean the same: scores may have other edges or bins by now."""
    settings = context.settings
    has_scores = any(name in SCORE_COLUMNS.values() for name in settings.clustering_features)
    return not has_scores or previous.config_hash == settings.clustering_hash


def _mixed(
    material: Material, centroids: Mapping[int, tuple[float, ...]], previous: Model
) -> dict[tuple[int, int], int]:
    """Customers by number in the new model and number in the model before."""
    space = material.space
    old = replace(previous.space, missing_days=space.missing_days)
    numbered = {"new": (space, centroids)}
    numbered["old"] = (old, dict(zip(previous.numbers, previous.centroids, strict=True)))
    labels = []
    for name, (own_space, own) in numbered.items():
        place = nearest_place(own_space.scaled(), list(own.values()), first=1)
        labels.append(F.element_at(F.array(*(F.lit(n) for n in own)), place).alias(name))
    rows = material.customers.select(*labels).groupBy("new", "old").count().collect()
    return {(row["new"], row["old"]): row["count"] for row in rows}


def _kept(mixed: Mapping[tuple[int, int], int], new: int, old: int) -> float | None:
    before = sum(count for (_, number), count in mixed.items() if number == old)
    return mixed.get((new, old), 0) / before if before else None


def _agreement(mixed: Mapping[tuple[int, int], int]) -> float | None:
    if not mixed:
        return None
    places = sorted({place for place, _ in mixed})
    numbers = sorted({number for _, number in mixed})
    return adjusted_rand_index(
        [[mixed.get((place, number), 0) for number in numbers] for place in places]
    )


def _tell(
    context: Context, clusters: Sequence[Cluster], retired: Sequence[int], previous: Model | None
) -> None:
    if previous is None:
        return
    names = dict(zip(previous.numbers, previous.names, strict=True))
    new = [f"{cluster.name} ({cluster.number})" for cluster in clusters if not cluster.continues]
    gone = [f"{names[number]} ({number})" for number in retired]
    kept = len(clusters) - len(new)
    text = f"{kept} of {len(clusters)} clusters continue those of model {previous.version}"
    text += f"; new: {', '.join(new)}" if new else ""
    text += f"; retired: {', '.join(gone)}" if gone else ""
    context.display.note(text)
