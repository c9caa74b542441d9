"""Features from further sources, and attributes of customers."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from rfm_spark.features.extra import aggregated, with_dates

CONFIG = """
    store: ./warehouse
    timezone: Africa/Lagos
    max_rejected_share: 0.5
    sources:
      transactions:
        format: csv
        path: ./log.csv
        options: {header: true}
        columns: {customer_id: user, transaction_ts: at, amount: paid}
      customers:
        format: csv
        path: ./customers.csv
        options: {header: true}
        columns: {customer_id: user}
        attributes: {region: upper(region)}
      engagement:
        format: csv
        path: ./logins.csv
        options: {header: true}
        columns: {customer_id: user, event_ts: at, seconds: cast(seconds AS int)}
        features:
          num_logins: {expr: "count(distinct to_date(event_ts))", missing: 0}
          last_login_days: {expr: "datediff({snapshot_date}, max(to_date(event_ts)))"}
          first_in_window: {expr: "datediff(min(to_date(event_ts)), {window_start})"}
          seconds_spent: {expr: "sum(seconds)", missing: 0}
    features: {window_days: 10}
    scoring:
      roles: {frequency: num_logins}
    clustering:
      features: [recency_days, num_logins, seconds_spent]
      k: 2
      seeds: 1
"""


@pytest.fixture
def shop(project, write_csv):
    project.configure(CONFIG)
    write_csv(
        project.folder / "log.csv",
        "user,at,paid\na,2024-01-05,1\nb,2024-01-30,2\nc,2024-01-31,3\n",
    )
    write_csv(project.folder / "customers.csv", "user,region\na,north\nb,\nd,south\n")
    write_csv(
        project.folder / "logins.csv",
        """
        user,at,seconds
        a,2024-01-21T22:59:59Z,1
        a,2024-01-21T23:00:00Z,10
        a,2024-01-25T10:00:00Z,20
        a,2024-01-25T11:00:00Z,30
        a,2024-01-31T22:59:59Z,40
        a,2024-01-31T23:00:00Z,1000
        b,2024-01-20T10:00:00Z,5
        nobody,2024-01-25T10:00:00Z,5
        ,2024-01-25T10:00:00Z,5
        a,last week,5
        """,
    )
    return project


def test_extra_features_and_attributes_reach_the_segments(shop, spark) -> None:
    assert shop.rfm("run", "--snapshot-date", "2024-02-01") == 0
    rows = {row["customer_id"]: row for row in shop.table(spark, "customer_features").collect()}
    assert set(rows) == {"a", "b", "c", "d"}
    features = ("num_logins", "last_login_days", "first_in_window", "seconds_spent")
    # The window is 22 to 31 January in Lagos, which is an hour ahead of UTC.
    assert [rows["a"][name] for name in features] == [3, 1, 0, 100]
    for customer in ("b", "c", "d"):
        assert [rows[customer][name] for name in features] == [0, None, None, 0]
    assert [rows[customer]["region"] for customer in "abcd"] == ["NORTH", None, None, "SOUTH"]
    rejects = shop.table(spark, "rejected_transactions").where("source = 'engagement'").collect()
    assert {(row["reason"], row["event_ts"]) for row in rejects} == {
        ("missing_customer_id", "2024-01-25T10:00:00Z"),
        ("bad_timestamp", "last week"),
    }
    report = shop.table(spark, "ingest_report").where("source = 'engagement'")
    counts = {row[0]: row[1] for row in report.groupBy("measure").sum("rows").collect()}
    assert (counts["read"], counts["accepted"]) == (7, 5)
    segments = {row["customer_id"]: row for row in shop.table(spark, "customer_segments").collect()}
    assert (segments["a"]["f_score"], segments["a"]["num_logins"]) == (4, 3)
    assert (segments["a"]["region"], segments["d"]["region"]) == ("NORTH", "SOUTH")
    profiles = shop.table(spark, "segment_profiles")
    assert {"mean_num_logins", "median_seconds_spent"} <= set(profiles.columns)


@pytest.mark.parametrize(
    ("settings", "status", "expected"),
    [
        (("features.num_logins.expr=count(nope)",), 2, "num_logins: 'count(nope)'"),
        (("features.num_logins.expr=seconds",), 2, "num_logins: 'seconds'"),
        (("features.num_logins.expr=max(at)",), 2, "Aggregates are over customer_id, event_ts"),
        (("features.num_logins.expr=string(count(*))",), 2, "needs a number"),
        (("columns.customer_id=cast(1 as bigint)",), 3, "must have one type everywhere"),
        (("columns.seconds=cast(user AS int)",), 3, "columns.seconds: the expression"),
    ],
)
def test_what_does_not_fit_is_named(shop, capsys, settings, status, expected) -> None:
    assert shop.rfm("ingest", "--to", "2024-01-31") == 0
    capsys.readouterr()
    arguments = [p for setting in settings for p in ("--set", f"sources.engagement.{setting}")]
    assert shop.rfm("features", "--snapshot-date", "2024-02-01", *arguments) == status
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("scoring.roles.frequency=num_login", "did you mean num_logins?"),
        ("clustering.features=[region]", "'region' is not a feature or a score"),
        ("sources.engagement.features.orders={expr: count(*)}", "name of another column"),
        ("sources.customers.attributes.num_logins=region", "name of another column"),
        ("sources.engagement.featurez={}", "did you mean features?"),
        ("sources.custumers={path: x}", "did you mean customers?"),
        ("sources.events={path: x}", "sources.events.columns: is required"),
    ],
)
def test_names_are_checked_without_data(project, capsys, setting, expected) -> None:
    project.configure(CONFIG)
    assert project.rfm("check", "--set", setting) == 2
    assert expected in capsys.readouterr().err


def test_aggregates_do_not_depend_on_the_layout(spark) -> None:
    rows = [(n % 3, date(2024, 1, 1 + n % 9), 0.1 * (n * 7919 % 101)) for n in range(300)]
    rows.append((0, date(2024, 1, 1), float("nan")))
    events = spark.createDataFrame(rows, "customer_id int, event_ts date, x double")
    expressions = {"total": "sum(x)", "latest": "max_by(x, event_ts)", "some": "first(x)"}
    whole = sorted(map(tuple, aggregated(events, expressions).collect()))
    again = aggregated(events.orderBy("x").repartition(7), expressions).collect()
    assert sorted(map(tuple, again)) == whole
    assert whole[0][1] is None  # a sum with a NaN is no number


def test_dates_are_filled_in() -> None:
    text = "{snapshot_date} - {window_start}"
    start, end = date(2024, 1, 1), date(2024, 2, 1)
    assert with_dates(text, snapshot_date=end, window_start=start) == (
        "DATE'2024-02-01' - DATE'2024-01-01'"
    )
    assert "CAST(NULL AS DATE)" in with_dates(text, snapshot_date=end, window_start=None)


def test_money_of_a_feature_is_exact(spark) -> None:
    events = spark.sql(
        "SELECT 'a' AS customer_id, date'2024-01-01' AS event_ts, explode(array(0.1BD, 0.2BD)) AS x"
    )
    assert aggregated(events, {"total": "sum(x)"}).first()["total"] == Decimal("0.3")
