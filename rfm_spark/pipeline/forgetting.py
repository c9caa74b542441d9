"""A person's right to erasure: customers removed from every table, and from the files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.errors import ConfigurationError
from rfm_spark.pipeline.context import Context
from rfm_spark.tables import delete_matching, update_matching, vacuum

_EDGE_IDS = ("lower_customer_id", "upper_customer_id")
_BELOW_ALL = {"bigint": str(-(2**63)), "string": ""}
_ERASED = "(erased with a customer)"


def forget(context: Context, *, customers: Sequence[str]) -> None:
    """Remove customers from every table and from the ledger, then VACUUM with no retention.

    Rows of these customers go, rejected rows too, also those that do not parse and have such an id
    in their text. Where one of them marks a score edge between equal values, the next customer
    below takes the place, so that everybody else's scores stay. Sums over segments and days stay:
    they are of nobody. The same command may be given again after a kill.

    What the source still has comes back with the next ingest of those days.

    Args:
        context: The run.
        customers: Their ids, as text.

    Raises:
        ConfigurationError: An id is not of the store's type.
    """
    store = context.store
    id_type = context.customer_id_type() if store.exists("customer_daily") else "string"
    ids = _ids(context, customers, id_type)
    present = [name for name in schemas.TABLE_NAMES if store.exists(name)]
    context.stage("forget", f"{len(set(customers)):,} customers in {store.location}")
    if schemas.SCORE_THRESHOLDS.name in present:
        _move_edges(context, ids, id_type)
    personal = [name for name in present if "customer_id" in store.read(name).columns]
    for name in personal:
        has_text = name == schemas.REJECTED_TRANSACTIONS.name
        with context.timed(f"removing from {name}") as clock:
            removed = _remove(context, name, ids, has_text=has_text)
        if removed:
            context.display.wrote(context.run.stage, name, -removed, clock.seconds)
    if schemas.RUNS.name in present:
        _redact_errors(context, ids)
    for name in (*personal, schemas.SCORE_THRESHOLDS.name, schemas.RUNS.name):
        if name in present:
            with context.timed(f"vacuuming {name}"):
                vacuum(store, name, retain_nothing=True)
    context.display.note(
        "exports that were written before still hold these customers, and so does the source: "
        "remove them there too, or the next ingest of their days brings them back"
    )


def _ids(context: Context, customers: Sequence[str], id_type: str) -> DataFrame:
    """customer_id of the store's type and its text, each once."""
    given = sorted({text for text in customers if text.strip()})
    wrong = [n for n, text in enumerate(given) if id_type == "bigint" and not _is_whole(text)]
    if wrong:
        raise ConfigurationError(
            f"--customers: {len(wrong)} of {len(given)} ids are no whole numbers, and the ids of "
            f"{context.store.location} are; nothing was removed"
        )
    frame = context.spark.createDataFrame([(text,) for text in given], "text string")
    return frame.select(F.col("text").cast(id_type).alias("customer_id"), "text")


def _is_whole(text: str) -> bool:
    return text.strip().removeprefix("-").isdecimal()


def _remove(context: Context, table: str, ids: DataFrame, *, has_text: bool) -> int:
    match = "t.customer_id = s.customer_id"
    if has_text:
        match = "t.customer_id = s.text OR " + _holds("t.raw_row", "s.text")
    return delete_matching(context.store, table, ids, match)


def _holds(text: str, word: str) -> str:
    """Whether a text has an id as a word of its own."""
    quoted = f"regexp_replace({word}, '([^A-Za-z0-9_])', '\\\\\\\\$1')"
    return f"{text} RLIKE concat('(^|[^A-Za-z0-9_])', {quoted}, '([^A-Za-z0-9_]|$)')"


def _move_edges(context: Context, ids: DataFrame, id_type: str) -> None:
    """Give the place of a forgotten customer on an edge to the next one below, in order of id."""
    edges = context.store.read(schemas.SCORE_THRESHOLDS.name)
    named = reduce(
        DataFrame.unionByName, (edges.select(F.col(name).alias("text")) for name in _EDGE_IDS)
    )
    marked = named.distinct().join(ids, "text", "left_semi").collect()
    if not marked:
        return
    others = context.store.read("customer_features").join(ids, "customer_id", "left_anti")
    below = [_next_below(others, row["text"], id_type) for row in marked]
    moved = [
        (row["text"], other or _BELOW_ALL[id_type])
        for row, other in zip(marked, below, strict=True)
    ]
    frame = context.spark.createDataFrame(moved, "old string, new string")
    for name in _EDGE_IDS:
        update_matching(
            context.store,
            schemas.SCORE_THRESHOLDS.name,
            frame,
            f"t.{name} = s.old",
            {name: "s.new"},
        )


def _next_below(others: DataFrame, edge: str, id_type: str) -> str:
    customer_id: Column = F.col("customer_id")
    found = others.where(customer_id < F.lit(edge).cast(id_type)).agg(F.max(customer_id))
    largest = found.collect()[0][0]
    return _BELOW_ALL[id_type] if largest is None else str(largest)


def _redact_errors(context: Context, ids: DataFrame) -> None:
    runs = context.store.read(schemas.RUNS.name).where("error IS NOT NULL")
    holds = F.expr(_holds("error", "text"))
    frame = runs.join(F.broadcast(ids), holds).select("run_id", "status").distinct()
    if frame.limit(1).collect():
        update_matching(
            context.store,
            schemas.RUNS.name,
            frame,
            "t.run_id = s.run_id AND t.status = s.status",
            {"error": f"'{_ERASED}'"},
        )
