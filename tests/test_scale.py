"""What makes large logs fast: how often they are shuffled, and in which pieces."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from test_dirt import CONFIG, DAY, Dirt, report, write

from rfm_spark.features.aum import BalanceRules
from rfm_spark.features.rfm import purchase_history
from rfm_spark.features.state import balance_history
from rfm_spark.ingest import daily
from rfm_spark.pipeline import logs

ROWS = (
    "customer_id string, instant timestamp, activity_date date, amount decimal(28,2), "
    "order_id string, identity string, account_id string, reason string, order_key bigint, "
    "is_refund boolean"
)
DAILY = (
    "activity_date date, customer_id string, orders bigint, lines bigint, "
    "purchase_amount decimal(28,2), refund_lines bigint, refund_amount decimal(28,2)"
)


def shuffles(frame, capsys) -> int:
    frame.explain()
    plan = capsys.readouterr().out
    return len(re.findall(r"Exchange hashpartitioning|Exchange rangepart|Exchange Single", plan))


@pytest.mark.parametrize("tasks", [None, {DAY: 7}])
def test_the_log_is_shuffled_once_on_the_way_to_daily_facts(spark, capsys, tasks) -> None:
    rows = daily.accepted(spark.createDataFrame([], ROWS), tasks)
    entries = daily.deduplicated_entries(rows)
    assert shuffles(daily.customer_daily(entries), capsys) == 1
    balances = daily.deduplicated_balances(rows, kind="flow")
    assert shuffles(daily.balance_daily(balances, kind="flow"), capsys) == 1
    assert shuffles(daily.contradicting_balances(rows), capsys) == 1


def test_daily_facts_are_shuffled_once_on_the_way_to_features(spark, capsys) -> None:
    frame = spark.createDataFrame([], DAILY)
    history = purchase_history(frame, snapshot_date=date(2024, 2, 1), first_day=DAY)
    assert shuffles(history, capsys) == 1
    stated = spark.createDataFrame(
        [], "balance_date date, customer_id string, account_id string, balance decimal(28,2)"
    )
    held = balance_history(
        stated, BalanceRules("snapshot", None, 2), snapshot_date=date(2024, 2, 1), first_day=None
    )
    assert shuffles(held, capsys) == 1


def test_a_day_in_several_tasks_gives_the_same_facts(project, spark, monkeypatch) -> None:
    dirt = Dirt(4, rows=200)
    write(project, "\n".join(dirt.lines))
    project.configure(CONFIG)
    span = ("--from", str(DAY), "--to", str(DAY + timedelta(days=6)))
    assert project.rfm("ingest", *span) == 0
    whole = (project.rows(spark, "customer_daily"), report(project, spark))
    monkeypatch.setattr(logs, "ROWS_PER_TASK", 10)
    assert project.rfm("ingest", *span) == 0
    assert (project.rows(spark, "customer_daily"), report(project, spark)) == whole


def test_a_rewritten_day_touches_the_files_of_that_day(project, spark) -> None:
    dirt = Dirt(5, rows=100)
    write(project, "\n".join(dirt.lines))
    project.configure(CONFIG)
    first, last = DAY, DAY + timedelta(days=6)
    assert project.rfm("ingest", "--from", str(first), "--to", str(last)) == 0
    folder = project.folder / "warehouse" / "customer_daily"
    before = {str(file.relative_to(folder)) for file in folder.rglob("*.parquet")}
    assert project.rfm("ingest", "--from", str(last), "--to", str(last)) == 0
    written = {str(file.relative_to(folder)) for file in folder.rglob("*.parquet")} - before
    assert written
    assert {name.split("/")[0] for name in written} == {f"activity_date={last}"}
