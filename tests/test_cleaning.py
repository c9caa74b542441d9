"""Source rows as typed rows: what is read, what is rejected, and never a silent null."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from pyspark.sql import functions as F

from rfm_spark.errors import ConfigurationError
from rfm_spark.ingest.cleaning import clean, map_columns
from rfm_spark.ingest.reading import MALFORMED, referenced_columns
from rfm_spark.session import run_settings

COLUMNS = {"customer_id": "user", "transaction_ts": "at", "amount": "paid"}


@pytest.fixture(autouse=True)
def business_time(spark):
    with run_settings(spark, "Africa/Lagos"):
        yield


def cleaned(frame, columns=COLUMNS, *, scale=2, pattern=None, drop_refunds=False):
    frame = frame.withColumn(MALFORMED, F.lit(None).cast("string"))
    mapping = map_columns(frame, "transactions", columns, instant="transaction_ts", amount="amount")
    return clean(
        frame,
        mapping,
        timestamp_format=pattern,
        amount_scale=scale,
        drop_refunds=drop_refunds,
        log_date=None,
    )


def text_log(spark, *rows):
    return spark.createDataFrame(rows, "user string, at string, paid string")


@pytest.mark.parametrize(
    ("user", "at", "paid", "reason"),
    [
        ("u", "2024-01-31", "1.50", None),
        (" u ", "2024-01-31 23:59:59", "-1", None),
        (None, "2024-01-31", "1", "missing_customer_id"),
        ("  ", "2024-01-31", "1", "missing_customer_id"),
        ("u", None, "1", "missing_timestamp"),
        ("u", " ", "1", "missing_timestamp"),
        ("u", "31.01.2024", "1", "bad_timestamp"),
        ("u", "2024-02-30", "1", "bad_timestamp"),
        ("u", "2015", "1", "bad_timestamp"),
        ("u", "12:30:00", "1", "bad_timestamp"),
        ("u", "2024-01-31", None, "missing_amount"),
        ("u", "2024-01-31", "", "missing_amount"),
        ("u", "2024-01-31", "N/A", "bad_amount"),
        ("u", "2024-01-31", "NaN", "bad_amount"),
        ("u", "2024-01-31", "1e400", "bad_amount"),
        # Regression: Java writes such numbers out, for minutes or until it overflows.
        ("u", "2024-01-31", "1e-40000000", "bad_amount"),
        ("u", "2024-01-31", "1e2147483647", "bad_amount"),
        ("u", "2024-01-31", "12345678901234567890123", "bad_amount"),
        ("u", "2024-01-31", "1,50", "bad_amount"),
        (None, None, None, "missing_customer_id"),
    ],
)
def test_the_first_rule_a_row_breaks_is_its_reason(spark, user, at, paid, reason) -> None:
    row = cleaned(text_log(spark, (user, at, paid))).collect()[0]
    assert row["reason"] == reason
    assert (row["raw_customer_id"], row["raw_transaction_ts"], row["raw_amount"]) == (
        user,
        at,
        paid,
    )


def test_ids_are_kept_as_they_are(spark) -> None:
    rows = cleaned(text_log(spark, (" ü 😀'; --", "2024-01-31", "1"))).collect()
    assert rows[0]["customer_id"] == " ü 😀'; --"


def test_text_with_an_offset_is_an_instant_and_text_without_is_wall_clock(spark) -> None:
    frame = text_log(
        spark,
        ("z", "2024-01-31T23:30:00Z", "1"),
        ("wall", "2024-01-31T23:30:00", "1"),
        ("day", "2024-01-31", "1"),
    )
    days = {row["customer_id"]: row["activity_date"] for row in cleaned(frame).collect()}
    assert days == {"z": date(2024, 2, 1), "wall": date(2024, 1, 31), "day": date(2024, 1, 31)}


def test_timestamps_get_the_business_day_and_dates_stay(spark) -> None:
    source = spark.sql(
        "SELECT 1 AS user, TIMESTAMP'2024-01-31 22:59:59 UTC' AS at, 1 AS paid "
        "UNION ALL SELECT 2, TIMESTAMP'2024-01-31 23:00:00 UTC', 1"
    )
    days = {row["customer_id"]: row["activity_date"] for row in cleaned(source).collect()}
    assert days == {1: date(2024, 1, 31), 2: date(2024, 2, 1)}
    for type_ in ("date", "timestamp_ntz"):
        typed = source.select("user", F.expr(f"cast('2024-01-31' AS {type_})").alias("at"), "paid")
        assert cleaned(typed).first()["activity_date"] == date(2024, 1, 31)


def test_a_pattern_reads_other_text_and_nothing_else(spark) -> None:
    frame = text_log(spark, ("a", "31/01/2024 07:00", "1"), ("b", "2024-01-31", "1"))
    rows = {row["customer_id"]: row for row in cleaned(frame, pattern="dd/MM/yyyy HH:mm").collect()}
    assert rows["a"]["instant"] == datetime(2024, 1, 31, 6, 0)  # 07:00 in Lagos
    assert rows["b"]["reason"] == "bad_timestamp"


@pytest.mark.parametrize(
    ("type_", "value", "amount", "rounding"),
    [
        ("string", "12.345", "12.35", "0.005"),
        ("string", "-12.345", "-12.35", "-0.005"),
        ("string", "1e2", "100.00", "0"),
        ("double", "1.005", "1.01", "0.005"),
        ("float", "0.1", "0.10", "0"),
        ("decimal(10,3)", "2.994", "2.99", "-0.004"),
        ("int", "7", "7.00", "0"),
    ],
)
def test_amounts_are_rounded_half_up_and_the_difference_is_known(
    spark, type_, value, amount, rounding
) -> None:
    frame = text_log(spark, ("u", "2024-01-31", value)).withColumn(
        "paid", F.col("paid").cast(type_)
    )
    row = cleaned(frame).collect()[0]
    assert (row["amount"], row["rounding"]) == (Decimal(amount), Decimal(rounding))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e300"])
def test_floats_that_are_no_amount_are_rejected(spark, value) -> None:
    frame = spark.sql(f"SELECT 'u' AS user, DATE'2024-01-31' AS at, double('{value}') AS paid")
    assert cleaned(frame).first()["reason"] == "bad_amount"


def test_an_expression_that_loses_a_value_is_a_bad_value_not_a_missing_one(spark) -> None:
    columns = COLUMNS | {"amount": "try_cast(paid AS decimal(10,2))"}
    rows = cleaned(text_log(spark, ("a", "2024-01-31", "x"), ("b", "2024-01-31", None)), columns)
    found = {row["raw_customer_id"]: (row["reason"], row["raw_amount"]) for row in rows.collect()}
    assert found == {"a": ("bad_amount", "x"), "b": ("missing_amount", None)}


def test_dropped_refunds_are_set_aside_with_their_reason(spark) -> None:
    frame = text_log(spark, ("a", "2024-01-31", "-1"), ("b", "2024-01-31", "0"))
    reasons = {r["customer_id"]: r["reason"] for r in cleaned(frame, drop_refunds=True).collect()}
    assert reasons == {"a": "refund_dropped", "b": None}


def test_a_refund_that_rounds_to_nothing_is_a_refund(spark) -> None:
    frame = text_log(spark, ("a", "2024-01-31", "-0.30"), ("b", "2024-01-31", "0.30"))
    rows = {row["customer_id"]: row for row in cleaned(frame, scale=0).collect()}
    assert [(rows[name]["amount"], rows[name]["is_refund"]) for name in "ab"] == [
        (Decimal(0), True),
        (Decimal(0), False),
    ]
    assert cleaned(frame, scale=0, drop_refunds=True).where("reason IS NOT NULL").count() == 1


def test_a_field_that_is_not_there_is_missing_not_bad(spark) -> None:
    frame = spark.sql(
        "SELECT 'u' AS user, '2024-01-31' AS at, named_struct('a', string(NULL), 'b', 1) AS p"
    )
    assert cleaned(frame, COLUMNS | {"amount": "p.a"}).first()["reason"] == "missing_amount"


def test_all_expressions_that_do_not_fit_are_named_at_once(spark) -> None:
    frame = text_log(spark, ("a", "2024-01-31", "1"))
    with pytest.raises(ConfigurationError) as caught:
        cleaned(frame, {"customer_id": "usr", "transaction_ts": "at", "amount": "paidd"})
    assert "customer_id: 'usr'" in str(caught.value)
    assert "amount: 'paidd'" in str(caught.value)
    assert "columns are user, at, paid" in str(caught.value)


def test_types_that_cannot_mean_what_they_are_mapped_to_are_refused(spark) -> None:
    frame = spark.sql("SELECT 1.5D AS user, 5L AS at, true AS paid")
    with pytest.raises(ConfigurationError) as caught:
        cleaned(frame)
    for part in ("customer_id is double", "transaction_ts is bigint", "amount is boolean"):
        assert part in str(caught.value)


def test_referenced_columns_are_found_quoted_and_in_any_case() -> None:
    assert referenced_columns("coalesce(Paid, `total sum`)", ["paid", "total sum", "x"]) == [
        "paid",
        "total sum",
    ]
