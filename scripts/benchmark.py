"""Time rfm_spark beside what else one would write for the same work, on the same files, in one go.

A log is made (or found), then each engine runs in a process of its own, one after the other: clean
with counts, take exact duplicates out, count distinct orders, add net money up, cut quintiles that
keep ties together, sweep k with silhouettes, write a labelled Delta table.

- rfm_spark on an empty store, and the next day, with one day more;
- textbook: PySpark as tutorials write it, with care for exactness;
- duckdb: DuckDB, scikit-learn and deltalake in one process; the next day with and without a sweep;
- pandas: the published recipe of pandas and scikit-learn, where it fits in memory.

Seconds are those of the whole process, a JVM's start included; memory is the largest resident
memory of the process and its children. Results are compared to the cent and to the edge; where they
differ, it is said and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from peers.engines import Comparison
from peers.options import ENGINES, RFM, Options, Row
from peers.order_log import Plan, linked_history, make_log

from rfm_spark.display import TerminalDisplay

PROJECT = Path(__file__).parents[1]
GIB = 1 << 30
LINES_A_CUSTOMER = 11
LINES_A_PARTITION = 1_500_000
FEWEST_PARTITIONS = 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the logs, run the engines, compare, print."""
    asked = _arguments(arguments)
    rows: list[Row] = []
    wrong: list[str] = []
    for comparison in comparisons(asked):
        comparison.run()
        rows += comparison.rows
        wrong += comparison.wrong
        if not asked.keep:
            comparison.clear()
    show(rows)
    for sentence in wrong:
        print(f"PROBLEM  {sentence}")
    if not wrong:
        print("all results agree" if len(asked.engines) > 1 else "nobody to agree with")
    if asked.json:
        figures = {"rows": [asdict(row) for row in rows], "wrong": wrong, "machine": _machine()}
        asked.json.write_text(json.dumps(figures, indent=1))
    return 1 if wrong else 0


def comparisons(asked: argparse.Namespace) -> Iterator[Comparison]:
    """One for each size of the log, length of history, and number of executors."""
    for lines in asked.lines:
        customers = asked.customers or max(20, lines // LINES_A_CUSTOMER)
        longest = max(asked.history_days or [asked.days])
        lines_a_day = lines / asked.days
        plan = Plan(round(lines_a_day * longest), customers, longest, asked.seed)
        folder = asked.folder / f"{plan.lines}_in_{longest}_days"
        log = make_log(folder, plan, tell)
        for days in asked.history_days or ():
            part = Plan(round(lines_a_day * days), customers, days, asked.seed)
            place = folder / f"{days}_days"
            yield Comparison(
                part, linked_history(log, place, days), place, _options(asked, part.lines), tell
            )
        if not asked.history_days:
            for executors in asked.executors or [0]:
                options = _options(asked, lines, executors)
                yield Comparison(plan, log, folder, options, tell)


def _options(asked: argparse.Namespace, lines: int, executors: int = 0) -> Options:
    return Options(
        engines=asked.engines,
        k_range=tuple(asked.k_range),
        seed=asked.seed,
        master=asked.master,
        driver_memory=asked.driver_memory,
        properties=asked.properties.resolve(),
        shuffle_partitions=asked.shuffle_partitions
        or max(FEWEST_PARTITIONS, lines // LINES_A_PARTITION),
        duckdb_memory=asked.duckdb_memory,
        executors=executors,
        executor_gib=asked.executor_gib,
    )


def tell(line: str) -> None:
    """A line for people, as soon as it is known."""
    print(line, flush=True)


def show(rows: Sequence[Row]) -> None:
    """Print the table: seconds as such, and over those of rfm_spark for the same work."""
    ours = {(row.lines, row.work): row.took for row in rows if row.engine == RFM}
    cells: list[list[Any]] = []
    for row in rows:
        line: list[Any] = [row.engine, row.work, f"{row.lines:,}", row.days]
        if row.took is None:
            cells.append([*line, row.note])
            continue
        base = ours.get((row.lines, row.work))
        memory = (row.took.memory, row.took.java_memory, row.took.executor_memory)
        cells.append(
            [
                *line,
                f"{row.took.seconds:.1f}",
                f"{row.took.seconds / base.seconds:.2f}" if base else None,
                *(f"{size / GIB:.2f}" if size else None for size in memory),
                row.chosen_k,
            ]
        )
    headings = ["engine", "work", "lines", "days", "seconds", "to rfm_spark"]
    headings += ["GiB", "JVM", "executor", "k"]
    filled = [[*cell, *[None] * (len(headings) - len(cell))] for cell in cells]
    TerminalDisplay().table("What it takes", headings, filled)
    for row in rows:
        steps = ", ".join(f"{name} {taken:.1f} s" for name, taken in row.steps.items())
        print(f"{row.engine}, {row.work}, {row.lines:,} lines: {steps or row.note}")
    for sentence in growth(rows):
        print(sentence)


def growth(rows: Sequence[Row]) -> list[str]:
    """How rfm_spark's seconds grow from the smallest to the largest, for the same work."""
    found = []
    for work in dict.fromkeys(row.work for row in rows):
        mine = [row for row in rows if row.engine == RFM and row.work == work and row.took]
        for small, large in pairwise(mine):
            if small.took and large.took:
                ratio = large.took.seconds / small.took.seconds
                found.append(
                    f"{work}: {large.lines:,} lines in {large.days} days take {ratio:.2f} x the "
                    f"time of {small.lines:,} lines in {small.days} days"
                )
    return found


def _machine() -> dict[str, Any]:
    return {
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "python": sys.version.split()[0],
    }


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in ENGINES]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there are {', '.join(ENGINES)}")
    return names


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--lines", type=_numbers, default=[50_000_000], help="or several: 1000000,4000000")
    add("--customers", type=int, help="a line in 11 by default")
    add("--days", type=int, default=90)
    add("--engines", type=_names, help=f"by default {','.join(ENGINES)}, or rfm_spark alone with:")
    add("--history-days", type=_numbers, help="90,365: as many lines a day, so many days before")
    add(
        "--executors",
        type=_numbers,
        help="1,2: on a standalone cluster, a core each",
    )
    add("--executor-gib", type=int, default=4, help="heap of each")
    add("--folder", type=Path, default=Path(tempfile.gettempdir()) / "rfm_spark_benchmark")
    add("--seed", type=int, default=1)
    add("--k-range", type=int, nargs=2, default=(2, 10), metavar=("FROM", "TO"))
    add("--master", default="local[*]")
    add("--driver-memory", default="4g")
    add("--properties", type=Path, default=PROJECT / "conf" / "spark" / "local.conf")
    add("--shuffle-partitions", type=int, help="1 for 1,500,000 lines by default, at least 8")
    add("--duckdb-memory", default="12GB")
    add("--json", type=Path, help="write the figures there")
    add("--keep", action="store_true", help="keep stores and results; the log is always kept")
    asked = parser.parse_args(given)
    asked.folder = asked.folder.resolve()
    scale = asked.history_days or asked.executors
    asked.engines = asked.engines or ([RFM] if scale else list(ENGINES))
    return asked


if __name__ == "__main__":
    # What was started has to stop with this program, also when it is told to.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())
