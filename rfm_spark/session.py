"""The session that a command finds or starts, and the settings it runs under."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from rfm_spark.added_jars import add_jar
from rfm_spark.errors import ConfigurationError
from rfm_spark.jdbc_drivers import Driver
from rfm_spark.spark_start import PACKAGES, is_managed, start

# Under these, files that cannot be read are left out and nobody is told.
_LOSSY = ("spark.sql.files.ignoreCorruptFiles", "spark.sql.files.ignoreMissingFiles")

_JOB_DESCRIPTION = "spark.job.description"
_HIDDEN = "(hidden)"


@contextmanager
def spark_session(
    app_name: str, *, drivers: Sequence[Driver] = (), verbose: bool = False
) -> Iterator[SparkSession]:
    """A session with Delta Lake: the running one if there is one, else a new one.

    A session that was started here is stopped at the end; one that was found is left alone.

    Args:
        app_name: Shown in the Spark UI.
        drivers: JDBC drivers to bring, unless the caller's settings name them.
        verbose: Let the JVM of a local start write to the terminal; else its log is kept aside
            and shown only if the start fails.

    Raises:
        PlatformError: No Java, no Delta Lake, or versions that do not fit together.
    """
    if not verbose:
        _leave_errors_to_us()
    if (found := _running()) is not None:
        _bring(found, drivers)
        yield found
        return
    spark = start(app_name, verbose=verbose)
    try:
        _bring(spark, drivers)
        yield spark
    finally:
        if not is_managed():
            spark.stop()


@contextmanager
def run_settings(spark: SparkSession, timezone: str) -> Iterator[None]:
    """ANSI arithmetic and the business time zone while a command runs; restored afterwards.

    A timestamp is an instant, also where the caller's default is timestamp_ntz.

    Raises:
        ConfigurationError: The session passes over files that it cannot read.
    """
    lossy = [key for key in _LOSSY if (_setting(spark, key) or "").lower() == "true"]
    if lossy:
        raise ConfigurationError(
            f"Spark is set to {' and '.join(lossy)}: rows of files that it cannot read, also of "
            "our own tables, would be lost without a word. Take that out of the session's settings"
        )
    wanted = {
        "spark.sql.ansi.enabled": "true",
        "spark.sql.session.timeZone": timezone,
        "spark.sql.timestampType": "TIMESTAMP_LTZ",
    }
    with temporarily(spark, wanted):
        yield


def many_groups(spark: SparkSession) -> AbstractContextManager[None]:
    """For a while, aggregates are planned for nearly as many groups as rows.

    Spark would ask a small map first, in which such a row is hardly ever found.
    """
    return temporarily(spark, {"spark.sql.codegen.aggregate.map.twolevel.enabled": "false"})


@contextmanager
def temporarily(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """Settings of a session for a while; restored afterwards.

    What a managed session does not let be asked is at its default there, and left so.
    """
    before = {key: _setting(spark, key) for key in settings}
    changed = {key: old for key, old in before.items() if old not in (settings[key], _HIDDEN)}
    try:
        for key in changed:  # a managed session may refuse to be told what it does anyway
            spark.conf.set(key, settings[key])
        yield
    finally:
        for key, old in changed.items():
            if old is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, old)


@contextmanager
def jobs_of(spark: SparkSession, run_id: str, command: str) -> Iterator[None]:
    """Spark's jobs bear the run for a while.

    As a description in the UI, and as a tag in its REST interface and the event log.
    """
    tag, before = f"rfm_spark run {run_id}", _setting(spark, _JOB_DESCRIPTION)
    spark.addTag(tag)
    describe_jobs(spark, f"rfm_spark {command}")
    try:
        yield
    finally:
        spark.removeTag(tag)
        describe_jobs(spark, before)


def is_hidden(spark: SparkSession, key: str) -> bool:
    """Whether a managed session keeps a setting to itself."""
    return _setting(spark, key) == _HIDDEN


def describe_jobs(spark: SparkSession, text: str | None) -> None:
    """What the Spark UI calls the jobs that follow; nothing where a session does not take it."""
    with suppress(PySparkException):
        if text is None:
            spark.conf.unset(_JOB_DESCRIPTION)
        else:
            spark.conf.set(_JOB_DESCRIPTION, text)


def _setting(spark: SparkSession, key: str) -> str | None:
    """A setting of the session, None where it is not set."""
    try:
        return spark.conf.get(key, None)
    except PySparkException as error:
        if error.getCondition() == "CONFIG_NOT_AVAILABLE":
            return _HIDDEN
        raise


def _leave_errors_to_us() -> None:
    """PySpark logs what it raises to stderr, with its stack, even where it is caught."""
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        PySparkLogger.getLogger(name).setLevel(logging.CRITICAL)


def _running() -> SparkSession | None:
    """The session of this thread, else that of the program."""
    try:
        return SparkSession.active()
    except PySparkException:
        return None


def _bring(spark: SparkSession, drivers: Sequence[Driver]) -> None:
    """JDBC drivers that the caller has not named; a managed cluster brings its own."""
    if is_managed() or not drivers:
        return
    named = " ".join(spark.conf.get(key, None) or "" for key in (PACKAGES, "spark.jars"))
    present = spark.sql("LIST JARS").collect()
    named += " ".join(str(row[0]) for row in present)
    for driver in drivers:
        if driver.artifact not in named:
            add_jar(spark, driver.coordinate)
