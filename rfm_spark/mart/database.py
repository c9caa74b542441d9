"""The mart's database: one transaction that swaps dates, so that readers see all or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from rfm_spark.errors import ConfigurationError, ConflictError, DataError, RfmSparkError
from rfm_spark.mart import statements
from rfm_spark.mart.statements import quoted
from rfm_spark.mart.tables import MartTable, differences

if TYPE_CHECKING:
    from psycopg import Connection

# A new column waits for readers that hold the table, and others wait behind it.
_LOCK_TIMEOUT = "60s"
_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod)
    FROM pg_attribute a
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
_COMMENT = "SELECT obj_description(to_regclass(%s), 'pg_class')"
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_STAGED = "SELECT tablename FROM pg_tables WHERE schemaname = %s AND starts_with(tablename, %s)"


@dataclass(frozen=True)
class Held:
    """What a table of the mart holds of a date: how many rows, and what they are."""

    rows: int
    fingerprint: str


@dataclass(frozen=True)
class Change:
    """What becomes of a table: dates whose rows came in, all dates that it then holds."""

    table: MartTable
    incoming: Mapping[date, Held]
    dates: frozenset[date]


class Mart:
    """A schema of a database, locked for one export at a time."""

    def __init__(self, connection: Connection[Any], schema: str, run: str) -> None:
        """Use a connection that holds the lock (see ``open_mart``)."""
        self._connection = connection
        self._schema = schema
        self._run = run

    def held(self, tables: Iterable[MartTable]) -> dict[str, dict[date, Held]]:
        """What the tables hold, by table and date.

        A date whose rows are not as many as they were when they were written is left out, so that
        it is written again.

        Raises:
            DataError: A table of that name is somebody else's, or has columns of other types.
        """
        known = self._known()
        found: dict[str, dict[date, Held]] = {}
        for table in tables:
            there = self._columns(table.name)
            if there:
                self._refuse_others(table, there)
            counts = dict(
                self._rows(statements.count_dates(self._schema, table.name)) if there else ()
            )
            found[table.name] = {
                day: known.get((table.name, day), Held(rows, "unknown"))
                if known.get((table.name, day), Held(-1, "")).rows == rows
                else Held(rows, "unknown")
                for day, rows in counts.items()
            }
            missing = [name for name in table.names if name not in dict(there)]
            if missing:
                found[table.name] = {
                    day: Held(held.rows, "other columns") for day, held in found[table.name].items()
                }
        return found

    def stage(self, table: MartTable) -> str:
        """Make the table that Spark fills, and give its name, as SQL takes it."""
        with self._connection.transaction():
            self._run_all([statements.create_staged(self._schema, table, self._run)])
        return quoted(self._schema, statements.staged(table, self._run))

    def publish(self, changes: Sequence[Change]) -> None:
        """Swap all tables at once.

        Raises:
            DataError: Fewer or more rows have come in than were sent.
            ConflictError: Somebody holds a table that needs a new column.
        """
        from psycopg import errors  # noqa: PLC0415

        try:
            with self._connection.transaction():
                self._connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                for change in changes:
                    self._publish(change)
        except errors.LockNotAvailable as error:
            raise ConflictError(
                f"a table in the schema {self._schema} has to get a new column, and others have "
                f"been using it for {_LOCK_TIMEOUT}; nothing was changed, the same command tries "
                "again"
            ) from error
        for change in changes:
            self._connection.execute(f"ANALYZE {quoted(self._schema, change.table.name)}")

    def clear(self) -> None:
        """Drop what came in, also what exports left that were killed."""
        names = self._rows(_STAGED, (self._schema, statements.STAGED))
        self._run_all(statements.drop(self._schema, name) for (name,) in names)

    def prepare(self) -> None:
        """Make schema and ledger, where they are missing."""
        exists = self._rows("SELECT to_regnamespace(%s)", (quoted(self._schema),))[0][0]
        with self._connection.transaction():
            if exists is None:
                self._connection.execute(f"CREATE SCHEMA {quoted(self._schema)}")
            if not self._columns(statements.LEDGER):
                self._run_all(statements.create_ledger(self._schema))
        self.clear()

    def _publish(self, change: Change) -> None:
        table, schema = change.table, self._schema
        there = dict(self._columns(table.name))
        if not there:
            self._run_all(statements.create(schema, table))
        missing = [column for column in table.columns if there and column.name not in there]
        self._run_all(
            statements.add_column(schema, table.name, column.name, column.type)
            for column in missing
        )
        counts = self._rows(statements.count_dates(schema, table.name))
        going = [day for day, _ in counts if day in change.incoming or day not in change.dates]
        self._connection.execute(statements.delete_dates(schema, table.name), (going,))
        if change.incoming:
            self._take_in(change)
        self._write_down(change, going)

    def _take_in(self, change: Change) -> None:
        sent = sum(held.rows for held in change.incoming.values())
        came = self._rows(statements.count_staged(self._schema, change.table, self._run))[0][0]
        if came != sent:
            raise DataError(
                f"{sent:,} rows of {change.table.name} were sent and {came:,} different ones came "
                "in; the mart is as it was, the same command tries again"
            )
        self._connection.execute(statements.publish(self._schema, change.table, self._run))

    def _write_down(self, change: Change, going: Sequence[date]) -> None:
        name, ledger = change.table.name, quoted(self._schema, statements.LEDGER)
        known = [day for table, day in self._known() if table == name]
        gone = {*going, *(day for day in known if day not in change.dates), *change.incoming}
        self._connection.execute(
            f"DELETE FROM {ledger} WHERE table_name = %s AND snapshot_date = ANY(%s)",
            (name, sorted(gone)),
        )
        with self._connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {ledger} VALUES (%s, %s, %s, %s)",
                [(name, day, h.rows, h.fingerprint) for day, h in sorted(change.incoming.items())],
            )

    def _known(self) -> dict[tuple[str, date], Held]:
        rows = self._rows(f"SELECT * FROM {quoted(self._schema, statements.LEDGER)}")
        return {(table, day): Held(count, mark) for table, day, count, mark in rows}

    def _refuse_others(self, table: MartTable, there: Sequence[tuple[str, str]]) -> None:
        name = f"{self._schema}.{table.name}"
        comment = self._rows(_COMMENT, (quoted(self._schema, table.name),))[0][0]
        if not str(comment or "").startswith(statements.OURS):
            raise DataError(
                f"the database already has {name}, which this program has not made; give the "
                "export a `schema` of its own, or move that table away. Nothing was changed"
            )
        if unlike := differences(table, there):
            raise DataError(
                f"{name} has columns of other types: {'; '.join(unlike)}. Drop the table, and the "
                "next export makes it anew, or give the export another `schema`. Nothing was "
                "changed"
            )

    def _columns(self, table: str) -> list[tuple[str, str]]:
        return self._rows(_COLUMNS, (quoted(self._schema, table),))

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values or None).fetchall()

    def _run_all(self, sql: Iterable[str]) -> None:
        for statement in sql:
            self._connection.execute(statement)


@contextmanager
def open_mart(login: Mapping[str, str], schema: str, run: str) -> Iterator[Mart]:
    """Log in, lock the schema for this export, and leave no staged rows behind.

    Args:
        login: Parameters for libpq.
        schema: Where the tables are.
        run: Eight letters or digits that no other run has.

    Raises:
        ConfigurationError: psycopg is missing, or the database does not let us in.
        ConflictError: Another export writes the same schema.
    """
    try:
        import psycopg  # noqa: PLC0415
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "the mart needs the Python package psycopg: install rfm-spark[postgresql]"
        ) from error

    where = f"{login['host']}:{login['port']}/{login['dbname']}"
    try:
        connection = psycopg.connect(make_conninfo(**login), autocommit=True)
    except psycopg.Error as error:
        raise ConfigurationError(
            f"the database {where} does not answer, or refuses user and password: "
            f"{str(error).strip().splitlines()[-1]}; see `url` and `properties` under `exports`"
        ) from error
    with connection:
        if not connection.execute(_LOCK, (f"rfm_spark mart {schema}",)).fetchall()[0][0]:
            raise ConflictError(
                f"another export is writing the schema {schema} of {where}; try again later"
            )
        mart = Mart(connection, schema, run)
        try:
            mart.prepare()
            yield mart
            mart.clear()
        except RfmSparkError:
            mart.clear()
            raise
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                f"the user of the mart may not do this in the schema {schema} of {where}: "
                f"{str(error).strip().splitlines()[0]}; grant CREATE and USAGE on the schema"
            ) from error
