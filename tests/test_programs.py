"""The programs as users start them, and the demos."""

from __future__ import annotations

import os
import shutil
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from browser import DESKTOP, PHONE, Seen, started
from deltalake import DeltaTable
from processes import SHORT_LIFE, start
from stores import assert_same_tables
from test_pipeline import CONFIG, SNAPSHOT, life, make_log

from rfm_spark.cli import main

PROJECT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def arrow(store: Path, table: str):
    return DeltaTable(str(store / table)).to_pyarrow_table()


def total(store: Path, table: str, column: str) -> Decimal:
    return sum(arrow(store, table)[column].to_pylist())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    start(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), ".")
    return next(out.glob("*.whl"))


@pytest.mark.release  # `test_places` submits it to a cluster that has Delta Lake
def test_a_submitted_wheel_brings_delta_lake_itself(project, wheel) -> None:
    """Nothing is said of it on the submit line."""
    make_log(project, life())
    project.configure(CONFIG)
    ingest = ("--snapshot-date", SNAPSHOT)
    assert project.rfm("ingest", *ingest) == 0
    submit = (str(Path(sys.executable).parent / "spark-submit"), "--master", "local[2]")
    few = ("--conf", "spark.sql.shuffle.partitions=2", "--driver-java-options", SHORT_LIFE)
    job = (str(PROJECT / "jobs" / "ingest.py"), "--config", str(project.config), *ingest)
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    start(*submit, *few, "--py-files", str(wheel), *job, "--set", "store=./submitted/", **path)
    assert_same_tables(project.folder / "submitted", project.folder / "warehouse")


def look_at_report(spark, monkeypatch, folder: Path, name: str, day: str, figures: int) -> None:
    """Make the report as `make` does, on the suite's session, and open it."""
    monkeypatch.setenv("RFM_DEMO_DIR", str(folder))
    page = folder / name / "report.html"
    config = str(PROJECT / "conf" / f"{name}_demo.yaml")
    assert main(["report", "--config", config, "--snapshot-date", day, "--out", str(page)]) == 0
    assert page.stat().st_size < 8_000_000
    with started() as browser:
        for viewport in (DESKTOP, PHONE):
            seen = Seen(browser, page, viewport)
            seen.assert_whole()
            assert seen.page.locator(".js-plotly-plot").count() == figures
            seen.page.close()


def test_the_retail_demo(tmp_path, spark, monkeypatch, capsys) -> None:
    environment = {"RFM_DEMO_DIR": str(tmp_path)}
    log = str(tmp_path / "retail" / "log")
    start(sys.executable, "scripts/fetch_retail_log.py", "--out", log)
    run = (sys.executable, "-m", "rfm_spark.cli", "run", "--config", "conf/retail_demo.yaml")
    shown = start(*run, "--snapshot-date", "2018-01-01", **environment)
    assert "1,469,307 rows read" in shown
    assert "Champions" in shown
    store = tmp_path / "retail" / "warehouse"
    assert total(store, "customer_features", "monetary") == Decimal("4596039.58")
    assert total(store, "customer_daily", "purchase_amount") == Decimal("4596039.58")
    assert total(store, "customer_daily", "lines") == 1_469_307
    labels = arrow(store, "customer_segments")
    assert labels.num_rows == len(set(labels["customer_id"].to_pylist())) == 2_469
    monkeypatch.setenv("RFM_DEMO_DIR", str(tmp_path))
    again = ["run", "--config", str(PROJECT / "conf" / "retail_demo.yaml")]
    assert main([*again, "--snapshot-date", "2018-01-01"]) == 0
    assert "nothing to read" in capsys.readouterr().out
    assert arrow(store, "customer_segments").equals(labels)
    tour = start(sys.executable, "notebooks/tour.py", str(store))
    assert "2,469 customers as of 2018-01-01" in tour
    away = [
        row["monetary"]
        for row in labels.to_pylist()
        if row["r_score"] <= 2 and max(row["f_score"], row["m_score"]) >= 4
    ]
    assert f"slipping away: {len(away):,} customers, who brought {sum(away):,}" in tour
    look_at_report(spark, monkeypatch, tmp_path, "retail", "2018-01-01", 13)


@pytest.mark.release
def test_the_savings_demo_knows_what_everybody_holds(tmp_path, spark, monkeypatch, capsys) -> None:
    folder = tmp_path / "savings" / "log"
    make = (sys.executable, "scripts/make_savings_log.py", "--customers", "120")
    start(*make, "--out", str(folder))
    assert "already" in start(*make, "--out", str(folder))
    monkeypatch.setenv("RFM_DEMO_DIR", str(tmp_path))
    config = str(PROJECT / "conf" / "savings_demo.yaml")
    assert main(["run", "--config", config, "--snapshot-date", "2026-01-01"]) == 0
    assert "AUM per day (NGN)" in capsys.readouterr().out
    store = tmp_path / "savings" / "warehouse"
    base = duckdb.connect()
    base.register("features", arrow(store, "customer_features"))
    query = f"""
        SELECT count(*), count_if(f.aum IS DISTINCT FROM t.aum), count(t.aum)
        FROM '{folder}/truth/*.parquet' t FULL JOIN features f ON t.user_id = f.customer_id
    """
    people, wrong, holders = base.sql(query).fetchall()[0]
    assert (people, wrong) == (120, 0)
    assert holders > 100
    reasons = set(arrow(store, "rejected_transactions")["reason"].to_pylist())
    assert reasons == {"missing_customer_id", "bad_amount", "bad_timestamp"}
    look_at_report(spark, monkeypatch, tmp_path, "savings", "2026-01-01", 13)
    shutil.rmtree(tmp_path / "savings")


def test_make_alone_lists_the_targets() -> None:
    shown = start("make")
    tests = ("test", "test-all", "test-release")
    for target in ("demo", "demo-savings", "demo-history", *tests, "lint", "package"):
        assert f"make {target} " in shown
