"""Scores that ties cannot break."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles import ntile_scores, r_scores, value_edges, value_score
from pyspark.sql import functions as F

from rfm_spark import order_statistics
from rfm_spark.config.rule_maps import load_rule_map
from rfm_spark.scoring import ties as ties_room
from rfm_spark.scoring.cuts import Cut, Role, cut
from rfm_spark.scoring.methods import CUT_METHODS
from rfm_spark.scoring.scores import nearest_code, score, score_counts, with_scores
from rfm_spark.scoring.segments import segment_by
from rfm_spark.scoring.thresholds import threshold_records, thresholds_from

FEATURES = (
    "customer_id bigint, last_activity_date date, recency_days int, orders bigint, "
    "monetary decimal(28,2)"
)
ROLES = {"recency": "recency_days", "frequency": "orders", "monetary": "monetary"}
# One Spark example draws many customers: each costs a second or so of jobs.
DRAWN = settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
VALUES = st.lists(
    st.one_of(st.integers(0, 4), st.integers(-500, 100_000).map(lambda cents: cents / 100)),
    min_size=1,
    max_size=300,
)


def customers(spark, values):
    rows = [(n, float(value)) for n, value in enumerate(values)]
    return spark.createDataFrame(rows, "customer_id bigint, x double")


def cut_of(spark, values, method="value", bins=5):
    return cut(customers(spark, values), {"frequency": Role("x", bins, method)})["frequency"]


def scores_of(frame, cuts, *, small_is_best=False):
    """Method to the scores of all customers, in order of customer_id."""
    id_type = frame.schema["customer_id"].dataType.simpleString()
    columns = [
        score(F.col("x"), one, small_is_best=small_is_best, id_type=id_type).alias(name)
        for name, one in cuts.items()
    ]
    rows = frame.select("customer_id", *columns).orderBy("customer_id").collect()
    return {name: [row[name] for row in rows] for name in cuts}


@pytest.mark.parametrize(
    ("values", "bins", "expected"),
    [
        ([1, 2, 3, 4, 5], 5, (1, 2, 3, 4)),
        ([1, 2, 3, 4, 5, 6], 5, (2, 3, 4, 5)),
        ([7], 5, (7, 7, 7, 7)),
        ([3, 3, 3, 3], 5, (3, 3, 3, 3)),
        ([1, 2], 5, (1, 1, 2, 2)),
        ([1, 2, 3], 10, (1, 1, 1, 2, 2, 2, 3, 3, 3)),
        ([1] * 9 + [100], 4, (1, 1, 1)),
        ([-5, 0, 5, 10], 2, (0,)),
        ([], 5, ()),
    ],
)
def test_an_edge_is_the_smallest_value_with_its_share_at_or_below(spark, values, bins, expected):
    assert cut_of(spark, values, bins=bins)[0].edges == expected


# What each method makes of little data: scores of the values in ascending order.
SMALL = {
    "one customer": ([7.0], 5, {"value": [1], "qcut": [1], "rank": [1], "ntile": [1], "r": [1]}),
    "all equal": (
        [3.0] * 5,
        5,
        {
            "value": [1] * 5,
            "qcut": [1] * 5,
            "rank": [1, 2, 3, 4, 5],
            "ntile": [1, 2, 3, 4, 5],
            "r": [1] * 5,
        },
    ),
    "two distinct values": (
        [1.0, 1.0, 1.0, 9.0],
        2,
        {
            "value": [1, 1, 1, 2],
            "qcut": [1, 1, 1, 2],
            "rank": [1, 1, 2, 2],
            "ntile": [1, 1, 2, 2],
            "r": [1, 1, 1, 2],
        },
    ),
    "10 bins with 3 values": (
        [1.0, 2.0, 3.0],
        10,
        {
            "value": [1, 4, 7],
            "qcut": [1, 5, 10],
            "rank": [1, 5, 10],
            "ntile": [1, 2, 3],
            "r": [1, 1, 6],
        },
    ),
}


@pytest.mark.parametrize("case", SMALL)
def test_little_data_has_defined_scores(spark, case) -> None:
    values, bins, expected = SMALL[case]
    frame = customers(spark, values)
    roles = {method: Role("x", bins, method) for method in CUT_METHODS}
    cuts = {method: one for method, (one, _) in cut(frame, roles).items()}
    assert scores_of(frame, cuts) == expected
    best_first = {m: [bins + 1 - s for s in scores] for m, scores in expected.items()}
    assert scores_of(frame, cuts, small_is_best=True) == best_first


@DRAWN
@given(values=VALUES, bins=st.integers(2, 10), parts=st.integers(1, 7), seed=st.integers(0, 99))
def test_every_method_gives_the_scores_of_its_model(spark, values, bins, parts, seed) -> None:
    """value, ntile and r against plain Python; qcut and rank against pandas itself."""
    frame = customers(spark, values)
    shuffled = frame.orderBy(F.xxhash64("customer_id", F.lit(seed))).repartition(parts)
    roles = {method: Role("x", bins, method) for method in CUT_METHODS}
    cuts = {method: one for method, (one, _) in cut(shuffled, roles).items()}
    found = scores_of(shuffled, cuts)
    edges = value_edges(values, bins)
    assert list(cuts["value"].edges) == edges
    assert found["value"] == [value_score(value, edges) for value in values]
    assert found["ntile"] == ntile_scores(values, bins)
    assert found["r"] == r_scores(values, bins)
    ranks = pd.Series(values).rank(method="first")
    if len(values) > 1:
        assert found["rank"] == list(pd.qcut(ranks, bins, labels=False) + 1)
    quantiles = pd.Series(values, dtype=float).quantile(np.linspace(0, 1, bins + 1))
    assert list(cuts["qcut"].edges) == list(quantiles)[1:-1]
    if quantiles.is_unique:
        assert found["qcut"] == list(pd.qcut(values, bins, labels=False) + 1)


@pytest.mark.parametrize("size", [3, 6, 7, 9, 10, 11])
@pytest.mark.parametrize("bins", [4, 5, 10])
def test_ranks_are_cut_as_numpy_cuts_them(size, bins) -> None:
    """Integer ranks j N / n differ from these for some sizes."""
    from rfm_spark.scoring.methods import positions

    last = [position.lower for position in positions("rank", size, bins)]
    found = [1 + sum(edge < rank for edge in last) for rank in range(1, size + 1)]
    assert found == list(pd.qcut(pd.Series(range(1, size + 1)), bins, labels=False) + 1)


@pytest.mark.parametrize("id_type", ["bigint", "string"])
def test_ties_are_parted_in_order_of_customer_id_also_where_they_are_many(
    spark, monkeypatch, id_type
) -> None:
    """Found by narrowing between sampled ids, never by ordering all of them."""
    monkeypatch.setattr(ties_room, "_FEW", 50)
    monkeypatch.setattr(ties_room, "_SAMPLE", 30)
    ids = [n * 7919 % 20_011 for n in range(3_000)]
    frame = spark.createDataFrame([(n,) for n in ids], "customer_id bigint")
    frame = frame.select(F.col("customer_id").cast(id_type), F.lit(1.0).alias("x"))
    cuts = {"ntile": cut(frame, {"f": Role("x", 4, "ntile")})["f"][0]}
    kind = int if id_type == "bigint" else str
    ordered = sorted(map(kind, ids))
    assert [kind(one) for one in cuts["ntile"].customer_ids] == [
        ordered[749], ordered[1499], ordered[2249]
    ]  # fmt: skip
    assert Counter(scores_of(frame, cuts)["ntile"]) == {1: 750, 2: 750, 3: 750, 4: 750}


@pytest.mark.parametrize("method", ["value", "qcut", "r"])
def test_scores_of_equal_values_are_equal(spark, method) -> None:
    values = [1] * 50 + [2] * 30 + [5] * 11 + list(range(6, 16))
    frame = customers(spark, values)
    found = scores_of(frame, {"m": cut_of(spark, values, method)[0]})["m"]
    assert len(set(zip(values, found, strict=True))) == len(set(values))


def test_edges_are_exact_where_the_sketch_is_not(spark) -> None:
    frame = spark.range(200_000).select(
        F.col("id").alias("customer_id"),
        ((F.col("id") * 7919 % 200_003) / 100).cast("decimal(28,2)").alias("x"),
    )
    ordered = sorted(n * 7919 % 200_003 / 100 for n in range(200_000))
    roles = {"value": Role("x", 10, "value"), "qcut": Role("x", 4, "qcut")}
    cuts = {name: one for name, (one, _) in cut(frame, roles).items()}
    assert cuts["value"].edges == tuple(ordered[j * 20_000 - 1] for j in range(1, 10))
    assert cuts["qcut"].edges == tuple(np.quantile(ordered, [0.25, 0.5, 0.75]))


def test_ranks_are_found_among_values_of_any_size_and_sign(spark) -> None:
    values = [-1e300, -2.0, -1.97, -1e-300, -0.0, 0.0, 1e-300, 0.01, 1.97, 2.0, 2.01, 5e307]
    rows = [(value,) for value in (*values, float("inf"), float("nan"), None)]
    frame = spark.createDataFrame(rows, "x double").repartition(3)
    metrics, groupings = {"x": F.col("x")}, {"all": F.lit("all")}
    key = ("all", "all", "x")
    known = order_statistics.counted(frame, metrics, groupings)
    assert known.rows(key) == len(values) + 2
    ranks = range(1, known.rows(key) + 1)
    found = order_statistics.standings(frame, metrics, groupings, known, {key: ranks})
    stands = [found[key, rank] for rank in ranks]
    assert [s.value for s in stands[:-1]] == [*values, float("inf")]
    assert np.isnan(stands[-1].value)
    assert [(s.below, s.rows) for s in stands[3:7]] == [(3, 1), (4, 2), (4, 2), (6, 1)]
    with pytest.raises(ValueError, match="none of rank 15"):
        known.holding(key, [15])


def test_whole_numbers_are_told_by_value_as_long_as_they_are_small(spark) -> None:
    values = [*range(-1100, 1100, 7), *range(1020, 1030)]
    frame = spark.createDataFrame([(n, n / 8) for n in values], "n bigint, part double")
    metrics, groupings = {"n": F.col("n"), "part": F.col("part")}, {"all": F.lit("all")}
    known = order_statistics.counted(frame, metrics, groupings)
    told = {b.least for b in known.groups["all", "all", "n"] if b.is_one_value}
    assert set(filter(lambda n: abs(n) <= 1024, values)) <= told
    assert not known.is_by_value("n")
    small = order_statistics.counted(frame.where("abs(n) < 1000"), metrics, groupings)
    assert (small.is_by_value("n"), small.is_by_value("part")) == (True, False)
    keys = {
        ("all", "all", name): range(1, known.rows(("all", "all", name)) + 1) for name in metrics
    }
    found = order_statistics.standings(frame, metrics, groupings, known, keys)
    for name, divisor in (("n", 1), ("part", 8)):
        stands = [found[("all", "all", name), rank].value for rank in keys["all", "all", name]]
        assert stands == [n / divisor for n in sorted(values)]


def test_no_task_sees_all_customers_while_edges_are_cut(spark, capsys) -> None:
    """A window is over one bucket of one role, and nothing is gathered in a single task."""
    frame = customers(spark, [1.0])
    inside = [("everybody", 0, bucket, "everybody", "everybody") for bucket in (7, 9)]
    counts = order_statistics.running_counts(
        frame, {"frequency": F.col("x")}, {"everybody": F.lit("everybody")}, inside
    )
    counts.explain()
    plan = capsys.readouterr().out
    windows = re.findall(r"windowspecdefinition\((.*)", plan)
    assert windows
    assert all(
        re.match(r"grouping#\d+, group#\d+, metric#\d+, bucket#\d+, value", w) for w in windows
    )
    assert "SinglePartition" not in plan


def counts_of(spark, values, method="value"):
    """Edges that several customers share, and the customers of each score."""
    one, shared = cut_of(spark, values, method)
    frame = customers(spark, values).withColumn("last_activity_date", F.lit(date(2024, 1, 1)))
    counts = score_counts(frame, {"monetary": "x"}, {"monetary": one})["monetary"]
    return shared, list(counts.values())


def test_what_ties_do_to_scores_is_counted(spark) -> None:
    assert counts_of(spark, [1] * 7 + [2, 3, 4]) == ({1.0: 7}, [7, 0, 0, 1, 2])
    assert counts_of(spark, [1, 2, 3, 4] + [5] * 6) == ({5.0: 6}, [2, 2, 6, 0, 0])
    assert counts_of(spark, [1, 2, 3, 4, 5]) == ({}, [1] * 5)
    assert counts_of(spark, [1] * 7 + [2, 3, 4], "rank") == ({1.0: 7}, [2] * 5)
    assert counts_of(spark, [0.1, 0.2, 0.3], "r") == ({}, [3, 0, 0, 0, 0])
    assert counts_of(spark, [], "qcut") == ({}, [0] * 5)


def test_values_outside_the_range_of_a_cut_get_the_lowest_and_the_highest_score(spark) -> None:
    frame = customers(spark, [-100, 10, 10.01, 20, 1e9])
    cuts = {
        "fixed": Cut("fixed", 3, (10.0, 20.0)),
        "r": Cut("r", 3, (10.0, 20.0)),
        "rank": Cut("rank", 3, (10.0, 20.0), ("0", "3")),
    }
    assert scores_of(frame, cuts) == {
        "fixed": [1, 1, 2, 2, 3],
        "r": [1, 2, 2, 3, 3],
        "rank": [1, 2, 2, 2, 3],
    }


def test_a_null_scores_1_whatever_the_edges(spark) -> None:
    """Regression: without edges a missing recency was the best one."""
    frame = spark.createDataFrame([(1, None), (2, 5.0)], "customer_id bigint, x double")
    cuts = {"none": Cut("value", 5, ()), "some": Cut("value", 5, (1.0, 2.0, 3.0, 4.0))}
    assert scores_of(frame, cuts) == {"none": [1, 1], "some": [1, 5]}
    assert scores_of(frame, cuts, small_is_best=True) == {"none": [1, 5], "some": [1, 1]}


def scored(spark, rows, roles=ROLES, **more):
    frame = spark.createDataFrame(rows, FEATURES)
    edges = {"recency": (1, 5, 10, 20), "frequency": (1, 2, 3, 6), "monetary": (0, 10, 10, 50)}
    cuts = {role: Cut("value", 5, values) for role, values in edges.items()}
    weights = {"recency": 2.0, "frequency": 1.0, "monetary": 1.0}
    return with_scores(frame, roles=roles, cuts=cuts | more, weights=weights)


def test_recency_is_best_when_small_and_the_others_when_large(spark) -> None:
    day = date(2024, 1, 1)
    rows = [
        (1, day, 1, 7, Decimal("50.01")),
        (2, day, 2, 6, Decimal("50.00")),
        (3, day, 21, 1, Decimal("-3.00")),
        (4, day, 20, 2, Decimal("10.00")),
        (5, None, None, 0, Decimal("-9.00")),
    ]
    segment = segment_by(load_rule_map("crm_11", None))  # type: ignore[arg-type]
    found = {
        row["customer_id"]: (row["rfm_cell"], row["rfm_score"], row["a_score"], row["segment"])
        for row in scored(spark, rows).withColumn("segment", segment).collect()
    }
    assert found == {
        1: ("555", 5.0, None, "Champions"),
        2: ("444", 4.0, None, "Loyal"),
        3: ("111", 1.0, None, "Lost"),
        4: ("222", 2.0, None, "Hibernating"),
        5: ("111", 1.0, None, "No purchase"),
    }


def test_a_score_of_two_digits_keeps_the_cell_readable(spark) -> None:
    rows = [(1, date(2024, 1, 1), 1, 7, Decimal("50.01"))]
    ten = Cut("value", 10, tuple(range(9)))
    assert scored(spark, rows, frequency=ten).first()["rfm_cell"] == "5-8-5"


def test_everybody_without_a_purchase_scores_1_also_in_aum(spark) -> None:
    """Regression: they had the score of what they hold, and bins of AUM changed the cell."""
    rows = [(1, date(2024, 1, 1), 1, 7, Decimal("50.01")), (2, None, None, 0, Decimal("0.00"))]
    frame = spark.createDataFrame(rows, FEATURES).withColumn("aum", F.lit(900.0))
    cuts = {role: Cut("value", 5, (1, 2, 3, 4)) for role in ROLES} | {
        "aum": Cut("value", 10, tuple(range(9)))
    }
    weights = dict.fromkeys(cuts, 1.0)
    labelled = with_scores(frame, roles=ROLES | {"aum": "aum"}, cuts=cuts, weights=weights)
    found = labelled.orderBy("customer_id").select("a_score", "rfm_cell", "rfm_score").collect()
    assert [tuple(row) for row in found] == [(10, "555", 6.25), (1, "111", 1.0)]


def test_every_code_gets_the_segment_of_the_map(spark) -> None:
    for name in ("crm_11", "rf_10", "r_rfm_10", "core_4"):
        rule_map = load_rule_map(name, None)  # type: ignore[arg-type]
        rows = [(date(2024, 1, 1), *code) for code in rule_map.grid]
        frame = spark.createDataFrame(
            rows, "last_activity_date date, r_score int, f_score int, m_score int"
        ).withColumn("segment", segment_by(rule_map))
        for row in frame.collect():
            code = (row["r_score"], row["f_score"], row["m_score"])
            assert row["segment"] == rule_map.segment_of(code).name


def test_rules_on_raw_features_are_tried_in_order(spark) -> None:
    rule_map = load_rule_map("value_8", None)  # type: ignore[arg-type]
    recencies, firsts, means = (1, 365, 366, 730, 731, 1095, 1096), (200, 366, 731), (99.99, 100.0)
    day = date(2024, 1, 1)
    rows = [(day, *values) for values in itertools.product(recencies, firsts, (*means, None))]
    frame = spark.createDataFrame(
        [*rows, (None, None, None, None)],
        "last_activity_date date, recency_days int, first_purchase_days int, "
        "avg_order_value double",
    )
    for row in frame.withColumn("segment", segment_by(rule_map)).collect():
        if row["recency_days"] is None:
            assert row["segment"] == "No purchase"
        else:
            values = {name: row[name] for name in rule_map.features}
            assert row["segment"] == value_8(values)
            assert row["segment"] == rule_map.segment_of((1, 1, 1), values).name


def value_8(values: dict[str, float | None]) -> str:
    """The published rules in words, as a chain of questions."""
    recency, first = values["recency_days"], values["first_purchase_days"]
    is_high = (values["avg_order_value"] or 0) >= 100
    if recency > 1095:
        return "inactive"
    if recency > 730:
        return "cold"
    state = "warm" if recency > 365 else "active"
    if first <= {"warm": 730, "active": 365}[state]:
        return f"new {state}"
    return f"{state} {'high' if is_high else 'low'} value"


def test_codes_and_features_of_one_rule_must_both_hold(spark, tmp_path) -> None:
    (tmp_path / "own.yaml").write_text(
        "bins: 2\nfirst_match: true\notherwise: {name: Rest}\nsegments:\n"
        "- {name: A, codes: [222, 221], monetary: [10, null]}\n"
        "- {name: B, r: [2, 2], orders: [null, 3]}\n"
    )
    segment = segment_by(load_rule_map("own.yaml", tmp_path))
    rows = [(2, 2, 2, 10, 9), (2, 2, 1, 9, 3), (2, 1, 1, 99, 4), (1, 2, 2, 99, 1), (2, 2, 2, 9, 4)]
    frame = spark.createDataFrame(
        rows, "r_score int, f_score int, m_score int, monetary int, orders int"
    ).withColumn("last_activity_date", F.lit(date(2024, 1, 1)))
    found = [row["segment"] for row in frame.withColumn("segment", segment).collect()]
    assert found == ["A", "B", "Rest", "Rest", "Rest"]


def test_thresholds_say_which_values_get_a_score_and_come_back_as_edges() -> None:
    cuts = {
        "recency": Cut("rank", 3, (2.0, 2.0), ("c7", "c9")),
        "frequency": Cut("value", 3, (1.0, 1.0)),
        "monetary": Cut("r", 2, (297.4,)),
        "aum": Cut("value", 2, ()),
    }
    records = threshold_records(cuts)
    by_score = {(r["metric"], r["score"]): (r["lower"], r["upper"]) for r in records}
    assert by_score["recency", 3] == (None, 2.0)
    assert by_score["recency", 1] == (2.0, None)
    assert by_score["frequency", 1] == (None, 1.0)
    assert by_score["frequency", 2] == (1.0, 1.0)
    assert by_score["aum", 1] == by_score["aum", 2] == (None, None)
    ids = {r["score"]: (r["lower_customer_id"], r["upper_customer_id"]) for r in records[:3]}
    assert ids == {3: (None, "c7"), 2: ("c7", "c9"), 1: ("c9", None)}
    stored = [
        r
        | {"thresholds_version": "v", "snapshot_date": date(2024, 1, 1), "scoring_hash": "h"}
        | {"use_hash": "u", "customers": 3, "feature": "x"}
        for r in reversed(records)
    ]
    assert thresholds_from(stored).cuts == cuts


def test_mean_scores_go_to_the_next_code() -> None:
    assert nearest_code([4.5, 1.49, 5.0], [5, 5, 5]) == (5, 1, 5)
    assert nearest_code([0.2, 9.0, 3.0], [5, 5, 5]) == (1, 5, 3)
