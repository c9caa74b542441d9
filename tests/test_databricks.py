"""The Databricks bundle: fields that Databricks knows, files that are there, right arguments."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest
import yaml
from conftest import PROJECT
from databricks.bundles.jobs import Job

from rfm_spark.arguments import parser
from rfm_spark.checking import check_lines
from rfm_spark.config import load_configuration

BUNDLE = yaml.safe_load((PROJECT / "databricks.yml").read_text())
TARGETS = sorted(BUNDLE["targets"])
STAGES = ["ingest", "features", "train", "segment", "report"]
KEYED = {"tasks": "task_key", "job_clusters": "job_cluster_key", "environments": "environment_key"}


def merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A target's resources over the bundle's, lists by their key, as `bundle deploy` does."""
    result = deepcopy(base)
    for name, value in own.items():
        if name in KEYED:
            items = {item[KEYED[name]]: item for item in result.get(name, [])}
            for item in value:
                key = item[KEYED[name]]
                items[key] = merged(items.get(key, {}), item)
            result[name] = list(items.values())
        elif isinstance(value, dict):
            result[name] = merged(result.get(name, {}), value)
        else:
            result[name] = value
    return result


def job_of(target: str) -> dict[str, Any]:
    own = BUNDLE["targets"][target]["resources"]["jobs"]["rfm_spark"]
    return merged(BUNDLE["resources"]["jobs"]["rfm_spark"], own)


def arguments(task: dict[str, Any], job: dict[str, Any]) -> list[str]:
    """A task's arguments, with the parameters of a run put in."""
    given = {parameter["name"]: parameter["default"] for parameter in job["parameters"]}
    given |= {"snapshot_date": "2026-01-01", "store": "main.rfm", "config": "rfm.yaml"}

    def value(match: re.Match[str]) -> str:
        return str(given[match[1]])

    pattern = r"\{\{job\.parameters\.(\w+)\}\}"
    filled = [re.sub(pattern, value, text) for text in task["spark_python_task"]["parameters"]]
    assert not [text for text in filled if "{{" in text]
    return filled


@pytest.mark.parametrize("target", TARGETS)
def test_databricks_knows_every_field_of_the_job(target) -> None:
    job = Job.from_dict(job_of(target))
    assert job.max_concurrent_runs == 1
    assert job.schedule is not None
    assert [task.task_key for task in job.tasks if task.task_key in STAGES] == STAGES
    for task in job.tasks:
        if task.task_key in STAGES:
            assert task.max_retries == 2
            assert (task.environment_key is None) != (task.job_cluster_key is None)


def test_a_field_that_databricks_does_not_know_would_be_found() -> None:
    with pytest.raises(Exception, match="max_concurent_runs"):
        Job.from_dict({**job_of("dev"), "max_concurent_runs": 1})


@pytest.mark.parametrize("target", TARGETS)
def test_every_task_starts_a_file_with_arguments_that_it_takes(target) -> None:
    job = job_of(target)
    names = {task["task_key"] for task in job["tasks"]}
    for task in job["tasks"]:
        assert {before["task_key"] for before in task.get("depends_on", [])} <= names
        if "spark_python_task" in task:
            assert (PROJECT / task["spark_python_task"]["python_file"]).is_file()
            options = parser().parse_args([task["task_key"], *arguments(task, job)])
            assert str(options.snapshot_date) == "2026-01-01"


def test_its_configuration_is_one() -> None:
    configuration = load_configuration(str(PROJECT / "conf" / "databricks_example.yaml"), [])
    assert not configuration.settings.is_path_store
    assert check_lines(configuration, verbose=False)
