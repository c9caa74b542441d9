"""A person's right to erasure: customers removed from every table, and from the files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.errors import ConfigurationError
from rfm_spark.ingest.measures import FORGOTTEN
from rfm_spark.pipeline.context import Context
from rfm_spark.tables import delete_matching, update_matching, vacuum

_EDGE_IDS = ("lower_customer_id", "upper_customer_id")
_BELOW_ALL = {"bigint": str(-(2**63)), "string": ""}
# Of a rejected row: what may name its customer in other words than customer_id.
_TEXTS = ("raw_row", "customer_id", "account_id", "order_id", "transaction_id")
_ERASED = "(erased with a customer)"


def forget(context: Context, *, customers: Sequence[str]) -> None:
    """Remove customers from every table and from the ledger, then VACUUM with no retention.

    Rows of these customers go. Of other rejected rows and errors that have such an id in their
    text, the text goes. Where one of them marks a score edge between equal values, the next
    customer below takes the place, so that everybody else's scores stay. Sums over segments and
    days stay: they are of nobody. The same command may be given again after a kill.

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
    personal = [name for name in present if "customer_id" in store.read(name).columns]
    _tell_found(context, ids, personal, len(set(customers)))
    if schemas.SCORE_THRESHOLDS.name in present:
        _move_edges(context, ids, id_type)
    for name in personal:
        with context.timed(f"removing from {name}") as clock:
            removed = _remove(context, name, ids)
        if removed:
            context.display.wrote(context.run.stage, name, -removed, clock.seconds)
    if "customer_daily" in present:
        _report(context)
    rewritten = [*personal, schemas.SCORE_THRESHOLDS.name]
    if schemas.RUNS.name in present and _redact_errors(context, ids):
        rewritten.append(schemas.RUNS.name)
    for name in rewritten:
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
    if id_type == "bigint":
        numbers = [_number(text) for text in given]
        if wrong := numbers.count(None):
            raise ConfigurationError(
                f"--customers: {wrong} of {len(given)} ids are no whole numbers (bigint), and the "
                f"ids of {context.store.location} are; nothing was removed"
            )
        given = sorted({str(number) for number in numbers})
    frame = context.spark.createDataFrame([(text,) for text in given], "text string")
    return frame.select(F.col("text").cast(id_type).alias("customer_id"), "text")


def _number(text: str) -> int | None:
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _tell_found(context: Context, ids: DataFrame, personal: Sequence[str], given: int) -> None:
    """Say how many of the ids the store knows; a list in another spelling knows nobody."""
    stored = (context.store.read(name).select(_text_id()) for name in personal)
    known = reduce(DataFrame.unionByName, stored, ids.select("text").limit(0))
    found = ids.join(known, "text", "left_semi").count()
    context.display.note(f"{found:,} of {given:,} customers are in the tables")
    if not found:
        context.display.warn("the store knows none of these ids: are they spelled as in the log?")


def _text_id() -> Column:
    return F.col("customer_id").cast("string").alias("text")


def _remove(context: Context, table: str, ids: DataFrame) -> int:
    if table != schemas.REJECTED_TRANSACTIONS.name:
        return delete_matching(context.store, table, ids, "t.customer_id = s.customer_id")
    removed = delete_matching(context.store, table, ids, "t.customer_id = s.text")
    rejected = context.store.read(table)
    words = F.broadcast(ids.select("text"))
    for name in _TEXTS:
        held = rejected.join(words, F.expr(_holds(name, "text"))).select(name).distinct()
        if held.limit(1).collect():
            values = {name: f"'{_ERASED}'"}
            update_matching(context.store, table, held, f"t.{name} = s.{name}", values)
    return removed


def _holds(text: str, word: str) -> str:
    """Whether a text has an id as a word of its own."""
    quoted = f"regexp_replace({word}, '([^A-Za-z0-9_])', '\\\\\\\\$1')"
    return f"{text} RLIKE concat('(^|[^A-Za-z0-9_])', {quoted}, '([^A-Za-z0-9_]|$)')"


def _report(context: Context) -> None:
    """Say in ``ingest_report`` what of the accepted rows is no longer in ``customer_daily``."""
    money = F.sum(F.col("purchase_amount") + F.col("refund_amount"))
    rows = F.sum(F.col("lines") + F.col("refund_lines"))
    daily = context.store.read("customer_daily").groupBy("activity_date")
    kept = daily.agg(rows.alias("kept_rows"), money.alias("kept_amount"))
    report = context.store.read("ingest_report")
    accepted = report.where("source = 'transactions' AND measure = 'accepted'")
    of_nobody = accepted.join(kept, "activity_date", "left").select(
        "source",
        "activity_date",
        F.lit(FORGOTTEN).alias("measure"),
        (F.col("rows") - F.coalesce("kept_rows", F.lit(0))).alias("rows"),
        (F.col("amount") - F.coalesce("kept_amount", F.lit(0))).alias("amount"),
        F.lit(None).alias("exact_amount"),
    )
    context.write(
        schemas.ingest_report(context.settings.amount_scale),
        of_nobody.where("rows > 0").repartition(1),
        f"measure = '{FORGOTTEN}'",
    )


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


def _redact_errors(context: Context, ids: DataFrame) -> bool:
    """Take ids out of the ledger; gives whether there were any."""
    runs = context.store.read(schemas.RUNS.name).where("error IS NOT NULL")
    holds = F.expr(_holds("error", "text"))
    frame = runs.join(F.broadcast(ids.select("text")), holds).select("run_id", "status").distinct()
    found = bool(frame.limit(1).collect())
    if found:
        update_matching(
            context.store,
            schemas.RUNS.name,
            frame,
            "t.run_id = s.run_id AND t.status = s.status",
            {"error": f"'{_ERASED}'"},
        )
    return found
