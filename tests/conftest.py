"""One Spark session for the suite, and small ways to make logs and run commands."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from rfm_spark.spark_start import LOCAL_DEFAULTS

PROJECT = Path(__file__).parents[1]
SHARED_DATA = PROJECT.parent / "shared" / "data"
# On little data Spark spends a quarter of its time on writing and compiling code that runs once,
# and some more on planning again after each shuffle.
INTERPRETED = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
GENERATED = {
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.codegen.factoryMode": "FALLBACK",
}
# Sessions for little data, wherever they run.
SMALL = {
    **LOCAL_DEFAULTS,
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    **INTERPRETED,
}
# Many small plans make much short-lived garbage, and more classes than the metaspace begins with.
JVM = "-XX:+UseParallelGC -XX:MetaspaceSize=512m -Xms1500m -Xmn900m"


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    from rfm_spark.session import spark_session

    settings = {
        **SMALL,
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    confs = " ".join(f"--conf {key}={value}" for key, value in settings.items())
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        f"--master local[2] --driver-memory 3g --driver-java-options '{JVM}' {confs} pyspark-shell"
    )
    with spark_session("rfm_spark tests") as session:
        yield session


@pytest.fixture
def generated_code(spark: SparkSession) -> Iterator[None]:
    """Spark's own way, for tests with many rows."""
    from rfm_spark.session import temporarily

    with temporarily(spark, GENERATED):
        yield


@pytest.fixture
def shared_data() -> Path:
    """The real files with published answers; they are not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real data files are not here ({SHARED_DATA})")
    return SHARED_DATA


class Project:
    """A folder with a configuration, its log and its store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "rfm.yaml"

    def configure(self, text: str) -> None:
        self.config.write_text(textwrap.dedent(text), encoding="utf-8")

    def rfm(self, command: str, *arguments: str) -> int:
        """Run a command in this process, on the suite's session."""
        from rfm_spark.cli import main

        return main([command, "--config", str(self.config), *arguments])

    def table(self, spark: SparkSession, name: str, store: str = "warehouse"):
        return spark.read.format("delta").load(str(self.folder / store / name))

    def rows(self, spark: SparkSession, name: str, *columns: str, store: str = "warehouse"):
        """The table's rows as sorted tuples."""
        frame = self.table(spark, name, store)
        chosen = frame.select(*columns) if columns else frame
        return sorted((tuple(row) for row in chosen.collect()), key=repr)


@pytest.fixture
def project(tmp_path: Path, spark: SparkSession) -> Project:
    folder = tmp_path / "a path with spaces"
    folder.mkdir()
    return Project(folder)


@pytest.fixture(scope="session")
def months(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory):
    """The store of `test_history`: five months by one backfill, and what its tables hold.

    It takes long to make, so whoever changes it takes a copy.
    """
    from test_history import RANGE, new_project, tables_of

    project = new_project(tmp_path_factory.mktemp("history") / "of six dates")
    assert project.rfm("backfill", *RANGE) == 0
    return project, tables_of(project)


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[[Path, str], None]:
    def write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")

    return write
