"""What training writes: score edges, the sweep over k, models."""

from __future__ import annotations

from rfm_spark.schemas.fields import Field, Table, count, key, share

SCORE_THRESHOLDS = Table(
    "score_thresholds",
    "one row per thresholds version, metric and score",
    (
        key("thresholds_version", "string"),
        key("metric", "string", "recency, frequency, monetary or aum"),
        key("score", "int", "1 to the number of bins, the highest best", ">= 1"),
        Field("lower", "double", "values above this (method r: from this on); null: no edge"),
        Field("upper", "double", "values up to this, included (method r: not); null: no edge"),
        Field("lower_customer_id", "string", "rank, ntile: of those at lower, ids above this one"),
        Field("upper_customer_id", "string", "rank, ntile: of those at upper, ids up to this one"),
        Field("feature", "string", "the column that plays the role"),
        Field("weight", "double", "weight of this score in rfm_score"),
        Field("method", "string", "value, qcut, rank, ntile, r or fixed"),
        key("snapshot_date", "date", "date the edges were cut on"),
        count("customers", "customers with a purchase, over whom they were cut"),
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
        key("k", "int", check=">= 1"),
        key("seed", "int"),
        Field(
            "wcss",
            "double",
            "weighted within-cluster sum of squares of what was fitted",
            check=">= 0",
        ),
        Field("wcss_all", "double", "the same over all customers, for the best seed of each k"),
        Field("silhouette", "double", "of squared distances, of what was fitted; null for k = 1"),
        share("min_share", "share of the smallest cluster, by weight"),
        Field("iterations", "int", "Lloyd steps"),
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
        Field("k", "int", check=">= 1"),
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
        Field("wcss_all", "double", "within-cluster sum of squares over all customers, scaled"),
        Field("silhouette", "double"),
        Field("seed", "int"),
        Field("chosen_because", "string"),
        count("customers"),
        count("coreset_rows"),
        Field(
            "matched_to",
            "array<struct<cluster:int,previous_version:string,previous_cluster:int,"
            "distance:double,kept_share:double>>",
            "clusters that continue one of the model before: how far the centroid moved in its "
            "scaling, and the share of its members who are still in the cluster",
        ),
        Field("retired_clusters", "array<int>", "clusters of the model before without successor"),
        Field("agreement", "double", "adjusted Rand index to the labels of the model before"),
        Field("feature_means", "array<double>", "of the transformed features, also if not scaled"),
        Field("feature_stds", "array<double>", "sample standard deviations of the same"),
        Field("lowest", "array<double>", "smallest transformed value of each feature"),
        Field("highest", "array<double>", "largest transformed value of each feature"),
        Field("bin_edges", "array<array<double>>", "deciles of each transformed feature"),
        Field("bin_shares", "array<array<double>>", "share of customers up to each, and above"),
        Field("config_hash", "string", "changes with features, transform, scale and algorithm"),
        Field("pipeline_path", "string", "the fitted Spark ML PipelineModel"),
    ),
    ("snapshot_date",),
)

DRIFT = Table(
    "drift",
    "one row per snapshot date, model version and feature",
    (
        key("snapshot_date", "date"),
        key("model_version", "string"),
        key("feature", "string", "one of the model's"),
        Field("psi", "double", "population stability index over the deciles at the fit"),
        Field("mean", "double", "of the transformed feature, now"),
        Field("std", "double", "sample standard deviation of the same"),
        Field("mean_at_fit", "double"),
        Field("std_at_fit", "double"),
        share("outside_share", "customers beyond the range of the fit, in this feature"),
        Field("wcss_ratio", "double", "WCSS per customer over that at the fit, all features"),
        count("customers"),
        Field("alarm", "boolean", "psi or wcss_ratio is above the configured limit"),
    ),
    ("snapshot_date",),
)
