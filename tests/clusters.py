"""Places where Spark runs: a standalone cluster, a Connect server, older versions."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyspark
from conftest import JVM, SMALL

HOME = Path(pyspark.__file__).parent
# The oldest pair that the package promises to run on.
FLOOR = {"pyspark": "4.0.5", "delta-spark": "4.0.1"}


@dataclass
class Standalone:
    """A master and two workers of one core each, on this machine."""

    url: str
    workers: list[subprocess.Popen[bytes]]

    def executors(self) -> list[psutil.Process]:
        """Their executors."""
        alive = [psutil.Process(worker.pid) for worker in self.workers if worker.poll() is None]
        return [child for worker in alive for child in worker.children()]


@contextmanager
def standalone(folder: Path) -> Iterator[Standalone]:
    """Start the cluster; it stops with the block.

    Args:
        folder: For the workers' files.
    """
    environment = {**os.environ, "SPARK_HOME": str(HOME), "SPARK_DAEMON_MEMORY": "256m"}
    environment.pop("PYSPARK_SUBMIT_ARGS", None)
    port = _free_port()
    url = f"spark://127.0.0.1:{port}"
    here = ("--host", "127.0.0.1", "--webui-port", "0")
    with ExitStack() as stack:

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [str(HOME / "bin" / "spark-class"), *arguments],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process

        deploy = "org.apache.spark.deploy"
        start(f"{deploy}.master.Master", *here, "--port", str(port))
        _wait_for(port)
        workers = [
            start(
                *(f"{deploy}.worker.Worker", url, *here, "--cores", "1", "--memory", "1g"),
                *("--work-dir", str(folder / f"worker {n}")),
            )
            for n in (1, 2)
        ]
        yield Standalone(url, workers)


@contextmanager
def connect_server(folder: Path) -> Iterator[str]:
    """A Connect server with Delta Lake; gives its address."""
    from rfm_spark.delta_package import delta_coordinate

    port = _free_port()
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
        _wait_for(port)
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


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(f"nobody answers on port {port}")
