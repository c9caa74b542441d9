"""Scores that ties cannot break."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles import value_edges as edges_oracle
from oracles import value_score as score_oracle
from pyspark.sql import functions as F

from rfm_spark.config.rule_maps import load_rule_map
from rfm_spark.scoring import edges as edges_room
from rfm_spark.scoring.edges import value_edges
from rfm_spark.scoring.scores import nearest_code, segment_by, value_score, with_scores
from rfm_spark.scoring.thresholds import threshold_records, thresholds_from

FEATURES = (
    "customer_id bigint, last_activity_date date, recency_days int, orders bigint, "
    "monetary decimal(28,2)"
)
ROLES = {"recency": "recency_days", "frequency": "orders", "monetary": "monetary"}
FIVE = dict.fromkeys(ROLES, 5)


def edges_of(spark, values, bins=5):
    frame = spark.createDataFrame([(float(v),) for v in values], "x double")
    return value_edges(frame, {"frequency": "x"}, {"frequency": bins})["frequency"]


@pytest.mark.parametrize(
    ("values", "bins", "expected"),
    [
        ([1, 2, 3, 4, 5], 5, [1, 2, 3, 4]),
        ([1, 2, 3, 4, 5, 6], 5, [2, 3, 4, 5]),
        ([7], 5, [7, 7, 7, 7]),
        ([3, 3, 3, 3], 5, [3, 3, 3, 3]),
        ([1, 2], 5, [1, 1, 2, 2]),
        ([1, 2, 3], 10, [1, 1, 1, 2, 2, 2, 3, 3, 3]),
        ([1] * 9 + [100], 4, [1, 1, 1]),
        ([-5, 0, 5, 10], 2, [0]),
        ([], 5, []),
    ],
)
def test_an_edge_is_the_smallest_value_with_its_share_at_or_below(spark, values, bins, expected):
    assert edges_of(spark, values, bins) == expected


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(
        st.one_of(st.integers(0, 4), st.integers(-500, 100_000).map(lambda cents: cents / 100)),
        min_size=1,
        max_size=300,
    ),
    bins=st.integers(2, 10),
    parts=st.integers(1, 7),
)
def test_edges_and_scores_equal_an_independent_oracle(spark, values, bins, parts) -> None:
    frame = spark.createDataFrame([(float(v),) for v in values], "x double").repartition(parts)
    edges = value_edges(frame, {"frequency": "x"}, {"frequency": bins})["frequency"]
    assert edges == edges_oracle(values, bins)
    score = value_score(F.col("x"), edges, bins, small_is_best=False)
    found = {row["x"]: row["score"] for row in frame.select("x", score.alias("score")).collect()}
    assert found == {float(v): score_oracle(v, edges) for v in values}


def test_edges_are_exact_where_the_sketch_is_not(spark) -> None:
    frame = spark.range(200_000).select((F.col("id") * 7919 % 200_003).cast("double").alias("x"))
    ordered = sorted(n * 7919 % 200_003 for n in range(200_000))
    edges = value_edges(frame, {"frequency": "x"}, {"frequency": 10})["frequency"]
    assert edges == [float(ordered[j * 20_000 - 1]) for j in range(1, 10)]


def test_a_sketch_that_lies_is_found_out(spark, monkeypatch) -> None:
    def lying(*_):
        return {"frequency": edges_room.Bracketed(100, ((2.0, 3.0), (90.0, 91.0)))}

    monkeypatch.setattr(edges_room, "_brackets", lying)
    frame = spark.range(1, 101).select(F.col("id").cast("double").alias("x"))
    assert value_edges(frame, {"frequency": "x"}, {"frequency": 4})["frequency"] == [25, 50, 75]


def scored(spark, rows):
    frame = spark.createDataFrame(rows, FEATURES)
    edges = {"recency": [1, 5, 10, 20], "frequency": [1, 2, 3, 6], "monetary": [0, 10, 10, 50]}
    weights = {"recency": 2.0, "frequency": 1.0, "monetary": 1.0}
    return with_scores(frame, roles=ROLES, bins=FIVE, edges=edges, weights=weights)


def test_recency_is_best_when_small_and_the_others_when_large(spark) -> None:
    from decimal import Decimal

    day = date(2024, 1, 1)
    rows = [
        (1, day, 1, 7, Decimal("50.01")),
        (2, day, 2, 6, Decimal("50.00")),
        (3, day, 21, 1, Decimal("-3.00")),
        (4, day, 20, 2, Decimal("10.00")),
        (5, None, None, 0, Decimal("-9.00")),
    ]
    found = {
        row["customer_id"]: (row["rfm_cell"], row["rfm_score"], row["a_score"], row["segment"])
        for row in scored(spark, rows)
        .withColumn("segment", segment_by(load_rule_map("crm_11", None)))  # type: ignore[arg-type]
        .collect()
    }
    assert found == {
        1: ("555", 5.0, None, "Champions"),
        2: ("444", 4.0, None, "Loyal"),
        3: ("111", 1.0, None, "Lost"),
        4: ("222", 2.0, None, "Hibernating"),
        5: ("111", 1.0, None, "No purchase"),
    }


def test_every_code_gets_the_segment_of_the_map(spark) -> None:
    rule_map = load_rule_map("crm_11", None)  # type: ignore[arg-type]
    rows = [(date(2024, 1, 1), *code) for code in rule_map.grid]
    frame = spark.createDataFrame(
        rows, "last_activity_date date, r_score int, f_score int, m_score int"
    ).withColumn("segment", segment_by(rule_map))
    for row in frame.collect():
        code = (row["r_score"], row["f_score"], row["m_score"])
        assert row["segment"] == rule_map.segment_of(code).name


def test_thresholds_say_which_values_get_a_score_and_come_back_as_edges(spark) -> None:
    edges = {"recency": [2.0, 4.0], "frequency": [1.0, 1.0], "aum": []}
    records = threshold_records(edges, {"recency": 3, "frequency": 3, "aum": 2})
    by_score = {(r["metric"], r["score"]): (r["lower"], r["upper"]) for r in records}
    assert by_score["recency", 3] == (None, 2.0)
    assert by_score["recency", 1] == (4.0, None)
    assert by_score["frequency", 1] == (None, 1.0)
    assert by_score["frequency", 2] == (1.0, 1.0)
    assert by_score["aum", 1] == by_score["aum", 2] == (None, None)
    stored = [
        r
        | {"thresholds_version": "v", "snapshot_date": date(2024, 1, 1), "scoring_hash": "h"}
        | {"use_hash": "u", "customers": 3}
        for r in reversed(records)
    ]
    assert thresholds_from(stored).edges == edges


def test_mean_scores_go_to_the_next_code() -> None:
    assert nearest_code([4.5, 1.49, 5.0], [5, 5, 5]) == (5, 1, 5)
    assert nearest_code([0.2, 9.0, 3.0], [5, 5, 5]) == (1, 5, 3)
