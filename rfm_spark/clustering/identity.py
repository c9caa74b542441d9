"""Which clusters of a new model are those of the one before.

K-means numbers its clusters as it happens to find them. After a refit, a new centroid is matched to
an old one if it lies closer to it than half the distance from either to the next centroid of its
own model; everything is measured in the old model's scaling. By the triangle inequality, at most
one new centroid can lie so close to an old one, also where k has changed; in a split or a merger
the part with the nearer centroid inherits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.optimize import linear_sum_assignment

from rfm_spark.clustering.fits import Centroids
from rfm_spark.clustering.model import Model
from rfm_spark.clustering.space import Space

NEAR = 0.5
"""Share of the distance to the next centroid within which a cluster is taken for the same."""


@dataclass(frozen=True)
class Match:
    """An old cluster that a new one continues, and how far its centroid has moved.

    ``distance`` is Euclidean, in the old model's scaled units.
    """

    number: int
    distance: float


def matches(previous: Model, space: Space, centroids: Centroids) -> dict[int, Match]:
    """Places of new centroids to the old clusters that they continue.

    Args:
        previous: The model before.
        space: Of the new model. Where its features or its transform differ, nothing matches.
        centroids: Of the new model, scaled.
    """
    old = previous.space
    if (space.features, space.transform) != (old.features, old.transform):
        return {}
    moved = [old.scaled_point(space.transformed_point(centroid)) for centroid in centroids]
    old_gaps, new_gaps = _gaps(previous.centroids), _gaps(moved)
    distances = [[math.dist(one, other) for other in previous.centroids] for one in moved]
    allowed = {
        (i, j)
        for i, row in enumerate(distances)
        for j, distance in enumerate(row)
        if distance < NEAR * min(new_gaps[i], old_gaps[j])
    }
    forbidden = 1.0 + sum(distance for row in distances for distance in row)
    costs = [
        [distance if (i, j) in allowed else forbidden for j, distance in enumerate(row)]
        for i, row in enumerate(distances)
    ]
    pairs = zip(*linear_sum_assignment(costs), strict=True)
    return {
        int(i): Match(previous.numbers[j], distances[i][j]) for i, j in pairs if (i, j) in allowed
    }


def new_numbers(places: Sequence[int], found: Mapping[int, Match], largest: int) -> dict[int, int]:
    """A number for every new cluster: its old one, or the next that was never used.

    Args:
        places: Of all new clusters, in the order in which new numbers are given.
        found: Places to the old clusters that they continue.
        largest: The largest number ever used; -1 where there was none.
    """
    fresh = [place for place in places if place not in found]
    given = {place: largest + 1 + i for i, place in enumerate(fresh)}
    return given | {place: match.number for place, match in found.items()}


def _gaps(centroids: Sequence[Sequence[float]]) -> list[float]:
    """Distance from each centroid to the nearest other one; infinite for a single one."""
    return [
        min((math.dist(one, two) for j, two in enumerate(centroids) if j != i), default=math.inf)
        for i, one in enumerate(centroids)
    ]
