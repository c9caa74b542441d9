"""Labelled customers and what their segments are like."""

from __future__ import annotations

from collections.abc import Iterable

from rfm_spark.schemas.features import customer_features
from rfm_spark.schemas.fields import Field, Table, key, money


def customer_segments(id_type: str, features: Iterable[Field]) -> Table:
    """Scores, rule segment and cluster of every customer."""
    return Table(
        "customer_segments",
        "one row per snapshot date and customer",
        (
            key("snapshot_date", "date"),
            key("customer_id", id_type),
            *features,
            Field("r_score", "int"),
            Field("f_score", "int"),
            Field("m_score", "int"),
            Field("a_score", "int", "null unless a feature plays the role aum"),
            Field("rfm_cell", "string", "the scores as a code, as in 543"),
            Field("rfm_score", "double", "weighted mean of the scores"),
            Field("rfm_segment", "string"),
            Field("cluster", "int"),
            Field("cluster_segment", "string"),
            Field("distance", "double", "to the own centroid, in scaled units"),
            Field("margin", "double", "distance to the second nearest centroid minus distance"),
            Field("previous_rfm_segment", "string"),
            Field("rfm_segment_since", "date"),
            Field("previous_cluster_segment", "string"),
            Field("cluster_segment_since", "date"),
            Field("model_version", "string"),
            Field("thresholds_version", "string"),
        ),
        ("snapshot_date",),
    )


RESERVED_COLUMNS = (
    *customer_features("bigint", 2).columns,
    *customer_segments("bigint", ()).columns,
)
"""Names that extra features and attributes cannot have."""


def segment_profiles(scale: int, features: Iterable[str]) -> Table:
    """What each segment is like, in numbers."""
    return Table(
        "segment_profiles",
        "one row per snapshot date, kind and segment",
        (
            key("snapshot_date", "date"),
            key("kind", "string", "rfm or cluster"),
            key("segment", "string"),
            Field("rank", "int", "1 = best"),
            Field("customers", "bigint"),
            Field("share", "double", "of all customers"),
            Field("revenue", money(scale), "sum of monetary"),
            Field("revenue_share", "double", "of all revenue; null when that is not positive"),
            Field("marketing_action", "string"),
            Field("insight", "string"),
            *(
                Field(f"{statistic}_{feature}", "double", f"{statistic} of {feature}")
                for feature in features
                for statistic in ("mean", "median")
            ),
        ),
        ("snapshot_date",),
    )
