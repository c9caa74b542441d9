"""Segments over time, through the commands: who moved, since when, and what was written again."""

from __future__ import annotations

import math
import shutil
import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import Project
from deltalake import DeltaTable
from processes import kill, program

from rfm_spark.rules import RuleMap
from rfm_spark.schemas import KINDS

CONFIG = """
    store: ./warehouse
    timezone: UTC
    currency: EUR
    sources:
      transactions:
        format: csv
        path: ./log.csv
        options: {header: true}
        columns: {customer_id: user, transaction_ts: day, amount: paid}
    features: {exclude_after_days: 100}
    scoring:
      bins: 2
      method: fixed
      thresholds: {recency: [30], frequency: [1], monetary: [25]}
      rules: ./two.yaml
    clustering: {features: [monetary], k: 2, names: [Big, Small]}
    outlook: {periods: 2, discount_rate: 0.25}
"""
MAP = """
    bins: 2
    segments:
      - {name: Active, action: Thank, r: [2, 2]}
      - {name: Lapsed, action: Remind, r: [1, 1]}
"""
# Recency by date (Feb, Mar, Apr, May, Jun, Jul); above 30 is Lapsed (in July: 70), above 100 gone:
# Ann 17 14 17 16 17 16; Bob 17 45 76 (106) (137) 21; Cay - - 22 52 12 42;
# Dan 12 40 7 37 68 98; Eve - - - - 22 52; Fay - - - 6 37 67.
LOG = """user,day,paid
Ann,2025-01-15,10
Ann,2025-02-15,10
Ann,2025-03-15,10
Ann,2025-04-15,10
Ann,2025-05-15,10
Ann,2025-06-15,10
Bob,2025-01-15,50
Bob,2025-06-10,5
Cay,2025-03-10,20
Cay,2025-05-20,30
Dan,2025-01-20,8
Dan,2025-03-25,7
Dan,2025-04-10,-3
Eve,2025-05-10,40
Fay,2025-04-25,60
"""
FEBRUARY, MARCH, APRIL, MAY, JUNE, JULY = (f"2025-0{month}-01" for month in range(2, 8))
RANGE = ("--from", FEBRUARY, "--to", JUNE, "--every", "1mo")
QUARTER = ("--from", FEBRUARY, "--to", APRIL, "--every", "1mo")
WIDER = ("--set", "scoring.thresholds={recency: [70], frequency: [1], monetary: [25]}")
TABLES = (
    "customer_daily",
    "ingest_report",
    "rejected_transactions",
    "feature_state",
    "customer_features",
    "score_thresholds",
    "k_sweep",
    "models",
    "customer_segments",
    "drift",
    "segment_profiles",
    "segment_separation",
    "segment_migrations",
    "segment_stability",
    "segment_outlook",
)


def new_project(folder: Path) -> Project:
    folder.mkdir()
    project = Project(folder)
    project.configure(CONFIG)
    (folder / "two.yaml").write_text(MAP)
    (folder / "log.csv").write_text(LOG)
    return project


def copy_of(project: Project, folder: Path) -> Project:
    copy = new_project(folder)
    shutil.copytree(project.folder / "warehouse", copy.folder / "warehouse")
    return copy


@pytest.fixture(scope="module")
def history(months) -> Project:
    """A sixth month with wider edges, compared with the first one too."""
    project = copy_of(months[0], months[0].folder.parent / "and a sixth")
    assert project.rfm("ingest", "--to", "2025-06-30", *WIDER) == 0
    assert project.rfm("features", "--snapshot-date", JULY, *WIDER) == 0
    assert project.rfm("segment", "--snapshot-date", JULY, "--compare-to", FEBRUARY, *WIDER) == 0
    return project


def cells(project: Project, spark, kind: str, now: str, before: str):
    table = project.table(spark, "segment_migrations").where(
        f"kind = '{kind}' AND snapshot_date = '{now}' AND previous_snapshot_date = '{before}'"
    )
    names = ("customers", "revenue", "by_behaviour", "by_recut")
    return {
        (row["from_segment"], row["to_segment"]): tuple(row[name] for name in names)
        for row in table.collect()
    }


def money(text: str) -> Decimal:
    return Decimal(text).quantize(Decimal("0.01"))


EXPECTED = {
    (MARCH, FEBRUARY): {
        ("Active", "Active"): (1, money("10"), 1, 0),  # Ann
        ("Active", "Lapsed"): (2, money("0"), 2, 0),  # Bob, Dan
    },
    (APRIL, MARCH): {
        (None, "Active"): (1, money("20"), 1, 0),  # Cay
        ("Active", "Active"): (1, money("10"), 1, 0),  # Ann
        ("Lapsed", "Active"): (1, money("7"), 1, 0),  # Dan
        ("Lapsed", "Lapsed"): (1, money("0"), 1, 0),  # Bob
    },
    (MAY, APRIL): {
        (None, "Active"): (1, money("60"), 1, 0),  # Fay
        ("Active", "Active"): (1, money("10"), 1, 0),  # Ann
        ("Active", "Lapsed"): (2, money("-3"), 2, 0),  # Cay, Dan
        ("Lapsed", None): (1, money("0"), 1, 0),  # Bob
    },
    (JUNE, MAY): {
        (None, "Active"): (1, money("40"), 1, 0),  # Eve
        ("Active", "Active"): (1, money("10"), 1, 0),  # Ann
        ("Active", "Lapsed"): (1, money("0"), 1, 0),  # Fay
        ("Lapsed", "Active"): (1, money("30"), 1, 0),  # Cay
        ("Lapsed", "Lapsed"): (1, money("0"), 1, 0),  # Dan
    },
    (JULY, JUNE): {
        (None, "Active"): (1, money("5"), 1, 0),  # Bob is back
        ("Active", "Active"): (3, money("10"), 1, 2),  # Ann; Cay and Eve by the wider edge
        ("Lapsed", "Active"): (1, money("0"), 0, 1),  # Fay, by the wider edge
        ("Lapsed", "Lapsed"): (1, money("0"), 1, 0),  # Dan
    },
    (JULY, FEBRUARY): {
        (None, "Active"): (3, money("150"), 0, 3),  # Cay, Eve, Fay, by the wider edge
        ("Active", "Active"): (2, money("55"), 2, 0),  # Ann, Bob
        ("Active", "Lapsed"): (1, money("4"), 1, 0),  # Dan
    },
}


@pytest.mark.slow
@pytest.mark.parametrize(("now", "before"), EXPECTED)
def test_the_matrix_worked_out_by_hand(history, spark, now: str, before: str) -> None:
    assert cells(history, spark, "rfm", now, before) == EXPECTED[now, before]


@pytest.mark.slow
def test_each_date_is_compared_with_the_previous_one_and_those_asked_for(history, spark) -> None:
    pairs = history.rows(spark, "segment_migrations", "snapshot_date", "previous_snapshot_date")
    assert {(str(now), str(before)) for now, before in pairs} == set(EXPECTED)


@pytest.mark.slow
def test_since_when_a_segment_holds(history, spark) -> None:
    wanted = ("previous_rfm_segment", "rfm_segment", "rfm_segment_since")
    found = {
        (str(row["snapshot_date"]), row["customer_id"]): (
            *(row[n] for n in wanted[:2]),
            str(row[2]),
        )
        for row in history.table(spark, "customer_segments")
        .select(*wanted, "snapshot_date", "customer_id")
        .collect()
    }
    assert found[FEBRUARY, "Ann"] == (None, "Active", FEBRUARY)
    assert found[JULY, "Ann"] == ("Active", "Active", FEBRUARY)
    assert found[APRIL, "Bob"] == ("Lapsed", "Lapsed", MARCH)
    assert (MAY, "Bob") not in found
    assert (JUNE, "Bob") not in found
    assert found[JULY, "Bob"] == (None, "Active", JULY)  # absence ends the run
    assert found[APRIL, "Cay"] == (None, "Active", APRIL)
    assert found[JULY, "Cay"] == ("Active", "Active", JUNE)
    assert found[APRIL, "Dan"] == ("Lapsed", "Active", APRIL)
    assert found[JULY, "Dan"] == ("Lapsed", "Lapsed", MAY)
    assert found[JULY, "Eve"] == ("Active", "Active", JUNE)
    assert found[JULY, "Fay"] == ("Lapsed", "Active", JULY)
    assert len(found) == 3 + 3 + 4 + 4 + 5 + 6


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rfm", "cluster"])
def test_rows_and_columns_of_a_matrix_are_the_sizes_of_its_dates(history, spark, kind) -> None:
    profiles = history.table(spark, "segment_profiles").where(f"kind = '{kind}'").collect()
    sizes = {(str(r["snapshot_date"]), r["segment"]): r["customers"] for r in profiles}
    for now, before in EXPECTED:
        rows, columns = Counter(), Counter()
        for (was, is_now), (customers, *_) in cells(history, spark, kind, now, before).items():
            rows[before, was] += customers
            columns[now, is_now] += customers
        del rows[before, None], columns[now, None]
        assert rows == {place: n for place, n in sizes.items() if place[0] == before}
        assert columns == {place: n for place, n in sizes.items() if place[0] == now}


@pytest.mark.slow
def test_stability_worked_out_by_hand(history, spark) -> None:
    table = history.table(spark, "segment_stability").where("kind = 'rfm'").collect()
    names = ("new_customers", "departed_customers", "customers", "kept", "by_recut")
    found = {
        (str(r["snapshot_date"]), str(r["previous_snapshot_date"])): tuple(r[n] for n in names)
        for r in table
    }
    assert found == {
        (MARCH, FEBRUARY): (0, 0, 3, 1, 0),
        (APRIL, MARCH): (1, 0, 3, 2, 0),
        (MAY, APRIL): (1, 1, 3, 1, 0),
        (JUNE, MAY): (1, 0, 4, 2, 0),
        (JULY, JUNE): (1, 0, 5, 4, 3),
        (JULY, FEBRUARY): (3, 0, 3, 2, 3),
    }
    assert all(row["kept_share"] == row["kept"] / row["customers"] for row in table)


@pytest.mark.slow
def test_the_outlook_worked_out_by_hand(history, spark) -> None:
    """June: of 2 Active (Ann, Fay) one stays; of 2 Lapsed (Cay, Dan) one comes back."""
    table = history.table(spark, "segment_outlook").where(
        f"snapshot_date = '{JUNE}' AND kind = 'rfm'"
    )
    names = ("customers", "revenue", "discounted_revenue", "customer_value")
    found = {
        (row["segment"], row["period"]): tuple(row[name] for name in names)
        for row in table.collect()
    }
    # Now 3 are Active (Ann, Cay, Eve) and brought 80, 2 Lapsed (Dan, Fay) and brought 0.
    each = 80 / 3
    assert found == {
        ("Active", 0): (3, money("80"), money("80"), 0),
        ("Lapsed", 0): (2, money("0"), money("0"), 0),
        ("Active", 1): (2.5, money("66.67"), money("53.33"), pytest.approx(0.5 * each / 1.25)),
        ("Lapsed", 1): (2.5, money("0"), money("0"), pytest.approx(0.5 * each / 1.25)),
        ("Active", 2): (2.5, money("66.67"), money("42.67"), pytest.approx(each * 0.72)),
        ("Lapsed", 2): (2.5, money("0"), money("0"), pytest.approx(each * 0.72)),
    }


def tables_of(project: Project) -> dict[str, list]:
    """Every table as a reader that is not Spark sees it."""
    found = {}
    for table in TABLES:
        rows = DeltaTable(str(project.folder / "warehouse" / table)).to_pyarrow_table().to_pylist()
        kept = ({k: v for k, v in row.items() if k not in PRIVATE[table]} for row in rows)
        found[table] = sorted(kept, key=repr)
    return found


# Where a pipeline is saved, how long a fit took, and by which commits of the daily tables.
PRIVATE = {table: set() for table in TABLES} | {
    "models": {"pipeline_path"},
    "k_sweep": {"seconds"},
    "feature_state": {"daily_table", "daily_version", "balance_table", "balance_version"},
}


def is_mark(row: dict) -> bool:
    """Days without rows are kept as runs of days, which end where the history does."""
    return row.get("measure") in ("empty_from", "empty_to")


def assert_equal(here: dict[str, list], there: dict[str, list], upto: str = JUNE) -> None:
    """The same tables; those of a shorter history are the same up to its last date."""
    for table in TABLES:
        expected = [row for row in there[table] if str(row.get("snapshot_date", "")) <= upto]
        if upto != JUNE and table in ("customer_daily", "ingest_report"):
            expected, here[table] = (
                [row for row in rows if str(row["activity_date"]) < upto and not is_mark(row)]
                for rows in (expected, here[table])
            )
        assert here[table] == expected, table


def succeeded(project: Project, spark) -> Counter:
    """How often the labels of each date have been written by a run that succeeded."""
    runs = project.table(spark, "runs").where(
        "status = 'succeeded' AND map_contains_key(output_versions, 'customer_segments')"
    )
    return Counter(str(row["snapshot_date"]) for row in runs.collect())


def stale(project: Project, spark) -> set[str]:
    runs = project.table(spark, "runs").where("status = 'stale'")
    return {str(row["snapshot_date"]) for row in runs.collect()}


@pytest.mark.release
def test_what_rests_on_a_date_that_is_written_again_is_repaired_forward(
    months, spark, capsys
) -> None:
    project, before = months
    # Once more: nothing is written. June looks for rows of late May, which has none so far.
    assert project.rfm("backfill", *RANGE) == 0
    assert project.table(spark, "runs").count() == 2 * (5 + 1)
    assert set(succeeded(project, spark).values()) == {1}
    # A date that starts from a stale one stays stale, until both are written again in order.
    assert project.rfm("segment", "--snapshot-date", APRIL) == 0
    assert project.rfm("segment", "--snapshot-date", JUNE) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "the labels of 2025-05-01, which those of 2025-06-01 start from, are stale" in told
    # Four months from February meet June alone: stale dates in between are written all the same.
    assert project.rfm("backfill", *RANGE[:-1], "4mo") == 0
    assert succeeded(project, spark) == {FEBRUARY: 1, MARCH: 1, APRIL: 2, MAY: 2, JUNE: 3}
    assert project.rfm("runs") == 0
    assert "stale, and not" not in capsys.readouterr().out
    assert_equal(tables_of(project), before)


@pytest.mark.slow
def test_after_a_kill_what_is_made_out_of_order_is_repaired_forward(
    months, spark, tmp_path, capsys
) -> None:
    project = new_project(tmp_path / "killed")
    with program(project, "backfill", *QUARTER) as process:
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "customer_features" in line and any("2025-03-01, 2 of 3" in old for old in seen):
                kill(process)
                break
    assert process.returncode == -signal.SIGKILL, "".join(seen[-30:])
    assert succeeded(project, spark) == {FEBRUARY: 1}
    assert project.rfm("run", "--snapshot-date", APRIL) == 0
    assert stale(project, spark) == set()
    assert project.rfm("run", "--snapshot-date", MARCH) == 0
    assert stale(project, spark) == {APRIL}
    assert "the labels of 2025-04-01 rest on it" in " ".join(capsys.readouterr().out.split())
    assert project.rfm("runs", "--limit", "1") == 0
    assert "stale, and not written again since: 2025-04-01" in capsys.readouterr().out
    assert project.rfm("backfill", *QUARTER) == 0
    assert succeeded(project, spark) == {FEBRUARY: 1, MARCH: 1, APRIL: 2}
    assert_equal(tables_of(project), months[1], upto=APRIL)
    ends = project.table(spark, "runs").groupBy("run_id").count().where("count = 1")
    assert ends.count() == 1  # the killed one


WEEKLY = """
    store: ./warehouse
    timezone: UTC
    sources:
      transactions:
        format: csv
        path: ./log.csv
        options: {header: true}
        columns: {customer_id: user, transaction_ts: day, amount: paid}
    features: {window_days: 7}
    clustering: {k_range: [2, 3]}
    outlook: {compare_to: 1mo}
"""


def test_revenue_between_two_dates_is_that_of_the_profiles_of_a_window_as_long(
    project, spark, capsys
) -> None:
    project.configure(WEEKLY)
    lines = ["user,day,paid"]
    for customer in range(24):
        for place, day in enumerate(range(1 + customer % 5, 29, 2 + customer % 7)):
            paid = -1.25 if place == 3 else (customer * 7 + place * 3) % 40 + 0.99
            lines.append(f"{customer},2025-09-{day:02d},{paid}")
    (project.folder / "log.csv").write_text("\n".join(lines) + "\n")
    week = ("--from", "2025-09-15", "--to", "2025-09-28", "--every", "1w")
    assert project.rfm("backfill", *week) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "no outlook: outlook.compare_to is 1mo, and there are no labels of 2025-08-22" in told
    assert "Since 2025-09-15: " in told
    migrations = project.table(spark, "segment_migrations").where("to_segment IS NOT NULL")
    sums = migrations.groupBy("kind", "to_segment").agg({"revenue": "sum", "customers": "sum"})
    found = {(r[0], r[1]): (r["sum(customers)"], r["sum(revenue)"]) for r in sums.collect()}
    profiles = project.table(spark, "segment_profiles").where("snapshot_date = '2025-09-22'")
    expected = {
        (r["kind"], r["segment"]): (r["customers"], r["revenue"]) for r in profiles.collect()
    }
    assert found == expected
    assert not (project.folder / "warehouse" / "segment_outlook").exists()
    # Everything is up to date: a second time nothing is written, and the ledger stays.
    runs = project.table(spark, "runs").count()
    assert project.rfm("backfill", *week) == 0
    assert "2025-09-22 is up to date" in capsys.readouterr().out
    assert project.table(spark, "runs").count() == runs
    assert project.rfm("runs", "--limit", "1") == 0
    listed = " ".join(capsys.readouterr().out.split())
    assert "2025-09-22" in listed
    assert "2025-09-15" not in listed
    killed = project.table(spark, "runs").where("status = 'started'").limit(1)
    killed = killed.selectExpr("* EXCEPT (run_id, started)", "'of-no-end' AS run_id").selectExpr(
        "*", "timestamp'2999-01-01 00:00:00' AS started"
    )
    killed.write.format("delta").mode("append").save(str(project.folder / "warehouse" / "runs"))
    assert project.rfm("runs", "--limit", "1") == 0
    assert "killed or running" in " ".join(capsys.readouterr().out.split())
    refused = ("--snapshot-date", "2025-09-22", "--compare-to")
    assert project.rfm("train", "--snapshot-date", "2025-09-16") == 3  # a typo marks nothing
    assert project.rfm("segment", *refused, "2025-09-22") == 2
    assert project.rfm("segment", *refused, "2025-09-01") == 3
    assert "there are 2025-09-15" in " ".join(capsys.readouterr().err.split())
    assert stale(project, spark) == set()


RECUT = """
    store: ./warehouse
    timezone: UTC
    sources:
      transactions:
        format: csv
        path: ./log.csv
        options: {header: true}
        columns: {customer_id: user, transaction_ts: day, amount: paid}
    features: {window_days: 30}
    clustering: {k: 3}
"""


def nearest(model, customer) -> str:
    """The name of the nearest centroid, from the numbers in ``models`` alone."""
    values = [float(customer[name]) for name in model["features"]]
    scaled = [
        (math.copysign(math.log1p(abs(value)), value) - mean) / std
        for value, mean, std in zip(values, model["means"], model["stds"], strict=True)
    ]
    far = [math.dist(scaled, centroid) for centroid in model["centroids"]]
    return model["cluster_names"][far.index(min(far))]


def rule_segment(edges, customer) -> str:
    """The rule segment by stored edges and the map that is stored with them."""
    code = []
    for metric in ("recency", "frequency", "monetary"):
        rows = [row for row in edges if row["metric"] == metric]
        value = float(customer[rows[0]["feature"]])
        (row,) = (
            row
            for row in rows
            if (row["lower"] is None or value > row["lower"])
            and (row["upper"] is None or value <= row["upper"])
        )
        code.append(row["score"])
    return RuleMap.from_json(edges[0]["rules_map"]).segment_of(tuple(code)).name


@pytest.mark.release
def test_a_refit_tells_its_own_moves_from_those_of_customers(project, spark, capsys) -> None:
    """New edges and a new model on other customers: each label is worked out again by hand."""
    project.configure(RECUT)
    lines = ["user,day,paid"]
    for customer in range(60):
        for month, days in ((7, 31), (8, 31)):
            times = 1 + (customer * (3 if month == 7 else 5)) % 9
            grown = 1 if month == 7 else 1 + customer % 4
            for place in range(times):
                day = 1 + (customer * 7 + place * (3 + customer % 5) + month) % days
                lines.append(f"u{customer},2025-{month:02d}-{day:02d},{grown * (5 + customer)}.10")
    (project.folder / "log.csv").write_text("\n".join(lines) + "\n")
    first, second = "2025-08-01", "2025-09-01"
    assert project.rfm("run", "--snapshot-date", first) == 0
    assert project.rfm("run", "--snapshot-date", second, "--retrain") == 0
    customers = project.table(spark, "customer_features").where(f"snapshot_date = '{second}'")
    customers = {row["customer_id"]: row for row in customers.collect()}
    old = f"snapshot_date = '{first}'"
    (model,) = project.table(spark, "models").where(old).collect()
    edges = project.table(spark, "score_thresholds").where(old).collect()
    then = {
        "rfm": {name: rule_segment(edges, row) for name, row in customers.items()},
        "cluster": {name: nearest(model, row) for name, row in customers.items()},
    }
    labels = (
        project.table(spark, "customer_segments").where(f"snapshot_date = '{second}'").collect()
    )
    for kind, column in KINDS.items():
        expected: dict[tuple[str, str], list[int]] = {}
        for row in labels:
            place = expected.setdefault((row[f"previous_{column}"], row[column]), [0, 0])
            place[then[kind][row["customer_id"]] != row[column]] += 1
        found = cells(project, spark, kind, second, first)
        split = {place: list(figures[2:]) for place, figures in found.items()}
        assert split == expected
        assert sum(recut for _, recut in expected.values()) > 0
        assert sum(own for (was, now), (own, _) in expected.items() if was != now) > 0
    # Where the old cut has been replaced, nobody can tell, and the table says so.
    assert project.rfm("train", "--snapshot-date", first, "--set", "clustering.k=2") == 0
    assert project.rfm("segment", "--snapshot-date", second) == 0
    assert "cannot be told" in " ".join(capsys.readouterr().out.split())
    unknown = cells(project, spark, "cluster", second, first)
    assert {figures[2:] for figures in unknown.values()} == {(None, None)}
