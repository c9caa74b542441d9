"""What training writes: score edges, the sweep over k, models."""

from __future__ import annotations

from rfm_spark.schemas.fields import Field, Table, key

SCORE_THRESHOLDS = Table(
    "score_thresholds",
    "one row per thresholds version, metric and score",
    (
        key("thresholds_version", "string"),
        key("metric", "string", "recency, frequency, monetary or aum"),
        key("score", "int", "1 to the number of bins, the highest best"),
        Field("lower", "double", "values above this (method r: from this on); null: no edge"),
        Field("upper", "double", "values up to this, included (method r: not); null: no edge"),
        Field("lower_customer_id", "string", "rank, ntile: of those at lower, ids above this one"),
        Field("upper_customer_id", "string", "rank, ntile: of those at upper, ids up to this one"),
        Field("feature", "string", "the column that plays the role"),
        Field("weight", "double", "weight of this score in rfm_score"),
        Field("method", "string", "value, qcut, rank, ntile, r or fixed"),
        key("snapshot_date", "date", "date the edges were cut on"),
        Field("customers", "bigint", "customers with a purchase, over whom they were cut"),
        Field("scoring_hash", "string", "changes with roles, bins or methods"),
        Field("use_hash", "string", "changes with the rule map or the weights"),
        Field("rules", "string", "name of the rule map in force"),
        Field("rules_hash", "string"),
        Field("rules_map", "string", "the whole rule map as JSON"),
    ),
    ("snapshot_date",),
)

K_SWEEP = Table(
    "k_sweep",
    "one row per model version, k and seed",
    (
        key("model_version", "string"),
        key("snapshot_date", "date"),
        key("k", "int"),
        key("seed", "int"),
        Field("wcss", "double", "weighted within-cluster sum of squares on the coreset"),
        Field("wcss_all", "double", "the same over all customers, for the best seed of each k"),
        Field("silhouette", "double", "Spark's, of squared distances, on the scaled features"),
        Field("min_share", "double", "share of the smallest cluster in the coreset's weight"),
        Field("iterations", "int"),
        Field("seconds", "double"),
        Field("stability", "double", "mean adjusted Rand index to the other seeds of this k"),
        Field("chosen", "boolean"),
    ),
    ("snapshot_date",),
)

MODELS = Table(
    "models",
    "one row per model version",
    (
        key("model_version", "string"),
        key("snapshot_date", "date", "date whose features it was fitted on"),
        Field("algorithm", "string"),
        Field("k", "int"),
        Field("features", "array<string>", "columns, in the order of all vectors below"),
        Field("transform", "string", "log1p: sign(x) * log(1 + |x|); none"),
        Field("scale", "string"),
        Field("missing_recency", "int", "recency of a customer without purchase and without start"),
        Field("means", "array<double>", "of the transformed features"),
        Field("stds", "array<double>", "sample standard deviations of the same"),
        Field("cluster_numbers", "array<int>", "cluster of each row of the arrays below"),
        Field("centroids", "array<array<double>>", "scaled"),
        Field("centroids_natural", "array<array<double>>", "in the features' own units"),
        Field("cluster_names", "array<string>"),
        Field("cluster_ranks", "array<int>", "1 = highest mean rfm_score"),
        Field("cluster_actions", "array<string>"),
        Field("wcss_all", "double"),
        Field("silhouette", "double"),
        Field("seed", "int"),
        Field("customers", "bigint"),
        Field("coreset_rows", "bigint"),
        Field("matched_to", "string", "previous version and cluster of each cluster"),
        Field("config_hash", "string", "changes with the clustering settings"),
        Field("pipeline_path", "string", "the fitted Spark ML PipelineModel"),
    ),
    ("snapshot_date",),
)
