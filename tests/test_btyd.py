"""The summary that customer lifetime models start from."""

from __future__ import annotations

import csv
import gzip
import re
import subprocess
import sys
from datetime import date
from decimal import Decimal

import duckdb
import pytest
from conftest import PROJECT

from rfm_spark.features.btyd import btyd_summary

DAYS = [
    # customer, day, purchases, refunds, lines
    ("once", "2025-01-10", "30.00", "0.00", 1),
    ("thrice", "2025-01-01", "100.00", "-20.00", 1),
    ("thrice", "2025-01-15", "10.00", "0.00", 2),
    ("thrice", "2025-02-26", "30.00", "-4.00", 1),
    ("returns", "2025-01-05", "50.00", "0.00", 1),
    ("returns", "2025-01-09", "0.00", "-50.00", 0),
    ("takes back", "2025-01-05", "8.00", "0.00", 1),
    ("takes back", "2025-01-12", "9.00", "0.00", 1),
    ("takes back", "2025-01-20", "0.00", "-3.00", 0),
    ("refund first", "2025-01-02", "0.00", "-5.00", 0),
    ("refund first", "2025-01-03", "6.00", "0.00", 1),
    ("refund first", "2025-01-07", "7.00", "0.00", 1),
    ("never", "2025-01-02", "0.00", "-5.00", 0),
    ("later", "2025-03-01", "5.00", "0.00", 1),
    ("once", "2025-03-02", "99.00", "0.00", 1),
]


@pytest.fixture(scope="module")
def daily(spark):
    rows = [
        (customer, date.fromisoformat(day), Decimal(paid), Decimal(back), lines)
        for customer, day, paid, back, lines in DAYS
    ]
    return spark.createDataFrame(
        rows,
        "customer_id string, activity_date date, purchase_amount decimal(28,2), "
        "refund_amount decimal(28,2), lines bigint",
    )


def test_summary_worked_out_by_hand(daily) -> None:
    summary = btyd_summary(daily, snapshot_date=date(2025, 3, 1), unit="days")
    found = {row[0]: tuple(row)[1:] for row in summary.collect()}
    assert found == {
        "once": (0, 0, 49, 0.0),
        "thrice": (2, 56, 58, 18.0),
        "returns": (0, 0, 54, 0.0),
        "takes back": (1, 7, 54, 6.0),
        "refund first": (1, 4, 56, 7.0),
    }
    assert summary.columns == ["customer_id", "frequency", "recency", "T", "monetary_value"]


def test_weeks_are_days_by_seven(daily) -> None:
    summary = btyd_summary(daily, snapshot_date=date(2025, 3, 1), unit="weeks")
    row = summary.where("customer_id = 'thrice'").first()
    assert (row["recency"], row["T"]) == (8.0, 58 / 7)


CONFIG = """
    store: ./warehouse
    timezone: UTC
    sources:
      transactions:
        format: csv
        path: {data}/cdnow_sample.txt.gz
        options: {{header: false, sep: "|"}}
        timestamp_format: yyyyMMdd
        columns:
          customer_id: cast(split(trim(_c0), ' +')[1] AS bigint)
          transaction_ts: split(trim(_c0), ' +')[2]
          amount: split(trim(_c0), ' +')[4]
    exports:
      clv: {{type: btyd, path: ./out put, unit: weeks}}
      clv_csv: {{type: btyd, path: ./csv, unit: weeks, format: csv}}
"""


def test_the_published_summary_of_cdnow(project, spark, shared_data, capsys) -> None:
    """Every row, from the export's files as DuckDB reads them."""
    project.configure(CONFIG.format(data=shared_data))
    assert project.rfm("ingest", "--to", "1997-09-30") == 0
    for name in ("clv", "clv_csv"):
        assert project.rfm("export", "--snapshot-date", "1997-10-01", "--to", name) == 0
    assert "2,357 rows" in capsys.readouterr().out
    columns = "customer_id, frequency, recency, T, monetary_value"
    parquet = duckdb.sql(
        f"SELECT {columns} FROM read_parquet('{project.folder}/out put/*/*.parquet') ORDER BY 1"
    ).fetchall()
    text = duckdb.sql(
        f"SELECT {columns} FROM read_csv('{project.folder}/csv/*/*.csv', header = true) ORDER BY 1"
    ).fetchall()
    assert text == parquet
    with gzip.open(shared_data / "cdnow_btyd_summary.csv.gz", "rt") as file:
        published = {int(row["ID"]): row for row in csv.DictReader(file)}
    assert len(parquet) == len(published) == 2_357
    for customer, frequency, *measured in parquet:
        row = published[customer]
        assert frequency == int(row["x"])
        expected = [float(row[name]) for name in ("t_x", "T", "zbar")]
        assert measured == pytest.approx(expected, abs=0.00501)


def test_exports_that_cannot_be_are_refused(project, spark, capsys) -> None:
    project.configure(
        """
        store: ./warehouse
        timezone: UTC
        sources:
          transactions:
            format: csv
            path: ./log.csv
            options: {header: true}
            columns: {customer_id: user, transaction_ts: day, amount: paid}
        exports:
          clv: {type: btyd, path: ./out}
        """
    )
    (project.folder / "log.csv").write_text("user,day,paid\nAnn,2025-05-10,3\n")
    assert project.rfm("export", "--snapshot-date", "2025-05-01", "--to", "mail") == 2
    assert "it has clv" in " ".join(capsys.readouterr().err.split())
    assert project.rfm("export", "--snapshot-date", "2025-05-01", "--to", "clv") == 3
    assert project.rfm("ingest", "--to", "2025-05-10") == 0
    assert project.rfm("export", "--snapshot-date", "2025-05-01", "--to", "clv") == 3
    assert "no transaction before 2025-05-01" in " ".join(capsys.readouterr().err.split())
    assert project.rfm("export", "--snapshot-date", "2025-06-01", "--to", "clv") == 0
    assert "not every day before 2025-06-01" in " ".join(capsys.readouterr().out.split())


@pytest.mark.release
def test_the_example_fits_a_lifetime_model_of_another_environment(
    project, spark, shared_data, tmp_path
) -> None:
    """BG/NBD on CDNOW: near the published estimates, which have no priors (0.243, 4.414, 0.25)."""
    environment = tmp_path / "lifetime"
    python = environment / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    install = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-warn-script-location", f"{PROJECT}[clv]"],
        capture_output=True,
        text=True,
        check=False,
    )
    if install.returncode != 0:
        pytest.skip(f"pymc-marketing cannot be installed here: {install.stderr[-300:]}")
    project.configure(CONFIG.format(data=shared_data))
    assert project.rfm("ingest", "--to", "1997-09-30") == 0
    assert project.rfm("export", "--snapshot-date", "1997-10-01", "--to", "clv") == 0
    folder, out = project.folder / "out put" / "snapshot_date=1997-10-01", tmp_path / "out.parquet"
    command = [python, PROJECT / "scripts" / "fit_clv.py", folder, "--periods", "39", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = dict(re.findall(r"(r|alpha|a|b) = ([\d.]+)", done.stdout))
    r, alpha, a, b = (float(found[name]) for name in ("r", "alpha", "a", "b"))
    assert (r, alpha) == pytest.approx((0.243, 4.414), rel=0.05)
    assert a / (a + b) == pytest.approx(0.793 / (0.793 + 2.426), rel=0.1)
    customers = duckdb.sql(f"SELECT * FROM read_parquet('{out}')").fetchall()
    assert len(customers) == 2_357
    alive, expected = (sum(row[place] for row in customers) for place in (4, 5))
    assert 0 < alive < 2_357
    assert 1_000 < expected < 2_500
