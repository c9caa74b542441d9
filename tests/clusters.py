"""Places where Spark runs: a Connect server, older versions, a Python without packages."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import JVM, SMALL
from peers.cluster import HOME, free_port, wait_for

# The oldest pair that the package promises to run on.
FLOOR = {"pyspark": "4.0.5", "delta-spark": "4.0.1"}


@contextmanager
def connect_server(folder: Path) -> Iterator[str]:
    """A Connect server with Delta Lake; gives its address."""
    from rfm_spark.delta_package import delta_coordinate

    port = free_port()
    settings = {
        **SMALL,
        "spark.connect.grpc.binding.port": str(port),
        "spark.jars.packages": delta_coordinate(),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(folder),
    }
    environment = {**os.environ, "SPARK_HOME": str(HOME)}
    environment.pop("PYSPARK_SUBMIT_ARGS", None)
    server = subprocess.Popen(
        [
            *(str(HOME / "bin" / "spark-submit"), "--master", "local[2]", "--driver-memory", "3g"),
            *("--driver-java-options", JVM),
            *(part for pair in settings.items() for part in ("--conf", "=".join(pair))),
            *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
            "spark-internal",
        ],
        env=environment,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        yield f"sc://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def python_with_floor(folder: Path) -> Path:
    """A Python with the oldest Spark and Delta Lake; all else is what this one has."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    pinned = [f"{name}=={version}" for name, version in FLOOR.items()]
    pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, "--no-deps", *pinned], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def bare_python(folder: Path) -> Path:
    """A Python with no package at all."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"
