"""Money as whole numbers of its smallest unit, cents for two decimals.

Spark adds decimals of more than 18 digits as Java's BigDecimal, longs as such: several times
faster, and as exact, as long as the numbers fit. Whoever adds asks :func:`fit` first, or lets
:func:`as_longs_if_they_fit` find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark.schemas import MONEY_DIGITS

T = TypeVar("T")
MOST = 2**50
"""Units up to which a double tells each from the next after a division and a multiplication by a
power of ten (each rounds by at most 2^-53 of the number, Goldberg 1991)."""
_LARGEST_LONG = 2**63 - 1
_LOW_BITS = 24
_BEYOND = "an amount is too large to be counted in its smallest units"


def units(amount: Column, scale: int) -> Column:
    """Units of an amount with ``scale`` decimals, as bigint; null for null and beyond ``MOST``."""
    number = amount.cast("double") * F.lit(float(10**scale))
    return F.when(F.abs(number) <= MOST, F.rint(number).cast("bigint"))


def units_or_error(amount: Column, scale: int) -> Column:
    """The same, but what is beyond ``MOST`` fails: see :func:`as_longs_if_they_fit`."""
    return F.when(amount.isNotNull(), F.coalesce(units(amount, scale), F.raise_error(_BEYOND)))


def in_units(frame: DataFrame, amounts: Iterable[str], scale: int | None) -> DataFrame:
    """Columns of money in their units, or as they are where ``scale`` is None.

    An amount beyond ``MOST`` fails.
    """
    if scale is None:
        return frame
    return frame.withColumns({name: units_or_error(F.col(name), scale) for name in amounts})


def in_money(frame: DataFrame, amounts: Iterable[str], scale: int | None) -> DataFrame:
    """The reverse of :func:`in_units`."""
    if scale is None:
        return frame
    return frame.withColumns({name: money(F.col(name), scale) for name in amounts})


def parts_or_error(value: Column, decimals: int) -> Column:
    """The same of a double, rounded to so many decimals, up to where a bigint ends."""
    number = F.rint(value * F.lit(float(10**decimals)))
    fits = F.when(F.abs(number) < float(2**62), number.cast("bigint"))
    return F.when(value.isNotNull(), F.coalesce(fits, F.raise_error(_BEYOND)))


def as_longs_if_they_fit(run: Callable[[bool], T]) -> T:
    """What a function gives that adds as longs (True), or else as decimals, which always fit.

    Args:
        run: Fails as a whole, with nothing done, where an amount or a sum is too large for a long.
    """
    try:
        return run(True)
    except Exception as error:
        if _BEYOND not in str(error) and "ARITHMETIC_OVERFLOW" not in str(error):
            raise
        return run(False)


def money(count: Column, scale: int) -> Column:
    """The amount of so many units."""
    unit = F.lit(f"1e-{scale}").cast(f"decimal({scale + 1},{scale})")
    return (count.cast("decimal(20,0)") * unit).cast(f"decimal({MONEY_DIGITS},{scale})")


def fit(largest: float, rows: int) -> bool:
    """Whether sums of so many rows, of at most ``largest`` units each, are exact as longs."""
    return largest <= MOST and rows * largest <= _LARGEST_LONG


def high_and_low(count: Column) -> tuple[Column, Column]:
    """Sums over any number of rows that cannot overflow; :func:`joined` puts them together."""
    return F.sum(F.shiftright(count, _LOW_BITS)), F.sum(count.bitwiseAND(F.lit(2**_LOW_BITS - 1)))


def joined(high: int | None, low: int | None) -> int:
    """The sum that :func:`high_and_low` split; 0 where there was nothing to add."""
    return ((high or 0) << _LOW_BITS) + (low or 0)
