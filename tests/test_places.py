"""The same tables wherever the program runs, and whatever it loses there."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from clusters import bare_python, connect_server, python_with_floor
from conftest import PROJECT, SMALL, Project
from peers.cluster import HOME, Cluster, standalone
from processes import SHORT_LIFE, start
from stores import assert_same_tables
from test_pipeline import CONFIG, SNAPSHOT

pytestmark = pytest.mark.slow
CUSTOMERS = 400
RUN = ("run", "--snapshot-date", SNAPSHOT)


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


@pytest.fixture(scope="module")
def twin(spark, tmp_path_factory) -> Project:
    """A shop and its tables, made in this process on local[2]."""
    project = Project(tmp_path_factory.mktemp("places") / "a shop")
    project.folder.mkdir()
    lines = log_lines()
    write(project.folder / "log", lines, 2)
    random.Random(3).shuffle(lines)
    write(project.folder / "shuffled", lines, 7)
    clustering = "{k_range: [2, 5], seeds: 2, coreset_size: 130, min_share: 0}"
    head = CONFIG[: CONFIG.index("    clustering")]
    project.configure(f"{head}    clustering: {clustering}\n")
    assert project.rfm(*RUN) == 0
    model = project.table(spark, "models").first()
    assert 60 < model["coreset_rows"] < 200
    assert project.table(spark, "customer_segments").count() == CUSTOMERS
    return project


def elsewhere(twin: Project, folder: Path) -> Project:
    """The same shop without its tables."""
    shutil.copytree(twin.folder, folder, ignore=shutil.ignore_patterns("warehouse"))
    return Project(folder)


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> tuple[Path, Path]:
    """What `make package` builds: the wheel, and the unpacked archive."""
    out = tmp_path_factory.mktemp("dist")
    start(sys.executable, "scripts/package.py", "--out", str(out))
    (wheel,), (archive,) = out.glob("*.whl"), out.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(out / "env", filter="data")
    return wheel, out / "env"


@pytest.fixture
def cluster(tmp_path) -> Iterator[Cluster]:
    with standalone(executors=2, memory_gib=1, folder=tmp_path) as started:
        yield started


class Disturbance:
    """Kills executors in the middle of a stage, and a worker in the end."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.killed: list[str] = []

    def hear(self, line: str) -> None:
        """Look at a line of the program's log, and strike."""
        with suppress(json.JSONDecodeError):
            told = json.loads(line)
            moment = next((m for m in MOMENTS if str(told.get("what", "")).startswith(m)), None)
            if moment and moment not in self.killed:
                self.killed.append(moment)
                self._strike(with_worker=moment == MOMENTS[-1])

    def _strike(self, *, with_worker: bool) -> None:
        victims = self.cluster.executors()
        assert victims
        if with_worker:
            psutil.Process(self.cluster.workers[0]).kill()
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()


MOMENTS = ("reading transactions", "fitting k = ", "writing customer_segments")


def logged(folder: Path) -> list[dict[str, Any]]:
    """Events of Spark's event log."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    lines = [line for file in files for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_executors_and_a_worker_that_are_lost_change_nothing(
    twin, package, cluster, tmp_path
) -> None:
    """The wheel and the archive on a standalone cluster, whose Python has nothing installed."""
    project = elsewhere(twin, tmp_path / "shop")
    wheel, env = package
    python = bare_python(tmp_path / "bare")
    events = tmp_path / "events"
    events.mkdir()
    settings = {
        **SMALL,
        "spark.sql.adaptive.enabled": "true",  # as users have it
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.driver.extraJavaOptions": SHORT_LIFE,
        "spark.executor.extraJavaOptions": SHORT_LIFE,
        "spark.executor.cores": "1",
        "spark.executor.memory": "700m",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.eventLog.compress": "false",
        # A task may be lost with each executor that is killed, and is tried again elsewhere.
        "spark.task.maxFailures": "8",
    }
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ},
        "SPARK_HOME": str(HOME),
        "PYSPARK_PYTHON": str(python),
        "PYTHONPATH": str(env),
    }
    missing = subprocess.run(
        [str(python), "-c", "import pydantic"], check=False, capture_output=True
    )
    assert missing.returncode != 0
    disturbance = Disturbance(cluster)
    command = [
        *(str(HOME / "bin" / "spark-submit"), "--master", cluster.url, "--py-files", str(wheel)),
        *("--properties-file", str(PROJECT / "conf" / "spark" / "standalone.conf")),
        *(part for pair in settings.items() for part in ("--conf", "=".join(pair))),
        *(str(PROJECT / "jobs" / "run.py"), "--config", str(project.config)),
        *("--snapshot-date", SNAPSHOT, "--log-format", "json"),
    ]
    log = tmp_path / "stderr"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=tmp_path
        ) as submitted,
    ):
        assert submitted.stdout is not None
        said = []
        for line in submitted.stdout:
            said.append(line)
            disturbance.hear(line)
    assert submitted.returncode == 0, "".join(said[-20:]) + log.read_text()[-3000:]
    assert disturbance.killed == list(MOMENTS)
    history = logged(events)
    lost = [event for event in history if event["Event"] == "SparkListenerExecutorRemoved"]
    assert len(lost) >= len(MOMENTS)
    assert_same_tables(project.folder / "warehouse", twin.folder / "warehouse")
    started = [event for event in history if event["Event"] == "SparkListenerJobStart"]
    jobs, run_id = [job["Properties"] for job in started], json.loads(said[-1])["run_id"]
    descriptions = {job.get("spark.job.description", "") for job in jobs}
    assert {f"rfm_spark run: segment as of {SNAPSHOT}"} <= descriptions
    tags = [job.get("spark.job.tags", "") for job in jobs]
    assert any(f"rfm_spark run {run_id}" in tag for tag in tags)
    assert any("rfm_spark stage train" in tag for tag in tags)


def pytest_elsewhere(python: Path | str, twin: Project, **environment: str) -> str:
    """The tests of the pipeline in another place, and the same tables as here."""
    tests = (
        "tests/test_pipeline.py",
        "tests/twin.py",
        "-m",
        "not slow and not release",
        "-q",
        "-p",
        "no:cacheprovider",
    )
    return start(
        *(str(python), "-m", "pytest", *tests),
        RFM_SPARK_TWIN=str(twin.folder),
        PYTHONPATH=str(PROJECT),
        PYSPARK_PYTHON=str(python),
        **environment,
    )


@pytest.mark.release
def test_the_pipeline_passes_over_connect_with_the_same_tables(twin, tmp_path) -> None:
    with connect_server(tmp_path) as url:
        told = pytest_elsewhere(sys.executable, twin, SPARK_REMOTE=url)
    assert " passed" in told
    assert "skipped" not in told


@pytest.mark.release
def test_the_pipeline_passes_on_the_oldest_versions_with_the_same_tables(twin, tmp_path) -> None:
    python = python_with_floor(tmp_path / "floor")
    told = pytest_elsewhere(python, twin)
    assert " passed" in told
    assert "skipped" not in told
