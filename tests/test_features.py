"""RFM and AUM: hand-worked rows, and the same again by walking over every day."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles import Balance, Transaction
from oracles import daily as daily_oracle
from oracles import features as features_oracle

from rfm_spark.features import assembly, aum, rfm, state

DAILY = (
    "activity_date date, customer_id string, orders bigint, lines bigint, "
    "purchase_amount decimal(28,2), refund_lines bigint, refund_amount decimal(28,2)"
)
BALANCES = "balance_date date, customer_id string, account_id string, balance decimal(28,2)"
FLOWS = BALANCES.replace("balance decimal", "movement decimal")
STARTS = "customer_id string, start_date date, aum decimal(28,2)"
SNAPSHOT = date(2024, 2, 1)


def day(n: int) -> date:
    """Day n of January 2024; 32 is the snapshot date itself."""
    return date(2023, 12, 31) + timedelta(days=n)


def compute(
    spark,
    daily=(),
    balances=None,
    customers=None,
    window_days=None,
    stale=None,
    kind="snapshot",
):
    first_day = SNAPSHOT - timedelta(days=window_days) if window_days else None
    frame = spark.createDataFrame([tuple(row) for row in daily], DAILY)
    purchases = rfm.purchase_history(frame, snapshot_date=SNAPSHOT, first_day=first_day)
    people = None
    if customers is not None:
        people = spark.createDataFrame(customers, STARTS)
    held = None
    if balances is not None:
        stated = spark.createDataFrame(balances, FLOWS if kind == "flow" else BALANCES)
        rules = aum.BalanceRules(kind, stale, 2)
        span = {"snapshot_date": SNAPSHOT, "first_day": first_day}
        held = aum.held_at(
            state.balance_history(stated, rules, **span), rules, snapshot_date=SNAPSHOT
        )
        if people is not None:
            people = people.drop("aum").selectExpr("*", "cast(null as decimal(28,2)) as aum")
            late = aum.late_starters(held, people, **span)
            held = aum.from_the_start_on(held, late, stated, rules, first_day=first_day)
    result = assembly.customer_features(
        purchases, held, people, snapshot_date=SNAPSHOT, first_day=first_day
    )
    return {row["customer_id"]: row.asDict() for row in result.collect()}


def bought(n: int, customer: str = "a", amount: str = "10.00", orders: int = 1) -> tuple:
    return (day(n), customer, orders, orders, Decimal(amount), 0, Decimal("0.00"))


def returned(n: int, customer: str = "a", amount: str = "-4.00") -> tuple:
    return (day(n), customer, 0, 0, Decimal("0.00"), 1, Decimal(amount))


def test_a_purchase_on_the_day_before_the_snapshot_is_one_day_old(spark) -> None:
    row = compute(spark, [bought(1), bought(31, orders=2)])["a"]
    assert row["recency_days"] == 1
    assert (row["first_purchase_days"], row["tenure_days"]) == (31, 31)
    assert (row["orders"], row["active_days"], row["lines"]) == (3, 2, 3)
    assert (row["monetary"], row["avg_order_value"]) == (Decimal("20.00"), 20.0 / 3)


def test_the_snapshot_date_and_later_do_not_count(spark) -> None:
    assert compute(spark, [bought(31), bought(32), bought(40)])["a"]["orders"] == 1
    assert compute(spark, [bought(32)]) == {}


def test_a_refund_never_refreshes_recency_nor_counts_as_a_day(spark) -> None:
    row = compute(spark, [returned(1), bought(5), returned(20)])["a"]
    assert (row["first_activity_date"], row["last_activity_date"]) == (day(5), day(5))
    assert (row["orders"], row["active_days"], row["lines"]) == (1, 1, 1)
    assert (row["monetary"], row["refund_amount"]) == (Decimal("2.00"), Decimal("-8.00"))


def test_refunds_alone_make_a_customer_without_purchase(spark) -> None:
    row = compute(spark, [returned(20)])["a"]
    assert (row["recency_days"], row["orders"], row["monetary"]) == (None, 0, Decimal("-4.00"))
    assert (row["start_date"], row["tenure_days"], row["avg_order_value"]) == (None, None, None)


def test_sums_look_at_the_window_and_dates_at_all_history(spark) -> None:
    rows = [bought(1), bought(24), bought(25), bought(31)]
    row = compute(spark, rows, window_days=7)["a"]
    assert (row["orders"], row["monetary"]) == (2, Decimal("20.00"))
    assert (row["first_activity_date"], row["recency_days"]) == (day(1), 1)
    old = compute(spark, [bought(1)], window_days=7)["a"]
    assert (old["orders"], old["monetary"], old["recency_days"]) == (0, Decimal("0.00"), 31)


def held(n: int, balance: str, account: str | None = "x", customer: str = "a") -> tuple:
    return (day(n), customer, account, Decimal(balance))


def test_100_held_for_10_days_gives_a_mean_of_100_and_10_per_day(spark) -> None:
    row = compute(spark, balances=[held(22, "100.00")])["a"]
    assert (row["aum"], row["aum_avg"], row["aum_per_day"]) == (Decimal("100.00"), 100.0, 10.0)
    assert (row["tenure_days"], row["recency_days"], row["orders"]) == (10, None, 0)


def test_balances_hold_until_the_next_one_and_add_up_over_accounts(spark) -> None:
    rows = [held(22, "100.00"), held(27, "40.00"), held(30, "-10.00", "y")]
    row = compute(spark, balances=rows)["a"]
    assert row["aum"] == Decimal("30.00")
    assert row["aum_avg"] == (5 * 100 + 5 * 40 + 2 * -10) / 10


def test_accounts_without_a_name_are_one_account(spark) -> None:
    row = compute(spark, balances=[held(22, "100.00", None), held(27, "40.00", None)])["a"]
    assert row["aum"] == Decimal("40.00")


def test_the_mean_starts_with_the_window_and_carries_the_opening_balance_in(spark) -> None:
    row = compute(spark, balances=[held(2, "50.00"), held(30, "70.00")], window_days=4)["a"]
    assert row["aum_avg"] == (2 * 50 + 2 * 70) / 4


def test_a_given_start_cuts_the_mean_or_fills_it_with_zero(spark) -> None:
    rows = [held(22, "100.00")]
    early = compute(spark, balances=rows, customers=[("a", day(12), None)])["a"]
    assert (early["aum_avg"], early["aum_per_day"]) == (50.0, 5.0)
    late = compute(spark, balances=[*rows, held(31, "7.00")], customers=[("a", day(30), None)])["a"]
    assert late["aum_avg"] == (100 + 7) / 2


def test_a_stale_account_counts_nothing(spark) -> None:
    rows = [held(1, "100.00"), held(25, "30.00", "y")]
    row = compute(spark, balances=rows, stale=10)["a"]
    assert row["aum"] == Decimal("30.00")
    assert row["aum_avg"] == (11 * 100 + 7 * 30) / 31
    assert compute(spark, balances=[held(1, "100.00")], stale=30)["a"]["aum"] == Decimal("100.00")
    assert compute(spark, balances=[held(1, "100.00")], stale=29)["a"]["aum"] == Decimal("0.00")


def test_static_aum_and_start_come_from_customers(spark) -> None:
    row = compute(spark, [bought(31)], customers=[("a", day(22), Decimal("250.00"))])["a"]
    assert (row["aum"], row["aum_per_day"], row["tenure_days"]) == (Decimal("250.00"), 25.0, 10)
    assert row["aum_avg"] is None


def test_nobody_is_lost_whoever_knows_them(spark) -> None:
    found = compute(
        spark,
        [bought(3, "buyer")],
        balances=[held(3, "5.00", customer="holder")],
        customers=[
            ("registered", day(4), None),
            ("undated", None, None),
            ("future", day(32), None),
        ],
    )
    assert set(found) == {"buyer", "holder", "registered", "undated"}
    assert found["registered"]["tenure_days"] == 28
    assert (found["undated"]["start_date"], found["undated"]["aum"]) == (None, None)
    assert found["buyer"]["aum"] is None


def test_a_start_after_the_snapshot_stays_what_it_is(spark) -> None:
    row = compute(spark, [bought(31)], customers=[("a", day(40), Decimal("5.00"))])["a"]
    assert (row["start_date"], row["tenure_days"], row["aum"]) == (day(40), -8, Decimal("5.00"))
    assert row["aum_per_day"] is None


@pytest.mark.parametrize(
    ("recency", "tenure", "silent"),
    [(11, 5, True), (10, 99, False), (None, 11, True), (None, None, False)],
)
def test_silence_is_counted_from_the_last_purchase_or_the_start(
    spark, recency, tenure, silent
) -> None:
    frame = spark.createDataFrame([(recency, tenure)], "recency_days int, tenure_days int")
    assert frame.select(assembly.is_silent(10)).first()[0] is silent


PEOPLE = st.sampled_from([f"c{n}" for n in range(12)])
DAYS = st.integers(-5, 34).map(day)
CENTS = st.integers(-3000, 5000).map(lambda cents: Decimal(cents) / 100)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    transactions=st.lists(
        st.builds(Transaction, PEOPLE, DAYS, CENTS, st.sampled_from([None, "o1", "o2"])),
        max_size=60,
    ),
    balances=st.lists(
        st.builds(Balance, PEOPLE, st.sampled_from([None, "x", "y"]), DAYS, CENTS), max_size=40
    ),
    starts=st.dictionaries(PEOPLE, st.none() | DAYS, max_size=8),
    window_days=st.sampled_from([None, 1, 7, 20]),
)
def test_features_equal_those_of_walking_over_every_day(
    spark, transactions, balances, starts, window_days
) -> None:
    stated = {(row.customer_id, row.account_id, row.day): row for row in balances}
    daily = [(*key, *facts) for key, facts in daily_oracle(transactions).items()]
    found = compute(
        spark,
        [(when, person, o, n, p, rn, r) for when, person, o, n, p, rn, r in daily],
        [(row.day, row.customer_id, row.account_id, row.balance) for row in stated.values()],
        [(person, start, None) for person, start in starts.items()],
        window_days,
    )
    expected = features_oracle(transactions, list(stated.values()), starts, SNAPSHOT, window_days)
    assert set(found) == set(expected)
    for person, row in expected.items():
        for name, value in row.items():
            got = found[person][name]
            if isinstance(value, float):
                assert got == pytest.approx(value, rel=1e-12, abs=1e-12), (person, name)
            else:
                assert got == value, (person, name)


def moved(n: int, amount: str, account: str | None = "x", customer: str = "a") -> tuple:
    return (day(n), customer, account, Decimal(amount))


def test_movements_add_up_from_zero(spark) -> None:
    rows = [moved(22, "100.00"), moved(27, "-60.00"), moved(30, "-50.00", "y")]
    row = compute(spark, balances=rows, kind="flow")["a"]
    assert row["aum"] == Decimal("-10.00")
    assert row["aum_avg"] == (5 * 100 + 5 * 40 + 2 * -50) / 10


def test_movements_before_the_window_are_its_opening_balance(spark) -> None:
    rows = [moved(2, "50.00"), moved(30, "20.00")]
    row = compute(spark, balances=rows, window_days=4, kind="flow")["a"]
    assert (row["aum"], row["aum_avg"]) == (Decimal("70.00"), (2 * 50 + 2 * 70) / 4)


def test_an_account_without_movements_for_long_counts_nothing(spark) -> None:
    rows = [moved(1, "100.00"), moved(25, "30.00", "y"), moved(26, "-5.00", "y")]
    row = compute(spark, balances=rows, stale=10, kind="flow")["a"]
    assert row["aum"] == Decimal("25.00")
    assert row["aum_avg"] == (11 * 100 + 1 * 30 + 6 * 25) / 31
