"""Tables as Delta has them: created from ``schemas``, and held against it where they exist."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import SparkSession

from rfm_spark.errors import DataError
from rfm_spark.schemas import CONTRACT_VERSION, Field, Table
from rfm_spark.tables.quoting import listed, quoted, text

MISSING = {
    "TABLE_OR_VIEW_NOT_FOUND",
    "DELTA_TABLE_NOT_FOUND",
    "DELTA_MISSING_DELTA_TABLE",
    "DELTA_TABLE_ONLY_OPERATION",
    "DELTA_PATH_DOES_NOT_EXIST",
    "PATH_NOT_FOUND",
}
"""What Spark calls it when there is no such table."""

# Which promises a table keeps: a program refuses tables of a later one than its own.
_CONTRACT = "rfm_spark.contract"
ID = "rfm_spark.id"
"""Property that tells a table from another one created in its place; older tables lack it."""
_CONSTRAINT = "delta.constraints."
# Readers without deletion vectors or column mapping can open every table. Smallest and largest
# values per file would keep customer ids in the log, where VACUUM leaves them; files are found by
# their partition.
_PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "none",
    "delta.dataSkippingNumIndexedCols": "0",
    _CONTRACT: str(CONTRACT_VERSION),
}
# For tables whose changes are followed: the feed needs old files and the log for as long as two
# snapshot dates may lie apart; beyond that, features are computed anew.
_FEED = "delta.enableChangeDataFeed"
_FOLLOWED = {
    _FEED: "true",
    "delta.logRetentionDuration": "interval 40 days",
    "delta.deletedFileRetentionDuration": "interval 40 days",
}


def define(spark: SparkSession, table: Table, name: str, place: str) -> None:
    """Create a table, or add nullable columns that an existing one lacks.

    Args:
        spark: The session.
        table: What it is to be.
        name: Its SQL name.
        place: Where it is, for people.

    Raises:
        DataError: The existing table has a column of another type or a later contract, or the
            place is taken.
    """
    try:
        if not _exists(spark, name):
            _create(spark, table, name)
        _match(spark, table, name, place)
    except PySparkException as error:
        condition = error.getCondition() or ""
        if "NON_EMPTY_LOCATION" in condition or condition in MISSING:
            raise DataError(
                f"{place} holds files that are no Delta table; move them, or point `store` "
                "elsewhere"
            ) from None
        raise


def check_contract(spark: SparkSession, name: str, place: str) -> bool:
    """See that a table makes no promises that this program does not know.

    Returns:
        Whether it says which ones it makes; tables from before contracts were numbered do not.

    Raises:
        DataError: It does.
    """
    return _knows(properties_of(spark, name), place)


def _knows(properties: Mapping[str, str], place: str) -> bool:
    found = properties.get(_CONTRACT, "")
    if found.isdecimal() and int(found) > CONTRACT_VERSION:
        raise DataError(
            f"{place} was written by a later rfm_spark: its tables are of contract {found}, and "
            f"this program knows contract {CONTRACT_VERSION}. Upgrade it (pip install --upgrade "
            "rfm-spark), or point `store` elsewhere; nothing was changed"
        )
    return bool(found)


def _exists(spark: SparkSession, name: str) -> bool:
    try:
        _ = spark.table(name).schema
    except AnalysisException as error:
        if error.getCondition() in MISSING:
            return False
        raise
    return True


def _create(spark: SparkSession, table: Table, name: str) -> None:
    columns = ", ".join(
        f"{quoted(field.name)} {field.type}{'' if field.nullable else ' NOT NULL'}"
        + (f" COMMENT {text(field.comment)}" if field.comment else "")
        for field in table.fields
    )
    partition = ", ".join(quoted(column) for column in table.partition_by)
    constraints = {f"{_CONSTRAINT}{key}": sql for key, sql in _checks(table.fields).items()}
    properties = {ID: uuid.uuid4().hex} | (_FOLLOWED if table.is_followed else {})
    statement = (
        f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING delta "
        + (f"PARTITIONED BY ({partition}) " if partition else "")
        + f"COMMENT {text(table.grain)} TBLPROPERTIES "
    )
    try:
        spark.sql(f"{statement}({listed(_PROPERTIES | properties | constraints)})")
    except PySparkException as error:
        if "ADD_CONSTRAINT" not in (error.getCondition() or ""):
            raise
        # A catalog that wants constraints one by one: the rest comes as for an older table.
        spark.sql(f"{statement}({listed(properties)})")


def _number(spark: SparkSession, table: Table, name: str, properties: Mapping[str, str]) -> None:
    """Add what tables have since contracts are numbered, and the number last."""
    for key, sql in _checks(table.fields).items():
        if f"{_CONSTRAINT}{key}".lower() not in map(str.lower, properties):
            spark.sql(f"ALTER TABLE {name} ADD CONSTRAINT {quoted(key)} CHECK ({sql})")
    set_properties(spark, name, _PROPERTIES)


def _checks(fields: Iterable[Field]) -> Mapping[str, str]:
    """Constraints by name. Delta takes a null for a violation."""
    checked = {field.name: field.check for field in fields if field.check}
    return {
        f"{name}_in_range": f"{quoted(name)} IS NULL OR {quoted(name)} {check}"
        for name, check in checked.items()
    }


def _match(spark: SparkSession, table: Table, name: str, place: str) -> None:
    properties = properties_of(spark, name)
    is_numbered = _knows(properties, place)
    existing = spark.table(name).schema
    types = {field.name: field.dataType.simpleString() for field in existing}
    other = [
        f"{field.name} is {types[field.name]} there and would be {field.type}"
        for field in table.fields
        if field.name in types and types[field.name] != field.type
    ]
    if other:
        raise DataError(
            f"the table {place} has another schema: {'; '.join(other)}; "
            "undo the change of sources or amount_scale, or start a new `store`"
        )
    if table.is_followed and properties.get(_FEED) != "true":
        set_properties(spark, name, _FOLLOWED)
    new = [field for field in table.fields if field.name not in types]
    if new:
        columns = ", ".join(
            f"{quoted(field.name)} {field.type} COMMENT {text(field.comment)}" for field in new
        )
        spark.sql(f"ALTER TABLE {name} ADD COLUMNS ({columns})")
    if not is_numbered:
        _number(spark, table, name, properties)


def set_properties(spark: SparkSession, name: str, properties: Mapping[str, str]) -> None:
    """Set properties of a table; no task runs for it."""
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ({listed(properties)})")


def properties_of(spark: SparkSession, name: str) -> Mapping[str, str]:
    """Properties of a table; no task runs for it."""
    rows = spark.sql(f"SHOW TBLPROPERTIES {name}").collect()
    return {row["key"]: row["value"] for row in rows}
