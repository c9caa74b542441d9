"""Money added up in its smallest units: exact, or not at all."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from pyspark.sql import functions as F

from rfm_spark import smallest_units
from rfm_spark.exact_sums import means
from rfm_spark.session import run_settings


@pytest.fixture(autouse=True)
def business_time(spark):
    with run_settings(spark, "UTC"):
        yield


def amounts(spark, values, type_="decimal(28,2)"):
    exact = [(Decimal(value),) if type_ != "double" else (value,) for value in values]
    return spark.createDataFrame(exact, f"amount {type_}").repartition(3)


def test_units_are_exact_up_to_their_limit_and_null_beyond(spark) -> None:
    most = Decimal(smallest_units.MOST) / 100
    draw = random.Random(1)
    values = [most, -most, most - Decimal("0.01"), Decimal("0.01"), Decimal("-0.29"), Decimal(0)]
    values += [Decimal(draw.randrange(smallest_units.MOST)) / 100 for _ in range(2_000)]
    frame = amounts(spark, values).withColumn("units", smallest_units.units(F.col("amount"), 2))
    found = frame.withColumn("again", smallest_units.money(F.col("units"), 2)).collect()
    assert len(found) == len(values)
    for row in found:
        assert row["units"] == int(row["amount"] * 100)
        assert row["again"] == row["amount"]
    beyond = amounts(spark, [most + Decimal("0.01"), Decimal(10) ** 25])
    units = beyond.select(smallest_units.units(F.col("amount"), 2).alias("units"))
    assert [row["units"] for row in units.collect()] == [None, None]


def test_high_and_low_parts_come_to_the_sum(spark) -> None:
    values = [2**50, -(2**50), 2**49 + 3, -1, 0, -(2**24), 2**24 - 1] * 5 + [7]
    frame = spark.createDataFrame([(value,) for value in values], "units bigint")
    high, low = smallest_units.high_and_low(F.col("units"))
    row = frame.agg(high.alias("high"), low.alias("low")).first()
    assert smallest_units.joined(row["high"], row["low"]) == sum(values)
    assert smallest_units.joined(None, None) == 0


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("decimal(28,2)", ["0.10", "0.20", "-0.31"]),
        ("decimal(28,2)", ["99999999999999999999999999.99", "-1.01", "0.02"]),
        ("decimal(28,2)", ["11258999068426.24"] * 9),
        ("double", [0.1, 0.2, -0.31, 5e9]),
        ("double", [4e25, -1.0, 0.125]),
    ],
    ids=["small", "beyond units", "at the limit", "doubles", "large doubles"],
)
def test_means_are_exact_whether_or_not_longs_can_hold_the_sums(spark, type_, values) -> None:
    frame = amounts(spark, [*values], type_)
    known = [Decimal(repr(value)) if type_ == "double" else Decimal(value) for value in values]
    mean = means(frame, ["amount"])[()]["amount"]
    assert mean == (len(values), float(sum(known)) / len(values))


def test_an_error_of_another_kind_is_not_taken_for_a_large_amount() -> None:
    asked = []

    def fails(as_longs: bool) -> None:
        asked.append(as_longs)
        raise ValueError("the disk is full")

    with pytest.raises(ValueError, match="disk"):
        smallest_units.as_longs_if_they_fit(fails)
    assert asked == [True]
