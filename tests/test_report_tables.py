"""What a report takes from tables, against plain Python, and the command on a small store."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from conftest import Project
from test_history import CONFIG, JUNE, LOG, MAP

from rfm_spark.cli import main
from rfm_spark.config import load_configuration
from rfm_spark.display import JsonDisplay
from rfm_spark.insight.revenue_curve import revenue_curve
from rfm_spark.insight.sample import fair_sample, floor_of, quotas
from rfm_spark.pipeline.execution import look
from rfm_spark.pipeline.report import gathered


def curve_by_hand(amounts, steps):
    """Sort, largest first, and add up."""
    ordered = sorted(amounts, reverse=True)
    tops = sorted({-(-len(ordered) * step // steps) for step in range(1, steps + 1)} | {1})
    return [(top, sum(ordered[:top], Decimal(0))) for top in tops]


def test_the_revenue_curve_is_what_sorting_gives(spark) -> None:
    amounts = [Decimal(n * 7919 % 211 - 20) + Decimal("0.25") * (n % 3) for n in range(300)]
    amounts += [Decimal("50.00")] * 60
    rows = [(n, amount) for n, amount in enumerate(amounts)]
    customers = spark.createDataFrame(
        [*rows, (999, None)], "customer_id bigint, monetary decimal(28,2)"
    )
    assert revenue_curve(customers.repartition(3), steps=20) == curve_by_hand(amounts, 20)


@pytest.mark.parametrize("amounts", [[], ["5"], ["0", "0"], ["-3", "2"], ["4", "4", "4"]])
def test_the_curve_of_a_few_customers(spark, amounts) -> None:
    values = [Decimal(one) for one in amounts]
    rows = [(n, value) for n, value in enumerate(values)]
    customers = spark.createDataFrame(rows, "customer_id bigint, monetary decimal(28,2)")
    expected = curve_by_hand(values, 100) if values else []
    assert revenue_curve(customers, steps=100) == expected


@pytest.mark.parametrize(
    ("counts", "size", "expected"),
    [
        ({"a": 3, "b": 4}, 10, {"a": 3, "b": 4}),
        ({"a": 900, "b": 90, "c": 10}, 100, {"a": 70, "b": 20, "c": 10}),
        ({"a": 10**9, "b": 1}, 100, {"a": 99, "b": 1}),
        ({}, 100, {}),
    ],
)
def test_no_group_gets_fewer_than_half_of_an_equal_part(counts, size, expected) -> None:
    found = quotas(counts, size)
    assert sum(found.values()) <= size
    floor = floor_of(counts, size)
    for group, wanted in found.items():
        assert wanted >= min(counts[group], floor)
        left = Fraction(size - sum(min(n, floor) for n in counts.values()))
        assert abs(wanted - expected[group]) <= (left and 1) or sum(counts.values()) <= size


def test_a_fair_sample_follows_from_the_customers_alone(spark) -> None:
    rows = [(f"c{n}", "small" if n % 50 == 0 else "large", n) for n in range(2000)]
    customers = spark.createDataFrame(rows, "customer_id string, cluster string, n bigint")
    counts = {"large": 1960, "small": 40}

    def drawn(frame):
        sample = fair_sample(frame, by="cluster", counts=counts, size=100)
        return [tuple(row) for row in sample.collect()]

    sample = drawn(customers)
    assert sample == drawn(customers.orderBy("n").repartition(5))
    sizes = Counter(cluster for _, cluster, _ in sample)
    wanted = quotas(counts, 100)
    assert sizes == wanted
    assert wanted["small"] >= 25
    assert len({name for name, *_ in sample}) == len(sample)


@pytest.fixture(scope="module")
def history(months) -> Project:
    return months[0]


@pytest.fixture(scope="module")
def june(history, spark):
    configuration = load_configuration(history.config)

    def work(context):
        return gathered(context, snapshot_date=date.fromisoformat(JUNE))

    return look(spark, configuration, JsonDisplay(), command="report", work=work)


def test_records_agree_with_the_labels(june, history, spark) -> None:
    """Ann is active; Cay, Dan, Eve and Fay: see the recencies in test_history."""
    labels = history.table(spark, "customer_segments").where(f"snapshot_date = '{JUNE}'").collect()
    own = Counter((r["r_score"], r["f_score"], r["m_score"], r["rfm_segment"]) for r in labels)
    cells = {(c.r, c.f, c.m, c.segment): c.customers for c in june.cells}
    assert cells == own
    assert june.customers == len(labels) == sum(own.values())
    assert Counter({(o.segment, o.cluster): o.customers for o in june.overlaps}) == Counter(
        (r["rfm_segment"], r["cluster_segment"]) for r in labels
    )
    assert len(june.sample) == len(labels)
    amounts = [r["monetary"] for r in labels]
    assert [(p.customers, p.revenue) for p in june.curve] == curve_by_hand(amounts, 100)
    assert june.revenue == sum(amounts) == sum(cell.revenue for cell in june.cells)


def test_records_have_every_date_up_to_the_reports_own(june) -> None:
    assert [str(day) for day in june.dates] == [
        "2025-02-01",
        "2025-03-01",
        "2025-04-01",
        "2025-05-01",
        "2025-06-01",
    ]
    assert {move.day for move in june.moves} == set(june.dates[1:])
    assert june.made.model_version == june.model.version
    assert june.made.run_id and june.made.tables["customer_segments"] >= 4
    assert "Delta-Lake" in june.made.engine
    assert (june.is_stale, june.is_unfinished) == (False, False)


def test_rows_and_money_are_those_of_the_log_before_the_date(june) -> None:
    rows = [line.split(",") for line in LOG.splitlines()[1:]]
    before = [(day, Decimal(paid)) for _, day, paid in rows if day < JUNE]
    found = {one.measure: (one.rows, one.amount) for one in june.measures}
    total = sum(paid for _, paid in before)
    assert found == {"read": (len(before), total), "accepted": (len(before), total)}
    months = Counter(day[:7] for day, _ in before)
    assert {str(one.first_day)[:7]: one.rows for one in june.months} == months
    (days,) = june.days
    last = max(day for day, _ in before)
    assert (str(days.first), str(days.last)) == (min(day for day, _ in before), last)
    span = (days.last - days.first).days + 1
    assert days.gap_days == span - len({day for day, _ in before})


def report(project: Project, *arguments: str) -> int:
    return main(["report", "--config", str(project.config), *arguments])


def test_the_command_writes_the_same_page_twice_and_leaves_no_row(
    history, spark, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    before = history.table(spark, "runs").count()
    assert report(history, "--snapshot-date", JUNE, "--out", "pages/june.html") == 0
    first = (tmp_path / "pages" / "june.html").read_bytes()
    assert capsys.readouterr().out.rstrip().endswith("pages/june.html")
    assert report(history, "--snapshot-date", JUNE, "--out", "pages/june.html") == 0
    assert (tmp_path / "pages" / "june.html").read_bytes() == first
    assert history.table(spark, "runs").count() == before
    shown = first.decode()
    for customer in ("Ann", "Bob", "Cay", "Dan", "Eve", "Fay"):
        assert not re.search(rf"\b{customer}\b", shown[: shown.index("plotly.js v")])


@pytest.mark.parametrize(
    ("day", "out", "status", "said"),
    [
        ("2025-05-20", "x.html", 3, "the nearest there are: 2025-02-01"),
        (JUNE, "x.pdf", 2, "name it"),
        (JUNE, "s3://bucket/x.html", 2, "and not to a URI"),
    ],
)
def test_what_cannot_be_reported_on_is_said_in_a_sentence(
    history, tmp_path, monkeypatch, capsys, day, out, status, said
) -> None:
    monkeypatch.chdir(tmp_path)
    assert report(history, "--snapshot-date", day, "--out", out) == status
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_later_stages_that_did_not_run_are_named(history, tmp_path, capsys) -> None:
    copy = Project(tmp_path / "copy")
    shutil.copytree(history.folder, copy.folder)
    shutil.rmtree(copy.folder / "warehouse" / "segment_profiles")
    assert report(copy, "--snapshot-date", JUNE, "--out", str(tmp_path / "x.html")) == 3
    assert "segment_profiles has nothing of 2025-06-01" in capsys.readouterr().err


def test_an_empty_store_is_said_to_be_one(project, capsys) -> None:
    project.configure(CONFIG)
    (project.folder / "two.yaml").write_text(MAP)
    assert report(project, "--snapshot-date", JUNE, "--out", str(project.folder / "x.html")) == 3
    assert "nothing has been labelled yet" in capsys.readouterr().err
