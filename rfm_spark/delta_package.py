"""Which build of Delta Lake goes with which Spark."""

from __future__ import annotations

import re
from importlib import metadata

from rfm_spark.errors import PlatformError

# Maven Central, io.delta: the first Delta release that has a build for a release of Spark.
_FIRST_FOR = {"4.0": (4, 0), "4.1": (4, 1), "4.2": (4, 4)}
# Since 4.1 the artifact's name may say the Spark release; without it, that is the one of the time.
_NAMED_SINCE = (4, 1)
_UNNAMED = {False: "4.0", True: "4.1"}
_BUILD = re.compile(
    r"delta-spark(?:_(?P<spark>\d+\.\d+))?_2\.13[:-](?P<delta>\d+\.\d+[.\w]*?)(?=\.jar|[,\s]|$)"
)


def delta_coordinate() -> str:
    """Maven coordinate of the Delta Lake JAR for the installed pyspark and delta-spark.

    Raises:
        PlatformError: delta-spark is not installed for this Python, or has no build for this Spark.
    """
    try:
        delta = metadata.version("delta-spark")
    except metadata.PackageNotFoundError:
        raise PlatformError(
            "Delta Lake is not on Spark's class path: start with `spark-submit --packages "
            "io.delta:delta-spark_<Spark version>_2.13:<Delta version>`, or install delta-spark "
            "for this Python, so that its JAR can be looked up"
        ) from None
    spark = _release(metadata.version("pyspark"))
    is_named = _number(delta) >= _NAMED_SINCE
    first = _FIRST_FOR.get(spark)
    if first is not None and (_number(delta) < first or (spark != "4.0" and not is_named)):
        raise PlatformError(
            f"delta-spark {delta} has no build for Spark {spark} (pyspark "
            f"{metadata.version('pyspark')}): {_what_fits(spark)}"
        )
    suffix = f"_{spark}" if is_named else ""
    return f"io.delta:delta-spark{suffix}_2.13:{delta}"


def check_build(packages: str, spark_version: str) -> None:
    """See that the Delta Lake that somebody has named is built for this Spark.

    Args:
        packages: Maven coordinates or names of JARs.
        spark_version: Version of the running Spark.

    Raises:
        PlatformError: It is built for another one.
    """
    spark, build = _release(spark_version), _BUILD.search(packages)
    if build is None:
        return
    built_for = build["spark"] or _UNNAMED[_number(build["delta"]) >= _NAMED_SINCE]
    if built_for != spark:
        raise PlatformError(
            f"Spark is {spark_version}, and the Delta Lake it was started with, {build[0]}, is "
            f"built for Spark {built_for}: {_what_fits(spark)}"
        )


def _what_fits(spark: str) -> str:
    first = ".".join(map(str, _FIRST_FOR.get(spark, ())))
    return (
        f"take Delta {first} or later, as in `--packages io.delta:"
        f"delta-spark{'' if spark == '4.0' else '_' + spark}_2.13:<version>` or `pip install "
        f"'delta-spark>={first}'`"
        if first
        else 'see docs.delta.io, "Releases", for the Delta release that goes with it'
    )


def _release(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
