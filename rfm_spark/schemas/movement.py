"""Who moved between two snapshot dates, and what the base is worth."""

from __future__ import annotations

from rfm_spark.schemas.fields import KIND, Field, Table, count, key, money, share


def segment_migrations(scale: int) -> Table:
    """The migration matrix between two dates, new and departed customers included."""
    return Table(
        "segment_migrations",
        "one row per snapshot date, previous snapshot date, kind and pair of segments",
        (
            key("snapshot_date", "date"),
            key("previous_snapshot_date", "date", "the date compared with"),
            KIND,
            Field("from_segment", "string", "at the previous date; null: new customers"),
            Field("to_segment", "string", "at this date; null: departed customers"),
            count("customers"),
            Field("revenue", money(scale), "their net money from the previous date to this one"),
            Field(
                "by_behaviour",
                "bigint",
                "customers whom the previous edges, rule map and model put where they are now; "
                "departed ones; null: those are no longer stored",
            ),
            count("by_recut", "customers whom they would have put elsewhere"),
        ),
        ("snapshot_date",),
    )


SEGMENT_STABILITY = Table(
    "segment_stability",
    "one row per snapshot date, previous snapshot date and kind",
    (
        key("snapshot_date", "date"),
        key("previous_snapshot_date", "date", "the date compared with"),
        KIND,
        count("new_customers", "at this date only"),
        count("departed_customers", "at the previous date only"),
        count("customers", "at both dates"),
        count("kept", "of these, in the same segment"),
        share("kept_share", "kept / customers; null without any"),
        Field("agreement", "double", "adjusted Rand index of the two labellings; null without any"),
        count("by_recut", "at this date, elsewhere by the previous edges or model"),
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
            KIND,
            key("segment", "string"),
            key(
                "period",
                "int",
                "0: the present; a period is as long as the dates lie apart",
                ">= 0",
            ),
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
