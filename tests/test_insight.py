"""Profiles and words."""

from decimal import Decimal

import pytest

from rfm_spark.insight.profiles import segment_statistics
from rfm_spark.insight.words import insight


def test_statistics_of_segments(spark) -> None:
    frame = spark.createDataFrame(
        [
            ("a", 1, Decimal("10.00"), 0.1),
            ("a", None, Decimal("20.00"), 0.2),
            ("a", 4, Decimal("-1.00"), 0.3),
            ("b", None, Decimal("5.00"), None),
        ],
        "segment_name string, recency_days int, monetary decimal(28,2), aum_per_day double",
    )
    rows = segment_statistics(frame, "segment_name", ["recency_days", "monetary", "aum_per_day"])
    found = {row["segment"]: row.asDict() for row in rows.collect()}
    assert (found["a"]["customers"], found["a"]["revenue"]) == (3, Decimal("29.00"))
    assert (found["a"]["mean_recency_days"], found["a"]["median_recency_days"]) == (2.5, 2.5)
    assert found["a"]["mean_monetary"] == pytest.approx(29 / 3)
    assert found["a"]["median_monetary"] == 10.0
    assert found["a"]["mean_aum_per_day"] == pytest.approx(0.2)
    assert (found["b"]["mean_recency_days"], found["b"]["median_aum_per_day"]) == (None, None)


def test_an_insight_names_the_largest_differences_first() -> None:
    overall = {"recency_days": 20.0, "orders": 10.0, "monetary": 100.0, "aum": None}
    means = {"recency_days": 5.0, "orders": 25.0, "monetary": 110.0, "aum": 3.0}
    assert insight(means, overall, 0.123) == (
        "12.3% of customers; days since the last purchase 0.2 x, orders 2.5 x the average"
    )
    assert insight(overall, overall, 0.5) == "50.0% of customers; close to the average"
