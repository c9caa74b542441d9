"""One run at a time writes a store.

The ledger is the lock. A run takes its turn by the commit of its first row, which Delta lets only
one of several runs make, and its last row gives the turn back. A run that was killed gives nothing
back: whoever comes next finds out whether it lives, on the same machine by its process, elsewhere
by the sign that a run gives every minute. Turns are numbered, and what a run writes bears its
number, so that one that was taken for dead cannot write over a later one (``tables.Fence``).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from functools import cache
from pathlib import Path

from pyspark import inheritable_thread_target
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.added_jars import see_added_jars
from rfm_spark.errors import ConflictError
from rfm_spark.pipeline.context import Context

ENDED = ("succeeded", "failed")
SIGN_SECONDS = 60.0
DEAD_SECONDS = 300.0
# Clocks of two machines differ by less.
_LONG_AGO = 900.0
_ASK_SECONDS = 2.0
_active: set[str] = set()


class _Life(Enum):
    """What is known of the process of a run that has not ended."""

    DEAD = "dead"
    ALIVE = "alive"
    UNKNOWN = "unknown"


@dataclass
class _Watch:
    """What was seen of a run on another machine, and since when nothing new."""

    signs: int | None = None
    since: float = field(default_factory=time.monotonic)


@contextmanager
def turn(context: Context, first_row: Callable[[], DataFrame], patience: float) -> Iterator[None]:
    """Hold the store for one run: nobody else writes it meanwhile.

    Args:
        context: The run; it gets the number of its turn.
        first_row: Gives the run's first row of ``runs``, once the number is known.
        patience: Seconds to wait for a run that is at work. One of another machine that gives no
            sign is waited for in any case, until it counts as dead.

    Raises:
        ConflictError: Another run was at work all that time; nothing was done.
    """
    _take(context, first_row, patience)
    run_id = context.run.run_id
    _active.add(run_id)
    stop = threading.Event()
    signs = threading.Thread(
        target=inheritable_thread_target(context.spark)(_give_signs),
        args=(context, stop),
        name="rfm_spark signs",
        daemon=True,
    )
    signs.start()
    try:
        yield
    finally:
        stop.set()
        signs.join()
        _active.discard(run_id)


def _take(context: Context, first_row: Callable[[], DataFrame], patience: float) -> None:
    begun = time.monotonic()
    watched, watch, told = None, _Watch(), None
    while True:
        version = context.store.created(schemas.RUNS)
        holder = _holder(context, version)
        if holder is not None and holder["run_id"] != watched:
            watched, watch = holder["run_id"], _Watch()
        life = _Life.DEAD if holder is None else _life(context, holder, watch)
        if holder is None or life is _Life.DEAD:
            context.run.turn = version + 1
            if context.store.take_turn(schemas.RUNS, first_row(), context.run.run_id, version + 1):
                return
            continue
        if life is _Life.ALIVE and time.monotonic() - begun >= patience:
            raise ConflictError(
                f"another run is at work in {context.store.location}: {_about(holder)}; nothing "
                "was done. Run the command again when it has ended, or let it --wait longer"
            )
        if told != watched:
            context.display.note(f"waiting for another run: {_about(holder)}")
            told = watched
        time.sleep(_ASK_SECONDS)


def _holder(context: Context, version: int) -> Row | None:
    """The run whose turn it is, None where the last one has ended."""
    runs = context.store.read_version(schemas.RUNS.name, version)
    taken = runs.where(F.col("turn").isNotNull() & (F.col("status") != "stale"))
    started = F.unix_seconds("started").alias("started")
    at = F.date_format("started", "yyyy-MM-dd HH:mm:ss").alias("at")
    run = F.struct("run_id", "command", "snapshot_date", "process", started, at)
    last = F.max_by(run, "turn")
    by_run = taken.groupBy("turn").agg(
        last.alias("run"), F.bool_or(F.col("status").isin(*ENDED)).alias("has_ended")
    )
    newest = by_run.orderBy(F.desc("turn")).limit(1).collect()
    if not newest or newest[0]["has_ended"]:
        return None
    holder: Row = newest[0]["run"]
    return holder


def _life(context: Context, holder: Row, watch: _Watch) -> _Life:
    machine, _, pid = (holder["process"] or "").rpartition("/")
    if machine == _machine():
        if int(pid) == os.getpid():
            return _Life.ALIVE if holder["run_id"] in _active else _Life.DEAD
        return _Life.ALIVE if _process_lives(int(pid)) else _Life.DEAD
    sign = _sign_of(context, holder["run_id"])
    signs, given = (sign["signs"], sign["given"]) if sign else (0, holder["started"])
    if time.time() - given > _LONG_AGO:
        return _Life.DEAD
    if watch.signs is None:
        watch.signs, watch.since = signs, time.monotonic()
    elif watch.signs != signs:
        return _Life.ALIVE
    elif time.monotonic() - watch.since > DEAD_SECONDS:
        return _Life.DEAD
    return _Life.UNKNOWN


def _sign_of(context: Context, run_id: str) -> Row | None:
    table = context.store.read_or_none(schemas.RUN_SIGNS.name)
    if table is None:
        return None
    own = table.where(F.col("run_id") == run_id)
    found = own.select("signs", F.unix_seconds("given").alias("given")).collect()
    return found[0] if found else None


def _give_signs(context: Context, stop: threading.Event) -> None:
    """Say every minute that the run is at work, until it ends."""
    signs = 0
    see_added_jars(context.spark)
    while not stop.wait(SIGN_SECONDS):
        signs += 1
        row = (context.run.run_id, signs, datetime.now(timezone.utc))
        with suppress(Exception):  # a sign that is missed is no reason to end the run
            frame = context.spark.createDataFrame([row], schemas.RUN_SIGNS.ddl).repartition(1)
            context.store.replace_beside(schemas.RUN_SIGNS, frame, context.run.run_id)


def this_process() -> str:
    """Machine and process, so that a run on the same machine can tell whether it lives."""
    return f"{_machine()}/{os.getpid()}"


@cache
def _machine() -> str:
    """The host and, on Linux, its boot and its space of process numbers (containers have own)."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8])
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return ":".join(parts)


def _process_lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether a process was killed, and only its parent has not noticed yet."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


def _about(holder: Row) -> str:
    day = f" of {holder['snapshot_date']}" if holder["snapshot_date"] else ""
    host = (holder["process"] or "").partition(":")[0]
    run = f"run {holder['run_id'][:8]}"
    return f"{holder['command']}{day} on {host}, since {holder['at']} ({run})"
