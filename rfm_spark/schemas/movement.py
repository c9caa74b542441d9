"""Who moved between two snapshot dates, and what the base is worth."""

from __future__ import annotations

from rfm_spark.schemas.fields import Field, Table, key, money


def segment_migrations(scale: int) -> Table:
    """The migration matrix between two dates, new and departed customers included."""
    return Table(
        "segment_migrations",
        "one row per snapshot date, previous snapshot date, kind and pair of segments",
        (
            key("snapshot_date", "date"),
            key("previous_snapshot_date", "date", "the date compared with"),
            key("kind", "string", "rfm or cluster"),
            Field("from_segment", "string", "at the previous date; null: new customers"),
            Field("to_segment", "string", "at this date; null: departed customers"),
            Field("customers", "bigint"),
            Field("revenue", money(scale), "their net money from the previous date to this one"),
            Field(
                "by_behaviour",
                "bigint",
                "customers whom the previous edges, rule map and model put where they are now; "
                "departed ones; null: those are no longer stored",
            ),
            Field("by_recut", "bigint", "customers whom they would have put elsewhere"),
        ),
        ("snapshot_date",),
    )


SEGMENT_STABILITY = Table(
    "segment_stability",
    "one row per snapshot date, previous snapshot date and kind",
    (
        key("snapshot_date", "date"),
        key("previous_snapshot_date", "date", "the date compared with"),
        key("kind", "string", "rfm or cluster"),
        Field("new_customers", "bigint", "at this date only"),
        Field("departed_customers", "bigint", "at the previous date only"),
        Field("customers", "bigint", "at both dates"),
        Field("kept", "bigint", "of these, in the same segment"),
        Field("kept_share", "double", "kept / customers; null without any"),
        Field("agreement", "double", "adjusted Rand index of the two labellings; null without any"),
        Field("by_recut", "bigint", "at this date, elsewhere by the previous edges or model"),
    ),
    ("snapshot_date",),
)


def segment_outlook(scale: int) -> Table:
    """Sizes, revenue and value of the segments, if customers go on moving as they did."""
    return Table(
        "segment_outlook",
        "one row per snapshot date, kind, segment and period",
        (
            key("snapshot_date", "date"),
            key("kind", "string", "rfm or cluster"),
            key("segment", "string"),
            key("period", "int", "0: the present; a period is as long as the dates lie apart"),
            Field("previous_snapshot_date", "date", "the migrations are those since this date"),
            Field("customers", "double", "expected size, without new customers"),
            Field("revenue", money(scale), "of that period"),
            Field("discounted_revenue", money(scale), "revenue / (1 + discount_rate) ^ period"),
            Field(
                "customer_value",
                "double",
                "discounted revenue of periods 1 to this one of a customer now in this segment",
            ),
        ),
        ("snapshot_date",),
    )
