"""A standalone cluster of Spark on this machine, whose executors have one core each.

The tests that lose executors run on it too.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyspark

HOME = Path(pyspark.__file__).parent
SECONDS_TO_START = 120
DAEMON = "org.apache.spark.deploy"
SPARE_GIB = 1
"""What a worker offers beyond its executor's heap, which Spark counts with an overhead."""


@dataclass(frozen=True)
class Cluster:
    """Where its master listens, and its workers' process ids."""

    url: str
    workers: tuple[int, ...]

    def executors(self) -> list[psutil.Process]:
        """Executors of the workers that live."""
        found: list[psutil.Process] = []
        for worker in self.workers:
            with suppress(psutil.NoSuchProcess):
                found += psutil.Process(worker).children()
        return found


@contextmanager
def standalone(executors: int, memory_gib: int, folder: Path) -> Iterator[Cluster]:
    """Start a master and a worker for each executor; they stop with the block.

    Args:
        executors: How many, with one core each.
        memory_gib: Heap of each.
        folder: For the workers' files.

    Raises:
        TimeoutError: The master does not answer.
    """
    environment = {**os.environ, "SPARK_HOME": str(HOME), "SPARK_DAEMON_MEMORY": "256m"}
    environment.pop("PYSPARK_SUBMIT_ARGS", None)
    port = free_port()
    url = f"spark://127.0.0.1:{port}"
    here = ("--host", "127.0.0.1", "--webui-port", "0")
    size = ("--cores", "1", "--memory", f"{memory_gib + SPARE_GIB}g")
    with ExitStack() as stack:

        def start(*arguments: str) -> int:
            process = subprocess.Popen(
                [str(HOME / "bin" / "spark-class"), *arguments],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process.pid

        start(f"{DAEMON}.master.Master", *here, "--port", str(port))
        wait_for(port)
        workers = [
            start(
                *(f"{DAEMON}.worker.Worker", url, *here, *size),
                *("--work-dir", str(folder / f"worker {n}")),
            )
            for n in range(executors)
        ]
        yield Cluster(url, tuple(workers))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def wait_for(port: int) -> None:
    """Until somebody listens on a port.

    Raises:
        TimeoutError: Nobody does, for two minutes.
    """
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(f"nobody answers on port {port}")
