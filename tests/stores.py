"""What a store holds, read without Spark: for tests that compare stores of several processes."""

from __future__ import annotations

from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

# What two runs of the same input may differ in: how long a fit took, where a pipeline is saved, and
# by which commits of the daily tables features were made.
EXEMPT = {
    "seconds",
    "pipeline_path",
    "daily_table",
    "daily_version",
    "balance_table",
    "balance_version",
}
LEDGER = {"runs", "run_signs"}


def rows_of(store: Path, table: str) -> list[str]:
    """A table's rows as text, in order; none where there is no such table."""
    try:
        rows = DeltaTable(str(store / table)).to_pyarrow_table().to_pylist()
    except TableNotFoundError:
        return []
    return sorted(repr({k: v for k, v in row.items() if k not in EXEMPT}) for row in rows)


def tables_of(store: Path) -> dict[str, list[str]]:
    """All tables but the ledger, with their rows."""
    names = sorted(log.parent.name for log in store.glob("*/_delta_log"))
    return {name: rows for name in names if name not in LEDGER and (rows := rows_of(store, name))}


def assert_same_tables(store: Path, other: Path) -> None:
    """Both stores hold the same rows."""
    here, there = tables_of(store), tables_of(other)
    assert sorted(here) == sorted(there)
    for name, rows in here.items():
        assert rows == there[name], name
