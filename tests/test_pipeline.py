"""The whole way through, on small logs: commands in, tables out."""

from __future__ import annotations

import html
import json
import shutil
from datetime import date
from decimal import Decimal

import pytest
from conftest import Project
from deltalake import DeltaTable
from oracles import Transaction
from oracles import daily as daily_oracle
from oracles import features as features_oracle

CONFIG = """
    store: ./warehouse
    timezone: Africa/Lagos
    sources:
      transactions:
        format: csv
        path: ./log
        options: {header: true}
        columns: {customer_id: user, transaction_ts: at, amount: paid, order_id: basket}
    clustering: {k_range: [2, 3], seeds: 1, max_iter: 10}
"""
SNAPSHOT = "2024-02-01"
RESULTS = (
    "customer_daily",
    "rejected_transactions",
    "ingest_report",
    "customer_features",
    "score_thresholds",
    "models",
    "customer_segments",
    "drift",
    "segment_profiles",
)


def make_log(project, rows, name="part-1.csv"):
    folder = project.folder / "log"
    folder.mkdir(exist_ok=True)
    text = "\n".join(",".join("" if cell is None else str(cell) for cell in row) for row in rows)
    (folder / name).write_text(f"user,at,paid,basket\n{text}\n", encoding="utf-8")


def life(customers=30):
    """January's log: regulars, one-timers, refunds and zeros; no two customers alike."""
    rows = []
    for n in range(customers):
        for i, day in enumerate(range(1 + n % 7, 32 - n % 11, 2 + n % 9 * 2)):
            cents = (n * 37 + i * 113) % 9000 + (n % 5) * 500
            cents = -cents // 3 if (n + i) % 7 == 3 else cents
            rows.append(
                (f"c{n:03}", f"2024-01-{day:02}T10:00:00", f"{cents / 100:.2f}", f"o{n}-{i // 2}")
            )
    return rows


def transactions(rows):
    return [
        Transaction(user, date.fromisoformat(at[:10]), Decimal(paid), basket)
        for user, at, paid, basket in rows
    ]


def contents(project, spark, store="warehouse"):
    """Everything a run promises to repeat: all but seconds."""
    tables = {name: project.rows(spark, name, store=store) for name in RESULTS}
    columns = [c for c in project.table(spark, "k_sweep", store).columns if c != "seconds"]
    tables["k_sweep"] = project.rows(spark, "k_sweep", *columns, store=store)
    place = project.table(spark, "models", store).columns.index("pipeline_path")
    tables["models"] = [row[:place] + row[place + 1 :] for row in tables["models"]]
    return tables


@pytest.fixture
def small(project):
    make_log(project, life())
    project.configure(CONFIG)
    return project


@pytest.fixture(scope="module")
def finished(spark, tmp_path_factory):
    """A project after a run; tests that change no table but the ledger share it."""
    project = Project(tmp_path_factory.mktemp("one run") / "of a project")
    project.folder.mkdir()
    make_log(project, life())
    project.configure(CONFIG)
    assert project.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    return project


@pytest.fixture
def again(finished, project):
    """A copy of the finished project, to go on with."""
    shutil.copytree(finished.folder, project.folder, dirs_exist_ok=True)
    return project


def test_a_run_labels_everybody_and_sums_agree_from_the_log_to_the_profile(finished, spark) -> None:
    small = finished
    log = transactions(life())
    total = sum(row.amount for row in log)
    daily = {
        (r["activity_date"], r["customer_id"]): (
            r["orders"],
            r["lines"],
            r["purchase_amount"],
            r["refund_lines"],
            r["refund_amount"],
        )
        for r in small.table(spark, "customer_daily").collect()
    }
    assert daily == daily_oracle(log)
    expected = features_oracle(log, [], {}, date(2024, 2, 1), None)
    for row in small.table(spark, "customer_features").collect():
        for name, value in expected[row["customer_id"]].items():
            assert row[name] == value, (row["customer_id"], name)
    segments = small.table(spark, "customer_segments").collect()
    assert len(segments) == len({row["customer_id"] for row in segments}) == len(expected)
    assert all(row["rfm_segment"] and row["cluster_segment"] for row in segments)
    assert all(row["previous_rfm_segment"] is None for row in segments)
    assert {row["rfm_segment_since"] for row in segments} == {date(2024, 2, 1)}
    for kind in ("rfm", "cluster"):
        profiles = small.table(spark, "segment_profiles").where(f"kind = '{kind}'").collect()
        assert sum(row["customers"] for row in profiles) == len(expected)
        assert sum(row["revenue"] for row in profiles) == total
        assert sum(row["share"] for row in profiles) == pytest.approx(1)
        assert all(row["marketing_action"] and row["insight"] for row in profiles)
    report = small.table(spark, "ingest_report").where("measure = 'accepted'").collect()
    assert (sum(r["rows"] for r in report), sum(r["amount"] for r in report)) == (len(log), total)


def test_scores_of_a_run_are_those_of_its_stored_edges(finished, spark) -> None:
    small = finished
    edges = {
        (row["metric"], row["score"]): (row["lower"], row["upper"])
        for row in small.table(spark, "score_thresholds").collect()
    }
    roles = (("recency", "recency_days", "r_score"), ("frequency", "orders", "f_score"))
    for row in small.table(spark, "customer_segments").collect():
        for metric, feature, score in (*roles, ("monetary", "monetary", "m_score")):
            lower, upper = edges[metric, row[score]]
            assert lower is None or float(row[feature]) > lower
            assert upper is None or float(row[feature]) <= upper


@pytest.mark.slow
def test_a_second_run_changes_no_table(finished, spark) -> None:
    before = contents(finished, spark)
    versions = {
        name: DeltaTable(str(finished.folder / "warehouse" / name)).version() for name in before
    }
    assert finished.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    assert contents(finished, spark) == before
    assert versions == {
        name: DeltaTable(str(finished.folder / "warehouse" / name)).version() for name in before
    }


@pytest.mark.release
def test_stages_over_again_give_the_tables_of_a_run(again, spark) -> None:
    """That they do so one by one from the start is in `test_kills`."""
    whole = contents(again, spark)
    assert again.rfm("ingest", "--from", "2024-01-02", "--to", "2024-01-31") == 0
    for command in ("features", "train", "segment"):
        assert again.rfm(command, "--snapshot-date", SNAPSHOT) == 0
    assert contents(again, spark) == whole


def test_ingest_in_halves_backwards_and_shuffled_equals_the_whole(finished, project, spark) -> None:
    whole = {name: finished.rows(spark, name) for name in ("customer_daily", "ingest_report")}
    rows = life()
    make_log(project, rows[::-2], "part-1.csv")
    make_log(project, rows[-2::-2], "part-2.csv")
    project.configure(CONFIG)
    assert project.rfm("ingest", "--from", "2024-01-16", "--to", "2024-01-31") == 0
    assert project.rfm("ingest", "--from", "2024-01-01", "--to", "2024-01-15") == 0
    assert {name: project.rows(spark, name) for name in whole} == whole


def test_days_without_rows_between_days_with_rows_are_in(project, spark, capsys) -> None:
    make_log(project, [("a", f"{day}T10:00:00", "1", "o") for day in ("2024-01-05", "2024-01-09")])
    make_log(project, [("a", "1970-01-01T10:00:00", "1", "o")], "old.csv")
    project.configure(CONFIG)
    assert project.rfm("ingest", "--to", "2024-01-09") == 0
    marks = project.table(spark, "ingest_report").where("measure LIKE 'empty%'").collect()
    assert len(marks) == 4
    capsys.readouterr()
    assert project.rfm("ingest", "--to", "2024-01-09") == 0
    assert "every day up to 2024-01-09 is in" in capsys.readouterr().out
    assert project.rfm("ingest", "--from", "2024-01-08", "--to", "2024-01-10") == 0
    capsys.readouterr()
    assert project.rfm("ingest", "--to", "2024-01-10") == 0
    assert "2024-01-07 to 2024-01-10" in capsys.readouterr().out


@pytest.mark.slow
def test_late_rows_and_new_days_get_in_and_segments_remember(project, spark) -> None:
    rows = life()
    early = [row for row in rows if row[1] < "2024-01-20"]
    late = max(early, key=lambda row: row[1])
    make_log(project, [row for row in early if row != late])
    project.configure(CONFIG)
    assert project.rfm("run", "--snapshot-date", "2024-01-20") == 0
    make_log(project, rows)
    assert project.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    total = sum(row.amount for row in transactions(rows))
    features = project.table(spark, "customer_features").where(f"snapshot_date = '{SNAPSHOT}'")
    assert features.selectExpr("sum(monetary)").first()[0] == total
    labels = {}
    for row in project.table(spark, "customer_segments").collect():
        labels[str(row["snapshot_date"]), row["customer_id"]] = row
    assert {row["model_version"][:10] for row in labels.values()} == {"2024-01-20"}
    moved = 0
    for (snapshot, customer), row in labels.items():
        before = labels.get(("2024-01-20", customer))
        if snapshot == SNAPSHOT and before is not None:
            stayed = before["rfm_segment"] == row["rfm_segment"]
            moved += not stayed
            assert row["previous_rfm_segment"] == before["rfm_segment"]
            assert row["rfm_segment_since"] == date.fromisoformat(
                "2024-01-20" if stayed else SNAPSHOT
            )
    assert 0 < moved < 30


@pytest.mark.release
def test_a_retrained_model_replaces_the_one_of_its_date(again, spark) -> None:
    small = again
    refit = ("--set", "clustering.k=3", "--retrain")
    assert small.rfm("run", "--snapshot-date", SNAPSHOT, *refit) == 0
    models = small.table(spark, "models").collect()
    assert [row["k"] for row in models] == [3]
    labels = small.table(spark, "customer_segments").select("model_version").distinct().collect()
    assert [row[0] for row in labels] == [models[0]["model_version"]]


def test_the_saved_pipeline_labels_as_the_table_does(finished, spark) -> None:
    from pyspark.ml import PipelineModel

    small = finished
    path = small.table(spark, "models").first()["pipeline_path"]
    features = small.table(spark, "customer_features")
    predicted = PipelineModel.load(path).transform(features).select("customer_id", "prediction")
    labels = small.table(spark, "customer_segments").select("customer_id", "cluster")
    pairs = predicted.join(labels, on="customer_id").select("prediction", "cluster").collect()
    assert len(pairs) == 30
    assert all(row["prediction"] == row["cluster"] for row in pairs)


def test_any_reader_can_open_every_table(finished) -> None:
    for folder in sorted((finished.folder / "warehouse").iterdir()):
        if folder.name != "_models":
            table = DeltaTable(str(folder))
            assert table.protocol().min_reader_version == 1
            assert table.to_pyarrow_table().num_rows >= 0


def test_an_export_sends_what_a_run_wrote_and_once(again, capsys) -> None:
    """Also where Spark is elsewhere, and where it is old (`test_places`)."""
    settings = json.dumps({"crm": {"type": "braze", "path": "./out", "columns": ["rfm_cell"]}})
    sends = ("export", "--snapshot-date", SNAPSHOT, "--to", "crm", "--set", f"exports={settings}")
    assert again.rfm(*sends) == 0
    (sent,) = (again.folder / "out" / "data").glob("*.jsonl")
    told = [json.loads(line) for line in sent.read_text(encoding="utf-8").splitlines()]
    labels = DeltaTable(str(again.folder / "warehouse" / "customer_segments")).to_pyarrow_table()
    cells = {row["customer_id"]: {"rfm_cell": row["rfm_cell"]} for row in labels.to_pylist()}
    assert {row["EXTERNAL_ID"]: json.loads(row["PAYLOAD"]) for row in told} == cells
    assert again.rfm(*sends) == 0
    assert list((again.folder / "out" / "data").glob("*.jsonl")) == [sent]


def test_a_report_shows_what_a_run_wrote(finished, tmp_path, capsys) -> None:
    page = tmp_path / "page.html"
    assert finished.rfm("report", "--snapshot-date", SNAPSHOT, "--out", str(page)) == 0
    labels = DeltaTable(str(finished.folder / "warehouse" / "customer_segments"))
    segments = set(labels.to_pyarrow_table()["rfm_segment"].to_pylist())
    told = html.unescape(page.read_text(encoding="utf-8"))
    assert all(segment in told for segment in segments)


def test_every_row_of_a_dirty_log_is_accounted_for(project, spark) -> None:
    rows = [
        ("a", "2024-01-01T10:00:00", "10.005", "o"),
        ("", "2024-01-01T10:00:00", "5", "o"),
        ("b", "yesterday", "5", "o"),
        ("b", "2024-01-02", "five", "o"),
        ("b", "2024-01-02T23:30:00Z", "-2", "o"),
    ]
    make_log(project, rows)
    project.configure(CONFIG.replace("store:", "max_rejected_share: 0.7\n    store:"))
    for _ in range(2):
        assert project.rfm("ingest", "--from", "2024-01-01", "--to", "2024-01-03") == 0
    rejects = project.rows(
        spark, "rejected_transactions", "reason", "customer_id", "transaction_ts", "amount"
    )
    assert rejects == [
        ("bad_amount", "b", "2024-01-02", "five"),
        ("bad_timestamp", "b", "yesterday", "5"),
        ("missing_customer_id", None, "2024-01-01T10:00:00", "5"),
    ]
    report = {
        (row["activity_date"] and row["activity_date"].day, row["measure"]): (
            row["rows"],
            row["amount"],
        )
        for row in project.table(spark, "ingest_report").collect()
    }
    assert report == {
        (None, "read"): (1, Decimal("5.00")),
        (None, "bad_timestamp"): (1, Decimal("5.00")),
        (1, "read"): (2, Decimal("15.01")),
        (1, "accepted"): (1, Decimal("10.01")),
        (1, "missing_customer_id"): (1, Decimal("5.00")),
        (1, "rounding"): (1, Decimal("0.01")),
        (2, "read"): (1, Decimal("0.00")),
        (2, "bad_amount"): (1, Decimal("0.00")),
        (3, "read"): (1, Decimal("-2.00")),
        (3, "accepted"): (1, Decimal("-2.00")),
    }


def refused(project, capsys, *arguments) -> tuple[int, str]:
    status = project.rfm(*arguments)
    return status, capsys.readouterr().err


def test_too_many_rejects_publish_nothing(project, spark, capsys) -> None:
    make_log(project, [("", "2024-01-01", "1", "o"), ("a", "2024-01-01", "1", "o")])
    project.configure(CONFIG)
    status, message = refused(project, capsys, "ingest", "--to", "2024-01-01")
    assert status == 3
    assert "1 of 2 rows (50.0%) would be rejected (missing_customer_id 1)" in message
    assert not (project.folder / "warehouse" / "customer_daily").exists()
    runs = project.table(spark, "runs").collect()
    assert sorted(row["status"] for row in runs) == ["failed", "started"]


@pytest.mark.parametrize(
    ("settings", "status", "expected"),
    [
        (("sources.transactions.path=./nowhere",), 2, "there is nothing at that place"),
        (("sources.transactions.columns.amount=payed",), 2, "amount: 'payed'"),
        (("sources.transactions.where=statuz = 1",), 2, "sources.transactions.where"),
        (("returns=raise",), 3, "have an amount below 0"),
        (("sources.transactions.log_date=dtt",), 2, "is no day of the source"),
        (("sources.transactions.timestamp_format=nonsense",), 2, "no datetime pattern"),
        (("max_lag_days=2",), 3, "no accepted transaction in the last 2 days"),
        (("scoring.binz=3",), 2, "did you mean bins?"),
    ],
)
def test_what_is_refused_is_said_in_one_paragraph(
    small, capsys, settings, status, expected
) -> None:
    arguments = [part for setting in settings for part in ("--set", setting)]
    found, message = refused(small, capsys, "run", "--snapshot-date", "2024-06-01", *arguments)
    assert found == status
    assert expected in message
    assert "Traceback" not in message
    assert "at org.apache" not in message


@pytest.mark.release
def test_refunds_can_be_dropped_and_are_counted(small, spark) -> None:
    assert small.rfm("ingest", "--to", SNAPSHOT, "--set", "returns=drop") == 0
    dropped = [row for row in life() if float(row[2]) < 0]
    assert small.table(spark, "rejected_transactions").count() == len(dropped) > 0
    assert small.table(spark, "customer_daily").where("refund_lines > 0").count() == 0


def test_an_empty_log_and_an_early_snapshot_are_said(project, capsys) -> None:
    make_log(project, [])
    project.configure(CONFIG)
    status, message = refused(project, capsys, "run", "--snapshot-date", "2024-01-01")
    assert (status, "no row up to 2023-12-31" in message) == (3, True)


@pytest.mark.slow
def test_commands_out_of_order_name_what_has_to_run_first(small, capsys) -> None:
    status, message = refused(small, capsys, "features", "--snapshot-date", SNAPSHOT)
    assert (status, "does not exist yet" in message) == (3, True)
    small.rfm("ingest", "--to", "2024-01-31")
    small.rfm("features", "--snapshot-date", SNAPSHOT)
    capsys.readouterr()
    status, message = refused(small, capsys, "segment", "--snapshot-date", SNAPSHOT)
    assert (status, "--retrain" in message) == (3, True)
    status, message = refused(small, capsys, "train", "--snapshot-date", "2024-01-15")
    assert (status, "no row of" in message) == (3, True)


def test_a_model_of_other_features_is_refused(again, capsys) -> None:
    small = again
    capsys.readouterr()
    other = ("--set", "clustering.features=[orders, lines]")
    status, message = refused(small, capsys, "segment", "--snapshot-date", SNAPSHOT, *other)
    assert status == 3
    assert "was fitted on recency_days, orders, monetary" in message
    status, message = refused(
        small,
        capsys,
        "segment",
        "--snapshot-date",
        SNAPSHOT,
        "--set",
        "scoring.roles.frequency=lines",
        "--set",
        "clustering.features=[recency_days, orders, monetary]",
    )
    assert (status, "were cut with other scoring.roles" in message) == (3, True)


def test_a_store_with_another_schema_is_refused_and_kept(again, spark, capsys) -> None:
    small = again
    before = small.rows(spark, "customer_daily")
    capsys.readouterr()
    arguments = ("--from", "2024-01-01", "--to", "2024-01-31", "--set", "amount_scale=3")
    status, message = refused(small, capsys, "ingest", *arguments)
    assert (status, "has another schema" in message) == (3, True)
    assert small.rows(spark, "customer_daily") == before


def test_a_place_taken_by_other_files_is_refused_and_kept(small, capsys) -> None:
    taken = small.folder / "warehouse" / "customer_daily"
    taken.mkdir(parents=True)
    (taken / "notes.txt").write_text("not a table")
    status, message = refused(small, capsys, "ingest", "--to", "2024-01-31")
    assert (status, "no Delta table" in message) == (3, True), message
    assert (taken / "notes.txt").read_text() == "not a table"


@pytest.mark.parametrize("customers", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_one_customer_and_customers_all_equal_are_segmented(project, spark, customers) -> None:
    make_log(project, [(f"c{n}", "2024-01-05", "3.00", f"o{n}") for n in range(customers)])
    project.configure(CONFIG)
    assert project.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    rows = project.table(spark, "customer_segments").collect()
    assert len(rows) == customers
    assert {(row["rfm_cell"], row["cluster"]) for row in rows} == {("511", 0)}
    assert project.table(spark, "models").first()["k"] == 1


@pytest.mark.slow
def test_numeric_ids_stay_numbers(project, spark) -> None:
    make_log(project, [(n, "2024-01-05", f"{n}.00", n) for n in range(1, 8)])
    project.configure(CONFIG.replace("customer_id: user", "customer_id: cast(user as bigint)"))
    assert project.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    types = dict(project.table(spark, "customer_segments").dtypes)
    assert types["customer_id"] == "bigint"


AUM_SOURCES = """
      balances:
        format: csv
        path: ./balances.csv
        options: {header: true}
        columns: {customer_id: user, account_id: account, balance_date: day, balance: balance}
      customers:
        format: csv
        path: ./customers.csv
        options: {header: true}
        columns: {customer_id: user, start_date: joined}
    max_rejected_share: 0.3
    scoring:
      roles: {aum: aum_per_day}
      weights: {aum: 1}
    clustering: {k: 2, seeds: 1}
"""
AUM_CONFIG = CONFIG[: CONFIG.index("    clustering")].rstrip() + AUM_SOURCES


@pytest.fixture
def savings(project, write_csv):
    make_log(project, life(12))
    write_csv(
        project.folder / "balances.csv",
        """
        user,account,day,balance
        c001,x,2024-01-21,100
        c001,x,2024-01-26,40
        c001,y,2024-01-31,2.50
        saver,x,2024-01-21,100
        ,x,2024-01-21,1
        """,
    )
    write_csv(
        project.folder / "customers.csv",
        "user,joined\nc001,2024-01-12\nc002,2023-01-01\nidle,2024-01-01\nfuture,2024-02-01\n",
    )
    project.configure(AUM_CONFIG)
    return project


def test_aum_from_balances_meets_rfm_and_nobody_is_dropped(savings, spark) -> None:
    assert savings.rfm("run", "--snapshot-date", SNAPSHOT) == 0
    rows = {row["customer_id"]: row for row in savings.table(spark, "customer_features").collect()}
    assert set(rows) == {f"c{n:03}" for n in range(12)} | {"saver", "idle"}
    assert (rows["c001"]["aum"], rows["c001"]["tenure_days"]) == (Decimal("42.50"), 20)
    assert rows["c001"]["aum_per_day"] == 42.5 / 20
    assert rows["c001"]["aum_avg"] == (5 * 100 + 6 * 40 + 2.5) / 20
    assert (rows["saver"]["aum_avg"], rows["saver"]["aum_per_day"]) == (100.0, 100 / 11)
    assert rows["c002"]["aum"] is None
    labels = {
        row["customer_id"]: row for row in savings.table(spark, "customer_segments").collect()
    }
    assert {labels[name]["rfm_segment"] for name in ("saver", "idle")} == {"No purchase"}
    assert labels["c001"]["a_score"] is not None
    assert all(row["cluster_segment"] for row in labels.values())
    assert {row["source"] for row in savings.table(spark, "rejected_transactions").collect()} == {
        "balances"
    }


@pytest.mark.slow
def test_static_aum_from_customers(savings, spark, write_csv) -> None:
    write_csv(savings.folder / "customers.csv", "user,joined,held\nc001,2024-01-12,500\nidle,,7\n")
    arguments = ("--set", "sources.balances=null", "--set", "sources.customers.columns.aum=held")
    assert savings.rfm("run", "--snapshot-date", SNAPSHOT, *arguments) == 0
    rows = {row["customer_id"]: row for row in savings.table(spark, "customer_features").collect()}
    assert (rows["c001"]["aum"], rows["c001"]["aum_per_day"]) == (Decimal("500.00"), 25.0)
    assert (rows["idle"]["aum"], rows["idle"]["aum_per_day"]) == (Decimal("7.00"), None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user,joined\na,2024-01-01\na,2024-01-02\n", "1 customer ids stand in more than one row"),
        ("user,joined\n,2024-01-01\n", "1 rows have no customer_id"),
        ("user,joined\na,first of May\n", "1 rows have a start_date or aum that cannot be read"),
    ],
)
def test_customers_that_contradict_themselves_are_refused(
    savings, capsys, write_csv, text, expected
) -> None:
    write_csv(savings.folder / "customers.csv", text)
    status, message = refused(savings, capsys, "run", "--snapshot-date", SNAPSHOT)
    assert (status, expected in message) == (3, True)


def test_contradicting_balances_and_id_types_are_refused(savings, capsys, write_csv) -> None:
    write_csv(
        savings.folder / "balances.csv",
        "user,account,day,balance\nc001,x,2024-01-21,100\nc001,x,2024-01-21,101\n",
    )
    status, message = refused(savings, capsys, "ingest", "--to", "2024-01-31")
    assert (status, "two different balances at the same instant" in message) == (3, True)
    cast = ("--set", "sources.balances.columns.customer_id=cast(1 as bigint)")
    status, message = refused(savings, capsys, "ingest", "--to", "2024-01-31", *cast)
    assert (status, "customer_id must have one type everywhere" in message) == (3, True)
