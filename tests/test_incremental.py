"""Features carried on from date to date equal those counted anew, row for row."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest
from oracles import Balance, Transaction
from oracles import daily as daily_oracle
from oracles import features as features_oracle
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.features.aum import BalanceRules
from rfm_spark.pipeline.context import Pinned
from rfm_spark.pipeline.earlier import carried_on as carried_on_state
from rfm_spark.pipeline.earlier import earlier_state
from rfm_spark.pipeline.history import History, counted_anew
from rfm_spark.schemas import BALANCE_COLUMNS as MONEY
from rfm_spark.session import temporarily

CONFIG = """
    store: ./warehouse
    timezone: UTC
    reprocess_days: 4
    sources:
      transactions:
        format: csv
        path: ./log.csv
        options: {{header: true}}
        columns: {{customer_id: user, transaction_ts: day, amount: paid, order_id: basket}}
      balances:
        format: csv
        path: ./balances.csv
        options: {{header: true}}
        kind: {kind}
        stale_after_days: {stale}
        columns: {{customer_id: user, account_id: account, balance_date: day, balance: balance}}
      customers:
        format: csv
        path: ./customers.csv
        options: {{header: true}}
        columns: {{customer_id: user, start_date: joined}}
    features: {{window_days: {window}}}
"""
FIRST = date(2024, 1, 1)


class Shop:
    """A log that grows day by day, is corrected afterwards, and loses rows again."""

    def __init__(self, seed: int, people: int = 14) -> None:
        self.random = random.Random(seed)
        self.people = [f"c{n:02}" for n in range(people)]
        self.transactions: list[Transaction] = []
        self.balances: dict[tuple[str, str, date], Balance] = {}
        self.starts = {
            person: FIRST + timedelta(days=self.random.randint(-20, 40))
            for person in self.people[::3]
        }

    def live(self, today: date) -> None:
        """A day of new rows, and late, corrected and removed ones of the days before."""
        draw = self.random
        for person in self.people:
            if draw.random() < 0.35:
                self._buy(person, today)
            if draw.random() < 0.3:
                self._state(person, today)
        for _ in range(draw.randint(0, 3)):
            late = today - timedelta(days=draw.randint(1, 4))
            self._buy(draw.choice(self.people), max(late, FIRST))
            self._state(draw.choice(self.people), max(late, FIRST))
        recent = [row for row in self.transactions if row.day >= today - timedelta(days=3)]
        for row in draw.sample(recent, min(len(recent), draw.randint(0, 3))):
            self.transactions.remove(row)
        stated = [key for key in self.balances if key[2] >= today - timedelta(days=3)]
        for key in draw.sample(stated, min(len(stated), draw.randint(0, 2))):
            del self.balances[key]
        if draw.random() < 0.1:
            self.starts[draw.choice(self.people)] = today - timedelta(days=draw.randint(0, 30))

    def _buy(self, person: str, day: date) -> None:
        cents = self.random.choice([0, *range(-4000, 9000, 7)])
        order = self.random.choice([None, "o1", "o2"])
        self.transactions.append(Transaction(person, day, Decimal(cents) / 100, order))

    def _state(self, person: str, day: date) -> None:
        account = self.random.choice(["x", "y"])
        amount = Decimal(self.random.choice([0, *range(-2000, 9000, 13)])) / 100
        self.balances[person, account, day] = Balance(person, account, day, amount)

    def write(self, folder) -> None:
        rows = [f"{r.customer_id},{r.day},{r.amount},{r.order_id or ''}" for r in self.transactions]
        (folder / "log.csv").write_text("\n".join(["user,day,paid,basket", *rows, ""]))
        held = self.balances.values()
        rows = [f"{r.customer_id},{r.account_id},{r.day},{r.balance}" for r in held]
        (folder / "balances.csv").write_text("\n".join(["user,account,day,balance", *rows, ""]))
        rows = [f"{person},{start}" for person, start in self.starts.items()]
        (folder / "customers.csv").write_text("\n".join(["user,joined", *rows, ""]))

    def expected(self, snapshot: date, window: int | None, kind: str) -> dict:
        balances = list(self.balances.values())
        if kind == "flow":
            balances = list(summed_up(balances))
        return features_oracle(self.transactions, balances, self.starts, snapshot, window)


def summed_up(movements: list[Balance]) -> Iterator[Balance]:
    for row in movements:
        earlier = (
            other.balance
            for other in movements
            if (other.customer_id, other.account_id) == (row.customer_id, row.account_id)
            and other.day <= row.day
        )
        yield Balance(row.customer_id, row.account_id, row.day, sum(earlier, Decimal(0)))


def features_of(project, spark, snapshot: date) -> list[tuple]:
    table = project.table(spark, "customer_features").where(f"snapshot_date = '{snapshot}'")
    return sorted(tuple(row) for row in table.collect())


def carried_on(project, spark, capsys, dates: list[date], seed: int, window, kind, stale) -> int:
    """Run every date both ways and compare; returns how often features were carried on."""
    project.configure(CONFIG.format(window=window or "null", kind=kind, stale=stale or "null"))
    shop = Shop(seed)
    today, carried = FIRST, 0
    for snapshot in dates:
        while today < snapshot:
            shop.live(today)
            today += timedelta(days=1)
        shop.write(project.folder)
        assert project.rfm("ingest", "--to", str(snapshot - timedelta(days=1))) == 0
        capsys.readouterr()
        assert project.rfm("features", "--snapshot-date", str(snapshot)) == 0
        carried += "carried on from" in capsys.readouterr().out
        found = features_of(project, spark, snapshot)
        anew = ("--set", "features.incremental=false")
        assert project.rfm("features", "--snapshot-date", str(snapshot), *anew) == 0
        assert features_of(project, spark, snapshot) == found, snapshot
        if stale is None:
            compare_with_oracle(project, spark, shop.expected(snapshot, window, kind), snapshot)
    return carried


def compare_with_oracle(project, spark, expected: dict, snapshot: date) -> None:
    rows = project.table(spark, "customer_features").where(f"snapshot_date = '{snapshot}'")
    found = {row["customer_id"]: row.asDict() for row in rows.collect()}
    assert set(found) == set(expected)
    for person, row in expected.items():
        for name, value in row.items():
            if isinstance(value, float):
                assert found[person][name] == pytest.approx(value, rel=1e-12), (person, name)
            else:
                assert found[person][name] == value, (person, name, snapshot)


@pytest.mark.parametrize(
    ("window", "kind", "steps"),
    [
        (6, "snapshot", [20, 21, 23]),
        pytest.param(None, "flow", [20, 22], marks=pytest.mark.release),
    ],
)
def test_commands_carry_features_on_and_equal_those_counted_anew(
    project, spark, capsys, window, kind, steps
) -> None:
    dates = [FIRST + timedelta(days=step) for step in steps]
    assert carried_on(project, spark, capsys, dates, 7, window, kind, None) == len(steps) - 1


DAILY = "activity_date date, customer_id string, " + ", ".join(
    f"{field.name} {field.type}" for field in schemas.customer_daily("string", 2).fields[2:]
)
STATE = schemas.feature_state("string", 2)


def daily_rows(shop: Shop) -> set[tuple]:
    return {(*key, *facts) for key, facts in daily_oracle(shop.transactions).items()}


def balance_rows(shop: Shop) -> set[tuple]:
    return {
        (row.day, row.customer_id, row.account_id, row.balance) for row in shop.balances.values()
    }


def feed(spark, before: set[tuple], after: set[tuple], ddl: str, draw: random.Random):
    """A change feed: what went, what came, and some rows that were rewritten as they were."""
    same = draw.sample(sorted(before & after, key=repr), min(5, len(before & after)))
    gone = [(*row, "delete") for row in [*(before - after), *same]]
    come = [(*row, "insert") for row in [*(after - before), *same]]
    return spark.createDataFrame([*gone, *come], f"{ddl}, _change_type string")


def pinned(spark, rows: set[tuple], ddl: str):
    return Pinned("table", spark.createDataFrame(list(rows), ddl), 1, "id")


@pytest.fixture
def plain_plans(spark):
    """Frames of a few rows: one task and no replanning, or so many dates take long."""
    plain = {"spark.sql.shuffle.partitions": "1", "spark.sql.adaptive.enabled": "false"}
    with temporarily(spark, plain):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("plain_plans")
@pytest.mark.parametrize(
    ("window", "kind", "stale", "dates", "seed"),
    [
        (12, "snapshot", 9, 24, 1),
        pytest.param(None, "snapshot", None, 6, 2, marks=pytest.mark.release),
        (5, "flow", None, 9, 3),
        pytest.param(12, "snapshot", 9, 62, 1, marks=pytest.mark.release),
        pytest.param(None, "flow", None, 31, 4, marks=pytest.mark.release),
    ],
)
def test_states_of_consecutive_dates_equal_those_counted_anew(
    spark, window, kind, stale, dates, seed
) -> None:
    balances = (
        f"balance_date date, customer_id string, account_id string, {MONEY[kind]} decimal(28,2)"
    )
    rules = BalanceRules(kind, stale, 2)
    shop, today = Shop(seed, people=10), FIRST
    draw = random.Random(seed)
    before = state = None
    for step in range(2, 2 + dates):
        snapshot = FIRST + timedelta(days=step)
        while today < snapshot + timedelta(days=1):  # the day after is already coming in
            shop.live(today)
            today += timedelta(days=1)
        first_day = snapshot - timedelta(days=window) if window else None
        facts = (daily_rows(shop), balance_rows(shop))
        history = History(
            snapshot,
            first_day,
            pinned(spark, facts[0], DAILY),
            pinned(spark, facts[1], balances),
            rules,
            "hash",
        )
        ways = draw.sample([None, 2], 2)  # money as decimals and as cents
        anew = rows_of(counted_anew(history, ways[0]), snapshot)
        if state is not None:
            earlier = earlier_state(
                history,
                spark.createDataFrame(state, STATE.ddl),
                feed(spark, before[0], facts[0], DAILY, draw),
                feed(spark, before[1], facts[1], balances, draw),
                of=snapshot - timedelta(days=1),
                first_day=first_day - timedelta(days=1) if first_day else None,
            )
            carried = carried_on_state(history, earlier, ways[1])
            assert rows_of(carried, snapshot) == anew, snapshot
        before, state = facts, anew


def rows_of(state, snapshot: date) -> list[tuple]:
    ordered = state.withColumn("snapshot_date", F.lit(snapshot)).select(
        *(F.col(field.name).cast(field.type) for field in STATE.fields)
    )
    return sorted((tuple(row) for row in ordered.collect()), key=lambda row: row[1])
