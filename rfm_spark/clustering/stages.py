"""The Spark ML stages: transform, VectorAssembler, StandardScaler, KMeans."""

from __future__ import annotations

from typing import Any

from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer, StandardScaler, VectorAssembler
from pyspark.sql import DataFrame, SparkSession

from rfm_spark.clustering.coreset import point_columns
from rfm_spark.clustering.space import GRID, Space, grid_expressions

ASSEMBLED, SCALED = "assembled", "scaled"


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
    vectors = VectorAssembler(inputCols=names, outputCol=ASSEMBLED).transform(rows.repartition(1))
    scaler = StandardScaler(inputCol=ASSEMBLED, outputCol=SCALED, withMean=True, withStd=True)
    return scaler.fit(vectors)


def pipeline_model(space: Space, scaler: Any | None, clusterer: Any | None) -> PipelineModel:
    """The fitted pipeline for those who want Spark ML's own ``transform``.

    Args:
        space: Features and transform.
        scaler: A fitted StandardScaler; None where nothing is scaled.
        clusterer: A fitted KMeansModel; None where there is only one cluster.
    """
    stages = [transformer(space), assembler(space, scale=scaler is not None), scaler, clusterer]
    return PipelineModel([stage for stage in stages if stage is not None])


def scaled_vectors(points: DataFrame, space: Space, scaler: Any | None) -> DataFrame:
    """A coreset with the vector column ``scaled``."""
    vectors = assembler(space, scale=scaler is not None).transform(points)
    return scaler.transform(vectors) if scaler is not None else vectors
