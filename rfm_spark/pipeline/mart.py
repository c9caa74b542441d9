"""The export ``jdbc``: the mart that dashboards read, date by date, only where it differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.config.mart import JdbcExport
from rfm_spark.config.naming import digest, known
from rfm_spark.errors import ConfigurationError, DataError
from rfm_spark.jdbc_drivers import driver_of
from rfm_spark.mart import tables as marts
from rfm_spark.mart.database import Change, Held, Mart, open_mart
from rfm_spark.mart.login import login
from rfm_spark.mart.tables import MartTable
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.snapshots import labelled_dates, named_dates

# Connections that Spark opens at once; more of them do not write faster.
_WRITERS = 8
_BATCH = 10_000
_NUL, _REPLACEMENT = "\x00", "\ufffd"  # PostgreSQL has no text with NUL


@dataclass(frozen=True)
class _Wanted:
    """A table of the mart and the rows that it is to hold."""

    table: MartTable
    rows: DataFrame


def write_mart(context: Context, settings: JdbcExport, *, name: str, snapshot_date: date) -> None:
    """Bring the mart to a date: the newest dates up to it, and the history of sizes.

    Dates that the mart holds already, row for row, are not sent again. All tables are swapped in
    one transaction.

    Raises:
        DataError: There are no labels of the date, or the database has other tables there.
        ConfigurationError: The database cannot be logged into.
        ConflictError: Another export is writing the same mart.
    """
    dates = [day for day in labelled_dates(context) if day <= snapshot_date]
    if snapshot_date not in dates:
        raise DataError(
            f"there are no labels of {snapshot_date}; there are some of "
            f"{named_dates(labelled_dates(context)) or 'no date'}. Run `segment` first"
        )
    kept = dates[-settings.keep_dates :]
    wanted = [
        _customers(context, settings, kept),
        *_segments(context, kept, dates),
    ]
    parameters = login(settings.url, settings.properties)
    with open_mart(parameters, settings.schema_, context.run.run_id[:8]) as mart:
        held = mart.held(each.table for each in wanted)
        changes = [_change(context, each, held[each.table.name]) for each in wanted]
        for each, change in zip(wanted, changes, strict=True):
            _send(context, mart, settings, name=name, wanted=each, change=change)
        if all(_is_nothing(change, held[change.table.name]) for change in changes):
            context.display.note(f"{name}: the mart is as of {snapshot_date} already")
            return
        with context.timed("swapping the tables of the mart"):
            mart.publish(changes)
    context.display.note(f"{name}: the mart in schema {settings.schema_} is as of {snapshot_date}")


def _customers(context: Context, settings: JdbcExport, dates: Sequence[date]) -> _Wanted:
    labels = context.read("customer_segments").where(F.col("snapshot_date").isin(*dates))
    features = context.read("customer_features").where(F.col("snapshot_date").isin(*dates))
    further = dict.fromkeys(["aum_per_day", *settings.columns])
    for column in further:
        try:
            known(column, [*labels.columns, *features.columns], "a column of customer_features")
        except ValueError as error:
            raise ConfigurationError(f"exports: columns: {error}") from None
    taken = [column for column in further if column not in labels.columns]
    key = ["snapshot_date", "customer_id"]
    joined = labels.join(features.select(*key, *taken), on=key, how="left")
    rows = joined.withColumn("segment", F.col("cluster_segment")).drop("cluster_segment")
    table = marts.customer_segmentation(dict(rows.dtypes))
    return _wanted(table, rows)


def _segments(context: Context, kept: Sequence[date], dates: Sequence[date]) -> list[_Wanted]:
    profiles = context.read("segment_profiles")
    of_kept = profiles.where(F.col("snapshot_date").isin(*kept))
    sizes = profiles.select(*marts.SIZES).where(F.col("snapshot_date") <= F.lit(max(dates)))
    found = [
        _wanted(marts.segment_profiles(dict(of_kept.dtypes)), of_kept),
        _wanted(marts.segment_sizes(dict(sizes.dtypes)), sizes),
    ]
    migrations = context.read_or_none("segment_migrations")
    if migrations is None:  # a first date has nobody to compare with; the mart has the table
        ddl = schemas.segment_migrations(context.settings.amount_scale).ddl
        migrations = context.spark.createDataFrame([], ddl)
    of_kept = migrations.where(F.col("snapshot_date").isin(*kept))
    return [*found, _wanted(marts.segment_migrations(dict(of_kept.dtypes)), of_kept)]


def _wanted(table: MartTable, rows: DataFrame) -> _Wanted:
    """Rows as the database takes them, in the order of its columns."""
    types = dict(rows.dtypes)

    def taken(name: str) -> str:
        if types[name].startswith("map<"):  # in one order, whatever order the map has
            sorted_map = f"map_from_entries(array_sort(map_entries(`{name}`)))"
            return f"replace(to_json({sorted_map}), '\\\\u0000', '{_REPLACEMENT}') AS `{name}`"
        if types[name] == "string":
            return f"translate(`{name}`, chr(0), '{_REPLACEMENT}') AS `{name}`"
        return f"`{name}`"

    return _Wanted(table, rows.selectExpr(*map(taken, table.names)))


def _change(context: Context, wanted: _Wanted, held: Mapping[date, Held]) -> Change:
    """Which dates have to be sent."""
    with context.timed(f"comparing {wanted.table.name} with the mart"):
        found = _fingerprints(wanted)
    incoming = {day: here for day, here in found.items() if held.get(day) != here}
    return Change(wanted.table, incoming, frozenset(found))


def _fingerprints(wanted: _Wanted) -> dict[date, Held]:
    """By date, what tells its rows from any others, in whatever order they are."""
    columns = [F.col(name) for name in wanted.table.names]
    nulls = [column.isNull() for column in columns]  # xxhash64 passes over nulls
    total = F.sum(F.xxhash64(*columns, *nulls).cast("decimal(20,0)"))
    rows = wanted.rows.groupBy("snapshot_date").agg(F.count(F.lit(1)), total).collect()
    shape = digest([(column.name, column.type) for column in wanted.table.columns])
    return {day: Held(count, f"{shape}:{hashes}") for day, count, hashes in rows}


def _is_nothing(change: Change, held: Mapping[date, Held]) -> bool:
    return not change.incoming and set(held) <= change.dates


def _send(
    context: Context,
    mart: Mart,
    settings: JdbcExport,
    *,
    name: str,
    wanted: _Wanted,
    change: Change,
) -> None:
    """Spark's tasks put the rows beside the table."""
    if not change.incoming:
        return
    driver = driver_of(settings.url)
    options = {
        "reWriteBatchedInserts": "true",
        "logServerErrorDetail": "false",  # an error quotes no rows
        **settings.properties,
        "url": settings.url,
        "dbtable": mart.stage(wanted.table),
        "batchsize": str(_BATCH),
        "numPartitions": str(_WRITERS),
        **({"driver": driver.driver_class} if driver else {}),
    }
    rows = wanted.rows.where(F.col("snapshot_date").isin(*change.incoming))
    with context.timed(f"sending {wanted.table.name}") as clock:
        rows.write.format("jdbc").options(**options).mode("append").save()
    sent = sum(held.rows for held in change.incoming.values())
    context.run.rows[f"exports.{name}.{wanted.table.name}"] = sent
    context.display.wrote(context.run.stage, f"{name}.{wanted.table.name}", sent, clock.seconds)
