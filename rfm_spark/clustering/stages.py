"""The Spark ML stages: transform, VectorAssembler, StandardScaler, KMeans or BisectingKMeans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pyspark.ml import PipelineModel
from pyspark.ml.clustering import BisectingKMeans, KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import SQLTransformer, StandardScaler, VectorAssembler
from pyspark.sql import DataFrame, SparkSession

from rfm_spark.clustering.coreset import WEIGHT, point_columns
from rfm_spark.clustering.lloyd import on_grid
from rfm_spark.clustering.space import GRID, Space, grid_expressions

ASSEMBLED, SCALED = "assembled", "scaled"
_PLACE = "centroid"


def transformer(space: Space) -> SQLTransformer:
    """Adds the transformed features x_0 .. x_n to a row of ``customer_features``."""
    grids = grid_expressions(space.features, space.transform, space.missing_days)
    columns = ", ".join(
        f"{grid} / {GRID}D AS {name}"
        for grid, name in zip(grids, point_columns(space), strict=True)
    )
    return SQLTransformer(statement=f"SELECT *, {columns} FROM __THIS__")


def assembler(space: Space, *, scale: bool) -> VectorAssembler:
    """Puts the transformed features into one vector."""
    return VectorAssembler(
        inputCols=point_columns(space),
        outputCol=ASSEMBLED if scale else SCALED,
        handleInvalid="error",
    )


def fitted_scaler(spark: SparkSession, means: list[float], stds: list[float]) -> Any:
    """A StandardScaler fitted to given means and sample standard deviations.

    Fitted on the two points mean +- std / sqrt(2), whose mean and sample standard deviation are
    those given: a scaler fitted on the data itself would differ in its last bits with the layout
    of the data.
    """
    half = [std / 2**0.5 for std in stds]
    points = [
        tuple(mean + side * h for mean, h in zip(means, half, strict=True)) for side in (-1, 1)
    ]
    names = [f"x_{i}" for i in range(len(means))]
    rows = spark.createDataFrame(points, ", ".join(f"{name} double" for name in names))
    vectors = VectorAssembler(inputCols=names, outputCol=ASSEMBLED).transform(rows.coalesce(1))
    scaler = StandardScaler(inputCol=ASSEMBLED, outputCol=SCALED, withMean=True, withStd=True)
    return scaler.fit(vectors)


def fitted_centroids(
    vectors: DataFrame, algorithm: str, *, k: int, seed: int, max_iter: int
) -> tuple[tuple[tuple[float, ...], ...], int]:
    """Centroids and Lloyd steps of KMeans or BisectingKMeans.

    Args:
        vectors: Columns ``scaled`` and ``weight``.
        algorithm: kmeans or bisecting.
        k: Number of clusters; Spark ML may find fewer.
        seed: Of its draws.
        max_iter: Lloyd steps at most (of a hierarchy: for each division).

    Returns:
        Centroids on the grid of 1/65536; of a hierarchy, those of its leaves.
    """
    common: dict[str, Any] = {
        "featuresCol": SCALED,
        "weightCol": WEIGHT,
        "k": k,
        "seed": seed,
        "maxIter": max_iter,
    }
    if algorithm == "bisecting":
        model: Any = BisectingKMeans(**common).fit(vectors)
    else:
        # The solver `block` fails with an index out of bounds where it starts with fewer than k.
        model = KMeans(**common, tol=1e-4, solver="row").fit(vectors)
    centers = np.array([np.asarray(center) for center in model.clusterCenters()])
    return on_grid(centers), int(model.summary.numIter)


def silhouette(vectors: DataFrame, prediction: str) -> float:
    """Mean silhouette of squared Euclidean distances, weighted, to nine decimals.

    Args:
        vectors: Columns ``scaled``, ``weight`` and the labels, as doubles.
        prediction: The column of labels.
    """
    evaluator = ClusteringEvaluator(featuresCol=SCALED, weightCol=WEIGHT, predictionCol=prediction)
    return round(float(evaluator.evaluate(vectors)), 9)


def fitted_clusterer(spark: SparkSession, centroids: Sequence[Sequence[float]]) -> Any:
    """A KMeansModel with given centroids, in some order; None for a single one.

    Fitted on the centroids themselves: a random start of k among k points takes them all, and
    each is the mean of its own cluster.
    """
    if len(centroids) == 1:
        return None
    names = [f"x_{i}" for i in range(len(centroids[0]))]
    schema = ", ".join(f"{name} double" for name in names)
    rows = spark.createDataFrame([tuple(centroid) for centroid in centroids], schema)
    points = VectorAssembler(inputCols=names, outputCol=SCALED).transform(rows.coalesce(1))
    estimator = KMeans(
        featuresCol=SCALED,
        predictionCol=_PLACE,
        k=len(centroids),
        initMode="random",
        solver="row",
        maxIter=1,
        seed=1,
    )
    return estimator.fit(points)


def numbering(
    clusterer: Any | None, numbers: Sequence[int], centroids: Sequence[Sequence[float]]
) -> SQLTransformer:
    """Adds ``prediction``: the number of the cluster, whatever Spark ML's order of centroids."""
    if clusterer is None:
        return SQLTransformer(statement=f"SELECT *, {numbers[0]} AS prediction FROM __THIS__")
    known = {tuple(centroid): number for centroid, number in zip(centroids, numbers, strict=True)}
    centers = [tuple(float(x) for x in center) for center in clusterer.clusterCenters()]
    listed = ", ".join(str(known[center]) for center in centers)
    number = f"element_at(array({listed}), {_PLACE} + 1)"
    return SQLTransformer(statement=f"SELECT *, {number} AS prediction FROM __THIS__")


def pipeline_model(
    spark: SparkSession,
    space: Space,
    scaler: Any | None,
    numbers: Sequence[int],
    centroids: Sequence[Sequence[float]],
) -> PipelineModel:
    """The fitted pipeline for those who want Spark ML's own ``transform``.

    Args:
        spark: A session.
        space: Features and transform.
        scaler: A fitted StandardScaler; None where nothing is scaled.
        numbers: Of the clusters.
        centroids: Scaled, in the order of the numbers.
    """
    clusterer = fitted_clusterer(spark, centroids)
    stages = [transformer(space), assembler(space, scale=scaler is not None), scaler, clusterer]
    stages.append(numbering(clusterer, numbers, centroids))
    return PipelineModel([stage for stage in stages if stage is not None])


def scaled_vectors(points: DataFrame, space: Space, scaler: Any | None) -> DataFrame:
    """A coreset with the vector column ``scaled``."""
    vectors = assembler(space, scale=scaler is not None).transform(points)
    return scaler.transform(vectors) if scaler is not None else vectors
