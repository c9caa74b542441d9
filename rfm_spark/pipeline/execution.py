"""A command from its configuration to its last line in the ledger."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from typing import TypeVar

from pyspark.sql import SparkSession

from rfm_spark.config import Configuration
from rfm_spark.errors import DataError, RfmSparkError
from rfm_spark.ingest.reading import first_line
from rfm_spark.pipeline import ledger
from rfm_spark.pipeline.context import Context, Display, Run
from rfm_spark.pipeline.sources import DATA_FAULTS, without_values
from rfm_spark.session import jobs_of, run_settings
from rfm_spark.tables import Store

_FILE_FAULTS = re.compile(
    r"\[(FAILED_READ_FILE|CANNOT_READ_FILE_FOOTER|PARQUET_TYPE_ILLEGAL|FAILED_JDBC|"
    r"MALFORMED_RECORD_IN_PARSING)[.\w]*\] [^\n]*"
)
PATIENCE_SECONDS = 600.0
Result = TypeVar("Result")
_OTHER_HEADER = "CSV header does not conform to the schema"


def execute(
    spark: SparkSession,
    configuration: Configuration,
    display: Display,
    *,
    command: str,
    snapshot_date: date | None,
    work: Callable[[Context], None],
    patience: float = PATIENCE_SECONDS,
) -> Context:
    """Run a stage under the run's own Spark settings, and keep a ledger of it.

    Args:
        spark: The session.
        configuration: Settings and rule map.
        display: Where progress goes.
        command: Which command it is.
        snapshot_date: The date that it is about, if any.
        work: The stage.
        patience: Seconds to wait for another run that writes the same store.

    Raises:
        RfmSparkError: Whatever the stage refuses, or Spark finds wrong with the data.
    """
    context = new_context(spark, configuration, display, command)
    display.run(context.run.run_id)
    with (
        run_settings(spark, configuration.settings.timezone),
        jobs_of(spark, context.run.run_id, command),
        closing(context.store.queue),
        ledger.recorded(context, snapshot_date, patience),
        _data_errors(),
    ):
        try:
            work(context)
        finally:
            context.end_stage()
    return context


def look(
    spark: SparkSession,
    configuration: Configuration,
    display: Display,
    *,
    command: str,
    work: Callable[[Context], Result],
    after: Context | None = None,
) -> Result:
    """The same for what only looks: the ledger does not mention it.

    Args:
        spark: The session.
        configuration: Settings and rule map.
        display: Where progress goes.
        command: Which command it is.
        work: Does the looking.
        after: A run that has ended; the few rows that it wrote are not read again.

    Raises:
        RfmSparkError: Whatever the stage refuses, or Spark finds wrong with the data.
    """
    context = new_context(spark, configuration, display, command)
    if after is not None:
        context.run.records.update(after.run.records)
    with (
        run_settings(spark, configuration.settings.timezone),
        jobs_of(spark, context.run.run_id, command),
        _data_errors(),
    ):
        context.store.check_contract()
        try:
            return work(context)
        finally:
            context.end_stage()


def new_context(
    spark: SparkSession, configuration: Configuration, display: Display, command: str
) -> Context:
    """What a run of a command is handed."""
    settings = configuration.settings
    store = Store(spark, settings.store, settings.is_path_store)
    return Context(spark, configuration, store, display, Run(ledger.new_run_id(), command))


@contextmanager
def _data_errors() -> Iterator[None]:
    """What Spark finds wrong with values or files, as one sentence."""
    try:
        yield
    except RfmSparkError:
        raise
    except Exception as error:  # PySpark leaves some of Spark's exceptions untranslated
        value, file = DATA_FAULTS.search(str(error)), _FILE_FAULTS.search(str(error))
        if value is None and file is None:
            raise
        said = without_values(value[0]) if value else str(file and file[0])
        if _OTHER_HEADER in str(error):
            raise DataError(
                f"{first_line(Exception(said))} Its header has other columns than the first "
                "file, or the same in another order. Write all files alike, or set options: "
                "{enforceSchema: true} to read columns by their position; nothing was published"
            ) from error
        raise DataError(
            f"the data cannot be read as mapped: {first_line(Exception(said))} Correct the "
            "data, or the expression that reads it under `sources`; nothing more was published"
        ) from error
