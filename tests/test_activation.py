"""Exports without a store: settings, payloads, cells, arms, and what an experiment says."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from scipy import stats
from test_config import MINIMAL, load, refusal  # noqa: F401 - load is a fixture

from rfm_spark.activation import cells
from rfm_spark.activation.lift import Arm, conversion_effect, revenue_effect

CRM = "exports.crm={type: braze, path: ./out%s}"


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (CRM % ", holdout: 1", "exports.crm.holdout: input should be less than 1"),
        (CRM % ", holdout: -0.1", "greater than or equal to 0"),
        (CRM % ", hold_out: 0.1", "did you mean holdout?"),
        (CRM % ", unit: days", "exports.crm.unit: is not a setting; known here: columns"),
        (CRM % ", columns: [rfm_segmnt]", "did you mean rfm_segment?"),
        (CRM % ", columns: [aum, aum]", "name each column only once"),
        (CRM % ", columns: [customer_id]", "no attribute beside customer_id"),
        (CRM % ", table: models", "exports.crm.table: input should be 'customer_segments'"),
        (CRM % ", segments: []", "name at least one segment"),
        (CRM % ", segments: [Champion]", "exports.crm.segments: 'Champion' is not a segment; did"),
        ("campaigns={Champion: x, Lots: y}", "did you mean Champions?"),
        ("campaigns={Champion: x, Lots: y}", "did you mean Lost?"),
        ("campaigns={Champions: ''}", "campaigns.Champions: string should have at least 1"),
        ("exports={a: {path: ./out}}", "exports.a.type: is required and not given"),
        ("exports={'a/b': {type: braze, path: ./out}}", "becomes part of file names"),
        ("exports.a={type: csv, path: ./o, table: segment_profile}", "did you mean segment_pro"),
        (
            "exports.a={type: csv, path: ./o, table: models, holdout: 0.1}",
            "holdout needs a table of customers (customer_segments, customer_features)",
        ),
        (
            "exports={a: {type: btyd, path: ./o}, b: {type: csv, path: ./o/}}",
            "a replaces the whole folder of a date, and b has the same path",
        ),
    ],
)
def test_what_an_export_cannot_do_is_told(load, override, told) -> None:  # noqa: F811
    assert told in refusal(load, MINIMAL, override)


def test_segments_that_can_only_be_known_with_data_are_accepted(load) -> None:  # noqa: F811
    campaigns = "campaigns={No purchase: a, 'Lost, high AUM': b, Champions (2): c}"
    assert len(load(MINIMAL, campaigns).settings.campaigns) == 3
    own = "clustering={k: 2, names: [Gold, Rest]}"
    assert load(MINIMAL, own, "campaigns={Gold: a}", CRM % ", segments: [Gold]")
    assert "did you mean Gold?" in refusal(load, MINIMAL, own, "campaigns={Golds: a}")
    assert "'Lost, high AUM' is not" in refusal(load, MINIMAL, own, campaigns)


def test_what_an_export_writes_changes_its_hash_and_no_table(load) -> None:  # noqa: F811
    plain, salted = load(MINIMAL, CRM % ""), load(MINIMAL, CRM % ", salt: x")
    campaign = load(MINIMAL, CRM % "", "campaigns={Lost: x}")
    hashes = {one.export_hash("crm") for one in (plain, salted, campaign)}
    assert len(hashes) == 3
    assert {one.config_hash for one in (salted, campaign)} == {plain.config_hash}


HOSTILE = [
    ("=cmd()|' /C calc'!A0", "'=cmd()|' /C calc'!A0"),
    ("+SUM(A1)", "'+SUM(A1)"),
    ("-2+3", "'-2+3"),
    ("@x", "'@x"),
    ("\t=1", "'\t=1"),
    ("\r=1", "'\r=1"),
    ("-5\n", "'-5\n"),
    ("-5", "-5"),
    ("+4.5e-3", "+4.5e-3"),
    ("5", "5"),
    ('say "hi", you\r\nthere', 'say "hi", you\r\nthere'),
    ("a=b", "a=b"),
    ("", ""),
    (None, ""),
    (" x ", " x "),
    ("back\\slash", "back\\slash"),
]


def test_csv_cells_are_read_back_as_they_were_but_for_formulas(spark) -> None:
    rows = [(n, text, -1.5, Decimal("-2.50")) for n, (text, _) in enumerate(HOSTILE)]
    types = {"text": "string", "number": "double", "money": "decimal(9,2)"}
    frame = spark.createDataFrame(rows, "n int, text string, number double, money decimal(9,2)")
    for guard in (True, False):
        lines = frame.orderBy("n").select(cells.line(types, guard=guard)).collect()
        text = "".join(row[0] + cells.LINE_END for row in lines)
        found = list(csv.reader(io.StringIO(text, newline="")))
        expected = [guarded if guard else text or "" for text, guarded in HOSTILE]
        assert found == [[cell, "-1.5", "-2.50"] for cell in expected]
    empty = {HOSTILE[n][0]: row[0].split(",")[0] for n, row in enumerate(lines) if n in (12, 13)}
    assert empty == {"": '""', None: ""}


def test_a_cell_alone_is_never_a_line_of_nothing_and_nested_ones_are_json(spark) -> None:
    frame = spark.createDataFrame(
        [(None, {"a,b": 0.5}, [1, None])], "t string, m map<string,double>, a array<int>"
    )
    assert frame.select(cells.line({"t": "string"}, guard=True)).first()[0] == '""'
    types = {"m": "map<string,double>", "a": "array<int>"}
    assert frame.select(cells.line(types, guard=True)).first()[0] == ('"{""a,b"":0.5}","[1,null]"')
    assert cells.header(["plain", 'a"b', "c,d"]) == 'plain,"a""b","c,d"'


@pytest.mark.parametrize("type_", ["string", "bigint"])
def test_arms_are_drawn_by_a_hash_of_salt_and_id_as_text(spark, type_) -> None:
    from pyspark.sql import functions as F

    from rfm_spark.activation.arms import arm

    ids = spark.range(3000).select(F.col("id").cast(type_).alias("customer_id"))
    drawn = ids.select(
        "customer_id",
        *(
            arm(F.col("customer_id"), share=share, salt=salt).alias(f"{salt}{share}")
            for share, salt in ((0.1, "a"), (0.3, "a"), (0.3, "b"))
        ),
    ).collect()
    control = {
        name: {int(row["customer_id"]) for row in drawn if row[name] == "control"}
        for name in ("a0.1", "a0.3", "b0.3")
    }
    digits = {n: hashlib.sha256(f"a\n{n}".encode()).hexdigest()[:13] for n in range(3000)}
    assert control["a0.1"] == {n for n, d in digits.items() if int(d, 16) < 0.1 * 16**13}
    assert control["a0.1"] < control["a0.3"]
    assert 220 < len(control["a0.3"] & control["b0.3"]) < 320  # 270 expected of two lots


def test_changes_are_who_is_new_differs_or_has_left(spark) -> None:
    from rfm_spark.activation.changes import changed_payloads, newest_payloads

    schema = "batch int, customer_id string, payload string"
    changes = [(1, "a", "x"), (2, "a", "y"), (1, "b", "x"), (1, "left", "x")]
    changes += [(1, "told", "x"), (2, "told", "-"), (1, "back", "x"), (2, "back", "-")]
    sent = newest_payloads(spark.createDataFrame(changes, schema))
    rows = [("a", "y"), ("b", "z"), ("new", "x"), ("back", "x")]
    now = spark.createDataFrame(rows, "customer_id string, payload string")
    found = changed_payloads(now, sent, nothing_left="-").collect()
    assert {tuple(row) for row in found} == {
        ("b", "z"),
        ("new", "x"),
        ("back", "x"),
        ("left", "-"),
    }


def test_payloads_hold_values_exactly_and_nulls_too(spark) -> None:
    from rfm_spark.activation.payloads import identify_call, nothing_left, payload

    text = "a\"b\\c\n<script>,'{}\u2028"
    rows = [(text, Decimal("-0.10"), date(2024, 1, 31), None)]
    schema = "customer_id string, money decimal(28,2), day date, gone string"
    frame = spark.createDataFrame(rows, schema).withColumn(
        "payload", payload(["customer_id", "money", "day", "gone"])
    )
    made = frame.select("payload", identify_call(export="e", timestamp="t")).first()
    told = {"customer_id": text, "money": Decimal("-0.10"), "day": "2024-01-31", "gone": None}
    assert json.loads(made[0], parse_float=Decimal) == told
    assert json.loads(nothing_left(["a", 'b"'])) == {"a": None, 'b"': None}
    assert json.loads(made[1], parse_float=Decimal) == {
        "type": "identify",
        "userId": text,
        "traits": told,
        "timestamp": "t",
        "messageId": hashlib.sha256(f"e\nt\n{text}".encode()).hexdigest(),
    }
    assert "\n" not in made[1]


def test_a_campaign_goes_by_the_rule_segment_or_else_by_the_clusters_name(spark) -> None:
    from rfm_spark.activation.audience import campaign, in_segments

    rows = [("A", "A"), ("B", "Gold"), ("A", "Gold"), ("B", "A"), (None, None)]
    frame = spark.createDataFrame(rows, "rfm_segment string, cluster_segment string")
    named = frame.select(campaign({"A": "one", "Gold": "two"}, ["A", "B"])).collect()
    assert [row[0] for row in named] == ["one", "two", "one", None, None]
    assert frame.select(campaign({}, ["A"])).first()[0] is None
    assert in_segments(frame, ["Gold"]).count() == 2
    assert in_segments(frame, None).count() == 5


def test_outcomes_are_exact_and_begin_on_the_day_of_the_assignment(spark) -> None:
    from rfm_spark.activation.outcome import outcomes

    on, until = date(2024, 1, 10), date(2024, 1, 20)
    assigned = [("a", "treatment", on), ("b", "treatment", on), ("c", "control", on)]
    assigned += [("late", "control", until)]
    frame = spark.createDataFrame(
        [(*row[:2], "S", row[2]) for row in assigned],
        "customer_id string, arm string, segment string, assigned_on date",
    )
    days = [
        ("a", 9, "50.00", "0", 1),
        ("a", 10, "10.10", "0", 1),
        ("a", 19, "0", "-0.05", 0),
        ("a", 20, "99.00", "0", 1),
        ("c", 12, "0", "-3.00", 0),
        ("late", 12, "7.00", "0", 1),
        ("nobody", 12, "7.00", "0", 1),
    ]
    daily = spark.createDataFrame(
        [(w, date(2024, 1, d), Decimal(p), Decimal(r), n) for w, d, p, r, n in days],
        "customer_id string, activity_date date, purchase_amount decimal(28,2), "
        "refund_amount decimal(28,2), lines bigint",
    )
    rows = outcomes(frame, daily, snapshot_date=until, scale=2).collect()
    assert {tuple(row) for row in rows} == {
        ("S", "treatment", 2, 1, Decimal(1005), Decimal(1005**2)),
        ("S", "control", 1, 0, Decimal(-300), Decimal(300**2)),
    }


def arm(values: list[str], buyers: int = 0) -> Arm:
    exact = [Fraction(value) for value in values]
    return Arm(
        len(exact), buyers, sum(exact, Fraction(0)), sum((v * v for v in exact), Fraction(0))
    )


@pytest.mark.parametrize("counts", [(56, 70, 48, 80), (5, 56, 7, 29), (9, 10, 3, 10)])
def test_conversion_is_compared_as_scipy_does(counts) -> None:
    bought, people, its, others = counts
    effect = conversion_effect(Arm(people, bought), Arm(others, its))
    one, other = bought / people, its / others
    wilson = [
        stats.binomtest(k, n).proportion_ci(method="wilson") for k, n in (counts[:2], counts[2:])
    ]
    (low, high), (its_low, its_high) = wilson
    assert effect.difference == pytest.approx(one - other)
    assert effect.interval == pytest.approx(
        (
            one - other - ((one - low) ** 2 + (its_high - other) ** 2) ** 0.5,
            one - other + ((high - one) ** 2 + (other - its_low) ** 2) ** 0.5,
        )
    )
    katz = stats.contingency.relative_risk(bought, people, its, others)
    ends = katz.confidence_interval(0.95)
    assert effect.lift == pytest.approx(katz.relative_risk - 1)
    assert effect.lift_interval == pytest.approx((ends.low - 1, ends.high - 1))
    assert bool(effect.remark) == (min(bought, its) < 5)


def test_revenue_is_compared_as_scipy_does_and_fieller_solves_his_equation() -> None:
    draw = random.Random(7)
    spent = [[f"{draw.expovariate(0.02):.2f}" for _ in range(n)] for n in (60, 25)]
    treatment, control = (arm(values, 30) for values in spent)
    effect = revenue_effect(treatment, control)
    numbers = [[float(value) for value in values] for values in spent]
    test = stats.ttest_ind(*numbers, equal_var=False)
    ends = test.confidence_interval(0.95)
    assert effect.interval == pytest.approx((ends.low, ends.high))
    means = [sum(values) / len(values) for values in numbers]
    errors = [stats.sem(values) ** 2 for values in numbers]
    quantile = stats.t.ppf(0.975, test.df)
    assert effect.lift == pytest.approx(means[0] / means[1] - 1)
    for end in effect.lift_interval:
        ratio = end + 1
        left = (means[0] - ratio * means[1]) ** 2
        assert left == pytest.approx(quantile**2 * (errors[0] + ratio**2 * errors[1]))
    assert effect.lift_interval[0] < effect.lift < effect.lift_interval[1]
    assert effect.remark == ""


def test_what_cannot_be_told_is_told_in_words() -> None:
    many = arm(["1", "2", "3"] * 20, buyers=60)
    for effect in (conversion_effect, revenue_effect):
        assert effect(many, Arm()).remark == "control is empty"
        assert effect(Arm(), many).remark == "treatment is empty"
        assert effect(Arm(), Arm()).remark == "both arms are empty"
        assert effect(many, Arm()).difference is None
    assert revenue_effect(many, arm(["1"], 1)).remark == "arm of one customer"
    assert revenue_effect(arm(["2", "2"]), arm(["1", "1"])).remark == "no spread in revenue"
    returned = revenue_effect(many, arm(["-1", "-2"]))
    assert (returned.lift, returned.remark) == (None, "control: no revenue")
    vague = revenue_effect(many, arm(["-10", "11"], 1))
    assert (vague.lift, vague.lift_interval) == (pytest.approx(3.0), None)
    assert vague.remark == "control is near 0"
    silent = conversion_effect(many, Arm(20, 0))
    assert (silent.difference, silent.lift, silent.remark) == (1.0, None, "control: no buyers")
    assert conversion_effect(Arm(20, 0), many).lift == -1.0
    assert conversion_effect(many, many).lift_interval is None
    assert conversion_effect(Arm(20, 3), Arm(20, 4)).remark == "too few buyers"


def test_segments_of_arms_add_up() -> None:
    one, other = arm(["1.10", "-2"], 1), arm(["5"], 1)
    assert one + other == arm(["1.10", "-2", "5"], 2)
