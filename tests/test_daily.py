"""Accepted rows as daily facts."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest

from rfm_spark.ingest import daily, measures
from rfm_spark.ingest.spread import spread
from rfm_spark.session import run_settings

ROWS = (
    "customer_id string, instant timestamp, activity_date date, amount decimal(28,2), "
    "order_id string, identity string, account_id string, reason string, order_key bigint, "
    "is_refund boolean"
)

WHOLE = spread({date(2024, 1, day): 1 for day in range(1, 32)})


@pytest.fixture(autouse=True)
def business_time(spark):
    with run_settings(spark, "UTC"):
        yield


def rows(spark, *values):
    """(customer, 'dd hh:mm', amount, order, identity) in January 2024."""
    records = []
    for customer, at, amount, order, identity in values:
        instant = datetime.strptime(f"2024-01-{at}", "%Y-%m-%d %H:%M")
        records.append(
            (
                *(customer, instant, instant.date(), Decimal(amount), order, identity, None, None),
                *(int(order[1:]) if order and order[1:] else None, Decimal(amount) < 0),
            )
        )
    return daily.accepted(spark.createDataFrame(records, ROWS), WHOLE)


def facts(frame):
    return {
        (row["customer_id"], row["activity_date"].day): tuple(row)[2:]
        for row in frame.select(
            "customer_id",
            "activity_date",
            "orders",
            "lines",
            "purchase_amount",
            "refund_lines",
            "refund_amount",
        ).collect()
    }


def test_orders_are_distinct_per_customer_and_day(spark) -> None:
    frame = rows(
        spark,
        ("a", "01 09:00", "1.00", "o1", None),
        ("a", "01 10:00", "2.00", "o1", None),
        ("a", "01 11:00", "4.00", "o2", None),
        ("a", "02 09:00", "8.00", "o1", None),
        ("b", "01 09:00", "3.00", "o1", None),
    )
    assert facts(daily.customer_daily(daily.entries(frame))) == {
        ("a", 1): (2, 3, Decimal("7.00"), 0, Decimal("0.00")),
        ("a", 2): (1, 1, Decimal("8.00"), 0, Decimal("0.00")),
        ("b", 1): (1, 1, Decimal("3.00"), 0, Decimal("0.00")),
    }


def test_a_row_without_order_id_is_an_order_of_its_own(spark) -> None:
    frame = rows(
        spark,
        ("a", "01 09:00", "1.00", None, None),
        ("a", "01 09:00", "1.00", None, None),
        ("a", "01 09:00", "1.00", "o", None),
    )
    assert facts(daily.customer_daily(daily.entries(frame)))["a", 1][0] == 3


def test_a_refund_changes_money_only(spark) -> None:
    frame = rows(
        spark,
        ("a", "01 09:00", "5.00", "o1", None),
        ("a", "01 10:00", "-2.00", "o1", None),
        ("a", "02 10:00", "-1.00", "o2", None),
        ("a", "03 10:00", "0.00", "o3", None),
    )
    assert facts(daily.customer_daily(daily.entries(frame))) == {
        ("a", 1): (1, 1, Decimal("5.00"), 1, Decimal("-2.00")),
        ("a", 2): (0, 0, Decimal("0.00"), 1, Decimal("-1.00")),
        ("a", 3): (1, 1, Decimal("0.00"), 0, Decimal("0.00")),
    }


def test_of_the_same_identity_one_row_counts_and_the_latest_stays(spark) -> None:
    frame = rows(
        spark,
        ("a", "01 09:00", "5.00", "o1", "t1"),
        ("a", "01 09:00", "5.00", "o1", "t1"),
        ("a", "01 08:00", "9.00", "o1", "t2"),
        ("a", "01 09:30", "4.00", "o2", "t2"),
        ("a", "01 09:00", "1.00", None, None),
        ("a", "01 09:00", "1.00", None, None),
        ("b", "01 09:00", "5.00", "o1", "t1"),
        ("a", "02 09:00", "5.00", "o1", "t1"),
    )
    entries = daily.deduplicated_entries(frame)
    assert facts(daily.customer_daily(entries)) == {
        ("a", 1): (4, 4, Decimal("11.00"), 0, Decimal("0.00")),
        ("b", 1): (1, 1, Decimal("5.00"), 0, Decimal("0.00")),
        ("a", 2): (1, 1, Decimal("5.00"), 0, Decimal("0.00")),
    }
    sums = {
        row["activity_date"].day: tuple(row)[1:] for row in daily.duplicate_sums(entries).collect()
    }
    assert sums[1] == (1, Decimal("5.00"), 1, Decimal("9.00"))
    assert sums[2] == (0, Decimal("0.00"), 0, Decimal("0.00"))


def test_copies_at_one_instant_leave_the_largest_amount_then_the_largest_order(spark) -> None:
    frame = rows(
        spark,
        ("a", "01 09:00", "5.00", "o1", "t1"),
        ("a", "01 09:00", "7.00", "o1", "t1"),
        ("b", "01 09:00", "5.00", "o1", "t1"),
        ("b", "01 09:00", "5.00", "o2", "t1"),
        ("b", "01 09:00", "6.00", "o2", "t9"),
        ("c", "01 09:00", "5.00", "o9", "t1"),
        ("c", "01 09:00", "5.00", "o10", "t1"),
        ("c", "01 09:00", "6.00", "o10", "t9"),
    )
    assert facts(daily.customer_daily(daily.deduplicated_entries(frame))) == {
        ("a", 1): (1, 1, Decimal("7.00"), 0, Decimal("0.00")),
        ("b", 1): (1, 2, Decimal("11.00"), 0, Decimal("0.00")),
        ("c", 1): (1, 2, Decimal("11.00"), 0, Decimal("0.00")),
    }


def test_of_rows_that_are_equal_as_a_whole_one_counts(spark) -> None:
    frame = rows(
        spark,
        ("a", "01 09:00", "5.00", "o1", None),
        ("a", "01 09:00", "5.00", "o1", None),
        ("a", "01 09:00", "5.00", "o1", None),
        ("a", "01 09:00", "-5.00", "o1", None),
        ("a", "01 09:01", "5.00", None, None),
        ("a", "01 09:01", "5.00", None, None),
        ("a", "02 09:00", "5.00", "o1", None),
        ("b", "01 09:00", "5.00", "o1", None),
    )
    names = [name for name in frame.columns if name != daily.TASK]
    entries = daily.entries(daily.distinct(frame, names))
    assert facts(daily.customer_daily(entries)) == {
        ("a", 1): (2, 2, Decimal("10.00"), 1, Decimal("-5.00")),
        ("a", 2): (1, 1, Decimal("5.00"), 0, Decimal("0.00")),
        ("b", 1): (1, 1, Decimal("5.00"), 0, Decimal("0.00")),
    }


def test_units_of_money_add_up_to_what_decimals_do(spark) -> None:
    frame = rows(
        spark,
        ("a", "01 09:00", "0.10", "o1", None),
        ("a", "01 10:00", "0.20", "o1", None),
        ("a", "01 11:00", "-11258999068426.24", "o2", None),
        ("a", "01 12:00", "11258999068426.23", "o3", None),
    )
    for entries in (daily.entries, daily.deduplicated_entries):
        as_decimals = facts(daily.customer_daily(entries(frame)))
        assert facts(daily.customer_daily(entries(frame, 2), 2)) == as_decimals


def test_a_range_of_days_ends_with_its_last_day_and_keeps_what_has_no_day(spark) -> None:
    days = [date(1, 1, 1), *(date(2024, 1, day) for day in range(1, 8)), date(9999, 12, 31)]
    of_a_log = [(n, day, None) for n, day in enumerate(days)]
    undated = [(10, None, days[2]), (11, None, days[6]), (12, None, None)]
    rows = spark.createDataFrame([*of_a_log, *undated], "n int, activity_date date, log_date date")

    def kept(first, last):
        return {row["n"] for row in rows.where(measures.in_days(first, last)).collect()}

    assert kept(days[2], days[5]) == {2, 3, 4, 5, 10, 12}
    assert kept(days[2], days[2]) == {2, 10, 12}
    assert kept(None, days[5]) == {0, 1, 2, 3, 4, 5, 10, 12}


def balance_rows(spark, *values):
    records = []
    for customer, account, at, amount in values:
        instant = datetime.strptime(f"2024-01-{at}", "%Y-%m-%d %H:%M")
        records.append(
            (
                *(customer, instant, instant.date(), Decimal(amount), None, None, account, None),
                *(None, False),
            )
        )
    return daily.accepted(spark.createDataFrame(records, ROWS), WHOLE)


def test_the_last_balance_of_a_day_counts_in_whatever_order_rows_come(spark) -> None:
    frame = balance_rows(
        spark,
        ("a", "x", "01 18:00", "3.00"),
        ("a", "x", "01 09:00", "9.00"),
        ("a", "y", "01 09:00", "-1.00"),
        ("a", None, "02 09:00", "4.00"),
    )
    found = {tuple(row) for row in daily.balance_daily(frame, kind="snapshot").collect()}
    assert found == {
        (date(2024, 1, 1), "a", "x", Decimal("3.00")),
        (date(2024, 1, 1), "a", "y", Decimal("-1.00")),
        (date(2024, 1, 2), "a", None, Decimal("4.00")),
    }


def test_two_balances_of_an_account_at_one_instant_contradict_each_other(spark) -> None:
    frame = balance_rows(
        spark,
        ("a", "x", "01 09:00", "3.00"),
        ("a", "x", "01 09:00", "3.00"),
        ("a", "y", "01 09:00", "3.00"),
        ("a", "y", "01 09:00", "4.00"),
        ("b", None, "01 09:00", "3.00"),
        ("b", None, "01 09:00", "4.00"),
    )
    found = daily.contradicting_balances(frame).collect()
    assert {(row["customer_id"], row["account_id"]) for row in found} == {("a", "y"), ("b", None)}
