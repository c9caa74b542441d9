"""The same model and the same labels, whatever runs the program and however the log is laid out."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyspark
import pytest
from conftest import Project
from test_pipeline import CONFIG, SNAPSHOT, contents
from test_programs import start

pytestmark = pytest.mark.slow
LOCAL = "--conf spark.ui.enabled=false --conf spark.ui.showConsoleProgress=false pyspark-shell"
CUSTOMERS = 400


def log_lines() -> list[str]:
    """Customers of all kinds; three times as many as the coreset holds."""
    draw = random.Random(7)
    lines = []
    for n in range(CUSTOMERS):
        amount = draw.lognormvariate(3, 1)
        for i in range(1 + int(draw.expovariate(0.3))):
            day = 1 + int(31 * draw.random() ** (1 + n % 3))
            lines.append(f"c{n},2024-01-{day:02},{amount * draw.uniform(0.5, 2):.2f},o{n}-{i}")
    return lines


def write(folder: Path, lines: list[str], files: int) -> None:
    folder.mkdir()
    for part in range(files):
        text = "\n".join(["user,at,paid,basket", *lines[part::files]])
        (folder / f"part-{part}.csv").write_text(text + "\n", encoding="utf-8")


def run(project: Project, store: str, arguments: str, **settings: str) -> None:
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    start(
        *(sys.executable, "-m", "rfm_spark.cli", "run", "--config", str(project.config)),
        *("--snapshot-date", SNAPSHOT, "--set", f"store=./{store}", *given),
        PYSPARK_SUBMIT_ARGS=arguments,
    )


@pytest.fixture
def standalone(tmp_path) -> Iterator[str]:
    """A master and two workers of one core each, on this machine; gives the master's URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = Path(pyspark.__file__).parent
    environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "256m"}
    url = f"spark://127.0.0.1:{port}"
    deploy = "org.apache.spark.deploy"
    here = ("--host", "127.0.0.1", "--webui-port", "0")
    worker = (f"{deploy}.worker.Worker", url, *here, "--cores", "1", "--memory", "1g")
    commands = [
        (f"{deploy}.master.Master", *here, "--port", str(port)),
        (*worker, "--work-dir", str(tmp_path / "worker 1")),
        (*worker, "--work-dir", str(tmp_path / "worker 2")),
    ]
    with ExitStack() as stack:
        for command in commands:
            process = subprocess.Popen(
                [str(home / "bin" / "spark-class"), *command],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            _wait_for(port)
        yield url


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(f"no master on port {port}")


def test_any_machine_and_any_layout_give_the_same_model_and_labels(
    project, spark, standalone
) -> None:
    lines = log_lines()
    write(project.folder / "log", lines, 2)
    random.Random(3).shuffle(lines)
    write(project.folder / "shuffled", lines, 7)
    clustering = "{k_range: [2, 5], seeds: 2, coreset_size: 130, min_share: 0}"
    head = CONFIG[: CONFIG.index("    clustering")]
    project.configure(f"{head}    clustering: {clustering}\n")
    layout = {"sources.transactions.path": "./shuffled"}
    run(
        project,
        "two-cores",
        f"--master local[2] --conf spark.sql.shuffle.partitions=3 {LOCAL}",
    )
    run(
        project,
        "one-core",
        f"--master local[1] --conf spark.sql.shuffle.partitions=17 {LOCAL}",
        **layout,
    )
    cluster = "--conf spark.driver.host=127.0.0.1 --conf spark.executor.memory=700m"
    run(
        project,
        "cluster",
        f"--master {standalone} {cluster} --conf spark.sql.shuffle.partitions=5 {LOCAL}",
        **layout,
    )
    first = contents(project, spark, store="two-cores")
    model = project.table(spark, "models", store="two-cores").first()
    assert 60 < model["coreset_rows"] < 200
    assert len(first["customer_segments"]) == CUSTOMERS
    for store in ("one-core", "cluster"):
        for table, rows in contents(project, spark, store=store).items():
            assert rows == first[table], (store, table)
