"""Exact sums and means of columns, with the same bits for any layout.

Longs are added where amounts fit, and decimals where not; doubles, whose sum depends on the order,
are rounded first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark import smallest_units

_DECIMALS_OF_A_DOUBLE = 8


@dataclass(frozen=True)
class ExactSum:
    """The exact sum of a numeric column; doubles are rounded to eight decimals before.

    Args:
        name: The column.
        type: Its type, as Spark writes it.
    """

    name: str
    type: str

    @property
    def decimals(self) -> int:
        """Of the smallest unit that is added up."""
        if self.type.startswith("decimal"):
            return int(self.type.rstrip(")").split(",")[1])
        return _DECIMALS_OF_A_DOUBLE if self.type in ("double", "float") else 0

    def columns(self, *, as_longs: bool) -> list[Column]:
        """What has to be aggregated; as longs it is an error where they do not fit."""
        value = F.col(self.name)
        if not as_longs:
            exact = {"double": "decimal(38,8)", "float": "decimal(38,8)", "bigint": "decimal(20,0)"}
            return [F.sum(value.cast(exact.get(self.type, self.type))).alias(f"total_{self.name}")]
        if self.type.startswith("decimal"):
            units = smallest_units.units_or_error(value, self.decimals)
        elif self.decimals:
            units = smallest_units.parts_or_error(value.cast("double"), self.decimals)
        else:
            units = value.cast("bigint")
        high, low = smallest_units.high_and_low(units)
        return [high.alias(f"high_{self.name}"), low.alias(f"low_{self.name}")]

    def of(self, row: Row) -> Decimal:
        """The sum in an aggregated row; 0 where there was nothing to add."""
        if f"total_{self.name}" in row:
            return Decimal(row[f"total_{self.name}"] or 0)
        units = smallest_units.joined(row[f"high_{self.name}"], row[f"low_{self.name}"])
        return Decimal(units).scaleb(-self.decimals)


class Mean(NamedTuple):
    """How many values there are, and their mean; None without any."""

    rows: int
    value: float | None

    @classmethod
    def of(cls, total: Decimal, rows: int) -> Mean:
        """From the sum of so many values."""
        return cls(rows, float(total) / rows if rows else None)


def exact_sums(customers: DataFrame, names: Iterable[str]) -> list[ExactSum]:
    """Sums of columns, by their types."""
    return [ExactSum(name, customers.schema[name].dataType.simpleString()) for name in names]


def means(
    customers: DataFrame, names: Sequence[str], by: Sequence[str] = ()
) -> dict[tuple[Any, ...], dict[str, Mean]]:
    """Exact means of numeric columns for every group, in one pass."""
    sums = exact_sums(customers, names)

    def rows(as_longs: bool) -> list[Row]:
        totals = [column for one in sums for column in one.columns(as_longs=as_longs)]
        counts = [F.count(name).alias(f"count_{name}") for name in names]
        return customers.groupBy(*by).agg(*totals, *counts).collect()

    return {
        tuple(row[name] for name in by): {
            one.name: Mean.of(one.of(row), row[f"count_{one.name}"]) for one in sums
        }
        for row in smallest_units.as_longs_if_they_fit(rows)
    }
