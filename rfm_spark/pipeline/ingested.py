"""``ingest_report`` in the store: what was read, and which days are in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date

from rfm_spark import schemas
from rfm_spark.ingest.measures import Tally
from rfm_spark.ingest.report import Line, Report
from rfm_spark.pipeline.context import Context

_TABLE = "ingest_report"
_COLUMNS = ("activity_date", "measure", "rows", "amount")


def report_of(context: Context, source: str) -> Report:
    """What ``ingest_report`` says of a source, as this run wrote it, or else as it is stored.

    That is some rows a day, whatever the log; nothing where there is no such table yet.
    """
    if _TABLE not in context.run.found:
        context.run.found[_TABLE] = _stored(context)
    reports: dict[str, Report] = context.run.found[_TABLE]
    return reports.get(source, Report())


def write_report(context: Context, source: str, tally: Tally, first: date, last: date) -> None:
    """Write what was read of a range, and which days are in now; writes ``ingest_report``."""
    report = report_of(context, source)
    renewal = report.renewal(tally, first, last)
    records = tally.records(source)
    table = schemas.ingest_report(context.settings.amount_scale)
    frame = context.spark.createDataFrame(records, _types(context, table)).coalesce(1)
    context.write_later(table, frame, f"source = '{source}' AND {renewal.predicate}")
    lines = (Line(day, measure, rows, amount) for _, day, measure, rows, amount, _ in records)
    context.run.found[_TABLE][source] = report.renewed(renewal, lines)


def _stored(context: Context) -> dict[str, Report]:
    """The reports of all sources, in one look."""
    table = context.store.read_or_none(_TABLE)
    lines: dict[str, list[Line]] = defaultdict(list)
    for source, *line in [] if table is None else table.select("source", *_COLUMNS).collect():
        lines[source].append(Line(*line))
    return {source: Report(own) for source, own in lines.items()}


def _types(context: Context, table: schemas.Table) -> str:
    """Those of the table; an amount of a tally may have further decimals, of what was rounded."""
    exact = f"decimal(38,{context.settings.amount_scale + schemas.EXTRA_DIGITS})"
    types: Mapping[str, str] = {column.name: column.type for column in table.fields}
    return ", ".join(f"{name} {type_}" for name, type_ in {**types, "amount": exact}.items())
