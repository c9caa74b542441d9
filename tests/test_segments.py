"""Scores, rules, profiles and events through the commands, on a small shop with a whole set-up."""

from __future__ import annotations

import json
import shutil
from datetime import date
from decimal import Decimal

import pandas as pd
import pytest
from conftest import Project
from deltalake import DeltaTable
from oracles import features as features_oracle
from oracles import ntile_scores
from test_pipeline import SNAPSHOT, life, make_log, refused, transactions

CONFIG = """
    store: ./warehouse
    timezone: Africa/Lagos
    currency: NGN
    sources:
      transactions:
        format: csv
        path: ./log
        options: {header: true}
        columns: {customer_id: user, transaction_ts: at, amount: paid, order_id: basket}
      customers:
        format: csv
        path: ./customers.csv
        options: {header: true}
        columns: {customer_id: user}
        attributes: {region: region}
      events:
        format: csv
        path: ./events.csv
        options: {header: true}
        columns: {customer_id: user, event_ts: at, event: kind}
    max_rejected_share: 0.5
    clustering: {k: 2, seeds: 1, max_iter: 10}
"""
EVENTS = (
    "user,at,kind\nc001,2024-01-05,coupon\nc001,2024-01-06,coupon\nc002,2024-01-31T22:59:00Z,coupon\n"
    "c002,2024-01-31T23:01:00Z,too late\nc003,2023-01-01,e-statement\n,2024-01-05,coupon\n"
    "c004,yesterday,coupon\nstranger,2024-01-05,coupon\n"
)
TABLES = ("customer_features", "customer_segments", "segment_profiles", "segment_separation")


def regions(customers=30) -> dict[str, str]:
    return {f"c{n:03}": "north" if n % 3 else "" for n in range(customers)}


def set_up(project: Project) -> Project:
    project.folder.mkdir(exist_ok=True)
    make_log(project, life())
    rows = "\n".join(f"{user},{region}" for user, region in regions().items())
    (project.folder / "customers.csv").write_text(f"user,region\n{rows}\n")
    (project.folder / "events.csv").write_text(EVENTS)
    project.configure(CONFIG)
    return project


@pytest.fixture(scope="module")
def finished(spark, tmp_path_factory):
    """A shop after one run; tests that only read share it."""
    project = set_up(Project(tmp_path_factory.mktemp("one run") / "of a shop"))
    assert project.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    return project


@pytest.fixture
def shop(finished, project):
    """A copy of the finished shop, to go on with."""
    shutil.copytree(finished.folder, project.folder, dirs_exist_ok=True)
    return project


def expected_features():
    return features_oracle(transactions(life()), [], {}, date(2024, 2, 1), None)


def versions(project: Project) -> dict[str, int]:
    return {name: DeltaTable(str(project.folder / "warehouse" / name)).version() for name in TABLES}


def settings(*pairs: str) -> list[str]:
    return [part for pair in pairs for part in ("--set", pair)]


def test_a_profile_has_every_feature_the_attributes_and_an_action(finished, spark) -> None:
    labels = {r["customer_id"]: r for r in finished.table(spark, "customer_segments").collect()}
    features = expected_features()
    money = sorted((f["monetary"] for f in features.values()), reverse=True)
    reached = [sum(money[: n + 1]) >= sum(money) * Decimal("0.8") for n in range(len(money))]
    threshold = money[reached.index(True)]
    for kind, column in (("rfm", "rfm_segment"), ("cluster", "cluster_segment")):
        profiles = finished.table(spark, "segment_profiles").where(f"kind = '{kind}'").collect()
        assert {row["segment"] for row in profiles} == {row[column] for row in labels.values()}
        for row in profiles:
            members = [c for c, label in labels.items() if label[column] == row["segment"]]
            assert row["customers"] == len(members)
            assert row["revenue"] == sum(features[c]["monetary"] for c in members)
            top = [c for c in members if features[c]["monetary"] >= threshold]
            assert row["pareto_customers"] == len(top)
            for name in ("recency_days", "orders", "lines", "monetary", "refund_amount"):
                known = pd.Series([float(features[c][name]) for c in members])
                assert row[f"mean_{name}"] == pytest.approx(known.mean())
                assert row[f"median_{name}"] == pytest.approx(known.median())
            north = sum(regions()[c] == "north" for c in members) / len(members)
            assert row["shares_region"].get("north", 0) == pytest.approx(north)
            assert sum(row["shares_region"].values()) == pytest.approx(1)
            assert row["marketing_action"]
            assert row["insight"].startswith(f"{row['share']:.1%} of customers, ")
            assert row["insight"].endswith(row["marketing_action"].split(":")[0].lower())


def test_what_lies_between_the_segments_is_measured(finished, spark) -> None:
    rows = finished.table(spark, "segment_separation").collect()
    measures = {(row["kind"], row["feature"]): row for row in rows}
    assert measures["rfm", "region"]["measure"] == "cramers_v"
    assert measures["rfm", "region"]["value"] is None  # one value beside the missing ones
    assert measures["rfm", "region"]["customers"] == 20
    assert measures["rfm", "orders"]["measure"] == "eta_squared"
    assert 0 < measures["rfm", "orders"]["value"] <= 1
    assert measures["cluster", "orders"]["customers"] == 30


def test_events_of_the_window_by_segment_and_every_row_accounted_for(finished, spark) -> None:
    labels = {r["customer_id"]: r for r in finished.table(spark, "customer_segments").collect()}
    table = finished.table(spark, "segment_events")
    assert {row["event"] for row in table.collect()} == {"coupon", "e-statement"}
    for kind, column in (("rfm", "rfm_segment"), ("cluster", "cluster_segment")):
        had = {"coupon": ["c001", "c002"], "e-statement": ["c003"]}
        for row in table.where(f"kind = '{kind}'").collect():
            members = [c for c, label in labels.items() if label[column] == row["segment"]]
            expected = len(set(members) & set(had[row["event"]]))
            assert (row["segment_customers"], row["customers"]) == (len(members), expected)
            assert row["rate_lower"] <= row["rate"] <= row["rate_upper"]
    report = finished.table(spark, "ingest_report").where("source = 'events'")
    counts = {
        row["measure"]: row["sum(rows)"] for row in report.groupBy("measure").sum("rows").collect()
    }
    measures = {m: n for m, n in counts.items() if n}
    assert measures == {"read": 7, "accepted": 5, "missing_customer_id": 1, "bad_timestamp": 1}
    rejects = finished.table(spark, "rejected_transactions").where("source = 'events'")
    found = {(row["reason"], row["event"], row["event_ts"]) for row in rejects.collect()}
    assert found == {
        ("missing_customer_id", "coupon", "2024-01-05"),
        ("bad_timestamp", "coupon", "yesterday"),
    }


@pytest.mark.slow
def test_a_run_again_goes_only_as_far_as_sources_without_versions_have_changed(
    shop, spark, capsys
) -> None:
    assert shop.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    before = versions(shop)
    assert shop.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    assert versions(shop) == before
    (shop.folder / "events.csv").write_text(EVENTS + "c005,2024-06-07,coupon\n")
    assert shop.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    assert versions(shop) == before  # it has happened after the date
    (shop.folder / "events.csv").write_text(EVENTS + "c005,2024-01-07,coupon\n")
    assert shop.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    after = versions(shop)
    assert after["customer_features"] == before["customer_features"]
    assert after["segment_profiles"] > before["segment_profiles"]
    counted = shop.table(spark, "segment_events").where("kind = 'cluster' AND event = 'coupon'")
    assert counted.selectExpr("sum(customers)").first()[0] == 3
    text = (shop.folder / "customers.csv").read_text().replace("c001,north", "c001,south")
    (shop.folder / "customers.csv").write_text(text)
    assert shop.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    assert versions(shop)["customer_features"] > after["customer_features"]
    after = versions(shop)
    (shop.folder / "events.csv").write_text("user,at,kind\n" + "c001,never,coupon\n" * 3)
    # Regression: labels and profiles were replaced before the events were looked at.
    status, message = refused(shop, capsys, "run", "--snapshot-date", SNAPSHOT)
    assert (status, "bad_timestamp 3" in message) == (3, True)
    throws = settings("sources.events.columns.event=cast(kind as int)", "max_rejected_share=1")
    status, message = refused(shop, capsys, "segment", "--snapshot-date", SNAPSHOT, *throws)
    assert (status, "sources.events.columns.event" in message) == (3, True)
    assert versions(shop) == after
    # Regression: Delta counts no rows of a commit that only takes some away.
    assert shop.rfm("segment", "--snapshot-date", SNAPSHOT, "--set", "sources.events=null") == 0
    assert shop.table(spark, "segment_events").count() == 0


MIXED = settings(
    "scoring.method={recency: qcut, frequency: rank, monetary: ntile}",
    "scoring.bins={recency: 5, frequency: 5, monetary: 5}",
)


def scores_of(project: Project, spark, store="warehouse") -> dict[str, tuple]:
    rows = project.table(spark, "customer_segments", store).collect()
    return {
        row["customer_id"]: (row["r_score"], row["f_score"], row["m_score"], row["rfm_segment"])
        for row in rows
    }


@pytest.mark.slow
def test_methods_mixed_by_role_are_those_of_pandas_and_sql_for_any_order_of_rows(
    shop, spark, capsys
) -> None:
    shutil.rmtree(shop.folder / "log")
    rows = life()
    make_log(shop, rows[::-3], "a.csv")
    make_log(shop, rows[-2::-3] + rows[-3::-3], "b.csv")
    assert shop.rfm("ingest", "--from", "2024-01-01", "--to", "2024-01-31") == 0
    assert shop.rfm("run", "--snapshot-date", SNAPSHOT, "--retrain", *MIXED) == 0
    assert "customers of equal orders may get different scores" in capsys.readouterr().out
    features = expected_features()
    ids = sorted(features)
    recency = pd.Series([features[c]["recency_days"] for c in ids])
    ranks = pd.Series([features[c]["orders"] for c in ids]).rank(method="first")
    edges = recency.quantile([0.2, 0.4, 0.6, 0.8]).tolist()
    expected = zip(
        [5 - sum(edge < value for edge in edges) for value in recency],
        (pd.qcut(ranks, 5, labels=False) + 1).tolist(),
        ntile_scores([float(features[c]["monetary"]) for c in ids], 5),
        strict=True,
    )
    found = scores_of(shop, spark)
    assert {c: found[c][:3] for c in ids} == dict(zip(ids, expected, strict=True))


@pytest.mark.slow
def test_edges_by_hand_need_no_training_and_any_stored_version_can_be_used_again(
    shop, spark, capsys
) -> None:
    trained = scores_of(shop, spark)
    version = shop.table(spark, "customer_segments").first()["thresholds_version"]
    by_hand = settings(
        "scoring.method=fixed",
        "scoring.thresholds={recency: [2, 5, 9, 14], frequency: [1, 2, 4, 8], "
        "monetary: [0, 9, 99, 199]}",
    )
    assert shop.rfm("segment", "--snapshot-date", SNAPSHOT, *by_hand) == 0
    features, found = expected_features(), scores_of(shop, spark)
    for customer, f in features.items():
        recency, orders, money = f["recency_days"], f["orders"], f["monetary"]
        expected = (
            5 - sum(edge < recency for edge in (2, 5, 9, 14)),
            1 + sum(edge < orders for edge in (1, 2, 4, 8)),
            1 + sum(edge < money for edge in (0, 9, 99, 199)),
        )
        assert found[customer][:3] == expected
    again = settings("scoring.method=fixed", f"scoring.thresholds_version={version}")
    capsys.readouterr()
    status, message = refused(shop, capsys, "segment", "--snapshot-date", SNAPSHOT, *again)
    assert (status, f"has no version '{version}'" in message) == (3, True)
    assert shop.rfm("train", "--snapshot-date", SNAPSHOT) == 0
    assert shop.rfm("segment", "--snapshot-date", SNAPSHOT, *again) == 0
    assert scores_of(shop, spark) == trained
    used = shop.table(spark, "customer_segments").select("thresholds_version").distinct().collect()
    assert [row[0] for row in used] == [version]
    other = settings(
        "scoring.roles.frequency=lines", "clustering.features=[recency_days, orders, monetary]"
    )
    status, message = refused(shop, capsys, "segment", "--snapshot-date", SNAPSHOT, *again, *other)
    assert (status, "frequency is orders in 5 bins there" in message) == (3, True)


@pytest.mark.slow
def test_rules_on_raw_features_name_customers_and_clusters(shop, spark, write_csv) -> None:
    write_csv(
        shop.folder / "own.yaml",
        """
        first_match: true
        segments:
        - {name: Big, action: "Thank: a gift", monetary: [300, null]}
        - {name: Fresh, action: "Welcome: a series", recency_days: [null, 3]}
        - {name: Rest, action: "Observe: no offer", recency_days: [1, null]}
        """,
    )
    rules = ("--set", "scoring.rules=own.yaml", "--retrain")
    assert shop.rfm("run", "--snapshot-date", SNAPSHOT, *rules) == 0
    features = expected_features()
    for customer, (_, _, _, segment) in scores_of(shop, spark).items():
        f = features[customer]
        fresh = "Fresh" if f["recency_days"] <= 3 else "Rest"
        assert segment == ("Big" if f["monetary"] >= 300 else fresh)
    names = shop.table(spark, "models").first()["cluster_names"]
    assert {name.split(",")[0] for name in names} <= {"Big", "Fresh", "Rest"}
    stored = json.loads(shop.table(spark, "score_thresholds").first()["rules_map"])
    assert stored["rules"][0]["features"] == {"monetary": [300.0, None]}


@pytest.mark.slow
def test_ties_that_leave_scores_empty_are_told_with_counts(project, spark, capsys) -> None:
    days = [f"2024-01-{day:02}" for day in (5, 5, 5, 5, 6, 7)]
    make_log(project, [(f"c{n}", day, "9.00", f"o{n}") for n, day in enumerate(days)])
    project.configure(
        CONFIG[: CONFIG.index("      customers:")] + "    clustering: {k: 2, seeds: 1}\n"
    )
    assert project.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "monetary: nobody gets scores 2, 3, 4, 5 of 5" in shown
    assert "(6 with monetary = 9)" in shown
    assert "(4 with recency_days = 27)" in shown
    assert "recency: nobody gets scores 1, 2, 3 of 5" in shown


def test_describe_shows_sources_and_features_and_writes_no_table(shop, spark, capsys) -> None:
    before = versions(shop)
    capsys.readouterr()
    assert shop.rfm("describe", "--log-format", "json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    tables = {line["title"]: line["rows"] for line in lines if line["event"] == "table"}
    log = {row["figure"]: row["value"] for row in tables["sources.transactions"]}
    rows = transactions(life())
    assert log["rows"] == len(rows)
    assert Decimal(log["amounts, added up"]) == sum(row.amount for row in rows)
    assert log["amounts below 0"] == sum(row.amount < 0 for row in rows)
    assert (log["first day"], log["rows equal in every column (whole log)"]) == ("2024-01-01", 0)
    events = {row["figure"]: row["value"] for row in tables["sources.events"]}
    assert (events["rows"], events["rejected: missing_customer_id"]) == (8, 1)
    customers = {row["column"]: row for row in tables["sources.customers"]}
    assert customers["region"]["without a value"] == 10
    features = {row["feature"]: row for row in tables[f"features of {SNAPSHOT}"]}
    orders = sorted(f["orders"] for f in expected_features().values())
    assert features["orders"]["50%"] == orders[14]
    assert features["orders"]["max"] == orders[-1]
    assert versions(shop) == before


@pytest.mark.slow
def test_two_segments_side_by_side(shop, spark, capsys) -> None:
    labels = shop.table(spark, "customer_segments").groupBy("rfm_segment").count()
    one, other = (r["rfm_segment"] for r in labels.orderBy("count", ascending=False).take(2))
    capsys.readouterr()
    assert shop.rfm("describe", "--compare", one, other, "--log-format", "json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    table = next(line["rows"] for line in lines if line["event"] == "table")
    features = expected_features()
    members = {name: [] for name in (one, other)}
    for customer, (*_, segment) in scores_of(shop, spark).items():
        if segment in members:
            members[segment].append(float(features[customer]["orders"]))
    a, b = (pd.Series(members[name]) for name in (one, other))
    row = next(row for row in table if row["feature"] == "orders")
    assert row[f"mean of {one}"] == pytest.approx(a.mean())
    assert row[f"median of {other}"] == b.median()
    assert row["difference"] == pytest.approx(
        (a.mean() - b.mean()) / ((a.var() + b.var()) / 2) ** 0.5
    )
    status, message = refused(shop, capsys, "describe", "--compare", one, "Championz")
    assert (status, "no customer of 2024-02-01 is in Championz" in message) == (3, True)


def test_describe_needs_nothing_but_the_sources(project, spark, capsys) -> None:
    make_log(project, life(5))
    project.configure(CONFIG[: CONFIG.index("      customers:")])
    assert project.rfm("describe", "--snapshot-date", "2024-01-05") == 0
    assert "no features yet" in capsys.readouterr().out
    status, message = refused(project, capsys, "describe", "--compare", "A", "B")
    assert (status, "there are no features yet" in message) == (3, True)
