"""The log that the benchmark makes: its shares of dirt, its days, and that it is the same again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from peers.order_log import Plan, bring_tomorrow, linked_history, make_log, take_back

PLAN = Plan(lines=200_000, customers=5_000, days=10, seed=1)


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    return make_log(tmp_path_factory.mktemp("a log of orders"), PLAN, lambda line: None)


def asked(log: Path, columns: str) -> tuple:
    return duckdb.sql(f"SELECT {columns} FROM read_parquet('{log}/*/*.parquet')").fetchone()


def test_a_log_has_the_lines_and_the_dirt_that_it_promises(log) -> None:
    lines, no_id, no_amount, refunds, orders = asked(
        log,
        "count(*), avg((user_id IS NULL)::INT), avg((amount IS NULL)::INT), "
        "avg((amount < 0)::INT), count(DISTINCT order_id)",
    )
    assert lines == pytest.approx(200_000, rel=0.01)
    assert no_id == pytest.approx(0.005, abs=0.001)
    assert no_amount == pytest.approx(0.001, abs=0.0004)
    assert refunds == pytest.approx(0.02, abs=0.002)
    assert lines / orders == pytest.approx(2.02, rel=0.01)
    whole = "user_id, order_id, line_number, product_id, ordered_at, amount"
    (different,) = asked(log, f"count(DISTINCT ({whole}))")
    assert (lines - different) / different == pytest.approx(0.01, abs=0.001)
    (keys,) = asked(log, "count(DISTINCT (order_id, line_number))")
    assert keys == different  # copies are equal in every column


def test_every_line_is_filed_under_its_day_and_money_has_cents(log) -> None:
    assert sorted(day.name for day in log.iterdir())[::9] == [
        "log_date=2025-12-22",
        "log_date=2025-12-31",
    ]
    astray, types = asked(
        log,
        "count(*) FILTER (ordered_at::DATE <> log_date), any_value(typeof(amount))",
    )
    assert (astray, types) == (0, "DECIMAL(12,2)")


def test_one_customer_in_a_thousand_orders_a_hundred_times_as_often(log) -> None:
    orders = duckdb.sql(
        "SELECT count(DISTINCT order_id) FROM "
        f"read_parquet('{log}/*/*.parquet') WHERE user_id IS NOT NULL GROUP BY user_id ORDER BY 1"
    ).fetchall()
    heavy = [count for (count,) in orders[-5:]]
    light = sum(count for (count,) in orders[:-5]) / (PLAN.customers - 5)
    assert sum(heavy) / 5 / light == pytest.approx(100, rel=0.1)
    assert orders[-6][0] < heavy[0] / 2


def test_one_plan_gives_one_log_and_another_seed_another(log, tmp_path) -> None:
    small = Plan(3_000, 300, 2, seed=5)
    logs = [
        make_log(tmp_path / name, replace(small, seed=seed), lambda line: None)
        for name, seed in (("first", 5), ("again", 5), ("other", 6))
    ]
    bytes_of = [[file.read_bytes() for file in sorted(log.rglob("*.parquet"))] for log in logs]
    assert bytes_of[0] == bytes_of[1] != bytes_of[2]


def test_a_log_is_made_once_and_anew_for_another_plan_or_after_a_kill(tmp_path) -> None:
    small, told = Plan(3_000, 300, 2, seed=5), []
    make_log(tmp_path, small, told.append)
    make_log(tmp_path, small, told.append)
    make_log(tmp_path, replace(small, days=3), told.append)
    (tmp_path / "manifest.json").unlink()
    log = make_log(tmp_path, replace(small, days=3), told.append)
    assert ["making" in line for line in told] == [True, False, True, True]
    assert len(list(log.iterdir())) == 3


def test_the_next_day_comes_and_goes(tmp_path) -> None:
    log = make_log(tmp_path, Plan(3_000, 300, 3, seed=5), lambda line: None)
    before = sorted(log.iterdir())
    bring_tomorrow(log)
    assert sorted(log.iterdir()) == [*before, log / "log_date=2026-01-01"]
    take_back(log)
    assert sorted(log.iterdir()) == before
    short = linked_history(log, tmp_path / "short", 2)
    bring_tomorrow(short)
    assert [day.name for day in sorted(short.iterdir())] == [
        "log_date=2025-12-30",
        "log_date=2025-12-31",
        "log_date=2026-01-01",
    ]
    assert sorted(log.iterdir()) == before
