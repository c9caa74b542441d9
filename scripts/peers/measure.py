"""Run an engine as a process of its own, and see how long it takes and what memory it holds."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLED_EVERY = 0.2
LAST_LINES = 8
_BLOCK = 1 << 24


@dataclass(frozen=True)
class Measured:
    """What a run took; memory is resident, the largest at any time, in bytes.

    Args:
        seconds: From the start of the process to its end, a JVM's start included.
        memory: Of the process, its children and the cluster's workers together.
        java_memory: Of JVMs among the process and its children: a driver, and what is local to it.
        python_memory: Of all others among them.
        executor_memory: Of the largest worker of a cluster with its executor.
    """

    seconds: float
    memory: int
    java_memory: int
    python_memory: int
    executor_memory: int


class EngineError(Exception):
    """An engine has ended with an error; its log says more."""


def warm(log: Path) -> None:
    """Read the log once, so that it is in the page cache for everyone, as far as it fits there."""
    for file in sorted(log.rglob("*.parquet")):
        with file.open("rb") as opened:
            while opened.read(_BLOCK):
                pass


def measured(
    command: Sequence[str],
    output: Path,
    environment: Mapping[str, str],
    workers: Sequence[int] = (),
) -> Measured:
    """Run a command to its end.

    Args:
        command: What to run.
        output: Where its lines go.
        environment: On top of this process's own.
        workers: Process ids of a cluster's workers, whose executors are watched too.

    Raises:
        EngineError: The command did not end with 0.
    """
    start = time.monotonic()
    most = [0, 0, 0, 0]
    with output.open("wb") as lines:
        process = subprocess.Popen(
            list(command), stdout=lines, stderr=lines, env={**os.environ, **environment}
        )
        try:
            while process.poll() is None:
                java, python = _resident(process.pid)
                executors = [sum(_resident(worker)) for worker in workers]
                now = [java + python + sum(executors), java, python, max(executors, default=0)]
                most = list(map(max, most, now))
                time.sleep(SAMPLED_EVERY)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    seconds = time.monotonic() - start
    if process.returncode:
        last = output.read_text(errors="replace").strip().splitlines()[-LAST_LINES:]
        raise EngineError(
            f"{' '.join(command[1:4])} ended with {process.returncode}; {output} ends with:\n"
            + "\n".join(last)
        )
    return Measured(seconds, *most)


def _resident(root: int) -> tuple[int, int]:
    """Resident bytes of JVMs, and of all else, from this process down.

    A child that still bears its parent's command line is about to start another program, and its
    memory is the parent's.
    """
    java = python = 0
    commands: dict[int, list[str]] = {}
    with suppress(psutil.Error):
        for process in [psutil.Process(root), *psutil.Process(root).children(recursive=True)]:
            with suppress(psutil.Error):  # it may have ended meanwhile
                commands[process.pid] = process.cmdline()
                if commands[process.pid] == commands.get(process.ppid()):
                    continue
                size = process.memory_info().rss
                if "java" in process.name():
                    java += size
                else:
                    python += size
    return java, python
