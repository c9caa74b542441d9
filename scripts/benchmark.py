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
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from peers.engines import ENGINES, RFM, Comparison, Options, Row
from peers.order_log import Plan, make_log

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))
from rfm_spark.display import TerminalDisplay  # noqa: E402

GIB = 1 << 30
LINES_A_PARTITION = 1_500_000


def main() -> int:
    """Make the logs, run the engines, compare, print."""
    asked = _arguments()
    rows: list[Row] = []
    wrong: list[str] = []
    for lines in asked.lines:
        folder = asked.folder / f"{lines}"
        plan = Plan(lines, asked.customers or max(20, lines // 11), asked.days, asked.seed)
        log = make_log(folder, plan, tell)
        comparison = Comparison(plan, log, folder, _options(asked, lines), tell)
        comparison.run()
        rows += comparison.rows
        wrong += comparison.wrong
        if not asked.keep:
            for place in folder.iterdir():
                if place.name in {row.engine for row in rows}:
                    shutil.rmtree(place)
    show(rows)
    for sentence in wrong:
        print(f"DISAGREEMENT  {sentence}")
    if not wrong:
        print("all results agree")
    if asked.json:
        figures = {"rows": [asdict(row) for row in rows], "wrong": wrong, "machine": _machine()}
        asked.json.write_text(json.dumps(figures, indent=1))
    return 1 if wrong else 0


def _options(asked: argparse.Namespace, lines: int) -> Options:
    return Options(
        engines=asked.engines,
        k_range=tuple(asked.k_range),
        seed=asked.seed,
        master=asked.master,
        driver_memory=asked.driver_memory,
        properties=asked.properties.resolve(),
        shuffle_partitions=asked.shuffle_partitions or max(8, lines // LINES_A_PARTITION),
        duckdb_memory=asked.duckdb_memory,
    )


def tell(line: str) -> None:
    """A line for people, as soon as it is known."""
    print(line, flush=True)


def show(rows: Sequence[Row]) -> None:
    """Print the table: seconds as such and over those of rfm_spark for the same work."""
    ours = {(row.lines, row.work): row.took for row in rows if row.engine == RFM}
    cells = []
    for row in rows:
        line: list[Any] = [f"{row.lines:,} lines, {row.work}: {row.engine}"]
        if row.took is None:
            cells.append([*line, None, None, None, None, None, row.note])
            continue
        base = ours.get((row.lines, row.work))
        steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in row.steps.items())
        cells.append(
            [
                *line,
                f"{row.took.seconds:.1f}",
                f"{row.took.seconds / base.seconds:.2f}" if base else None,
                f"{row.took.memory / GIB:.2f}",
                f"{row.took.java_memory / GIB:.2f}",
                row.chosen_k,
                steps,
            ]
        )
    headings = ("", "seconds", "over rfm_spark's", "peak GiB", "of it JVM", "k", "seconds by step")
    TerminalDisplay().table("what it takes", headings, cells)


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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--lines", type=_numbers, default=[50_000_000], help="or several: 1000000,4000000")
    add("--customers", type=int, help="a line in 11 by default")
    add("--days", type=int, default=90)
    add("--engines", type=_names, default=list(ENGINES), help=",".join(ENGINES))
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
    asked = parser.parse_args()
    asked.folder = asked.folder.resolve()
    return asked


if __name__ == "__main__":
    sys.exit(main())
