"""Clusters keep who they are across refits, and drift is told by hand-worked figures."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from test_clustering import PLAIN, points

from rfm_spark.clustering.drift import (
    bin_edges,
    population_stability_index,
    standing,
    wcss_ratio,
)
from rfm_spark.clustering.identity import Match, matches, new_numbers
from rfm_spark.clustering.model import Model, Reference
from rfm_spark.clustering.space import Space

OLD = ((0.0, 0.0), (10.0, 0.0), (0.0, 10.0))


def model(centroids=OLD, numbers=(2, 5, 6), space=PLAIN) -> Model:
    names = tuple(f"Segment {number}" for number in numbers)
    ranks = tuple(range(1, len(numbers) + 1))
    day = date(2024, 1, 1)
    return Model("v", day, "h", space, numbers, centroids, names, ranks, ("",) * len(numbers))


def numbers_of(found) -> dict[int, int]:
    return {place: match.number for place, match in found.items()}


def test_permuted_centroids_find_their_numbers() -> None:
    found = matches(model(), PLAIN, (OLD[2], OLD[0], OLD[1]))
    assert found == {0: Match(6, 0.0), 1: Match(2, 0.0), 2: Match(5, 0.0)}


def test_a_centroid_may_move_up_to_half_way_to_the_next() -> None:
    moved = ((4.9, 0.0), (14.0, 0.0), (0.0, 10.0))
    assert numbers_of(matches(model(), PLAIN, moved)) == {1: 5, 2: 6}  # its own next is 9.1 away
    nearer = ((4.0, 0.0), (14.0, 0.0), (0.0, 10.0))
    assert numbers_of(matches(model(), PLAIN, nearer)) == {0: 2, 1: 5, 2: 6}


def test_in_a_split_the_nearer_part_inherits_and_the_other_is_new() -> None:
    split = ((1.0, 0.0), (-3.0, 0.0), (10.0, 0.0), (0.0, 10.0))
    found = matches(model(), PLAIN, split)
    assert numbers_of(found) == {0: 2, 2: 5, 3: 6}
    assert new_numbers([3, 1, 0, 2], found, largest=8) == {0: 2, 1: 9, 2: 5, 3: 6}


def test_a_vanished_cluster_is_left_out_and_its_number_does_not_return() -> None:
    found = matches(model(), PLAIN, (OLD[0], OLD[1]))
    assert numbers_of(found) == {0: 2, 1: 5}
    assert new_numbers([0, 1], found, largest=6) == {0: 2, 1: 5}
    assert new_numbers([1, 0], {}, largest=-1) == {1: 0, 0: 1}


def test_a_single_cluster_matches_a_single_one() -> None:
    assert numbers_of(matches(model(OLD[:1], (0,)), PLAIN, ((7.0, 7.0),))) == {0: 0}


def test_distances_are_those_of_the_old_scaling() -> None:
    old = Space(("x", "y"), "log1p", 0, (2.0, 1.0), (0.5, 0.0))
    new = Space(("x", "y"), "log1p", 9, (3.0, 4.0), (2.0, 1.0))
    before = model(((-2.0, 0.0), (2.0, 0.0)), (0, 1), old)  # transformed: 1 and 3
    found = matches(before, new, ((0.05, 3.0), (-0.95, 5.0)))  # transformed: 3.1 and 1.1
    assert numbers_of(found) == {0: 1, 1: 0}
    assert [found[0].distance, found[1].distance] == pytest.approx([0.2, 0.2])


def test_other_features_or_another_transform_match_nothing() -> None:
    for space in (
        Space(("x", "z"), "none", 0, (0.0, 0.0), (1.0, 1.0)),
        Space(("x", "y"), "log1p", 0, (0.0, 0.0), (1.0, 1.0)),
    ):
        assert matches(model(), space, OLD) == {}


def test_the_population_stability_index_by_hand() -> None:
    assert population_stability_index([0.5, 0.5], [0.5, 0.5]) == 0
    by_hand = 0.2 * math.log(0.7 / 0.5) + (-0.2) * math.log(0.3 / 0.5)
    assert population_stability_index([0.5, 0.5], [0.7, 0.3]) == pytest.approx(by_hand)
    emptied = population_stability_index([0.5, 0.5], [1.0, 0.0])
    assert emptied == pytest.approx(0.5 * math.log(2) + (1e-4 - 0.5) * math.log(1e-4 / 0.5))


def test_bins_end_at_weighted_deciles_once_each() -> None:
    values = np.arange(1.0, 101.0)
    assert bin_edges(values, np.ones(100)) == tuple(float(10 * j) for j in range(1, 10))
    heavy = np.where(values == 50, 1000.0, 1.0)
    assert bin_edges(values, heavy) == (50.0,)
    assert bin_edges(np.full(5, 3.0), np.ones(5)) == ()


def test_a_wcss_next_to_nothing_is_no_drift() -> None:
    def reference(wcss: float, std: float) -> Reference:
        return Reference(9, wcss, (0.0,), (std,), (0.0,), (1.0,), ((),), ((1.0,),))

    space = Space(("x",), "none", 0, (0.0,), (2.0,))
    assert wcss_ratio(3.0, reference(2.0, 2.0), space) == pytest.approx(1.5, rel=1e-5)
    assert wcss_ratio(5e-11, reference(1e-11, 2.0), space) == pytest.approx(1.0, abs=1e-4)
    assert wcss_ratio(1e-6, reference(0.0, 2.0), space) == pytest.approx(2.0)
    assert wcss_ratio(0.0, reference(0.0, 0.0), space) == 1.0
    assert wcss_ratio(1.0, reference(0.0, 0.0), space) is None


def test_customers_stand_to_a_model_as_counted_by_hand(spark) -> None:
    frame = points(spark, [(0, 0), (1, 0), (9, 1), (30, 0)])
    now = standing(
        frame.repartition(3),
        PLAIN,
        [(0.0, 0.0), (10.0, 0.0)],
        [(0.0, 5.0), ()],
        [(0.0, 10.0), (0.0, 0.5)],
        most=1e4,
    )
    assert now.shares == ((0.25, 0.25, 0.5), (1.0,))
    assert now.outside == (0.25, 0.25)
    assert now.wcss == pytest.approx((0 + 1 + 2 + 400) / 4)
    assert now.moments.means() == [10.0, 0.25]


def test_customers_may_have_gone_anywhere_since_the_fit(spark) -> None:
    """Regression: the sum of squares overflowed where the fit had been a perfect one."""
    frame = points(spark, [(1e9, 0)] * 30 + [(1e11, 1), (1e13, 1)])
    now = standing(frame, PLAIN, [(0.0, 0.0)], [(), ()], [(0.0, 1.0), (0.0, 1.0)], most=0.0)
    assert now.wcss > 1e6
    assert now.outside == (1.0, 0.0)
    assert now.moments.unusable == (1, 0)
    assert now.moments.means()[0] == pytest.approx((30e9 + 1e11) / 31)
