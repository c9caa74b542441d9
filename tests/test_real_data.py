"""Published files with published answers, through the commands."""

from __future__ import annotations

from decimal import Decimal

import pytest

CDNOW = """
    store: ./warehouse
    timezone: UTC
    sources:
      transactions:
        format: csv
        path: {data}/cdnow_master.txt.gz
        options: {{header: false, sep: "|"}}
        where: "_c0 NOT LIKE '%customer_id%'"
        timestamp_format: yyyyMMdd
        columns:
          customer_id: substring(_c0, 2, 5)
          transaction_ts: substring(_c0, 8, 8)
          amount: substring(_c0, 20)
"""

ONLINE_RETAIL = """
    store: ./warehouse
    timezone: Europe/London
    currency: GBP
    amount_scale: 3
    sources:
      transactions:
        format: csv
        path: {data}/online_retail.csv.gz
        options: {{header: true, escape: '"'}}
        where: >-
          CustomerID IS NOT NULL AND InvoiceNo NOT LIKE 'C%'
          AND cast(Quantity AS int) > 0 AND cast(UnitPrice AS decimal(10, 3)) > 0
        duplicates: keep
        columns:
          customer_id: cast(cast(CustomerID AS double) AS bigint)
          transaction_ts: InvoiceDate
          amount: cast(Quantity AS int) * cast(UnitPrice AS decimal(10, 3))
          order_id: InvoiceNo
    clustering:
      features: [recency_days, lines, monetary]
      k_range: [2, 5]
"""


def sums(project, spark, measure: str) -> tuple[int, Decimal]:
    report = project.table(spark, "ingest_report").where(f"measure = '{measure}'")
    return tuple(report.selectExpr("sum(rows)", "sum(amount)").first())


def test_cdnow_master(project, spark, shared_data) -> None:
    project.configure(CDNOW.format(data=shared_data))
    assert project.rfm("ingest", "--to", "1998-06-30") == 0
    assert project.rfm("features", "--snapshot-date", "1998-07-01") == 0
    assert sums(project, spark, "read") == (69_659, Decimal("2500315.63"))
    assert sums(project, spark, "accepted") == (69_659, Decimal("2500315.63"))
    daily = project.table(spark, "customer_daily")
    days = daily.selectExpr("string(min(activity_date))", "string(max(activity_date))").first()
    assert tuple(days) == ("1997-01-01", "1998-06-30")
    features = project.table(spark, "customer_features")
    assert features.count() == 23_570
    totals = features.selectExpr("sum(monetary)", "sum(lines)", "min(recency_days)").first()
    assert tuple(totals) == (Decimal("2500315.63"), 69_659, 1)


@pytest.fixture
def online_retail(project, shared_data):
    project.configure(ONLINE_RETAIL.format(data=shared_data))
    return project


def test_online_retail_clean(online_retail, spark) -> None:
    assert online_retail.rfm("run", "--snapshot-date", "2011-12-10") == 0
    assert sums(online_retail, spark, "accepted") == (397_884, Decimal("8911407.904"))
    features = online_retail.table(spark, "customer_features")
    totals = features.selectExpr("count(*)", "sum(orders)", "sum(monetary)").first()
    assert tuple(totals) == (4_338, 18_532, Decimal("8911407.904"))
    thresholds = online_retail.table(spark, "score_thresholds").where("metric = 'frequency'")
    edges = thresholds.where("upper IS NOT NULL").orderBy("score").select("upper").collect()
    assert [row[0] for row in edges] == [1, 2, 3, 6]
    scores = online_retail.table(spark, "customer_segments").groupBy("f_score").count()
    assert {row[0]: row[1] for row in scores.collect()} == {1: 1493, 2: 835, 3: 508, 4: 802, 5: 700}
    sweep = online_retail.table(spark, "k_sweep").where("wcss_all IS NOT NULL").collect()
    # Inertia of scikit-learn (10 starts, population standard deviation); ours is the sample one's.
    published = {2: 6766.2083, 3: 5236.9922, 4: 4301.1575, 5: 3691.8399}
    for row in sweep:
        assert row["wcss_all"] == pytest.approx(published[row["k"]] * 4337 / 4338, rel=0.005)
    assert len(sweep) == 4


def test_online_retail_exact_duplicates_out(online_retail, spark) -> None:
    whole_row = ("--set", "sources.transactions.duplicates=whole_row")
    assert online_retail.rfm("ingest", "--to", "2011-12-09", *whole_row) == 0
    assert sums(online_retail, spark, "read") == (397_884, Decimal("8911407.904"))
    assert sums(online_retail, spark, "duplicate") == (5_192, Decimal("24199.010"))
    daily = online_retail.table(spark, "customer_daily")
    total = daily.selectExpr("sum(purchase_amount + refund_amount)", "sum(lines)").first()
    assert tuple(total) == (Decimal("8887208.894"), 392_692)
