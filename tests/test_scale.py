"""What makes large logs fast: how often they are shuffled, and in which pieces."""

from __future__ import annotations

import re
from datetime import date, timedelta

import duckdb
import pytest
from pyspark.sql import functions as F
from test_dirt import CONFIG, DAY, Dirt, report, write

from rfm_spark.features.aum import BalanceRules
from rfm_spark.features.rfm import purchase_history
from rfm_spark.features.state import balance_history
from rfm_spark.ingest import daily
from rfm_spark.ingest import spread as spreading
from rfm_spark.ingest.spread import spread
from rfm_spark.scoring.cuts import Role, cut

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


@pytest.mark.parametrize("rows_of_the_day", [10, 10 * spreading.ROWS_PER_SHARE])
def test_the_log_is_shuffled_once_on_the_way_to_daily_facts(spark, capsys, rows_of_the_day) -> None:
    rows = daily.accepted(spark.createDataFrame([], ROWS), spread({DAY: rows_of_the_day}))
    entries = daily.deduplicated_entries(rows)
    assert shuffles(daily.customer_daily(entries), capsys) == 1
    once = daily.distinct(rows, [name for name in rows.columns if name != daily.TASK])
    assert shuffles(daily.customer_daily(daily.entries(once, 2), 2), capsys) == 1
    balances = daily.deduplicated_balances(rows, kind="flow")
    assert shuffles(daily.balance_daily(balances, kind="flow"), capsys) == 1
    assert shuffles(daily.contradicting_balances(rows), capsys) == 1


def test_every_task_has_the_days_that_are_meant_for_it(spark) -> None:
    """Small neighbours together, and a large day in parts that nobody else shares."""
    rows = {DAY: 100_000, DAY + timedelta(1): 40_000, DAY + timedelta(2): 60_000}
    rows |= {DAY + timedelta(5): 3_500_000, DAY + timedelta(6): 1}
    over = spread(rows)
    assert (over.places, over.shares) == ((0, 0, 1, 0, 0, 2, 6), (1, 1, 1, 1, 1, 4, 1))
    facts = spark.range(2_000).select(
        F.col("id").alias("customer_id"),
        F.lit(None).alias("reason"),
        F.explode(F.array(*map(F.lit, rows))).alias("activity_date"),
    )
    found = {
        (row["place"], row["activity_date"])
        for row in daily.accepted(facts, over)
        .select(F.spark_partition_id().alias("place"), "activity_date")
        .distinct()
        .collect()
    }
    large = {(place, DAY + timedelta(5)) for place in range(2, 6)}
    assert found == large | {
        (0, DAY), (0, DAY + timedelta(1)), (1, DAY + timedelta(2)), (6, DAY + timedelta(6))
    }  # fmt: skip


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
    monkeypatch.setattr(spreading, "ROWS_PER_SHARE", 10)
    monkeypatch.setattr(spreading, "ROWS_PER_TASK", 10)
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


@pytest.mark.slow
@pytest.mark.usefixtures("generated_code")
def test_edges_of_five_million_customers_are_those_of_duckdb(spark, tmp_path) -> None:
    """Days, counts with half of the customers at 1, and spend in cents; also the ties of NTILE."""

    def uniform(seed: int):
        return F.pmod(F.xxhash64("id", F.lit(seed)), F.lit(1 << 40)) / F.lit(float(1 << 40))

    customers = spark.range(5_000_000).select(
        F.concat(F.lit("C-"), "id").alias("customer_id"),
        F.floor(1 - 60 * F.log(1 - uniform(1))).cast("int").alias("recency_days"),
        F.floor(F.pow(1 - uniform(2), -0.7)).cast("bigint").alias("orders"),
        F.exp(4 + 4 * uniform(3) * uniform(4)).cast("decimal(28,2)").alias("monetary"),
    )
    customers.write.parquet(str(tmp_path / "customers"))
    stored = spark.read.parquet(str(tmp_path / "customers"))
    names = ("recency_days", "orders", "monetary")
    exact = {name: cut(stored, {name: Role(name, 5, "value")})[name][0] for name in names}
    ntile = cut(stored, {"orders": Role("orders", 5, "ntile")})["orders"][0]
    base = duckdb.connect()
    files = f"'{tmp_path}/customers/*.parquet'"
    for name in names:
        query = f"SELECT quantile_disc({name}, [0.2, 0.4, 0.6, 0.8]) FROM {files}"
        assert exact[name].edges == tuple(float(edge) for edge in base.sql(query).fetchone()[0])
    last = f"""
        SELECT max((orders, customer_id)) FROM (
            SELECT orders, customer_id, ntile(5) OVER (ORDER BY orders, customer_id) AS bucket
            FROM {files})
        WHERE bucket < 5 GROUP BY bucket ORDER BY bucket
    """
    found = list(zip(ntile.edges, ntile.customer_ids, strict=True))
    assert found == [(float(orders), name) for ((orders, name),) in base.sql(last).fetchall()]


def test_equal_rows_count_once_also_where_a_column_follows_from_the_file(project, spark) -> None:
    """The instant is the file's: it cannot be worked out again once rows have moved."""
    for day, lines in ((1, ["ann,1,5.00", "ann,1,5.00", "bob,2,1.00"]), (2, ["ann,1,5.00"])):
        write(project, "\n".join(["user,task,paid", *lines]), f"2024-01-0{day}.csv")
    project.configure("""
        store: ./warehouse
        timezone: UTC
        sources:
          transactions:
            format: csv
            path: ./log
            options: {header: true}
            duplicates: whole_row
            columns:
              customer_id: user
              transaction_ts: >-
                to_timestamp(regexp_extract(input_file_name(), '(2024-[0-9-]+)[.]csv', 1))
              amount: paid
              order_id: task
    """)
    assert project.rfm("ingest", "--to", "2024-01-02") == 0
    names = ("activity_date", "customer_id", "orders", "lines")
    first, second = date(2024, 1, 1), date(2024, 1, 2)
    assert project.rows(spark, "customer_daily", *names) == [
        (first, "ann", 1, 1), (first, "bob", 1, 1), (second, "ann", 1, 1)
    ]  # fmt: skip
