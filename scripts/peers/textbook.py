"""PySpark as textbooks write it, and exact: no trick, and no carelessness either.

Filters with counts, dropDuplicates, one groupBy with countDistinct, exact percentiles, then for
every k a pipeline of KMeans and ClusteringEvaluator on all rows, with the features cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from deltalake import DeltaTable
from pyspark.ml import Pipeline
from pyspark.ml.clustering import KMeans, KMeansModel
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from peers.arguments import parser_of
from peers.result import BINS, FEATURES, MIN_SHARE, SCORES, Fitted, Result, Stopwatch
from rfm_spark.session import spark_session


def main(arguments: Sequence[str] | None = None) -> None:
    """Do the work, and write labels and ``result.json`` to --out."""
    asked = parser_of(__doc__).parse_args(arguments)
    watch = Stopwatch()
    with spark_session("textbook", verbose=True) as spark:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        log = spark.read.parquet(str(asked.log)).where(F.col("log_date") < asked.snapshot_date)
        with watch.step("features"):
            accepted, counts = cleaned(log)
            customers = features(accepted, asked.snapshot_date).cache()
            kept: Any = customers.agg(F.sum("lines")).first()
            counts["duplicate"] -= kept[0]
        with watch.step("scores"):
            edges = cut(customers)
        with watch.step("clusters"):
            missing = (asked.snapshot_date - asked.first_day).days
            vectors, stages = prepared(customers, missing)
            space = stages[-1]
            means, stds = space.mean.toArray().tolist(), space.std.toArray().tolist()
            ks = range(asked.k[0], asked.k[1] + 1)
            fits, chosen, model = swept(vectors, space, ks, asked.seed)
        with watch.step("labels"):
            labelled = model.transform(vectors).withColumnRenamed("prediction", "cluster")
            wanted = ("customer_id", *FEATURES, *SCORES.values(), "cluster")
            scored(labelled, edges).select(*wanted).write.format("delta").save(
                str(asked.out / "labels")
            )
    files = list(DeltaTable(str(asked.out / "labels")).file_uris())
    cut_on = str(asked.snapshot_date)
    result = Result(counts, edges, cut_on, fits, chosen, means, stds, watch.seconds, files)
    result.save(asked.out / "result.json")


def cleaned(log: DataFrame) -> tuple[DataFrame, dict[str, int]]:
    """Rows that can be used, each once, and how many of the others there were.

    The count of duplicates is that of usable rows: what is kept is taken off once it is known.
    """
    has_id, has_amount = F.col("user_id").isNotNull(), F.col("amount").isNotNull()
    counted: Any = log.agg(
        F.count("*"), F.count_if(~has_id), F.count_if(has_id & ~has_amount)
    ).first()
    read, without_id, without_amount = counted
    counts = {
        "read": read,
        "missing_customer_id": without_id,
        "missing_amount": without_amount,
        "duplicate": read - without_id - without_amount,
    }
    return log.where(has_id & has_amount).dropDuplicates(), counts


def features(accepted: DataFrame, snapshot_date: date) -> DataFrame:
    """A row per customer; refunds reduce money, and are no orders."""
    is_purchase = F.col("amount") >= 0
    last = F.max(F.when(is_purchase, F.to_date("ordered_at")))
    return accepted.groupBy(F.col("user_id").alias("customer_id")).agg(
        F.datediff(F.lit(snapshot_date), last).alias("recency_days"),
        F.countDistinct(F.when(is_purchase, F.col("order_id"))).alias("orders"),
        F.sum("amount").alias("monetary"),
        F.count("*").alias("lines"),
    )


def cut(customers: DataFrame) -> dict[str, list[float]]:
    """Edge j of n is the smallest value with at least j/n of the customers at or below it."""
    bought = customers.where(F.col("recency_days").isNotNull())
    quantiles = [
        F.expr(f"percentile_disc({j / BINS}) WITHIN GROUP (ORDER BY {name})")
        for name in FEATURES
        for j in range(1, BINS)
    ]
    found: Any = bought.agg(*quantiles).first()
    edges = [float(edge) for edge in found]
    step = BINS - 1
    return {name: edges[step * n : step * (n + 1)] for n, name in enumerate(FEATURES)}


def scored(customers: DataFrame, edges: dict[str, list[float]]) -> DataFrame:
    """Add the scores; who never bought scores 1."""
    scores = {}
    for name, score in SCORES.items():
        above: Column = F.lit(0)
        for edge in edges[name]:
            above = above + (F.col(name).cast("double") > edge).cast("int")
        ascending = BINS - above if name == "recency_days" else above + 1
        scores[score] = F.when(F.col("recency_days").isNull(), 1).otherwise(ascending)
    return customers.withColumns(scores)


def prepared(customers: DataFrame, missing_recency: int) -> tuple[DataFrame, list[Any]]:
    """Customers with a vector of log1p features, standardised, cached; and the fitted stages."""
    filled = {
        f"log_{name}": F.signum(value) * F.log1p(F.abs(value))
        for name in FEATURES
        for value in [F.coalesce(F.col(name).cast("double"), F.lit(float(missing_recency)))]
    }
    customers = customers.withColumns(filled)
    assembler = VectorAssembler(inputCols=list(filled), outputCol="assembled")
    scaler = StandardScaler(inputCol="assembled", outputCol="features", withMean=True, withStd=True)
    pipeline = Pipeline(stages=[assembler, scaler]).fit(customers)
    vectors = pipeline.transform(customers).drop("assembled").cache()
    return vectors, pipeline.stages


def swept(
    vectors: DataFrame, space: Any, ks: range, seed: int
) -> tuple[dict[int, Fitted], int, KMeansModel]:
    """Fit and judge every k on all rows.

    Returns:
        What came out by k, the chosen k, and its model.
    """
    fits: dict[int, Fitted] = {}
    best: tuple[float, int, KMeansModel] | None = None
    for k in ks:
        model = KMeans(featuresCol="features", k=k, seed=seed).fit(vectors)
        silhouette = ClusteringEvaluator(featuresCol="features").evaluate(model.transform(vectors))
        means, stds = space.mean.toArray(), space.std.toArray()
        centroids = [(center * stds + means).tolist() for center in model.clusterCenters()]
        fits[k] = Fitted(float(model.summary.trainingCost), silhouette, centroids)
        print(f"k = {k}: silhouette {silhouette:.4f}", flush=True)
        sizes = model.summary.clusterSizes
        if min(sizes) >= MIN_SHARE * sum(sizes) and (best is None or silhouette > best[0]):
            best = (silhouette, k, model)
    if best is None:
        raise SystemExit(f"every k of {list(ks)} has a cluster below {MIN_SHARE:.0%}")
    return fits, best[1], best[2]


if __name__ == "__main__":
    main()
