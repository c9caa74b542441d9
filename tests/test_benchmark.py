"""What the benchmark measures with: its log, its peers, and what it takes for the same result."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import benchmark
import duckdb
import pandas as pd
import pytest
from conftest import JVM, SMALL
from deltalake import DeltaTable
from peers import agreement, duckdb_sklearn, engines, pandas_recipe, rfm_store, textbook
from peers.engines import too_large
from peers.measure import EngineError, Measured, measured
from peers.options import Row
from peers.order_log import Plan, bring_tomorrow, make_log, take_back
from peers.result import Fitted, Result

PROJECT = Path(__file__).parents[1]
PLAN = Plan(lines=200_000, customers=5_000, days=10, seed=1)
SNAPSHOT = date(2026, 1, 1)
PEERS = {"duckdb": duckdb_sklearn, "pandas": pandas_recipe}


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    return make_log(tmp_path_factory.mktemp("a log of orders"), PLAN, lambda line: None)


@pytest.fixture(scope="module")
def results(log: Path, tmp_path_factory) -> dict[str, Result]:
    found = {}
    for name, peer in PEERS.items():
        out = tmp_path_factory.mktemp(name)
        peer.main(arguments_of(log, out))
        found[name] = Result.load(out / "result.json")
    return found


def arguments_of(log: Path, out: Path, day: date = SNAPSHOT) -> list[str]:
    return [
        *("--log", str(log), "--out", str(out), "--snapshot-date", str(day)),
        *("--first-day", str(PLAN.first_day), "--k", "2", "3"),
    ]


@pytest.fixture
def by_hand(tmp_path) -> Path:
    """Two equal rows, a refund in an order, one alone, a row without id, two without amount."""
    rows = [
        (1, 10, 1, "2025-12-30 08:00:00", "10.10"),
        (1, 10, 1, "2025-12-30 08:00:00", "10.10"),
        (1, 10, 2, "2025-12-30 08:00:00", "-0.10"),
        (1, 11, 1, "2025-12-31 23:59:59", "0.00"),
        (2, 12, 1, "2025-12-31 00:00:00", "-5.55"),
        (None, 13, 1, "2025-12-31 00:00:00", None),
        (3, 14, 1, "2025-12-29 00:00:00", None),
        (3, 15, 1, "2025-12-29 00:00:00", "7.00"),
    ]
    log = tmp_path / "by hand"
    values = ", ".join(
        f"({'NULL' if user is None else user}::BIGINT, {order}::BIGINT, {line}::INTEGER, "
        f"7::INTEGER, TIMESTAMP '{at}', {amount or 'NULL'}::DECIMAL(12, 2), DATE '{at[:10]}')"
        for user, order, line, at, amount in rows
    )
    names = "user_id, order_id, line_number, product_id, ordered_at, amount, log_date"
    duckdb.sql(f"SELECT * FROM (VALUES {values}) AS log({names})").write_parquet(
        str(log), partition_by=["log_date"]
    )
    return log


COUNTED = {"read": 8, "missing_customer_id": 1, "missing_amount": 1, "duplicate": 1}
CUSTOMERS = {1: (1, 2, Decimal("10.00")), 2: (None, 0, Decimal("-5.55")), 3: (3, 1, Decimal(7))}


def test_duckdb_counts_and_adds_up_what_was_added_up_by_hand(by_hand) -> None:
    connection = duckdb.connect()
    assert duckdb_sklearn.aggregated(connection, by_hand, SNAPSHOT) == COUNTED
    rows = connection.execute(
        "SELECT customer_id, recency_days, orders, monetary FROM features"
    ).fetchall()
    assert {id_: tuple(rest) for id_, *rest in rows} == CUSTOMERS


def test_pandas_counts_and_adds_up_what_was_added_up_by_hand(by_hand) -> None:
    counts, customers = pandas_recipe.aggregated(pandas_recipe.log_rows(by_hand), SNAPSHOT)
    assert counts == COUNTED
    found = {
        int(row.Index): (
            None if pd.isna(row.recency_days) else int(row.recency_days),
            row.orders,
            round(Decimal(row.monetary), 2),
        )
        for row in customers.itertuples()
    }
    assert found == CUSTOMERS


def test_duckdb_and_pandas_agree(results) -> None:
    duck, pandas = results["duckdb"], results["pandas"]
    assert agreement.disagreements(duck, pandas) == []
    for k in (2, 3):
        costs = agreement.costs(results, k, PLAN.days)
        assert set(costs) == set(PEERS)
        assert agreement.wrong_costs(results, k, costs) == []
    assert agreement.poor_fits(duck, {"pandas": pandas}) == []


def test_textbook_spark_agrees_with_them(spark, log, results, tmp_path) -> None:
    textbook.main(arguments_of(log, tmp_path))
    spark.catalog.clearCache()
    found = Result.load(tmp_path / "result.json")
    assert agreement.disagreements(results["duckdb"], found) == []
    for k in (2, 3):
        costs = agreement.costs({"textbook": found}, k, PLAN.days)
        assert agreement.wrong_costs({"textbook": found}, k, costs) == []


def test_a_cent_of_one_customer_is_a_disagreement(results, tmp_path) -> None:
    changed = with_changed(results["pandas"], tmp_path, "monetary", "monetary + 0.01")
    found = agreement.disagreements(results["duckdb"], changed)
    assert any(line.startswith("money: ") for line in found)
    assert any(line.startswith("1 customers have other values") for line in found)
    assert len(found) == 2


def test_a_score_of_one_customer_is_a_disagreement_unless_edges_are_of_other_dates(
    results, tmp_path
) -> None:
    changed = with_changed(results["pandas"], tmp_path, "m_score", "m_score % 5 + 1")
    (found,) = agreement.disagreements(results["duckdb"], changed)
    assert found.startswith("1 customers have other values")
    assert agreement.disagreements(results["duckdb"], replace(changed, edges_cut_on="x")) == []


def test_a_lost_customer_is_a_disagreement(results, tmp_path) -> None:
    changed = with_changed(results["pandas"], tmp_path, "customer_id", "customer_id")
    everybody = f"read_parquet('{changed.files[0]}')"
    fewer = tmp_path / "fewer.parquet"
    duckdb.sql(f"FROM {everybody} WHERE customer_id <> 7").write_parquet(str(fewer))
    lost = replace(changed, files=[str(fewer)])
    found = agreement.disagreements(results["duckdb"], lost)
    assert any(line.startswith("customers: ") for line in found)
    assert agreement.differing_customers(lost, results["duckdb"], ["orders"]) == 1


def test_another_count_or_edge_is_a_disagreement(results) -> None:
    duck = results["duckdb"]
    counted = replace(duck, counts={**duck.counts, "duplicate": duck.counts["duplicate"] + 1})
    (found,) = agreement.disagreements(duck, counted)
    assert found.startswith("duplicate: ")
    edges = [*duck.edges["monetary"][:3], duck.edges["monetary"][3] + 0.01]
    moved = replace(duck, edges={**duck.edges, "monetary": edges})
    (found,) = agreement.disagreements(duck, moved)
    assert found.startswith("edges of monetary: ")


def test_a_worse_fit_and_a_wrong_cost_are_told(results) -> None:
    duck = results["duckdb"]
    fit = duck.sweep[2]
    worse = replace(duck, sweep={**duck.sweep, 2: replace(fit, wcss=fit.wcss * 1.02)})
    (found,) = agreement.poor_fits(worse, results)
    assert found.startswith("WCSS for k = 2: ")
    almost = replace(duck, sweep={**duck.sweep, 2: replace(fit, wcss=fit.wcss * 1.0005)})
    assert agreement.poor_fits(almost, results) == []
    (found,) = agreement.wrong_costs(
        {"worse": worse}, 2, agreement.costs({"worse": worse}, 2, PLAN.days)
    )
    assert found.startswith("worse says that its WCSS for k = 2 is ")


def test_a_known_model_labels_the_next_day_without_a_sweep(log, results, tmp_path) -> None:
    duckdb_result = tmp_path / "known.json"
    results["duckdb"].save(duckdb_result)
    bring_tomorrow(log)
    try:
        day = date(2026, 1, 2)
        duckdb_sklearn.main(
            [*arguments_of(log, tmp_path / "next", day), "--model", str(duckdb_result)]
        )
    finally:
        take_back(log)
    found = Result.load(tmp_path / "next" / "result.json")
    assert found.edges == results["duckdb"].edges
    assert found.edges_cut_on == str(SNAPSHOT)
    assert found.sweep[found.chosen_k] == results["duckdb"].sweep[found.chosen_k]
    assert found.counts["read"] > results["duckdb"].counts["read"]
    labels = DeltaTable(str(tmp_path / "next" / "labels")).to_pyarrow_table()["cluster"]
    assert set(labels.to_pylist()) == set(range(found.chosen_k))


def with_changed(result: Result, folder: Path, column: str, expression: str) -> Result:
    """The result with another value for customer 7."""
    files = ", ".join(f"'{file}'" for file in result.files)
    changed = folder / "changed.parquet"
    value = f"CASE WHEN customer_id = 7 THEN {expression} ELSE {column} END AS {column}"
    duckdb.sql(f"SELECT * REPLACE ({value}) FROM read_parquet([{files}])").write_parquet(
        str(changed)
    )
    return replace(result, files=[str(changed)])


def test_memory_is_that_of_a_program_and_its_children(tmp_path) -> None:
    child = "held = bytearray(300_000_000); import time; time.sleep(1)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    took = measured([sys.executable, "-c", parent], tmp_path / "lines", {})
    assert took.seconds > 1
    assert 300_000_000 < took.memory < 500_000_000
    assert (took.java_memory, took.executor_memory) == (0, 0)


def test_memory_that_a_child_shares_before_it_starts_its_program_counts_once(tmp_path) -> None:
    # Regression: a JVM that started a command was counted twice.
    parent = (
        "import os, time; held = bytearray(300_000_000); child = os.fork(); time.sleep(1); "
        "child and os.wait()"
    )
    took = measured([sys.executable, "-c", parent], tmp_path / "lines", {})
    assert 300_000_000 < took.memory < 590_000_000


def test_an_engine_that_fails_is_told_with_its_last_lines(tmp_path) -> None:
    with pytest.raises(EngineError, match=r"(?s)ended with 3; .*not today"):
        measured(
            [sys.executable, "-c", "print('not today'); raise SystemExit(3)"],
            tmp_path / "lines",
            {},
        )


def test_pandas_is_left_out_where_the_log_does_not_fit() -> None:
    assert too_large(1_000) == ""
    assert too_large(10**12).startswith("left out: needs about ")


def test_what_an_engine_says_comes_back_from_its_file(tmp_path) -> None:
    fitted = Fitted(1.5, None, [[0.0, 1.0, 2.0]])
    said = Result(COUNTED, {"orders": [1.0]}, "2026-01-01", {2: fitted}, 2, [0.0], [1.0], {}, ["a"])
    said.save(tmp_path / "result.json")
    assert Result.load(tmp_path / "result.json") == said


def test_seconds_by_stage_are_those_of_the_programs_lines(tmp_path) -> None:
    at = "2026-11-27T01:26:{}+00:00"
    lines = [
        {"at": at.format("40.223"), "event": "working", "stage": None},
        {"at": at.format("44.223"), "event": "stage", "stage": "ingest"},
        {"at": at.format("46.000"), "event": "stage_done", "stage": "ingest", "seconds": 1.5},
        {"at": at.format("47.000"), "event": "stage_done", "stage": "train", "seconds": 0.5},
        {"at": at.format("49.250"), "event": "done", "stage": None},
    ]
    said = "WARNING: a line of somebody else\n" + "\n".join(map(json.dumps, lines))
    (tmp_path / "lines").write_text(said)
    assert rfm_store.stages(tmp_path / "lines") == {
        "start": 4.0,
        "ingest": 1.5,
        "train": 0.5,
        "end": 2.25,
    }


def test_growth_is_told_from_size_to_size_for_the_same_work_of_rfm_spark() -> None:
    def row(lines: int, engine: str, work: str, seconds: float) -> Row:
        return Row(lines, 90, work, engine, Measured(seconds, 1, 1, 0, 0))

    rows = [
        row(1_000, "rfm_spark", "first day", 10.0),
        row(1_000, "duckdb", "first day", 1.0),
        row(1_000, "rfm_spark", "next day", 5.0),
        row(4_000, "rfm_spark", "first day", 35.0),
    ]
    assert benchmark.growth(rows) == [
        "first day: 4,000 lines in 90 days take 3.50 x the time of 1,000 lines in 90 days"
    ]


@pytest.mark.slow
def test_the_whole_agrees_and_writes_its_figures(tmp_path) -> None:
    settings = {**SMALL, "spark.driver.extraJavaOptions": JVM}
    small = tmp_path / "small.conf"
    small.write_text("\n".join(f"{key} {value}" for key, value in settings.items()))
    command = [
        *(sys.executable, PROJECT / "scripts" / "benchmark.py", "--lines", "20000", "--days", "5"),
        *("--k-range", "2", "3", "--folder", tmp_path / "here", "--json", tmp_path / "figures"),
        *("--properties", small, "--shuffle-partitions", "2", "--engines", "rfm_spark,duckdb"),
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all results agree" in done.stdout
    rows = json.loads((tmp_path / "figures").read_text())["rows"]
    assert [(row["work"], row["engine"], row["took"]["java_memory"] > 0) for row in rows] == [
        ("first day", "rfm_spark", True),
        ("first day", "duckdb", False),
        ("next day", "rfm_spark", True),
        ("next day", "duckdb, known model", False),
        ("next day", "duckdb, new sweep", False),
    ]
    assert all(row["took"]["seconds"] > 0 and row["took"]["memory"] > 0 for row in rows)
    assert list((tmp_path / "here").glob("*/runs")) == []  # only the log is kept


def test_an_engine_that_finds_something_else_ends_in_exit_1(tmp_path, monkeypatch, capsys) -> None:
    """A peer of the same DuckDB that says of one row more that it was taken out."""
    (tmp_path / "wrong_peer.py").write_text(
        "import json, sys\n"
        "from pathlib import Path\n"
        "from peers import duckdb_sklearn\n"
        "duckdb_sklearn.main(sys.argv[1:])\n"
        "path = Path(sys.argv[sys.argv.index('--out') + 1]) / 'result.json'\n"
        "result = json.loads(path.read_text())\n"
        "result['counts']['duplicate'] += 1\n"
        "path.write_text(json.dumps(result))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(engines.MODULES, "pandas", "wrong_peer")
    arguments = ["--lines", "3000", "--days", "3", "--k-range", "2", "2", "--engines"]
    status = benchmark.main([*arguments, "duckdb,pandas", "--folder", str(tmp_path / "here")])
    assert status == 1
    shown = capsys.readouterr().out
    assert "PROBLEM  first day, duckdb and pandas: duplicate: " in shown
    assert "all results agree" not in shown
