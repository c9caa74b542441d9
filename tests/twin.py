"""One test for other places: the tables that a run makes here are those of a store made elsewhere.

The environment variable RFM_SPARK_TWIN names the folder of a project with its store. Not collected
by itself: ``test_places`` runs it where the places are. Its log is here in other files and another
order, and its shuffles have another number of partitions.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from conftest import Project
from stores import assert_same_tables
from test_pipeline import SNAPSHOT

from rfm_spark.session import temporarily


def test_the_tables_are_those_of_the_twin(spark, tmp_path) -> None:
    twin = Path(os.environ["RFM_SPARK_TWIN"])
    shutil.copytree(twin, tmp_path / "here", ignore=shutil.ignore_patterns("warehouse"))
    project = Project(tmp_path / "here")
    shuffled = ("--set", "sources.transactions.path=./shuffled")
    with temporarily(spark, {"spark.sql.shuffle.partitions": "5"}):
        assert project.rfm("run", "--snapshot-date", SNAPSHOT, *shuffled) == 0
    assert_same_tables(project.folder / "warehouse", twin / "warehouse")
