"""The sweep: fits on the driver and by Spark ML, on a sample and on everybody."""

from __future__ import annotations

import numpy as np
import pytest
from benchmark_clustering import FEATURES, made
from pyspark.ml.clustering import KMeans
from pyspark.sql import functions as F
from sklearn.cluster import KMeans as ScikitKMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from test_clustering import PLAIN, groups

from rfm_spark.clustering import choice, lloyd, stages
from rfm_spark.clustering.agreement import adjusted_rand_index, contingency
from rfm_spark.clustering.coreset import coreset, point_columns
from rfm_spark.clustering.fits import Plan, best_by_k, single_cluster
from rfm_spark.clustering.lloyd import Sample
from rfm_spark.clustering.material import Material
from rfm_spark.clustering.model import (
    in_space,
    nearest_place,
    scaled_names,
    wcss_over_all,
    with_clusters,
)
from rfm_spark.clustering.sample_sweep import judged, over_all_customers, sweep_sample
from rfm_spark.clustering.space import moments, scaled_space
from rfm_spark.clustering.whole_sweep import sweep_everybody


def told(what, done, total) -> None:
    assert 1 <= done <= total


def material_of(frame, size, folder, space=PLAIN) -> Material:
    sums = moments(frame, space.features, space.transform, space.missing_days)
    coreset(frame, space, sums, size=size).write.mode("overwrite").parquet(str(folder / "coreset"))
    points = frame.sparkSession.read.parquet(str(folder / "coreset"))
    points = points.coalesce(1).sortWithinPartitions(*point_columns(space), "weight")
    rows = np.array([tuple(row) for row in points.collect()])
    return Material(frame, space, sums, None, points, rows)


def swept(material, plan, folder):
    fits = over_all_customers(material, sweep_sample(material, plan, told))
    return judged(material, fits, plan, str(folder / "labels"), told)


def cloud(random, rows=3_000):
    """Points without groups, where starts end in different places."""
    return random.normal(size=(rows, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.3], [0, 0, 0.6]])


def test_planted_groups_are_found_and_chosen(spark, tmp_path) -> None:
    frame = groups(spark)
    material = material_of(frame, 10_000, tmp_path)
    fits = swept(material, Plan("kmeans", [2, 3, 4], 2, 20, 2), tmp_path)
    for select in (
        choice.by_silhouette(best_by_k(fits), 0.01)[0],
        choice.by_elbow([single_cluster(PLAIN, material.sums), *best_by_k(fits)], [2, 3], 0.01)[0],
    ):
        assert select.k == 3
        assert select.stability == 1.0
        labelled = with_clusters(frame, PLAIN, range(3), select.centroids)
        pairs = labelled.groupBy("planted", "cluster").count().collect()
        assert len(pairs) == 3
        assert {row["count"] for row in pairs} == {200}


@pytest.mark.parametrize("algorithm", ["kmeans", "bisecting"])
def test_a_sample_and_everybody_give_the_same_groups_and_figures(
    spark, tmp_path, algorithm
) -> None:
    frame = groups(spark)
    plan = Plan(algorithm, [3], 2, 20, 2)
    material = material_of(frame, 10_000, tmp_path)
    whole = sweep_everybody(material, plan, told)
    sampled = swept(material, plan, tmp_path)
    assert [fit.key for fit in whole] == [fit.key for fit in sampled] == [(3, 1), (3, 2)]
    for one, other in zip(whole, sampled, strict=True):
        for own, their in zip(sorted(one.centroids), sorted(other.centroids), strict=True):
            assert own == pytest.approx(their, abs=1e-3)
        assert one.wcss == pytest.approx(other.wcss, rel=1e-6)
        assert one.silhouette == pytest.approx(other.silhouette, abs=1e-6)
        assert (one.min_share, one.stability) == (other.min_share, other.stability)
        assert one.min_share == pytest.approx(1 / 3)
        assert one.iterations > 0
    assert [fit.wcss_all is None for fit in whole] == [fit.wcss_all is None for fit in sampled]


def test_everybody_gives_the_same_fit_for_any_layout(spark, tmp_path) -> None:
    frame = groups(spark)
    plan = Plan("kmeans", [5], 1, 20, 2)
    one = sweep_everybody(material_of(frame, 100, tmp_path), plan, told)[0]
    other = sweep_everybody(material_of(frame.repartition(7), 100, tmp_path), plan, told)[0]
    assert one.centroids == other.centroids
    assert one.wcss == other.wcss


def test_fits_are_the_same_for_any_layout_of_the_customers(spark, tmp_path) -> None:
    frame = groups(spark)
    plan = Plan("kmeans", [4, 7], 2, 20, 2)
    one = swept(material_of(frame, 200, tmp_path), plan, tmp_path)
    other = swept(material_of(frame.repartition(9), 200, tmp_path), plan, tmp_path)
    strip = [(f.key, f.centroids, f.wcss, f.wcss_all, f.silhouette, f.stability) for f in one]
    assert strip == [
        (f.key, f.centroids, f.wcss, f.wcss_all, f.silhouette, f.stability) for f in other
    ]


def test_figures_of_a_fit_are_those_of_other_libraries(spark, tmp_path) -> None:
    frame = groups(spark, 60)
    material = material_of(frame, 10_000, tmp_path)
    for fit in swept(material, Plan("kmeans", [2, 4], 2, 20, 2), tmp_path):
        rows = with_clusters(frame, PLAIN, range(fit.k), fit.centroids).collect()
        points = [(row["x"], row["y"]) for row in rows]
        labels = [row["cluster"] for row in rows]
        squared = silhouette_score(points, labels, metric="sqeuclidean")
        assert fit.silhouette == pytest.approx(squared, abs=1e-4)  # the points are on a grid
        cost = wcss_over_all(frame, PLAIN, {0: fit.centroids}, most=1e6)[0]
        assert fit.wcss == pytest.approx(cost, rel=1e-6)
        assert fit.wcss_all in {None, fit.wcss}
        sizes = np.bincount(labels)
        assert fit.min_share == pytest.approx(sizes.min() / sizes.sum())


def test_the_best_of_near_ties_is_the_one_that_costs_all_customers_least(spark, tmp_path) -> None:
    """Half of the customers stand for all, and their favourites are not always the best."""
    frame = groups(spark)
    true = material_of(frame, 10_000, tmp_path)
    half = Material(frame, PLAIN, true.sums, None, true.points, true.rows[::2].copy())
    fits = sweep_sample(half, Plan("kmeans", [4, 5, 6, 7, 8], 4, 20, 2), told)
    changed = 0
    for fit in over_all_customers(half, fits):
        if fit.wcss_all is None:
            continue
        favourite = min((f for f in fits if f.k == fit.k), key=lambda f: f.wcss).centroids
        sets = {"own": fit.centroids, "favourite": favourite}
        costs = wcss_over_all(frame, PLAIN, sets, most=1e6)
        assert fit.wcss_all == costs["own"] <= costs["favourite"]
        changed += fit.wcss_all < costs["favourite"]
    assert changed


def test_the_fits_are_as_good_as_ten_starts_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    points = cloud(random)
    weights = random.uniform(0.5, 20, len(points))
    sample = Sample.of(points, weights)
    for k in (2, 5, 9):
        best = min(lloyd.solutions(sample, k, seed, 100)[0].cost for seed in (1, 2, 3))
        reference = ScikitKMeans(k, n_init=10, random_state=1).fit(points, sample_weight=weights)
        assert best <= reference.inertia_ * 1.003


def test_heavily_tied_points_are_clustered_as_well() -> None:
    """Scores from 1 to 5: 625 points at most, and many nearly equal solutions."""
    random = np.random.default_rng(5)
    hidden = random.normal(size=(20_000, 1))
    scores = np.clip(np.round(3 + hidden + 0.9 * random.normal(size=(20_000, 4))), 1, 5)
    sample = Sample.of(scores, np.ones(len(scores)))
    assert len(sample.merged) == sample.distinct < 700
    assert sample.merged.weights.sum() == 20_000
    for k in (3, 6, 10):
        best = min(lloyd.solutions(sample, k, seed, 40)[0].cost for seed in (1, 2, 3))
        reference = ScikitKMeans(k, n_init=10, random_state=1).fit(scores)
        assert best <= reference.inertia_ * 1.003


def test_solutions_of_a_seed_differ_and_the_cheaper_comes_first() -> None:
    sample = Sample.of(cloud(np.random.default_rng(8)), np.ones(3_000))
    found = [lloyd.solutions(sample, 8, seed, 40) for seed in range(1, 7)]
    assert max(len(solutions) for solutions in found) == 2
    for solutions in found:
        costs = [solution.cost for solution in solutions]
        assert costs == sorted(costs)
        for one in solutions:
            assert one.cost == pytest.approx(lloyd.cost_of(sample, one.centroids))
    assert lloyd.solutions(sample, 8, 1, 40) == found[0]


def test_spark_ml_ends_where_the_driver_does(spark) -> None:
    """Lloyd's steps from Spark ML's own centroids find nothing left to improve."""
    points = cloud(np.random.default_rng(1), 500)
    rows = [(*map(float, point), 1.0) for point in points]
    frame = spark.createDataFrame(rows, "x double, y double, z double, weight double").coalesce(1)
    vectors = stages.VectorAssembler(inputCols=["x", "y", "z"], outputCol="scaled").transform(frame)
    fitted = KMeans(featuresCol="scaled", k=4, seed=1, maxIter=100, tol=0.0).fit(vectors)
    sample = Sample.of(points, np.ones(len(points)))
    own = lloyd.cost_of(sample, [tuple(c) for c in fitted.clusterCenters()])
    assert own == pytest.approx(fitted.summary.trainingCost)
    assert min(lloyd.solutions(sample, 4, s, 100)[0].cost for s in (1, 2, 3)) <= own * 1.0001


def test_few_distinct_points_are_clusters_of_their_own() -> None:
    points = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 7.0]] * 2_000 + [[9.0, 9.0]])
    sample = Sample.of(points, np.ones(len(points)))
    assert sample.distinct == 4
    first = lloyd.solutions(sample, 4, 1, 40)[0]
    assert sorted(first.centroids) == [(0.0, 0.0), (0.0, 7.0), (5.0, 0.0), (9.0, 9.0)]
    assert first.cost == 0.0


def test_a_centroid_without_points_moves_to_where_it_is_needed() -> None:
    points = np.array([[0.0], [1.0], [10.0], [11.0]])
    sample = Sample.of(points, np.ones(4))
    start = np.array([[0.5], [500.0]])
    centroids, _, _ = lloyd._lloyd(sample, start, 10, 1e-4)
    assert sorted(centroids[:, 0]) == [0.5, 10.5]


def test_silhouettes_are_those_of_spark_ml(spark) -> None:
    random = np.random.default_rng(2)
    points, weights = cloud(random, 300), random.uniform(0.5, 9, 300)
    points[:5] = points[5]
    labels = random.integers(0, 4, 300)
    labels[7] = 4  # a cluster of one
    rows = [
        (*map(float, point), float(weight), float(label))
        for point, weight, label in zip(points, weights, labels, strict=True)
    ]
    schema = "x double, y double, z double, weight double, label double"
    assembler = stages.VectorAssembler(inputCols=["x", "y", "z"], outputCol="scaled")
    vectors = assembler.transform(spark.createDataFrame(rows, schema))
    own = lloyd.silhouette(Sample.of(points, weights), labels)
    assert own == pytest.approx(stages.silhouette(vectors, "label"), abs=1e-8)


def test_nearest_goes_to_the_lowest_number_on_a_tie() -> None:
    sample = Sample.of(np.array([[0.0], [4.0], [5.0]]), np.ones(3))
    labels, cost = lloyd.nearest(sample, [(0.0,), (10.0,)])
    assert (labels.tolist(), cost.tolist()) == ([0, 0, 0], [0.0, 16.0, 25.0])


def test_spark_ml_that_finds_fewer_clusters_is_not_believed(spark, tmp_path) -> None:
    frame = spark.range(40).select(
        F.col("id").alias("customer_id"),
        (F.col("id") % 2).cast("double").alias("x"),
        F.lit(0.0).alias("y"),
    )
    material = material_of(frame, 100, tmp_path)
    for algorithm in ("kmeans", "bisecting"):
        fits = sweep_everybody(material, Plan(algorithm, [2, 3], 1, 10, 1), told)
        assert [fit.k for fit in fits] == [2]
    assert [f.k for f in sweep_sample(material, Plan("bisecting", [2, 3], 1, 10, 1), told)] == [2]


def test_agreement_of_labellings() -> None:
    def index(one, other, weights=None):
        weights = np.ones(len(one)) if weights is None else weights
        return adjusted_rand_index(contingency(np.array(one), np.array(other), weights))

    assert index([0, 0, 1, 1], [1, 1, 0, 0]) == 1.0
    assert index([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(-0.5)
    assert index([0], [0]) == 1.0
    random = np.random.default_rng(1)
    for _ in range(20):
        a, b = random.integers(0, 4, 50), random.integers(0, 3, 50)
        assert index(a, b) == pytest.approx(adjusted_rand_score(a, b))
        twice = adjusted_rand_score(np.repeat(a, 2), np.repeat(b, 2))
        assert index(a, b, np.full(50, 2.0)) == pytest.approx(twice)


@pytest.mark.slow
@pytest.mark.usefixtures("generated_code")
def test_a_million_customers_are_fitted_as_well_as_on_all_rows(spark, tmp_path) -> None:
    """WCSS within 0.5 % of scikit-learn's best of ten, silhouettes within 0.01 of all rows."""
    path = str(tmp_path / "customers")
    made(spark, 1_000_000).write.parquet(path)
    customers = spark.read.parquet(path)
    sums = moments(customers, FEATURES, "log1p", 0)
    space = scaled_space(FEATURES, "log1p", 0, sums, scale=True)
    material = material_of(customers, 50_000, tmp_path, space)
    assert 40_000 < len(material.rows) < 60_000
    ks = [2, 5, 10]
    fits = best_by_k(swept(material, Plan("kmeans", ks, 3, 40, 2), tmp_path))
    assert [fit.k for fit in fits] == ks
    rows = customers.select(*space.scaled()).toPandas().to_numpy()
    for fit in fits:
        best = ScikitKMeans(fit.k, n_init=10, random_state=3).fit(rows).inertia_
        assert fit.wcss_all <= best * 1.005
        assert fit.wcss_all == pytest.approx(fit.wcss, rel=0.02)
        cost = lloyd.cost_of(Sample.of(rows, np.ones(len(rows))), fit.centroids)
        assert fit.wcss_all == pytest.approx(cost, rel=1e-6)
        if fit.k == 5:
            frame = in_space(customers, space).select(
                "*", nearest_place(scaled_of(space), fit.centroids).cast("double").alias("label")
            )
            assembler = stages.VectorAssembler(inputCols=scaled_names(space), outputCol="scaled")
            vectors = assembler.transform(frame.withColumn("weight", F.lit(1.0)))
            assert fit.silhouette == pytest.approx(stages.silhouette(vectors, "label"), abs=0.01)


def scaled_of(space):
    return [F.col(name) for name in scaled_names(space)]
