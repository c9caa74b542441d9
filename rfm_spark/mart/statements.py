"""SQL of the mart, as text: PostgreSQL's, with every name in quotes."""

from __future__ import annotations

from rfm_spark.mart.tables import JSON, MartTable

LEDGER = "rfm_spark_mart"
"""Table of the mart that says which dates the others hold, and of what rows."""
STAGED = "rfm_staged_"
"""How tables start whose rows are on their way in."""
OURS = "rfm_spark: "
"""How the comment starts by which the program knows a table as its own."""


def quoted(*names: str) -> str:
    """A name, or a qualified one, as PostgreSQL reads it letter for letter."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """A text as PostgreSQL reads it, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def create_ledger(schema: str) -> list[str]:
    """The mart's own table of what it holds."""
    place = quoted(schema, LEDGER)
    return [
        f"CREATE TABLE IF NOT EXISTS {place} (table_name text NOT NULL, snapshot_date date "
        "NOT NULL, rows bigint NOT NULL, fingerprint text NOT NULL, "
        "PRIMARY KEY (table_name, snapshot_date))",
        f"COMMENT ON TABLE {place} IS {literal(OURS + 'what the mart holds, by table and date')}",
    ]


def create(schema: str, table: MartTable) -> list[str]:
    """A table, its comment and its indices."""
    place = quoted(schema, table.name)
    columns = ", ".join(f"{quoted(c.name)} {c.type}" for c in table.columns)
    unique = ", ".join(map(quoted, table.key))
    return [
        f"CREATE TABLE {place} ({columns})",
        f"COMMENT ON TABLE {place} IS {literal(OURS + table.grain)}",
        f"CREATE INDEX ON {place} ({unique})",
        *(f"CREATE INDEX ON {place} ({', '.join(map(quoted, i))})" for i in table.indices),
    ]


def add_column(schema: str, table: str, column: str, type_: str) -> str:
    """A column that the table does not have yet; null in the rows of before."""
    return f"ALTER TABLE {quoted(schema, table)} ADD COLUMN {quoted(column)} {type_}"


def staged(table: MartTable, run: str) -> str:
    """Where a run puts rows of a table first."""
    return f"{STAGED}{table.name}_{run}"


def create_staged(schema: str, table: MartTable, run: str) -> str:
    """The table that Spark fills; JSON comes as text."""
    columns = ", ".join(
        f"{quoted(c.name)} {'text' if c.type == JSON else c.type}" for c in table.columns
    )
    return f"CREATE UNLOGGED TABLE {quoted(schema, staged(table, run))} ({columns})"


def drop(schema: str, name: str) -> str:
    """Away with a table of rows on their way in."""
    return f"DROP TABLE IF EXISTS {quoted(schema, name)}"


def count_staged(schema: str, table: MartTable, run: str) -> str:
    """How many different keys have come in.

    A task that Spark started twice may have put its rows in twice; they are equal.
    """
    keys = ", ".join(map(quoted, table.key))
    return (
        f"SELECT count(*) FROM (SELECT DISTINCT {keys} FROM "
        f"{quoted(schema, staged(table, run))}) AS k"
    )


def delete_dates(schema: str, name: str) -> str:
    """Rows of some dates go; takes an array of dates."""
    return f"DELETE FROM {quoted(schema, name)} WHERE snapshot_date = ANY(%s)"


def publish(schema: str, table: MartTable, run: str) -> str:
    """Rows that came in become the table's, each key once, in the order of the key."""
    names = ", ".join(map(quoted, table.names))
    values = ", ".join(
        f"{quoted(c.name)}{f'::{JSON}' if c.type == JSON else ''}" for c in table.columns
    )
    keys = ", ".join(map(quoted, table.key))
    return (
        f"INSERT INTO {quoted(schema, table.name)} ({names}) SELECT DISTINCT ON ({keys}) "
        f"{values} FROM {quoted(schema, staged(table, run))} ORDER BY {keys}"
    )


def count_dates(schema: str, name: str) -> str:
    """Rows by date."""
    return f"SELECT snapshot_date, count(*) FROM {quoted(schema, name)} GROUP BY snapshot_date"
