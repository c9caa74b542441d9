"""One run at a time writes a store.

The ledger is the lock. A run takes its turn by the commit of its first row, which Delta lets only
one of several runs make, and its last row gives the turn back. A run that was killed gives nothing
back: whoever comes next finds out whether it lives, on the same machine by its process, elsewhere
by the sign that a run gives every minute. Turns are numbered, and what a run writes bears its
number, so that one that was taken for dead cannot write over a later one (``tables.Fence``).

Signs are properties of the table ``run_signs``: such a commit needs no task of a cluster that is
busy with the run itself.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from pathlib import Path

import psutil
from pyspark import inheritable_thread_target
from pyspark.sql import DataFrame

from rfm_spark import schemas
from rfm_spark.added_jars import see_added_jars
from rfm_spark.errors import ConflictError
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.ledger_entries import Entry, read_entries

ENDED = ("succeeded", "failed")
SIGN_SECONDS = 60.0
DEAD_SECONDS = 300.0
# Clocks of two machines differ by less.
_LONG_AGO = 900.0
# When a process began is told by the clock, which may be set.
_CLOCK_STEPS = 60.0
_ASK_SECONDS = 2.0
_SIGN = "rfm_spark.sign."
_active: set[str] = set()


class _Life(Enum):
    """What is known of the process of a run that has not ended."""

    DEAD = "dead"
    SILENT = "taken for dead"
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
    run_id = context.run.run_id
    _active.add(run_id)
    try:
        _take(context, first_row, patience)
        with _signs(context):
            yield
    finally:
        _active.discard(run_id)


def _take(context: Context, first_row: Callable[[], DataFrame], patience: float) -> None:
    begun = time.monotonic()
    watched, watch, told = None, _Watch(), None
    while True:
        context.store.create(schemas.RUNS)
        turn, holder = _newest(context)
        if holder is not None and holder.run_id != watched:
            watched, watch = holder.run_id, _Watch()
        life = _Life.DEAD if holder is None else _life(context, holder, watch)
        if holder is None or life in (_Life.DEAD, _Life.SILENT):
            context.run.turn = turn + 1
            if context.store.take_turn(schemas.RUNS, first_row(), context.run.run_id, turn + 1):
                if life is _Life.SILENT:  # if it only slept, it wakes up to closed doors
                    context.store.fence_off(schemas.TABLE_NAMES, context.run.run_id)
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


def _newest(context: Context) -> tuple[int, Entry | None]:
    """The newest turn, and the run whose turn it is: None where that one has ended."""
    taken = [
        (entry.turn, entry)
        for entry in read_entries(context)
        if entry.turn is not None and entry.status != "stale"
    ]
    newest = max((turn for turn, _ in taken), default=0)
    rows = [entry for turn, entry in taken if turn == newest]
    has_ended = any(entry.status in ENDED for entry in rows)
    return newest, None if has_ended or not rows else rows[0]


def _life(context: Context, holder: Entry, watch: _Watch) -> _Life:
    machine, _, process = (holder.process or "").rpartition("/")
    if machine == _machine():
        is_here = holder.run_id in _active or not _is_own(process)
        return _Life.ALIVE if is_here and _lives(process) else _Life.DEAD
    signs, given = _sign_of(context, holder.run_id) or (0, holder.started // 1_000_000)
    if time.time() - given > _LONG_AGO:
        return _Life.SILENT
    if watch.signs == signs:
        is_silent = time.monotonic() - watch.since > DEAD_SECONDS
        return _Life.SILENT if is_silent else _Life.UNKNOWN
    is_news = watch.signs is not None
    watch.signs, watch.since = signs, time.monotonic()
    return _Life.ALIVE if is_news else _Life.UNKNOWN


def _sign_of(context: Context, run_id: str) -> tuple[int, int] | None:
    """How many signs a run has given, and when the last one (Unix seconds)."""
    sign = context.store.properties(schemas.RUN_SIGNS.name).get(f"{_SIGN}{run_id}")
    if sign is None:
        return None
    signs, given = sign.split()
    return int(signs), int(given)


@contextmanager
def _signs(context: Context) -> Iterator[None]:
    """Signs of life, as long as the block takes."""
    stop = threading.Event()
    thread = threading.Thread(
        target=inheritable_thread_target(context.spark)(_give_signs),
        args=(context, stop),
        name="rfm_spark signs",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _give_signs(context: Context, stop: threading.Event) -> None:
    """Say every minute that the run is at work, until it ends; signs of earlier runs go."""
    signs, own = 0, f"{_SIGN}{context.run.run_id}"
    see_added_jars(context.spark)
    while not stop.wait(SIGN_SECONDS):
        signs += 1
        with suppress(Exception):  # a sign that is missed is no reason to end the run
            context.store.create(schemas.RUN_SIGNS)
            name = schemas.RUN_SIGNS.name
            if signs == 1:
                given = context.store.properties(name)
                old = [key for key in given if key.startswith(_SIGN)]
                context.store.remove_properties(name, old)
            context.store.set_properties(name, {own: f"{signs} {int(time.time())}"})


def this_process() -> str:
    """Machine and process, so that a run on the same machine can tell whether it lives."""
    pid = os.getpid()
    return f"{_machine()}/{pid}:{int(psutil.Process(pid).create_time())}"


@cache
def _machine() -> str:
    """The host, its boot and, on Linux, its space of process numbers (containers have own)."""
    parts = [socket.gethostname(), str(int(psutil.boot_time()))]
    with suppress(OSError):
        parts[1] = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return ":".join(parts)


def _is_own(process: str) -> bool:
    return process.split(":", maxsplit=1)[0] == str(os.getpid())


def _lives(process: str) -> bool:
    """Whether a process of this machine is still there; a number may be used again.

    One that was killed is gone, also where its parent has not noticed yet.
    """
    pid, _, begun = process.partition(":")
    try:
        found = psutil.Process(int(pid))
        is_same = abs(found.create_time() - int(begun)) < _CLOCK_STEPS
        return is_same and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _about(holder: Entry) -> str:
    day = f" of {holder.snapshot_date}" if holder.snapshot_date else ""
    host = (holder.process or "").partition(":")[0]
    run = f"run {holder.run_id[:8]}"
    return f"{holder.command}{day} on {host}, since {holder.at} ({run})"
