"""Run an engine as a process of its own, and see how long it takes and what memory it holds."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLED_EVERY = 0.2
_BLOCK = 1 << 24


@dataclass(frozen=True)
class Measured:
    """What a run took.

    Args:
        seconds: From the start of the process to its end, a JVM's start included.
        memory: Largest resident memory of the process and its children together, in bytes.
        java_memory: The same of JVMs alone.
        python_memory: The same of all others.
    """

    seconds: float
    memory: int
    java_memory: int
    python_memory: int


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
    *,
    others: Sequence[int] = (),
) -> Measured:
    """Run a command to its end.

    Args:
        command: What to run.
        output: Where its lines go.
        environment: On top of this process's own.
        others: Processes, started before, whose children are also watched: workers of a cluster.

    Raises:
        EngineError: The command did not end with 0.
    """
    start = time.monotonic()
    most = java_most = python_most = 0
    with output.open("wb") as lines:
        process = subprocess.Popen(
            list(command), stdout=lines, stderr=lines, env={**os.environ, **environment}
        )
        try:
            while process.poll() is None:
                java, python = _resident([process.pid, *others])
                java_most, python_most = max(java_most, java), max(python_most, python)
                most = max(most, java + python)
                time.sleep(SAMPLED_EVERY)
        except BaseException:
            process.terminate()
            raise
    seconds = time.monotonic() - start
    if process.returncode:
        last = output.read_text(errors="replace").strip().splitlines()[-8:]
        raise EngineError(
            f"{' '.join(command[:4])} ... ended with {process.returncode}; {output} ends with:\n"
            + "\n".join(last)
        )
    return Measured(seconds, most, java_most, python_most)


def _resident(roots: Sequence[int]) -> tuple[int, int]:
    """Resident bytes of JVMs, and of all else, below these processes."""
    java = python = 0
    seen: set[int] = set()
    for root in roots:
        try:
            found = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
        except psutil.Error:
            continue
        for process in found:
            if process.pid in seen:
                continue
            seen.add(process.pid)
            try:
                size, name = process.memory_info().rss, process.name()
            except psutil.Error:  # it has ended meanwhile
                continue
            if "java" in name:
                java += size
            else:
                python += size
    return java, python
