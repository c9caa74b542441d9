"""How engines are run, and what is noted of a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from peers.cluster import Cluster
from peers.measure import Measured

RFM, TEXTBOOK, DUCKDB, PANDAS = "rfm_spark", "textbook", "duckdb", "pandas"
ENGINES = (RFM, TEXTBOOK, DUCKDB, PANDAS)


@dataclass(frozen=True)
class Options:
    """How engines are run.

    Args:
        engines: Which of :data:`ENGINES`.
        k_range: Smallest and largest k.
        seed: Of the peers' k-means.
        master: Spark's, of both Spark programs.
        driver_memory: Largest heap of their drivers.
        properties: Spark's settings of both, a file.
        shuffle_partitions: Of both.
        duckdb_memory: DuckDB's limit.
        executors: Of a standalone cluster on this machine that both run on; 0: ``master`` says.
        executor_gib: Heap of each.
    """

    engines: Sequence[str]
    k_range: tuple[int, int]
    seed: int
    master: str
    driver_memory: str
    properties: Path
    shuffle_partitions: int
    duckdb_memory: str
    executors: int = 0
    executor_gib: int = 4

    def spark_environment(self, cluster: Cluster | None) -> dict[str, str]:
        """For PySpark, which starts its JVM with it."""
        arguments = [
            *("--master", cluster.url if cluster else self.master),
            *("--driver-memory", self.driver_memory, "--executor-memory", f"{self.executor_gib}g"),
            *("--properties-file", str(self.properties)),
            *("--conf", f"spark.sql.shuffle.partitions={self.shuffle_partitions}"),
            "pyspark-shell",
        ]
        return {"PYSPARK_SUBMIT_ARGS": shlex.join(arguments)}


@dataclass(frozen=True)
class Row:
    """A line of the table; without seconds the engine was left out, and ``note`` says why."""

    lines: int
    days: int
    work: str
    engine: str
    took: Measured | None
    steps: Mapping[str, float] = field(default_factory=dict)
    chosen_k: int | None = None
    note: str = ""
