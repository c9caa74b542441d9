"""Columns and tables as plain data."""

from __future__ import annotations

from dataclasses import dataclass

CONTRACT_VERSION = 1
"""Which promises the tables keep: names, types and meanings. A change that breaks readers raises
it; a new column or table does not."""
CUSTOMER_ID_TYPES = ("bigint", "string")
MONEY_DIGITS = 28
"""Digits of a stored amount. A sum of such decimals still fits decimal(38)."""
AMOUNT_DIGITS = 22
"""Digits of an amount in a source; a longer one is no amount, so that sums of a day fit."""


EXTRA_DIGITS = 8
"""Further decimals of money in which a rounding difference is stated."""


@dataclass(frozen=True)
class Field:
    """A column: its Spark SQL type, what a number in it means, and what its values keep to.

    ``check`` is the end of a condition that begins with the column, as in ``>= 0``; null keeps to
    every one.
    """

    name: str
    type: str
    comment: str = ""
    nullable: bool = True
    check: str = ""


@dataclass(frozen=True)
class Table:
    """A table: what one row stands for, its columns in order, its partition columns."""

    name: str
    grain: str
    fields: tuple[Field, ...]
    partition_by: tuple[str, ...] = ()
    is_followed: bool = False
    """Whether readers follow its changes from version to version (Delta's change data feed)."""

    @property
    def columns(self) -> list[str]:
        """Column names in order."""
        return [field.name for field in self.fields]

    @property
    def ddl(self) -> str:
        """Columns and types, as ``createDataFrame`` takes them."""
        return ", ".join(f"{field.name} {field.type}" for field in self.fields)


def money(scale: int) -> str:
    """SQL type of an amount with that many decimals."""
    return f"decimal({MONEY_DIGITS},{scale})"


def key(name: str, type_: str, comment: str = "", check: str = "") -> Field:
    """A column that is never null."""
    return Field(name, type_, comment, nullable=False, check=check)


def count(name: str, comment: str = "") -> Field:
    """A number of things."""
    return Field(name, "bigint", comment, check=">= 0")


def share(name: str, comment: str = "") -> Field:
    """A part of a whole."""
    return Field(name, "double", comment, check="BETWEEN 0 AND 1")


def score(name: str, comment: str = "") -> Field:
    """1 to the number of bins."""
    return Field(name, "int", comment, check=">= 1")


KIND = key("kind", "string", "rfm or cluster", "IN ('rfm', 'cluster')")
"""Rule segments or clusters."""
