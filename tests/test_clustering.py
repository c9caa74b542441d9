"""Clusters: the space, the coreset, the sweep, the choice, labels and names."""

from __future__ import annotations

import math
import statistics
from datetime import date

import pytest
from pyspark.sql import functions as F

from rfm_spark.clustering import choice, stages
from rfm_spark.clustering.coreset import coreset
from rfm_spark.clustering.fits import Fit, best_by_k
from rfm_spark.clustering.model import Model, named, wcss_over_all, with_clusters
from rfm_spark.clustering.naming import unique_names
from rfm_spark.clustering.space import Space, moments, scaled_space

PLAIN = Space(("x", "y"), "none", 0, (0.0, 0.0), (1.0, 1.0))


def points(spark, rows):
    return spark.createDataFrame(
        [(n, float(x), float(y)) for n, (x, y) in enumerate(rows)],
        "customer_id bigint, x double, y double",
    )


def groups(spark, per_group=200):
    """Three planted groups far apart, and which one each customer belongs to."""
    centers = [(0, 0), (40, 0), (0, 40)]
    return spark.range(3 * per_group).select(
        F.col("id").alias("customer_id"),
        (F.col("id") % 3).cast("int").alias("planted"),
        *(
            (
                F.element_at(
                    F.array(*(F.lit(float(c[i])) for c in centers)),
                    (F.col("id") % 3 + 1).cast("int"),
                )
                + F.pmod(F.xxhash64("id", F.lit(i)), F.lit(1000)) / 500
            ).alias(name)
            for i, name in enumerate("xy")
        ),
    )


def test_moments_are_those_of_the_transformed_values(spark) -> None:
    values = [0, 1, -3, 250.5, 12345.67]
    frame = points(spark, [(v, 1) for v in values])
    sums = moments(frame, ["x", "y"], "log1p", 0)
    transformed = [math.copysign(math.log1p(abs(v)), v) for v in values]
    assert sums.means()[0] == pytest.approx(statistics.mean(transformed), abs=1e-5)
    assert sums.stds()[0] == pytest.approx(statistics.stdev(transformed), abs=1e-5)
    assert sums.stds()[1] == 0.0


def test_moments_have_the_same_bits_for_any_layout(spark) -> None:
    frame = groups(spark)
    base = moments(frame, ["x", "y"], "log1p", 0)
    for parts in (1, 3, 17):
        assert moments(frame.repartition(parts), ["x", "y"], "log1p", 0) == base


def test_missing_values_have_a_stated_stand_in(spark) -> None:
    frame = spark.createDataFrame(
        [(1, 5, 9, None), (2, None, 7, 3.0), (3, None, None, 1.0)],
        "customer_id bigint, recency_days int, tenure_days int, aum double",
    )
    space = Space(("recency_days", "aum"), "none", 100, (0.0, 0.0), (1.0, 1.0))
    rows = frame.select("customer_id", *space.scaled()).collect()
    assert [tuple(row)[1:] for row in sorted(rows)] == [(5.0, 0.0), (7.0, 3.0), (100.0, 1.0)]


def test_natural_units_undo_transform_and_scale() -> None:
    space = Space(("x",), "log1p", 0, (2.0,), (0.5,))
    assert space.natural([(math.log1p(99) - 2) / 0.5])[0] == pytest.approx(99)
    assert space.natural([(-math.log1p(99) - 2) / 0.5])[0] == pytest.approx(-99)
    assert Space(("x",), "none", 0, (2.0,), (0.5,)).natural([4.0]) == [4.0]


def test_the_scaler_of_spark_ml_scales_as_the_plain_expression_does(spark) -> None:
    frame = groups(spark, 50).withColumn("constant", F.lit(7.0))
    names = ["x", "y", "constant"]
    sums = moments(frame, names, "log1p", 0)
    scaler = stages.fitted_scaler(spark, sums.means(), sums.stds())
    space = scaled_space(names, "log1p", 0, sums, scale=True)
    assert list(scaler.mean) == pytest.approx(list(space.means), rel=1e-12)
    assert list(scaler.std) == pytest.approx(list(space.stds), rel=1e-12)
    centroids = [(1.2, -0.7, 0.0), (-0.7, 1.2, 0.0), (-0.6, -0.6, 0.0)]
    model = stages.pipeline_model(spark, space, scaler, [4, 0, 7], centroids)
    plain = with_clusters(frame, space, [4, 0, 7], centroids).select(
        "customer_id", "cluster", F.array(*space.scaled()).alias("plain")
    )
    rows = model.transform(frame).join(plain, on="customer_id").collect()
    assert {row["cluster"] for row in rows} == {4, 0, 7}
    for row in rows:
        assert list(row["scaled"]) == pytest.approx(row["plain"], abs=1e-9)
        assert row["prediction"] == row["cluster"]


def test_values_that_cannot_be_added_up_are_counted_apart(spark) -> None:
    rows = [(1.0, 2.0), (float("nan"), 3.0), (float("-inf"), 4.0), (1e13, 5.0)]
    sums = moments(points(spark, rows), ["x", "y"], "none", 0)
    assert sums.unusable == (3, 0)
    assert sums.sums == (65536, 14 * 65536)
    assert sums.range() == ([1.0, 2.0], [1.0, 5.0])
    assert moments(points(spark, [(1e300, 0)]), ["x", "y"], "log1p", 0).unusable == (0, 0)


def test_the_cost_of_one_cluster_follows_from_the_moments(spark) -> None:
    frame = groups(spark, 50)
    sums = moments(frame, ["x", "y"], "none", 0)
    mean = tuple(sums.center(PLAIN))
    cost = wcss_over_all(frame, PLAIN, {1: [mean]}, most=sums.total_squares(PLAIN))[1]
    assert sums.total_squares(PLAIN) == pytest.approx(cost, rel=1e-9)
    scaled = scaled_space(["x", "y"], "none", 0, sums, scale=True)
    assert sums.total_squares(scaled) == pytest.approx(2 * (150 - 1))


def test_a_small_coreset_is_everybody_with_weight_one(spark) -> None:
    frame = points(spark, [(1, 2), (0, 5), (0, 4)])
    sample = coreset(frame.repartition(3), PLAIN, moments(frame, ["x", "y"], "none", 0), size=10)
    assert [tuple(row) for row in sample.collect()] == [(0, 4, 1), (0, 5, 1), (1, 2, 1)]


def test_a_coreset_weighs_as_much_as_everybody_and_keeps_the_far_ones(spark) -> None:
    n = 20_000
    frame = spark.range(n).select(
        F.col("id").alias("customer_id"),
        F.when(F.col("id") == 5, 500.0).otherwise(F.col("id") % 100 / 10).alias("x"),
        (F.col("id") % 7).cast("double").alias("y"),
    )
    sums = moments(frame, ["x", "y"], "none", 0)
    space = scaled_space(["x", "y"], "none", 0, sums, scale=True)
    rows = coreset(frame, space, sums, size=2_000).collect()
    assert 1_600 < len(rows) < 2_400
    assert sum(row["weight"] for row in rows) == pytest.approx(n, rel=0.06)
    assert [row["weight"] for row in rows if row["x_0"] == 500.0] == [1.0]
    again = coreset(frame.repartition(13), space, sums, size=2_000).collect()
    assert again == rows
    unscaled = coreset(frame, PLAIN, sums, size=2_000).collect()
    assert [row["weight"] for row in unscaled if row["x_0"] == 500.0] == [1.0]


def test_labels_go_to_the_nearest_and_ties_to_the_lowest_number(spark) -> None:
    frame = points(spark, [(0, 0), (3, 0), (10, 0), (5, 0)])
    rows = with_clusters(frame, PLAIN, [4, 9], [(0.0, 0.0), (10.0, 0.0)]).collect()
    found = {row["customer_id"]: (row["cluster"], row["distance"], row["margin"]) for row in rows}
    assert found == {0: (4, 0, 10), 1: (4, 3, 4), 2: (9, 0, 10), 3: (4, 5, 0)}


def test_one_cluster_has_no_margin(spark) -> None:
    row = with_clusters(points(spark, [(3, 4)]), PLAIN, [0], [(0.0, 0.0)]).first()
    assert (row["cluster"], row["distance"], row["margin"]) == (0, 5.0, None)


def test_wcss_does_not_depend_on_the_layout(spark) -> None:
    frame = groups(spark)
    sets = {2: [(0.1, 0.2), (40.3, 0.7)], 1: [(1 / 3, 2 / 3)]}
    base = wcss_over_all(frame, PLAIN, sets, most=1e6)
    assert wcss_over_all(frame.repartition(11), PLAIN, sets, most=1e6) == base


def fit(k, wcss, silhouette=None, min_share=0.2, seed=1):
    return Fit(k, seed, (), wcss, min_share, 5, 0.1, silhouette=silhouette, wcss_all=wcss)


def test_the_best_seed_is_the_cheapest_compared_at_nine_digits() -> None:
    fits = [fit(2, 10.0000000001, seed=1), fit(2, 10.0, seed=2), fit(2, 9.0, seed=3)]
    assert best_by_k(fits)[0].seed == 3
    assert best_by_k(fits[:2])[0].seed == 1


def test_the_elbow_is_where_the_curve_lies_furthest_below_its_chord() -> None:
    curve = [fit(k, wcss) for k, wcss in ((1, 100), (2, 60), (3, 22), (4, 20), (5, 19), (6, 18))]
    chosen, why = choice.by_elbow(curve, range(2, 7), 0.01)
    assert (chosen.k, why) == (3, "knee of the curve of WCSS from k = 1 to 6")
    small = [*curve[:2], fit(3, 22, min_share=0.001), *curve[3:]]
    chosen, why = choice.by_elbow(small, range(2, 7), 0.01)
    assert chosen.k == 4
    assert why.endswith("among the 4 without a cluster below 1.0%")
    assert choice.by_elbow(curve, [5, 6], 0.01)[0].k == 5
    flat = [fit(1, 0.0), fit(2, 0.0)]
    assert choice.by_elbow(flat, [2], 0.01) == (flat[1], "the curve of WCSS does not fall")


def test_silhouettes_that_tie_choose_the_smaller_k() -> None:
    best = [fit(2, 9, 0.5000), fit(3, 8, 0.5015), fit(4, 7, 0.49)]
    assert choice.by_silhouette(best, 0.01)[0].k == 2
    assert choice.by_silhouette([*best[:1], fit(3, 8, 0.503)], 0.01)[0].k == 3


def test_a_k_with_a_too_small_cluster_is_not_chosen() -> None:
    best = [fit(2, 9, 0.4), fit(3, 8, 0.9, min_share=0.001)]
    assert choice.by_silhouette(best, 0.01)[0].k == 2
    assert choice.by_silhouette(best[1:], 0.01)[1].startswith("every k has a cluster below 1.0%")


def test_names_differ_by_what_sets_clusters_apart() -> None:
    centroids = [(0.0, 2.0), (0.1, -1.0), (3.0, 0.0)]
    names = unique_names(["Loyal", "Loyal", "Lost"], centroids, ["recency_days", "aum_per_day"])
    assert names == ["Loyal, high AUM per day", "Loyal, low AUM per day", "Lost"]
    kept = unique_names(["Lost", "Loyal", "Lost"], centroids, ["recency_days", "m"], {1: "Lost"})
    assert kept == ["Lost, low days since purchase", "Lost", "Lost, high days since purchase"]
    once = unique_names(["A", "A"], [(0.0,), (0.0,)], ["m"], {0: "A, high m"})
    assert once == ["A, high m", "A, high m (2)"]
    many = unique_names(["A"] * 6, [(float(n),) for n in range(6)], ["monetary"])
    assert len(set(many)) == 6


def test_a_permutation_of_cluster_numbers_changes_no_segment(spark) -> None:
    frame = points(spark, [(0, 0), (10, 0), (9, 1)])
    found = []
    for numbers, names in (((0, 1), ("Low", "High")), ((0, 1), ("High", "Low"))):
        centroids = ((0.0, 0.0), (10.0, 0.0)) if names[0] == "Low" else ((10.0, 0.0), (0.0, 0.0))
        model = Model(
            "v", date(2024, 1, 1), "h", PLAIN, numbers, centroids, names, (1, 2), ("", "")
        )
        labelled = with_clusters(frame, PLAIN, model.numbers, model.centroids)
        segments = labelled.select("customer_id", named(F.col("cluster"), model).alias("segment"))
        found.append({tuple(row) for row in segments.collect()})
    assert found[0] == found[1] == {(0, "Low"), (1, "High"), (2, "High")}
