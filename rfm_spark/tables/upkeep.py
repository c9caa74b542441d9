"""Rows that go and files that go: what ``maintain`` and ``forget`` do to a table."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.sql import DataFrame, Row

from rfm_spark.session import is_hidden, temporarily
from rfm_spark.tables.commits import retrying
from rfm_spark.tables.store import Store

_RETENTION = "delta.deletedFileRetentionDuration"
_RETENTION_CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"
# VACUUM lists a table's folders in as many tasks as this says, 10,000 by default.
_LISTING_TASKS, _FEW_TASKS = "spark.sql.sources.parallelPartitionDiscovery.parallelism", "32"


def delete(store: Store, table: str, where: str) -> int:
    """Remove the rows that a predicate selects; gives their number.

    The predicate is kept in the table's log, so it must not hold customer ids.
    """
    return _removed(store, f"DELETE FROM {store.identifier(table)} WHERE {where}")


def delete_matching(store: Store, table: str, keys: DataFrame, match: str) -> int:
    """Remove the rows of a table (``t``) that match one of the keys (``s``)."""
    with _view(keys) as view:
        return _removed(
            store,
            f"MERGE INTO {store.identifier(table)} AS t USING {view} AS s ON {match} "
            "WHEN MATCHED THEN DELETE",
        )


def update_matching(
    store: Store, table: str, keys: DataFrame, match: str, values: Mapping[str, str]
) -> None:
    """Set columns in the rows of a table (``t``) that match a key (``s``); one each."""
    assignments = ", ".join(f"{name} = {value}" for name, value in values.items())
    with _view(keys) as view:
        _changed(
            store,
            f"MERGE INTO {store.identifier(table)} AS t USING {view} AS s ON {match} "
            f"WHEN MATCHED THEN UPDATE SET {assignments}",
        )


def _removed(store: Store, statement: str) -> int:
    rows = _changed(store, statement)
    return int(rows[0].asDict().get("num_deleted_rows", rows[0][0])) if rows else 0


def _changed(store: Store, statement: str) -> list[Row]:
    """What a statement says that it changed, made in the run's turn; it may be repeated."""
    store.queue.settle()
    options = store.fence.next_options() if store.fence else {}
    settings = {f"spark.databricks.delta.write.{key}": value for key, value in options.items()}
    with temporarily(store.spark, settings):
        rows = retrying(lambda: store.spark.sql(statement).collect())
    if not rows:
        store.keep_turn()
    return rows


def optimize(store: Store, table: str) -> tuple[int, int]:
    """Put small files together; gives the numbers of files made and of files replaced."""
    store.queue.settle()
    statement = f"OPTIMIZE {store.identifier(table)}"
    metrics = retrying(lambda: store.spark.sql(statement).collect())[0]["metrics"]
    return metrics["numFilesAdded"], metrics["numFilesRemoved"]


def vacuum(store: Store, table: str, *, retain_nothing: bool = False) -> None:
    """Remove files that no version within the table's retention needs.

    Args:
        store: Where it is.
        table: Which table.
        retain_nothing: Keep the newest version alone.
    """
    store.queue.settle()
    statement = f"VACUUM {store.identifier(table)}"
    settings = {_LISTING_TASKS: _FEW_TASKS}
    if retain_nothing and is_hidden(store.spark, _RETENTION_CHECK):
        with _no_retention(store, table):
            store.spark.sql(statement).collect()
        return
    if retain_nothing:
        statement += " RETAIN 0 HOURS"
        settings[_RETENTION_CHECK] = "false"
    with temporarily(store.spark, settings):
        store.spark.sql(statement).collect()


@contextmanager
def _no_retention(store: Store, table: str) -> Iterator[None]:
    """A table that lets go of files at once, where the session cannot be told to."""
    before = store.properties(table).get(_RETENTION)
    store.set_properties(table, {_RETENTION: "interval 0 hours"})
    try:
        yield
    finally:
        if before is None:
            store.remove_properties(table, [_RETENTION])
        else:
            store.set_properties(table, {_RETENTION: before})


@contextmanager
def _view(keys: DataFrame) -> Iterator[str]:
    """A name for a frame in SQL, so that what it holds does not get into a table's log."""
    name = f"rfm_spark_{uuid.uuid4().hex}"
    keys.createOrReplaceTempView(name)
    try:
        yield name
    finally:
        keys.sparkSession.catalog.dropTempView(name)
