"""JARs that are added to a session after its start."""

from __future__ import annotations

from pyspark.sql import SparkSession

from rfm_spark.errors import PlatformError

_for_all_threads: set[str] = set()


def add_jar(spark: SparkSession, coordinate: str, *, for_all_threads: bool = False) -> None:
    """Resolve a JAR from Maven Central, for the session and for the thread that calls.

    Args:
        spark: Running session.
        coordinate: ``group:artifact:version``.
        for_all_threads: Also for threads that call :func:`see_added_jars`.

    Raises:
        PlatformError: It could not be resolved.
    """
    try:
        spark.sql(f"ADD JAR ivy://{coordinate}")
    except Exception as error:  # Ivy's own exceptions come through untranslated
        raise PlatformError(
            f"{coordinate} is not on Spark's class path and could not be resolved from Maven "
            "Central; give it with `spark-submit --packages` or `--jars`"
        ) from error
    if for_all_threads:
        _for_all_threads.add(coordinate)


def see_added_jars(spark: SparkSession) -> None:
    """Show the thread that calls what others have added for all threads.

    Spark hands an added JAR's classes to the thread that adds it; adding it again gives them to
    this one.
    """
    for coordinate in sorted(_for_all_threads):
        add_jar(spark, coordinate)
