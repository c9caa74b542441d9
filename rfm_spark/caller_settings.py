"""Which Spark settings the caller gave, before there is a JVM that could be asked."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

_OPTIONS = {
    "--master": "spark.master",
    "--packages": "spark.jars.packages",
    "--jars": "spark.jars",
}


def caller_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Settings from spark-defaults.conf and PYSPARK_SUBMIT_ARGS, the latter winning.

    Args:
        environment: Read for ``PYSPARK_SUBMIT_ARGS``, ``SPARK_CONF_DIR`` and ``SPARK_HOME``.
    """
    arguments = shlex.split(environment.get("PYSPARK_SUBMIT_ARGS", ""))
    folder = environment.get("SPARK_CONF_DIR")
    if not folder and environment.get("SPARK_HOME"):
        folder = str(Path(environment["SPARK_HOME"]) / "conf")
    files = [Path(folder) / "spark-defaults.conf"] if folder else []
    given: dict[str, str] = {}
    for name, value in pairwise(arguments):
        if name in {"--conf", "-c"} and "=" in value:
            key, _, setting = value.partition("=")
            given[key.strip()] = setting.strip()
        elif name == "--properties-file":
            files = [Path(value)]
        elif name in _OPTIONS:
            given[_OPTIONS[name]] = value
    defaults: dict[str, str] = {}
    for file in files:
        defaults |= _properties(file)
    return defaults | given


def _properties(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    pairs = (
        line.replace("=", " ", 1).split(None, 1) for line in lines if line[:1] not in {"", "#"}
    )
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}  # noqa: PLR2004
