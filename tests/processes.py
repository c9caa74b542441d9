"""The program in processes of its own, for tests of what several of them do to each other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import PROJECT, SMALL, Project

# Processes that live for seconds: code that is compiled once and quickly.
SHORT_LIFE = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:MetaspaceSize=256m"
# As `make` starts programs, not as the suite's own session.
SUBMIT = f"--properties-file '{PROJECT}/conf/spark/local.conf' pyspark-shell"


def submit_args(master: str = "local[2]", **conf: str) -> str:
    """PYSPARK_SUBMIT_ARGS for a short life."""
    settings = " ".join(f"--conf {key}={value}" for key, value in {**SMALL, **conf}.items())
    return f"--master {master} --driver-memory 1g --driver-java-options '{SHORT_LIFE}' {settings} "


@contextmanager
def program(
    project: Project,
    *arguments: str,
    code: Path | None = None,
    point: str | None = None,
    **environment: str,
) -> Iterator[subprocess.Popen[str]]:
    """Start a command; at the end of the block it is waited for.

    Args:
        project: Whose configuration it takes.
        arguments: Command and its arguments.
        code: A program that ends in ``rfm_spark.cli.main``, instead of that alone.
        point: The first argument of that program.
        environment: Beside this process's.
    """
    what = [str(code), str(point)] if code else ["-m", "rfm_spark.cli"]
    command, *others = arguments
    given = {"PYSPARK_SUBMIT_ARGS": submit_args() + "pyspark-shell", **environment}
    with subprocess.Popen(
        [sys.executable, *what, command, "--config", str(project.config), *others],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", **given},
        start_new_session=True,
    ) as process:
        try:
            yield process
        except BaseException:
            kill(process)
            raise
        process.wait()


def said(process: subprocess.Popen[str]) -> str:
    """All that it prints until it ends."""
    assert process.stdout is not None
    text = process.stdout.read()
    process.wait()
    return text


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL for the driver and its JVM."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def start(*command: str, **environment: str) -> str:
    """Run a program to its end, as `make` starts it; gives what it prints."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        env={
            **os.environ,
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_SUBMIT_ARGS": SUBMIT,
            **environment,
        },
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
