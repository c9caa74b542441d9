"""Which tables the mart has: their columns, keys and indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rfm_spark.errors import DataError

_TYPES = {
    "bigint": "bigint",
    "int": "integer",
    "smallint": "smallint",
    "tinyint": "smallint",
    "string": "text",
    "double": "double precision",
    "float": "double precision",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp with time zone",
    "timestamp_ntz": "timestamp without time zone",
}
JSON = "jsonb"
# Names of our own, beside columns that users may add.
_FIRST = ("customer_id", "snapshot_date", "rfm_score", "aum_per_day", "segment", "rfm_segment")


@dataclass(frozen=True)
class MartColumn:
    """A column and its type in PostgreSQL."""

    name: str
    type: str


@dataclass(frozen=True)
class MartTable:
    """A table of the mart: what is replaced date by date, and how dashboards filter it."""

    name: str
    grain: str
    columns: tuple[MartColumn, ...]
    key: tuple[str, ...]
    """Tells rows apart; null is a value like any other."""
    indices: tuple[tuple[str, ...], ...] = ()

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]


def mart_columns(types: Mapping[str, str]) -> tuple[MartColumn, ...]:
    """Columns of PostgreSQL for columns of Spark, by name and SQL type.

    Raises:
        DataError: Types that a dashboard cannot show, all of them at once.
    """
    found = {name: _type(type_) for name, type_ in types.items()}
    unknown = [f"{name} ({types[name]})" for name, type_ in found.items() if type_ is None]
    if unknown:
        raise DataError(
            f"the mart takes numbers, text, dates and true or false, and not {', '.join(unknown)}; "
            "take these out of the export's `columns`"
        )
    return tuple(MartColumn(name, str(type_)) for name, type_ in found.items())


def customer_segmentation(types: Mapping[str, str]) -> MartTable:
    """Customers with scores and segments; the columns that dashboards know come first."""
    ordered = [*_FIRST, *(name for name in types if name not in _FIRST)]
    return MartTable(
        "customer_segmentation",
        "one row per snapshot date and customer",
        mart_columns({name: types[name] for name in ordered}),
        ("snapshot_date", "customer_id"),
        (("snapshot_date", "segment"), ("snapshot_date", "rfm_segment"), ("customer_id",)),
    )


def segment_profiles(types: Mapping[str, str]) -> MartTable:
    """What each segment is like; shares of attributes are JSON objects."""
    return MartTable(
        "segment_profiles",
        "one row per snapshot date, kind and segment",
        mart_columns(types),
        ("snapshot_date", "kind", "segment"),
    )


def segment_migrations(types: Mapping[str, str]) -> MartTable:
    """Who moved since the dates compared with."""
    return MartTable(
        "segment_migrations",
        "one row per snapshot date, previous snapshot date, kind and pair of segments",
        mart_columns(types),
        ("snapshot_date", "previous_snapshot_date", "kind", "from_segment", "to_segment"),
        (("snapshot_date", "kind"),),
    )


def segment_sizes(types: Mapping[str, str]) -> MartTable:
    """Sizes and revenue of the segments on every stored date up to the exported one."""
    return MartTable(
        "segment_sizes",
        "one row per snapshot date, kind and segment",
        mart_columns(types),
        ("snapshot_date", "kind", "segment"),
        (("kind", "segment"),),
    )


SIZES = (
    "snapshot_date",
    "kind",
    "segment",
    "rank",
    "customers",
    "share",
    "revenue",
    "revenue_share",
)
"""Columns of ``segment_profiles`` that make the history."""


def differences(table: MartTable, found: Sequence[tuple[str, str]]) -> list[str]:
    """What keeps a table of the database from taking our rows, in words.

    Args:
        table: What is wanted.
        found: Name, type of the columns that are there.
    """
    there = dict(found)
    return [
        f"{column.name} is {there[column.name]}, and would be {column.type}"
        for column in table.columns
        if column.name in there and there[column.name] != column.type
    ]


def _type(spark_type: str) -> str | None:
    if spark_type.startswith("decimal("):
        return "numeric" + spark_type.removeprefix("decimal")
    if spark_type.startswith("map<"):
        return JSON
    return _TYPES.get(spark_type)
