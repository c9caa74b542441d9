"""Keeping a store: small files, old rows, and people who want to be forgotten."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import Project
from deltalake import DeltaTable
from pyspark.sql import functions as F
from stores import rows_of, tables_of
from test_pipeline import CONFIG, SNAPSHOT, life, make_log

from rfm_spark.pipeline.forgetting import _number

pytestmark = pytest.mark.slow
EARLIER, LATER = "2024-01-20", "2024-02-02"
SCORING = "    scoring: {method: rank, bins: 3, rules: klaviyo_6}\n"
BALANCES = """      balances:
        kind: snapshot
        format: csv
        path: ./balances.csv
        options: {header: true}
        columns: {customer_id: user, account_id: account, balance_date: day, balance: balance}
"""


def holding(folder: Path, word: str) -> set[str]:
    """Tables and logs whose files hold a word, in any cell or line."""
    found, whole = set(), re.compile(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])")
    for file in folder.rglob("*"):
        if file.suffix == ".parquet":
            table = pq.read_table(file, partitioning=None)
            texts = [json.dumps(row, default=str) for row in table.to_pylist()]
            hit = any(map(whole.search, texts))
        else:
            text = file.read_bytes().decode(errors="replace") if file.is_file() else ""
            hit = whole.search(text) is not None
        if hit:
            place = file.relative_to(folder)
            found.add(f"{place.parts[0]}{' log' if '_delta_log' in place.parts else ''}")
    return found


@pytest.fixture(scope="module")
def members(spark, tmp_path_factory) -> Project:
    """A shop of two dates; equal values are parted by customer, and some rows are rejected."""
    project = Project(tmp_path_factory.mktemp("members") / "shop")
    project.folder.mkdir()
    head, tail = CONFIG.split("    clustering")
    project.configure(
        f"{head.rstrip()}\n{BALANCES}{SCORING}    max_rejected_share: 0.5\n    clustering{tail}"
    )
    rows = [*life(12), ("c007", "2024-01-15", "seven", "o"), ("c001", "2024-01-15", "one", "o")]
    make_log(project, rows)
    (project.folder / "log" / "part-2.csv").write_text(
        'user,at,paid,basket\n"c007",2024-01-16,1,o,too,many\n"c0071",2024-01-16,1,o,too,many\n'
    )
    balances = [f"c{n:03},x,2024-01-{day},{n * day}.50" for n in range(12) for day in (15, 24)]
    (project.folder / "balances.csv").write_text(
        "\n".join(["user,account,day,balance", *balances]) + "\n"
    )
    assert project.rfm("run", "--snapshot-date", EARLIER) == 0
    assert project.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    return project


@pytest.fixture
def shop(members, tmp_path) -> Project:
    shutil.copytree(members.folder, tmp_path / "shop")
    return Project(tmp_path / "shop")


def people(project: Project, spark, ids: set[str]) -> dict[str, list]:
    """Labels and features of everybody but some, by table."""
    tables = ("customer_segments", "customer_features", "customer_daily", "balance_daily")
    return {
        name: [row for row in project.rows(spark, name) if not ids & set(map(str, row))]
        for name in tables
    }


def test_who_is_forgotten_is_in_no_file(shop, spark, capsys) -> None:
    store = shop.folder / "warehouse"
    marks = shop.table(spark, "score_thresholds").where("upper_customer_id IS NOT NULL")
    on_edge = marks.orderBy("metric", "score").first()["upper_customer_id"]
    gone = {"c007", on_edge}
    assert len(gone) == 2
    assert holding(store, "c007") >= {
        "customer_daily",
        "balance_daily",
        "rejected_transactions",
        "feature_state",
        "customer_features",
        "customer_segments",
    }
    assert "score_thresholds" in holding(store, on_edge)
    shop.table(spark, "runs").limit(1).withColumn(
        "error", F.lit("it fails on 'c007'")
    ).write.format("delta").mode("append").save(str(store / "runs"))
    before = people(shop, spark, gone)
    sums = rows_of(store, "segment_profiles")
    listed = shop.folder / "list.txt"
    listed.write_text("customer_id\n" + "\n".join(sorted(gone)) + "\n\nnobody\n")
    for _ in range(2):
        assert shop.rfm("forget", "--customers", str(listed)) == 0
        assert holding(store, on_edge) == set()
        assert holding(store, "c007") == set()
        assert holding(store, "c0071") == {"rejected_transactions"}  # begins like it, and stays
        assert people(shop, spark, gone) == before
    rejected = shop.table(spark, "rejected_transactions")
    kept = {(row["customer_id"], row["raw_row"]) for row in rejected.collect()}
    assert {who for who, _ in kept} == {"c001", None}
    assert sorted(str(raw)[:8] for _, raw in kept) == ['"c0071",', "(erased ", "None"]
    assert rows_of(store, "segment_profiles") == sums
    told = capsys.readouterr().out
    assert not any(name in told for name in gone)
    told = " ".join(told.split())
    assert "2 of 3 customers are in the tables" in told
    assert "the store knows none of these ids" in told  # the second time
    assert "exports that were written before still hold" in told


def test_features_after_customers_are_forgotten_are_counted_anew_and_then_carried_on(
    shop, spark, capsys
) -> None:
    listed = shop.folder / "list.txt"
    listed.write_text("c007\n")
    assert shop.rfm("forget", "--customers", str(listed)) == 0
    report = shop.table(spark, "ingest_report").where("measure = 'forgotten'")
    lines = len(
        [
            line
            for line in (shop.folder / "log" / "part-1.csv").read_text().split()
            if line.startswith("c007,") and "seven" not in line
        ]
    )
    assert report.agg(F.sum("rows")).first()[0] == lines > 0
    for name in ("log/part-1.csv", "balances.csv"):
        file = shop.folder / name
        rows = file.read_text().splitlines()
        file.write_text("\n".join(row for row in rows if "c007" not in row) + "\n")
    (shop.folder / "log" / "part-2.csv").unlink()
    capsys.readouterr()
    assert shop.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    assert "features counted anew" in capsys.readouterr().out
    labels = shop.table(spark, "customer_segments").where(f"snapshot_date = DATE'{SNAPSHOT}'")
    everybody_else = {f"c{n:03}" for n in range(12)} - {"c007"}
    assert {row["customer_id"] for row in labels.collect()} == everybody_else
    assert holding(shop.folder / "warehouse", "c007") == set()
    assert shop.rfm("features", "--snapshot-date", LATER) == 0
    assert f"features carried on from {SNAPSHOT}" in capsys.readouterr().out
    there = shop.table(spark, "customer_features").where(f"snapshot_date = DATE'{LATER}'")
    assert {row["customer_id"] for row in there.collect()} == everybody_else


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("7", 7),
        (" 007", 7),
        ("-7", -7),
        ("7.0", None),
        ("\u0667", None),
        ("9" * 20, None),
        ("x", None),
    ],
)
def test_whole_numbers_are_ids_whatever_they_look_like(given, number) -> None:
    assert _number(given) == number


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "cannot be read"), ("\n\n", "names no customer"), (b"\xff\xfe\x00", "cannot be read")],
)
def test_a_list_that_names_nobody_is_refused(tmp_path, capsys, content, expected) -> None:
    from rfm_spark.cli import main

    listed = tmp_path / "list.txt"
    if content is not None:
        listed.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SystemExit) as ended:
        main(["forget", "--config", "x.yaml", "--customers", str(listed)])
    assert ended.value.code == 2
    assert expected in capsys.readouterr().err


@pytest.mark.release
def test_upkeep_puts_files_together_and_lets_old_dates_go(shop, spark, capsys) -> None:
    store, rejected = shop.folder / "warehouse", "rejected_transactions"
    (shop.folder / "log" / "part-3.csv").write_text("user,at,paid,basket\nc001,2024-01-16,one,o\n")
    assert shop.rfm("ingest", "--from", "2024-01-01", "--to", "2024-01-31") == 0
    assert shop.rfm("run", "--snapshot-date", LATER) == 0
    before = tables_of(store)
    days = sorted(str(row["activity_date"]) for row in shop.table(spark, rejected).collect())
    assert days == [*2 * ["2024-01-15"], "2024-01-16", *2 * ["None"]]
    files = len(DeltaTable(str(store / "runs")).file_uris())
    capsys.readouterr()
    keep = ("--set", "maintain.keep_snapshots=2", "--set", "maintain.keep_rejects_days=15")
    assert shop.rfm("maintain", *keep) == 0
    assert f"customer_segments: 12 rows before {SNAPSHOT} removed" in capsys.readouterr().out
    assert len(DeltaTable(str(store / "runs")).file_uris()) < files
    left = sorted(str(row["activity_date"]) for row in shop.table(spark, rejected).collect())
    assert left == ["2024-01-16", *2 * ["None"]]  # rows without any day stay
    for name, rows in tables_of(store).items():
        per_customer = name in ("customer_segments", "customer_features", "feature_state")
        kept = [row for row in before[name] if not (per_customer and "2024, 1, 20)" in row[:60])]
        assert name == rejected or rows == kept, name
    # What is kept of a date that was let go, its movement to the next one, outlives another run.
    assert shop.rfm("segment", "--snapshot-date", SNAPSHOT) == 0
    for name in ("segment_migrations", "segment_stability", "segment_outlook"):
        assert rows_of(store, name) == before[name], name
    # Who asks for a date that was let go gets it back.
    assert shop.rfm("run", "--snapshot-date", EARLIER) == 0
    assert rows_of(store, "customer_features") == before["customer_features"]
    labels = shop.table(spark, "customer_segments").where(f"snapshot_date = DATE'{EARLIER}'")
    assert labels.count() == 12
