"""The program from outside: quick where it can be, plain where it must refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
RETAIL = str(PROJECT / "conf" / "retail_demo.yaml")


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rfm_spark.cli", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("arguments", [("--help",), ("check", "--config", RETAIL), ("schema",)])
def test_what_needs_no_data_does_not_import_spark(arguments) -> None:
    code = (
        "import sys\nfrom rfm_spark.cli import main\n"
        f"try: status = main({list(arguments)!r})\nexcept SystemExit as end: status = end.code\n"
        "assert not status, status\nassert 'pyspark' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_package_imports_without_java_and_without_pyspark() -> None:
    code = "import sys, rfm_spark, rfm_spark.cli; assert 'pyspark' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": "/nowhere"}, capture_output=True, check=False
    )
    assert done.returncode == 0


def test_check_counts_the_disordered_pairs_in_one_line_and_lists_them_with_v() -> None:
    short = program("check", "--config", RETAIL)
    assert short.returncode == 0
    assert "11 segments, 125 codes, each covered once" in short.stdout
    assert "287 pairs" in short.stdout
    assert len(program("check", "--config", RETAIL, "-v").stdout.splitlines()) == 3 + 287


def test_schema_is_a_json_schema_with_every_section() -> None:
    schema = json.loads(program("schema").stdout)
    assert {"store", "sources", "features", "scoring", "clustering"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("verbose", [(), ("-v",)])
def test_a_typo_ends_with_status_2_and_the_nearest_key(tmp_path, verbose) -> None:
    file = tmp_path / "typo.yaml"
    file.write_text((PROJECT / "conf" / "retail_demo.yaml").read_text() + "scorings: {}\n")
    done = program("check", "--config", str(file), *verbose)
    assert done.returncode == 2
    assert "scorings: is not a setting; did you mean scoring?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "--config", RETAIL), "--snapshot-date"),
        (("run", "--config", RETAIL, "--snapshot-date", "1.2.2024"), "is not a date"),
        (("rum",), "invalid choice"),
        (
            ("ingest", "--config", RETAIL, "--from", "2024-02-02", "--to", "2024-01-01"),
            "lies after",
        ),
    ],
)
def test_wrong_usage_ends_with_status_2(arguments, expected) -> None:
    done = program(*arguments)
    assert (done.returncode, expected in done.stderr) == (2, True)


def test_no_java_is_one_clear_sentence() -> None:
    done = program(
        "run", "--config", RETAIL, "--snapshot-date", "2018-01-01", PATH="/nowhere", JAVA_HOME=""
    )
    assert done.returncode == 2
    assert "Spark needs Java 17 or 21 and found none" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_place_without_a_log_ends_with_status_2_in_json_too(project) -> None:
    project.configure(
        """
        store: ./warehouse
        timezone: UTC
        sources:
          transactions:
            path: ./no log here
            columns: {customer_id: user, transaction_ts: at, amount: paid}
        """
    )
    assert project.rfm("run", "--snapshot-date", "2024-01-01", "--log-format", "json") == 2


def test_json_lines_tell_stages_tables_and_segments(project, write_csv, capsys) -> None:
    write_csv(project.folder / "log.csv", "user,at,paid\na,2024-01-01,5\nb,2024-01-02,7\n")
    project.configure(
        """
        store: ./warehouse
        timezone: UTC
        sources:
          transactions:
            format: csv
            path: ./log.csv
            options: {header: true}
            columns: {customer_id: user, transaction_ts: at, amount: paid}
        clustering: {k: 2, seeds: 1}
        """
    )
    capsys.readouterr()
    assert project.rfm("run", "--snapshot-date", "2024-01-03", "--log-format", "json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["stage"] for line in lines if line["event"] == "stage"} == {
        "ingest",
        "publish",
        "features",
        "train",
        "segment",
    }
    wrote = {line["table"]: line["rows"] for line in lines if line["event"] == "wrote"}
    assert wrote["customer_segments"] == 2
    stages = [(line["event"], line["stage"]) for line in lines if "stage" in line["event"]]
    assert stages[::2] == [("stage", name) for _, name in stages[1::2]]
    assert {event for event, _ in stages[1::2]} == {"stage_done"}
    assert len({line["run_id"] for line in lines[1:]}) == 1
    written_in = {line["table"]: line["stage"] for line in lines if line["event"] == "wrote"}
    assert written_in["k_sweep"] == "train"
    assert written_in["customer_segments"] == "segment"
    assert [line["event"] for line in lines[-3:]] == ["segments", "segments", "done"]
