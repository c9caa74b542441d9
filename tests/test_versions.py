"""Spark, Delta Lake and their settings fit together, or the program says so."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from conftest import PROJECT

from rfm_spark.delta_package import check_build, delta_coordinate
from rfm_spark.errors import PlatformError

CONF = sorted((PROJECT / "conf" / "spark").glob("*.conf"))


@pytest.mark.parametrize(
    ("pyspark", "delta", "coordinate"),
    [
        ("4.0.5", "4.0.1", "io.delta:delta-spark_2.13:4.0.1"),
        ("4.0.5", "4.4.0", "io.delta:delta-spark_4.0_2.13:4.4.0"),
        ("4.1.0", "4.1.0", "io.delta:delta-spark_4.1_2.13:4.1.0"),
        ("4.2.0", "4.4.0", "io.delta:delta-spark_4.2_2.13:4.4.0"),
        ("4.2.0", "4.0.1", None),
        ("4.2.0", "4.3.0", None),
        ("4.1.0", "4.0.1", None),
    ],
)
def test_the_build_of_delta_goes_with_spark(monkeypatch, pyspark, delta, coordinate) -> None:
    installed = {"pyspark": pyspark, "delta-spark": delta}
    monkeypatch.setattr(metadata, "version", installed.__getitem__)
    if coordinate is not None:
        assert delta_coordinate() == coordinate
        return
    with pytest.raises(PlatformError, match=f"delta-spark {delta} has no build for Spark"):
        delta_coordinate()


@pytest.mark.parametrize(
    ("named", "spark", "fits"),
    [
        ("io.delta:delta-spark_4.2_2.13:4.4.0", "4.2.0", True),
        ("org.x:y:1,io.delta:delta-spark_2.13:4.0.0", "4.0.5", True),
        ("io.delta:delta-spark_2.13:4.1.0", "4.1.0", True),
        ("io.delta:delta-spark_2.13:4.0.0", "4.2.0", False),
        ("io.delta:delta-spark_4.1_2.13:4.4.0", "4.2.0", False),
        ("file:///opt/jars/delta-spark_4.0_2.13-4.3.0.jar,/x.jar", "4.1.0", False),
        ("io.delta:delta-spark_4.2_2.13:4.4.0", "4.0.5", False),
        ("org.postgresql:postgresql:42.7.8", "4.2.0", True),
    ],
)
def test_a_build_that_was_named_for_another_spark_is_refused(named, spark, fits) -> None:
    if fits:
        check_build(named, spark)
        return
    with pytest.raises(PlatformError, match=r"built for Spark \d\.\d: take Delta \d\.\d or later"):
        check_build(named, spark)


@pytest.mark.slow
def test_a_session_with_another_delta_says_so_at_once(project) -> None:
    """Regression: it failed in the first write, with a Java error."""
    project.configure((PROJECT / "conf" / "retail_demo.yaml").read_text())
    told = subprocess.run(
        [sys.executable, "-m", "rfm_spark.cli", "runs", "--config", str(project.config)],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(Path.home()),
            "PYTHONPATH": str(PROJECT),
            "RFM_DEMO_DIR": str(project.folder),
            "PYSPARK_SUBMIT_ARGS": "--master local[1] --packages io.delta:delta-spark_2.13:4.0.1 "
            "--conf spark.ui.enabled=false pyspark-shell",
        },
    )
    assert told.returncode == 2, told.stderr
    assert "is built for Spark 4.0: take Delta" in " ".join(told.stderr.split())


@pytest.mark.parametrize("file", CONF, ids=lambda file: file.name)
def test_every_setting_has_its_reason(file: Path) -> None:
    keys, has_reason = [], False
    for line in file.read_text().splitlines():
        if line.startswith("#"):
            has_reason = True
        elif line.strip():
            key, value = line.split(maxsplit=1)
            assert has_reason, key
            assert key.startswith("spark.")
            assert value.strip()
            keys.append(key)
            has_reason = False
    assert len(keys) == len(set(keys)) > 0
