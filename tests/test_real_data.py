"""Published files with published answers, through the commands."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from datetime import date, timedelta
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
          {where}
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


CLEAN = (
    "CustomerID IS NOT NULL AND InvoiceNo NOT LIKE 'C%' "
    "AND cast(Quantity AS int) > 0 AND cast(UnitPrice AS decimal(10, 3)) > 0"
)


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
def online_retail(generated_code, project, shared_data):
    project.configure(ONLINE_RETAIL.format(data=shared_data, where=CLEAN))
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
    inertia = {row["k"]: row["wcss_all"] for row in sweep if row["k"] > 1}
    scaled = {k: wcss * 4337 / 4338 for k, wcss in published.items()}
    assert inertia == pytest.approx(scaled, rel=0.005)


@pytest.mark.slow
def test_online_retail_exact_duplicates_out(online_retail, spark) -> None:
    whole_row = ("--set", "sources.transactions.duplicates=whole_row")
    assert online_retail.rfm("ingest", "--to", "2011-12-09", *whole_row) == 0
    assert sums(online_retail, spark, "read") == (397_884, Decimal("8911407.904"))
    assert sums(online_retail, spark, "duplicate") == (5_192, Decimal("24199.010"))
    daily = online_retail.table(spark, "customer_daily")
    total = daily.selectExpr("sum(purchase_amount + refund_amount)", "sum(lines)").first()
    assert tuple(total) == (Decimal("8887208.894"), 392_692)


@pytest.mark.release
@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("cast(Quantity AS int) < 0", 10_624),
        ("InvoiceNo LIKE 'C%'", 9_288),
        ("cast(UnitPrice AS decimal(10, 3)) <= 0", 2_517),
    ],
)
def test_online_retail_hygiene_by_filter(online_retail, spark, where, rows) -> None:
    arguments = ("--set", f"sources.transactions.where={where}", "--set", "max_rejected_share=1")
    assert online_retail.rfm("ingest", "--to", "2011-12-09", *arguments) == 0
    assert sums(online_retail, spark, "read")[0] == rows


def test_online_retail_as_published(online_retail, spark) -> None:
    everything = (
        "--set", "sources.transactions.where=null",
        "--set", "max_rejected_share=0.3",
    )  # fmt: skip
    assert online_retail.rfm("ingest", "--to", "2011-12-09", *everything) == 0
    assert sums(online_retail, spark, "read") == (541_909, Decimal("9747747.934"))
    assert sums(online_retail, spark, "missing_customer_id")[0] == 135_080
    assert online_retail.rfm("features", "--snapshot-date", "2011-12-10", *everything) == 0
    features = online_retail.table(spark, "customer_features")
    netted = features.selectExpr(
        "count(*)",
        "sum(monetary)",
        "count_if(monetary < 0)",
        "count_if(monetary = 0)",
        "count_if(last_activity_date IS NULL)",
        "max(CASE WHEN customer_id = 12346 THEN purchase_amount END)",
        "max(CASE WHEN customer_id = 12346 THEN monetary END)",
    ).first()
    assert tuple(netted) == (
        4_372,
        Decimal("8300065.814"),
        41,
        14,
        33,
        Decimal("77183.600"),
        Decimal("0.000"),
    )


@pytest.mark.slow
def test_online_retail_exact_duplicates_of_everybody(online_retail, spark) -> None:
    arguments = (
        "--set", "sources.transactions.where=null",
        "--set", "sources.transactions.duplicates=whole_row",
        "--set", "sources.transactions.columns.customer_id=coalesce(CustomerID, 'unknown')",
    )  # fmt: skip
    assert online_retail.rfm("ingest", "--to", "2011-12-09", *arguments) == 0
    assert sums(online_retail, spark, "duplicate")[0] == 5_268


@pytest.mark.slow
def test_cdnow_exact_duplicates_and_zeros(project, spark, shared_data) -> None:
    project.configure(CDNOW.format(data=shared_data))
    whole_row = ("--set", "sources.transactions.duplicates=whole_row")
    assert project.rfm("ingest", "--to", "1998-06-30", *whole_row) == 0
    assert sums(project, spark, "duplicate")[0] == 255
    zero = "sources.transactions.where=try_cast(substring(_c0, 20) AS double) = 0"
    zeros = ("--set", zero, "--set", "store=./zeros")
    assert project.rfm("ingest", "--to", "1998-06-30", *zeros) == 0
    report = project.table(spark, "ingest_report", "zeros").where("measure = 'read'")
    assert report.selectExpr("sum(rows)").first()[0] == 80


R_ORDERS = """
    store: ./warehouse
    timezone: UTC
    sources:
      transactions:
        format: csv
        path: {data}/rfm_data_orders.csv.gz
        options: {{header: true}}
        columns: {{customer_id: customer_id, transaction_ts: order_date, amount: revenue}}
"""


def test_the_orders_of_the_r_package(project, spark, shared_data) -> None:
    project.configure(R_ORDERS.format(data=shared_data))
    assert project.rfm("ingest", "--to", "2006-12-30") == 0
    assert project.rfm("features", "--snapshot-date", "2006-12-31") == 0
    totals = project.table(spark, "customer_features").selectExpr(
        "count(*)", "sum(lines)", "sum(monetary)"
    )
    # The ten segments of the published table together.
    assert tuple(totals.first()) == (995, 4_906, Decimal("464158.00"))


BERKA = """
    store: ./warehouse
    timezone: Europe/Prague
    sources:
      transactions:
        format: csv
        path: {data}/berka_transactions.csv.gz
        options: {{header: true, sep: ";"}}
        columns:
          customer_id: cast(account_id AS bigint)
          transaction_ts: to_date(concat('19', date), 'yyyyMMdd')
          amount: CASE WHEN type = 'PRIJEM' THEN 1 ELSE -1 END * cast(amount AS decimal(12, 2))
      balances:
        format: csv
        path: {data}/berka_transactions.csv.gz
        options: {{header: true, sep: ";"}}
        kind: flow
        columns:
          customer_id: cast(account_id AS bigint)
          transaction_id: trans_id
          balance_date: to_date(concat('19', date), 'yyyyMMdd')
          balance: CASE WHEN type = 'PRIJEM' THEN 1 ELSE -1 END * cast(amount AS decimal(12, 2))
"""
BERKA_SUMS = {
    "1993-03-31": (298, "5777768.8", "5777769.9"),
    "1993-06-30": (554, "15946191.3", "15946199.0"),
    "1993-12-31": (1_139, "36575912.9", "36575946.1"),
    "1994-02-28": (1_197, "36710561.0", "36710603.7"),
    "1994-03-30": (1_229, "39296720.1", "39296762.8"),
}


@pytest.mark.slow
def test_berka_running_sums_are_the_banks_balances(project, spark, shared_data) -> None:
    """Movements added up from 0, against the bank's own balance of each account."""
    project.configure(BERKA.format(data=shared_data))
    assert project.rfm("ingest", "--to", "1994-03-30") == 0
    bank = berka_end_of_day_balances(shared_data)
    for day, (accounts, of_bank, of_sums) in BERKA_SUMS.items():
        snapshot = date.fromisoformat(day) + timedelta(days=1)
        assert project.rfm("features", "--snapshot-date", str(snapshot)) == 0
        rows = project.table(spark, "customer_features").where(f"snapshot_date = '{snapshot}'")
        aum = {row["customer_id"]: row["aum"] for row in rows.collect()}
        assert len(aum) == accounts
        assert sum(aum.values()) == pytest.approx(Decimal(of_sums), abs=Decimal("0.051"))
        stated = {account: last(days, snapshot) for account, days in bank.items()}
        stated = {account: value for account, value in stated.items() if value is not None}
        assert set(stated) == set(aum)
        assert sum(stated.values()) == pytest.approx(Decimal(of_bank), abs=Decimal("0.051"))
        assert max(abs(aum[account] - stated[account]) for account in aum) <= Decimal("0.70")


def berka_end_of_day_balances(shared_data) -> dict[int, dict[date, Decimal]]:
    """The bank's balance of each account-day; of several rows that nearest to the running sum."""
    days = defaultdict(list)
    with gzip.open(shared_data / "berka_transactions.csv.gz", "rt") as file:
        for row in csv.DictReader(file, delimiter=";"):
            text = "19" + row["date"]
            day = date(int(text[:4]), int(text[4:6]), int(text[6:]))
            sign = 1 if row["type"] == "PRIJEM" else -1
            movement = (sign * Decimal(row["amount"]), Decimal(row["balance"]))
            days[int(row["account_id"]), day].append(movement)
    found: dict[int, dict[date, Decimal]] = defaultdict(dict)
    running: dict[int, Decimal] = defaultdict(Decimal)
    for (account, day), rows in sorted(days.items()):
        running[account] += sum(movement for movement, _ in rows)
        found[account][day] = min((b for _, b in rows), key=lambda b: abs(b - running[account]))
    return found


def last(days: dict[date, Decimal], snapshot: date) -> Decimal | None:
    known = [day for day in days if day < snapshot]
    return days[max(known)] if known else None
