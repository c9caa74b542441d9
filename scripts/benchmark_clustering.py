"""Time the sweep over k beside scikit-learn and Spark ML, on the same customers, in one run.

Four features of made-up customers, log1p and standardised. What is timed:

- rfm_spark: measuring the features, drawing the coreset, every fit, the WCSS over all customers,
  all silhouettes;
- scikit-learn: KMeans(n_init=1) for every k on all rows, which are in memory already, transformed
  and scaled; no silhouettes;
- Spark ML: KMeans on all rows for k = 4, already transformed, scaled and cached; times the number
  of k it stands for the sweep.

How good the fits are is measured over all customers, against scikit-learn's best of --starts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.ml.clustering import KMeans
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.cluster import KMeans as ScikitKMeans

from rfm_spark.clustering import stages
from rfm_spark.clustering.coreset import (
    WEIGHT,
    coreset,
    in_order,
    point_columns,
    transformed_points,
)
from rfm_spark.clustering.fits import Fit, Plan
from rfm_spark.clustering.material import Material
from rfm_spark.clustering.model import nearest_place
from rfm_spark.clustering.sample_sweep import judged, over_all_customers, sweep_sample
from rfm_spark.clustering.space import moments, scaled_space

FEATURES = ("recency_days", "orders", "monetary", "aum_per_day")
SPARK_K = 4


def main() -> None:
    """Make customers, time the three, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--customers", type=int, default=5_000_000)
    parser.add_argument("--k", type=int, nargs=2, default=(2, 10), metavar=("FROM", "TO"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--coreset-size", type=int, default=50_000)
    parser.add_argument("--starts", type=int, default=10, help="of scikit-learn; 0: not compared")
    parser.add_argument("--no-spark-ml", action="store_true", help="leave Spark ML out")
    parser.add_argument("--silhouettes", action="store_true", help="compare them on all rows too")
    asked = parser.parse_args()
    ks = list(range(asked.k[0], asked.k[1] + 1))
    spark = SparkSession.builder.appName("benchmark of clustering").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/customers"
        made(spark, asked.customers).write.parquet(path)
        customers = spark.read.parquet(path)
        plan = Plan("kmeans", ks, asked.seeds, 40, os.cpu_count() or 1)
        print(f"{asked.customers:,} customers, k = {ks[0]} to {ks[-1]}, {asked.seeds} seeds")
        material, fits, ours = swept(customers, plan, asked.coreset_size, folder)
        theirs, points = scikit(path, ks)
        print(f"rfm_spark: {ours:.1f} s; scikit-learn: {theirs:.1f} s; ratio {ours / theirs:.2f}")
        if not asked.no_spark_ml:
            once = spark_ml(material)
            swept_by_spark = once * len(ks)
            print(
                f"Spark ML, k = {SPARK_K}: {once:.1f} s, so {swept_by_spark:.0f} s for {len(ks)} k "
                f"with one start; ratio {swept_by_spark / ours:.1f}"
            )
        compared(material, fits, points, asked)
    spark.stop()


def made(spark: SparkSession, customers: int) -> DataFrame:
    """Five overlapping groups with ties and long tails; a third hold nothing."""

    def uniform(seed: int) -> Any:
        return (F.pmod(F.xxhash64("id", F.lit(seed)), F.lit(1 << 40)) + 0.5) / F.lit(2.0**40)

    def normal(seed: int) -> Any:
        return F.sqrt(-2 * F.log(uniform(seed))) * F.cos(2 * np.pi * uniform(seed + 100))

    levels = F.array(*(F.lit(level) for level in (1.0, 2.0, 3.2, 4.0, 5.3)))
    level = F.element_at(levels, F.floor(uniform(1) * 5).cast("int") + 1)
    return spark.range(customers).select(
        F.col("id").alias("customer_id"),
        F.greatest(F.lit(1), F.floor(F.exp(5.5 - 0.6 * level + 0.8 * normal(2))))
        .cast("int")
        .alias("recency_days"),
        F.greatest(F.lit(1), F.floor(F.exp(0.5 * level + 0.7 * normal(3) - 0.5))).alias("orders"),
        F.exp(3 + 0.7 * level + normal(4)).cast("decimal(28,2)").alias("monetary"),
        F.when(uniform(5) < 0.35, 0.0)
        .otherwise(F.exp(1 + 0.3 * level + 1.5 * normal(6)))
        .alias("aum_per_day"),
        F.lit(100).alias("tenure_days"),
    )


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long something took."""
    start = time.monotonic()
    yield
    print(f"  {what}: {time.monotonic() - start:.1f} s", flush=True)


def swept(
    customers: DataFrame, plan: Plan, size: int, folder: str
) -> tuple[Material, list[Fit], float]:
    """Our sweep, and its seconds from the first look at the features on."""
    spark, start = customers.sparkSession, time.monotonic()
    with timed("measuring the features"):
        sums = moments(customers, FEATURES, "log1p", 0)
    space = scaled_space(FEATURES, "log1p", 0, sums, scale=True)
    scaler = stages.fitted_scaler(spark, list(space.means), list(space.stds))
    with timed("drawing the coreset"):
        coreset(customers, space, sums, size=size).write.parquet(f"{folder}/coreset")
        points = in_order(spark.read.parquet(f"{folder}/coreset"), point_columns(space))
        rows = np.array([tuple(row) for row in points.collect()])
    material = Material(customers, space, sums, scaler, points, rows)
    with timed("fits"):
        fits = sweep_sample(material, plan, lambda what, done, total: None)
    with timed("WCSS over all customers"):
        fits = over_all_customers(material, fits)
    with timed("silhouettes"):
        fits = judged(material, fits, plan, f"{folder}/labels", lambda what, done, total: None)
    return material, fits, time.monotonic() - start


def scikit(path: str, ks: list[int]) -> tuple[float, Any]:
    """scikit-learn's seconds for one start per k, and the scaled points."""
    files = sorted(Path(path).glob("*.parquet"))
    customers = pd.concat([pd.read_parquet(file, columns=list(FEATURES)) for file in files])
    points = np.log1p(customers.astype(float).to_numpy())
    points = (points - points.mean(axis=0)) / points.std(axis=0, ddof=1)
    start = time.monotonic()
    for k in ks:
        ScikitKMeans(k, n_init=1, random_state=1).fit(points)
    return time.monotonic() - start, points


def spark_ml(material: Material) -> float:
    """Spark ML's seconds for one fit on all rows."""
    rows = transformed_points(material.customers, material.space)
    vectors = stages.scaled_vectors(rows, material.space, material.scaler).select(stages.SCALED)
    vectors = vectors.cache()
    vectors.count()
    start = time.monotonic()
    KMeans(featuresCol=stages.SCALED, k=SPARK_K, seed=1, maxIter=40).fit(vectors)
    seconds = time.monotonic() - start
    vectors.unpersist()
    return seconds


def compared(material: Material, fits: list[Fit], points: Any, asked: argparse.Namespace) -> None:
    """Print how far each k is from scikit-learn's best, and from the silhouette of all rows."""
    rows = transformed_points(material.customers, material.space, F.lit(1.0).alias(WEIGHT))
    vectors = stages.scaled_vectors(rows, material.space, material.scaler)
    scaled = material.space.scaled([F.col(name) for name in point_columns(material.space)])
    print("   k          WCSS  to best  silhouette  of all rows")
    for fit in fits:
        if fit.wcss_all is None:
            continue
        gap = whole = ""
        if asked.starts:
            best = ScikitKMeans(fit.k, n_init=asked.starts, random_state=7).fit(points)
            gap = f"{fit.wcss_all / best.inertia_ - 1:+.3%}"
        if asked.silhouettes:
            labels = nearest_place(scaled, fit.centroids).cast("double")
            whole = f"{stages.silhouette(vectors.withColumn('label', labels), 'label'):.4f}"
        print(
            f"{fit.k:4} {fit.wcss_all:13,.0f} {gap:>8} {fit.silhouette:11.4f} {whole:>12}",
            flush=True,
        )


if __name__ == "__main__":
    main()
