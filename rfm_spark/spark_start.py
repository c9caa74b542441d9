"""The only place that builds a SparkSession.

Spark's settings are the caller's: ``spark-submit``, ``SPARK_CONF_DIR``, ``PYSPARK_SUBMIT_ARGS``,
the Databricks cluster. Only what Delta Lake needs is added, and only where it is missing.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from rfm_spark.added_jars import add_jar
from rfm_spark.caller_settings import caller_settings
from rfm_spark.delta_package import check_build, delta_coordinate
from rfm_spark.errors import PlatformError

EXTENSIONS = "spark.sql.extensions"
CATALOG = "spark.sql.catalog.spark_catalog"
PACKAGES = "spark.jars.packages"
DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
DELTA_CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"

# Under a time zone other than UTC, Delta reads a table's whole state back after every commit, to
# see whether timestamps among partitions and statistics got into its checksum file as they are. Our
# tables are partitioned by dates and numbers, and keep no statistics.
_VERIFICATION = "spark.databricks.delta.allFilesInCrc.verificationMode.forceOnNonUTC.enabled"

# PySpark notes the line of Python with every column expression: more than half of its calls to the
# JVM in a program like this, whose errors name the setting and not the line.
_CALL_SITES = "spark.python.sql.dataFrameDebugging.enabled"

# For sessions that this program starts itself, unless the caller says otherwise: no progress bar
# among its own lines, one task instead of fifty to rebuild the state of a table of few files, 32
# instead of one for each folder to list a log, which for two years of days is a wait of seconds,
# and plans kept for the UI in short: the long form of hundreds of them takes seconds to write.
LOCAL_DEFAULTS = {
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.ui.explainMode": "simple",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "32",
    _VERIFICATION: "false",
    _CALL_SITES: "false",
}

_LINKAGE = re.compile(r"(NoSuchMethod|NoClassDefFound|AbstractMethod|IncompatibleClassChange)Error")
JAVA_HELP = (
    "Spark needs Java 17 or 21 and found none: install it (Debian and Ubuntu: apt-get install "
    "openjdk-17-jre-headless; macOS: brew install openjdk@17) or point JAVA_HOME at it"
)


def start(app_name: str, *, verbose: bool) -> SparkSession:
    """A new session with Delta Lake.

    Args:
        app_name: Shown in the Spark UI.
        verbose: Let the JVM of a local start write to the terminal; else its log is kept aside
            and shown only if the start fails.

    Raises:
        PlatformError: No Java, no Delta Lake, or versions that do not fit together.
    """
    builder = SparkSession.builder.appName(app_name)
    if is_managed():
        return builder.getOrCreate()
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # spark-submit has started the JVM already
        return _with_delta(builder.getOrCreate(), app_name)
    if not _java_is_here():
        raise PlatformError(JAVA_HELP)
    given = caller_settings(os.environ)
    brought = f"{given.get(PACKAGES, '')},{given.get('spark.jars', '')}"
    extensions = [given[EXTENSIONS]] if EXTENSIONS in given else []
    if DELTA_EXTENSION not in ",".join(extensions):
        builder = builder.config(EXTENSIONS, ",".join([*extensions, DELTA_EXTENSION]))
    builder = builder.config(CATALOG, given.get(CATALOG, DELTA_CATALOG))
    if "delta" not in brought:
        packages = [given[PACKAGES]] if PACKAGES in given else []
        builder = builder.config(PACKAGES, ",".join([*packages, delta_coordinate()]))
    for key, value in LOCAL_DEFAULTS.items():
        if key not in given:
            builder = builder.config(key, value)
    with _quiet(verbose=verbose) as log:
        try:
            spark = builder.getOrCreate()
        except Exception as error:
            raise PlatformError(_why_no_start(error, log)) from error
    # `--packages` on the caller's side wins over ours, so Delta may still be missing, or another.
    return _with_delta(spark, app_name) if brought != "," else spark


def is_managed() -> bool:
    """Databricks and Spark Connect: the session belongs to somebody else."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ or bool(os.environ.get("SPARK_REMOTE"))


def _java_is_here() -> bool:
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home) / "bin") if home else None) is not None


def _with_delta(spark: SparkSession, app_name: str) -> SparkSession:
    """The same session if it knows Delta, else a new one in the same JVM that does.

    Under a bare ``spark-submit`` the class path is fixed before Python starts. ``ADD JAR ivy://``
    resolves Delta all the same; the session's extensions are read at its start, hence a second
    start. ``--packages`` on the submit line saves it.
    """
    named = (spark.conf.get(key, None) or "" for key in (PACKAGES, "spark.jars"))
    check_build(",".join(named), spark.version)
    extensions = spark.conf.get(EXTENSIONS, None) or ""
    configured = DELTA_EXTENSION in extensions and spark.conf.get(CATALOG, None)
    present = _knows_delta(spark)
    if configured and present:
        return spark
    coordinate = None if present else delta_coordinate()
    if coordinate:
        add_jar(spark, coordinate)
    spark.stop()
    wanted = [part for part in (extensions, DELTA_EXTENSION) if part]
    builder = SparkSession.builder.appName(app_name)
    builder = builder.config(EXTENSIONS, ",".join(dict.fromkeys(wanted)))
    spark = builder.config(CATALOG, DELTA_CATALOG).getOrCreate()
    if coordinate:
        add_jar(spark, coordinate, for_all_threads=True)
    return spark


def _knows_delta(spark: SparkSession) -> bool:
    try:
        spark.read.format("delta").load("/rfm_spark/probe/of/the/class/path")
    except Exception as error:  # PySpark leaves this one of Spark's exceptions untranslated
        if _LINKAGE.search(str(error)):
            raise PlatformError(
                f"the Delta Lake on Spark's class path is not built for Spark {spark.version}; see "
                'docs.delta.io, "Releases", for the one that is'
            ) from error
        return "DATA_SOURCE_NOT_FOUND" not in str(error)
    return True


@contextmanager
def _quiet(*, verbose: bool) -> Iterator[Path | None]:
    """Send what the JVM and Ivy print to a file: the JVM keeps the streams it is born with.

    Spark prints its log to one of them, and VACUUM what it has deleted to the other.
    """
    if verbose:
        yield None
        return
    with tempfile.NamedTemporaryFile(prefix="rfm-spark-", suffix=".log") as file:
        sys.stdout.flush()
        kept = {stream: os.dup(stream) for stream in (1, 2)}
        for stream in kept:
            os.dup2(file.fileno(), stream)
        try:
            yield Path(file.name)
        finally:
            for stream, terminal in kept.items():
                os.dup2(terminal, stream)
                os.close(terminal)


def _why_no_start(error: Exception, log: Path | None) -> str:
    text = log.read_text(errors="replace") if log else ""
    if "unresolved dependency" in text or "download failed" in text:
        return (
            f"the JAR {delta_coordinate()} could not be resolved from Maven Central; check the "
            "network, or set spark.jars to a copy of the Delta JARs in spark-defaults.conf"
        )
    if "UnsupportedClassVersionError" in text:
        return (
            "Spark needs Java 17 or 21, and the Java here is older; " + JAVA_HELP.split(": ", 1)[1]
        )
    last = next((line for line in reversed(text.splitlines()) if line.strip()), str(error))
    return f"Spark did not start: {last.strip()}; -v shows its whole log"
