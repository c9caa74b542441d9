"""Make the log of a savings app that never existed: any size, seeded, dirty as real logs are.

Five kinds of life: salary savers, bursts, dormant, churned and new customers, some of them very
rich. Each holds one to three plans with deposits and withdrawals. Beside them stand customers who
only ever had a balance, and customers who only registered. The same seed gives the same rows,
whatever the cluster.

Written below --out:
  transactions/dt=YYYY-MM-DD/  CSV, text as an app server logs it. Dirt: repeated rows, earlier
                               states of a row under its id, failed payments, blank users,
                               unreadable amounts and times, rows filed up to three days late.
  balances/                    Parquet, an account's balance after each of its transactions.
  customers/                   Parquet, when each customer joined, region and age band.
  truth/                       Parquet, what each customer holds at the end of the last day: signed
                               amounts added up. Not an input; tests compare with it.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date, timedelta
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from rfm_spark.session import run_settings, spark_session

TIMEZONE = "Africa/Lagos"
HISTORY_DAYS = 720
DAYS_AFTER_SNAPSHOT = 3
SLOTS = 7
SECONDS_A_SLOT = 86_400 // (SLOTS + 1)
# Life: share of customers, chance of a month with deposits, deposits in such a month.
LIVES = {
    "salary": (0.34, 0.95, 1),
    "burst": (0.22, 0.18, 5),
    "dormant": (0.16, 0.04, 1),
    "churned": (0.14, 0.80, 2),
    "new": (0.11, 0.90, 3),
    "balance_only": (0.02, 0.0, 0),
    "registered": (0.01, 0.0, 0),
}


def main() -> int:
    """Write the log unless it is there already."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the log")
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--snapshot-date", type=date.fromisoformat, default=date(2026, 1, 1))
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    done = options.out / f"_made_{options.customers}_{options.snapshot_date}_{options.seed}"
    if done.exists():
        print(f"the savings log is already in {options.out}")
        return 0
    for marker in options.out.glob("_made_*"):
        marker.unlink()
    with spark_session("make savings log") as spark, run_settings(spark, TIMEZONE):
        write_log(spark, str(options.out), options.customers, options.snapshot_date, options.seed)
    done.touch()
    print(f"wrote the savings log of {options.customers:,} customers to {options.out}")
    return 0


def write_log(spark: SparkSession, out: str, count: int, snapshot_date: date, seed: int) -> None:
    """Write all four folders."""
    people = customers(spark, count, snapshot_date, seed)
    people.select("user_id", "joined", "region", "age_band").write.mode("overwrite").parquet(
        f"{out}/customers"
    )
    moves = movements(people, snapshot_date, seed)
    log = transactions(moves, seed).repartition("dt").sortWithinPartitions("dt", "created_at", "id")
    log.write.mode("overwrite").partitionBy("dt").option("header", True).csv(f"{out}/transactions")
    balances(moves, people, snapshot_date, seed).write.mode("overwrite").parquet(f"{out}/balances")
    truth(moves, people, snapshot_date).write.mode("overwrite").parquet(f"{out}/truth")


def draw(seed: int, *what: Column | str | int) -> Column:
    """A number in [0, 1) that depends on nothing but its arguments."""
    parts = [part if isinstance(part, Column) else F.lit(part) for part in what]
    return F.pmod(F.xxhash64(F.lit(seed), *parts), F.lit(2**53)) / F.lit(float(2**53))


def customers(spark: SparkSession, count: int, snapshot_date: date, seed: int) -> DataFrame:
    """One row per customer: who they are and how they save."""
    number = F.col("id")
    life, edge = F.lit(None).cast("string"), 0.0
    for name, (share, _, _) in LIVES.items():
        edge += share
        below = draw(seed, number, "life") < F.lit(edge)
        life = F.coalesce(life, F.when(below, F.lit(name)))
    life = F.coalesce(life, F.lit("salary"))
    age = (draw(seed, number, "joined") * (HISTORY_DAYS - 60)).cast("int") + 60
    days_ago = (
        F.when(F.col("life") == "new", age % 59 + 2)
        .when(F.col("life").isin("churned", "dormant"), age % 300 + 400)
        .otherwise(age)
    )
    # A log-normal purse (Box and Muller), in cents: most people save little, a few very much.
    normal = F.sqrt(-2 * F.log(1 - draw(seed, number, "a"))) * F.cos(
        2 * F.pi() * draw(seed, number, "b")
    )
    regions = F.array(*(F.lit(name) for name in ("Lagos", "Abuja", "Kano", "Ibadan", "Enugu")))
    ages = F.array(*(F.lit(name) for name in ("18-24", "25-34", "35-44", "45-59", "60+")))
    return (
        spark.range(1, count + 1)
        .withColumn("life", life)
        .select(
            F.format_string("SV-%07d", number).alias("user_id"),
            "life",
            F.date_sub(F.lit(snapshot_date), days_ago).alias("joined"),
            F.floor(F.exp(F.lit(8.0) + 1.1 * normal) * 100).cast("bigint").alias("purse"),
            (1 + F.floor(draw(seed, number, "plans") * 3)).cast("int").alias("plans"),
            F.element_at(regions, (1 + draw(seed, number, "region") * 5).cast("int")).alias(
                "region"
            ),
            F.element_at(ages, (1 + draw(seed, number, "age") * 5).cast("int")).alias("age_band"),
        )
    )


def movements(people: DataFrame, snapshot_date: date, seed: int) -> DataFrame:
    """One row per deposit or withdrawal, with the plan's balance after it.

    Returns:
        user_id, plan, day, second (of the business day), cents (signed), balance (cents).
    """
    end = snapshot_date + timedelta(days=DAYS_AFTER_SNAPSHOT)
    names = F.array(*(F.lit(name) for name in ("flex", "goal", "lock")))
    planned = people.where(~F.col("life").isin("balance_only", "registered")).select(
        "*", F.explode(F.slice(names, F.lit(1), F.col("plans"))).alias("plan")
    )
    months = F.sequence(
        F.lit(0), F.floor(F.months_between(F.lit(end), F.col("joined"))).cast("int")
    )
    monthly = planned.select("*", F.explode(months).alias("month"))
    slots = monthly.select("*", F.explode(F.sequence(F.lit(0), F.lit(SLOTS))).alias("slot"))
    key = ("user_id", "plan", "month")
    chance, most = F.lit(0.0), F.lit(0)
    for name, (_, month_chance, deposits) in LIVES.items():
        chance = F.when(F.col("life") == name, month_chance).otherwise(chance)
        most = F.when(F.col("life") == name, deposits).otherwise(most)
    first_months = F.col("month") < 3
    chance = F.when((F.col("life") == "dormant") & first_months, 0.9).otherwise(chance)
    quits_after = 4 + (draw(seed, F.col("user_id"), "quits") * 8).cast("int")
    is_gone = (F.col("life") == "churned") & (F.col("month") > quits_after)
    quits_now = (F.col("life") == "churned") & (F.col("month") == quits_after)
    saves = draw(seed, *map(F.col, key), "saves") < chance
    is_deposit = (F.col("slot") < most) & saves & ~is_gone
    takes = draw(seed, *map(F.col, key), "takes")
    is_withdrawal = (F.col("slot") == SLOTS) & ((takes < 0.12) | quits_now) & ~is_gone
    payday = F.when(F.col("life") == "salary", 24).otherwise(0)
    spread = F.when(F.col("life") == "salary", 4).otherwise(28)
    offset = payday + (draw(seed, *map(F.col, key), F.col("slot"), "day") * spread).cast("int")
    day = F.date_add(F.add_months(F.col("joined"), F.col("month")), offset)
    part = 0.05 + 0.4 * draw(seed, *map(F.col, key), F.col("slot"), "size")
    share = F.when(quits_now, 1.0).otherwise(0.1 + 0.6 * draw(seed, *map(F.col, key), "share"))
    second = F.col("slot") * SECONDS_A_SLOT + 120
    second = second + (draw(seed, *map(F.col, key), F.col("slot"), "s") * 10_000).cast("int")
    steps = slots.where(is_deposit | is_withdrawal).select(
        "user_id",
        "plan",
        F.struct(
            day.alias("day"),
            second.cast("int").alias("second"),
            F.when(F.col("slot") == SLOTS, 0)
            .otherwise(F.floor(F.col("purse") * part) + 100)
            .cast("bigint")
            .alias("deposit"),
            share.alias("share"),
        ).alias("step"),
    )
    ordered = steps.groupBy("user_id", "plan").agg(
        F.sort_array(F.collect_list("step")).alias("steps")
    )
    return (
        ordered.select("user_id", "plan", F.explode(_with_balances(F.col("steps"))).alias("move"))
        .select("user_id", "plan", "move.*")
        .where((F.col("cents") != 0) & (F.col("day") < F.lit(end)))
    )


def _with_balances(steps: Column) -> Column:
    """Fold a plan's steps: a deposit adds cents, a withdrawal takes a share of what is there."""
    move = "struct<day: date, second: int, cents: bigint, balance: bigint>"
    start = F.struct(
        F.lit(0).cast("bigint").alias("balance"), F.array().cast(f"array<{move}>").alias("moves")
    )

    def fold(state: Column, step: Column) -> Column:
        held = state["balance"]
        cents = F.when(step["deposit"] > 0, step["deposit"]).otherwise(
            -F.floor(held * step["share"]).cast("bigint")
        )
        after = (held + cents).cast("bigint")
        row = F.struct(
            step["day"].alias("day"),
            step["second"].alias("second"),
            cents.cast("bigint").alias("cents"),
            after.alias("balance"),
        )
        return F.struct(
            after.alias("balance"), F.concat(state["moves"], F.array(row.cast(move))).alias("moves")
        )

    return F.aggregate(steps, start, fold, lambda state: state["moves"])


def _money(cents: Column) -> Column:
    return (cents.cast("decimal(18,0)") / 100).cast("decimal(18,2)")


def _instant(day: Column, second: Column) -> Column:
    """The instant of a second of the business day; the session runs in the business time zone."""
    return F.timestamp_seconds(F.unix_timestamp(day.cast("timestamp")) + second)


def transactions(moves: DataFrame, seed: int) -> DataFrame:
    """The log as the app server writes it: text, and dirty."""
    key = ("user_id", "plan", "day", "second")
    chance = draw(seed, *map(F.col, key), "dirt")
    identity = F.hex(F.xxhash64(F.lit(seed), *map(F.col, key)))
    late = draw(seed, *map(F.col, key), "late")
    lag = F.when(late < 0.92, 0).when(late < 0.98, 1).otherwise(1 + (late * 1000).cast("int") % 3)
    clean = moves.select(
        identity.alias("id"),
        "user_id",
        "plan",
        _instant(F.col("day"), F.col("second")).alias("instant"),
        _money(F.col("cents")).cast("string").alias("amount"),
        F.lit("settled").alias("status"),
        F.date_add("day", lag).alias("dt"),
        chance.alias("chance"),
    )

    def some(low: float, share: float) -> DataFrame:
        return clean.where((F.col("chance") >= low) & (F.col("chance") < low + share))

    def renamed(kind: str) -> Column:
        return F.concat(F.lit(f"{kind}-"), F.col("id"))

    dirt = [
        some(0.00, 0.010),
        some(0.01, 0.003).withColumns(
            {"amount": F.lit("1.00"), "instant": F.col("instant") - F.expr("interval 30 seconds")}
        ),
        some(0.02, 0.020).withColumns({"id": renamed("failed"), "status": F.lit("failed")}),
        some(0.05, 0.005).withColumns({"id": renamed("anon"), "user_id": F.lit("  ")}),
        some(0.06, 0.002).withColumns({"id": renamed("broken"), "amount": F.lit("N/A")}),
    ]
    log = clean
    for rows in dirt:
        log = log.unionByName(rows)
    text = F.date_format(F.to_utc_timestamp("instant", TIMEZONE), "yyyy-MM-dd'T'HH:mm:ss'Z'")
    unreadable = (
        some(0.07, 0.001)
        .withColumn("id", renamed("undated"))
        .withColumn("created_at", F.lit("soon"))
    )
    log = log.withColumn("created_at", text).unionByName(unreadable)
    return log.select("id", "user_id", "plan", "created_at", "amount", "status", "dt")


def balances(moves: DataFrame, people: DataFrame, snapshot_date: date, seed: int) -> DataFrame:
    """What each plan holds after each movement, and the customers who only have a balance."""
    stated = moves.select(
        "user_id",
        "plan",
        _instant(F.col("day"), F.col("second")).alias("stated_at"),
        _money(F.col("balance")).alias("balance"),
    )
    moved_in = people.where(F.col("life") == "balance_only").select(
        "user_id",
        F.lit("flex").alias("plan"),
        _instant(F.col("joined"), F.lit(43_200)).alias("stated_at"),
        _money(F.col("purse")).alias("balance"),
    )
    nobody = stated.where(draw(seed, F.col("user_id"), F.col("stated_at"), "lost") < 0.002)
    return stated.unionByName(moved_in).unionByName(
        nobody.withColumn("user_id", F.lit(None).cast("string"))
    )


def truth(moves: DataFrame, people: DataFrame, snapshot_date: date) -> DataFrame:
    """What each customer holds at the end of the last day: amounts added up, no balances read."""
    counted = moves.where(F.col("day") < F.lit(snapshot_date))
    sums = counted.groupBy("user_id").agg(F.sum("cents").alias("cents"))
    opening = F.when(F.col("life") == "balance_only", F.col("purse"))
    known = people.join(sums, on="user_id", how="left")
    return known.select("user_id", "life", _money(F.coalesce(F.col("cents"), opening)).alias("aum"))


if __name__ == "__main__":
    sys.exit(main())
