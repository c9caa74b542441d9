"""Labelled customers and what their segments are like."""

from __future__ import annotations

from collections.abc import Iterable

from rfm_spark.schemas.features import customer_features
from rfm_spark.schemas.fields import KIND, Field, Table, count, key, money, score, share

KINDS = {"rfm": "rfm_segment", "cluster": "cluster_segment"}
"""Kind of segment to the column of ``customer_segments`` that holds it."""


def customer_segments(id_type: str, features: Iterable[Field]) -> Table:
    """Scores, rule segment and cluster of every customer."""
    return Table(
        "customer_segments",
        "one row per snapshot date and customer",
        (
            key("snapshot_date", "date"),
            key("customer_id", id_type),
            *features,
            score("r_score"),
            score("f_score"),
            score("m_score"),
            score("a_score", "null unless a feature plays the role aum"),
            Field("rfm_cell", "string", "the scores as a code, as in 543"),
            Field("rfm_score", "double", "weighted mean of the scores"),
            Field("rfm_segment", "string"),
            Field("cluster", "int"),
            Field("cluster_segment", "string"),
            Field("distance", "double", "to the own centroid, in scaled units", check=">= 0"),
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


def segment_profiles(scale: int, features: Iterable[str], attributes: Iterable[str] = ()) -> Table:
    """What each segment is like, in numbers and in words."""
    return Table(
        "segment_profiles",
        "one row per snapshot date, kind and segment",
        (
            key("snapshot_date", "date"),
            KIND,
            key("segment", "string"),
            Field("rank", "int", "1 = best", check=">= 1"),
            count("customers", "in the segment"),
            share("share", "of all customers, 0 to 1"),
            Field("revenue", money(scale), "sum of monetary, in the configured currency"),
            Field("revenue_share", "double", "of all revenue; null when that is not positive"),
            Field(
                "pareto_customers",
                "bigint",
                "of the customers who together bring 80 % of all revenue, those in this segment; "
                "null when revenue is not positive",
            ),
            Field("marketing_action", "string", "what to do, from the rule map"),
            Field("insight", "string", "how the segment differs from the average customer"),
            *(
                Field(f"{statistic}_{feature}", "double", f"{statistic} of {feature}; exact")
                for feature in features
                for statistic in ("mean", "median")
            ),
            *(
                Field(f"shares_{name}", "map<string,double>", f"share of each {name}; adds up to 1")
                for name in attributes
            ),
        ),
        ("snapshot_date",),
    )


SEGMENT_EVENTS = Table(
    "segment_events",
    "one row per snapshot date, kind, segment and target event",
    (
        key("snapshot_date", "date"),
        KIND,
        key("segment", "string"),
        key("event", "string"),
        count("segment_customers", "customers in the segment"),
        count("customers", "of these, with the event in the window"),
        share("rate", "customers / segment_customers"),
        Field("rate_lower", "double", "95 % interval of the rate (Wilson)"),
        Field("rate_upper", "double"),
        Field("lift", "double", "rate / rate of all customers"),
        Field("lift_lower", "double", "95 %: rate_lower / rate of all customers"),
        Field("lift_upper", "double"),
    ),
    ("snapshot_date",),
)

SEGMENT_SEPARATION = Table(
    "segment_separation",
    "one row per snapshot date, kind and feature or attribute",
    (
        key("snapshot_date", "date"),
        KIND,
        key("feature", "string", "feature or attribute"),
        Field("measure", "string", "eta_squared (features) or cramers_v (attributes)"),
        Field(
            "value", "double", "0: segments tell nothing of it; 1: they tell all; null: constant"
        ),
        count("customers", "with a value"),
    ),
    ("snapshot_date",),
)
