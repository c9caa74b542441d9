"""Make an order log of any size: one folder per day, skewed customers, and dirt in known shares.

Columns: user_id (bigint, null where it is missing), order_id (bigint), line_number, product_id,
ordered_at (timestamp without zone, in order of time within a file), amount (decimal(12,2), below 0
for a refund, null where it is missing), and log_date, the folder. Everything is drawn by hashes of
an order's number, so that the same plan gives the same files.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb

MISSING_IDS = 0.005
DUPLICATES = 0.01
REFUNDS = 0.02
MISSING_AMOUNTS = 0.001
HEAVY_CUSTOMERS = 0.001
"""Share of the customers who order :data:`HEAVY_WEIGHT` times as often as others."""
HEAVY_WEIGHT = 100
LINES_AN_ORDER = 2  # one to three
LINES_A_FILE = 1_500_000
FIRST_SNAPSHOT = date(2026, 1, 1)
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Plan:
    """What a log is made of.

    Args:
        lines: Rows of all days but the last one, about.
        customers: Who may order; a few of them never do.
        days: Before the snapshot date. One more is made, and kept apart until it has come.
        seed: 0 to 1000; another one draws another log.
    """

    lines: int
    customers: int
    days: int
    seed: int

    @property
    def orders_a_day(self) -> int:
        """So many that lines and duplicates add up to ``lines``."""
        return max(1, round(self.lines / self.days / LINES_AN_ORDER / (1 + DUPLICATES)))

    @property
    def first_day(self) -> date:
        """The oldest day of the log."""
        return FIRST_SNAPSHOT - timedelta(days=self.days)


def make_log(folder: Path, plan: Plan, tell: Callable[[str], None]) -> Path:
    """Write ``folder/log`` and ``folder/tomorrow``, unless they are there from the same plan.

    The manifest is written last, so that a log without one is made anew.

    Returns:
        The folder of the log, without the day that is still to come.
    """
    made = asdict(plan) | {"duckdb": duckdb.__version__}
    manifest = folder / MANIFEST
    log, tomorrow = folder / "log", folder / "tomorrow"
    if manifest.exists() and json.loads(manifest.read_text()) == made:
        tell(f"the log is there already, in {log}")
        take_back(log)
        return log
    manifest.unlink(missing_ok=True)
    for old in (log, tomorrow):
        shutil.rmtree(old, ignore_errors=True)
    tell(f"making a log of {plan.lines:,} lines in {log}")
    connection = duckdb.connect()
    connection.execute("SET memory_limit = '4GB'")
    for number in range(plan.days + 1):
        _write_day(connection, tomorrow if number == plan.days else log, plan, number)
    connection.close()
    manifest.write_text(json.dumps(made))
    return log


def bring_tomorrow(log: Path) -> None:
    """The next day comes: its folder moves into the log."""
    for day in (log.parent / "tomorrow").glob("log_date=*"):
        day.rename(log / day.name)


def take_back(log: Path) -> None:
    """The log as it was the day before."""
    day = log / f"log_date={FIRST_SNAPSHOT}"
    if day.exists():
        (log.parent / "tomorrow").mkdir(exist_ok=True)
        day.rename(log.parent / "tomorrow" / day.name)


def linked_history(log: Path, folder: Path, days: int) -> Path:
    """A log of the newest ``days`` only, made of hard links.

    Returns:
        Its folder; its next day waits beside it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    newest = sorted(log.glob("log_date=*"))[-days:]
    for kind, found in (("log", newest), ("tomorrow", [*log.parent.glob("tomorrow/log_date=*")])):
        for day in found:
            shutil.copytree(day, folder / kind / day.name, copy_function=os.link)
    return folder / "log"


def _write_day(
    connection: duckdb.DuckDBPyConnection, folder: Path, plan: Plan, number: int
) -> None:
    """The files of one day, each with the orders of a part of it, and copies of rows at its end."""
    day = plan.first_day + timedelta(days=number)
    place = folder / f"log_date={day}"
    place.mkdir(parents=True)
    parts = max(1, -(-plan.orders_a_day * LINES_AN_ORDER // LINES_A_FILE))
    first = number * plan.orders_a_day
    edges = [first + plan.orders_a_day * part // parts for part in range(parts + 1)]
    for part, (start, end) in enumerate(pairwise(edges)):
        rows = _rows(plan, day, first, start, end)
        connection.execute(f"COPY ({rows}) TO '{place}/part-{part:03}.parquet' (FORMAT parquet)")


def _rows(plan: Plan, day: date, first: int, start: int, end: int) -> str:
    heavy = max(1, round(plan.customers * HEAVY_CUSTOMERS))
    light = max(1, plan.customers - heavy)
    heavy_share = heavy * HEAVY_WEIGHT / (heavy * HEAVY_WEIGHT + light)

    def draw(number: str, what: int) -> str:
        """In [0, 1). A hash of one whole number is even; hashes of two columns are not."""
        mixed = f"hash({plan.seed * 10**15} + {number} * 16 + {what})"
        return f"(({mixed} >> 11)::DOUBLE / 9007199254740992)"

    normal = f"sqrt(-2 * ln(1 - {draw('line', 6)})) * cos(2 * pi() * {draw('line', 7)})"
    return f"""
        WITH orders AS (
            SELECT n,
                CASE WHEN {draw("n", 0)} < {heavy_share}
                    THEN floor({draw("n", 1)} * {heavy})
                    ELSE {heavy} + floor(pow({draw("n", 1)}, 1.5) * {light}) END::BIGINT AS place,
                unnest(range(1, 2 + floor({draw("n", 8)} * 3)::BIGINT)) AS line_number
            FROM range({start}, {end}) AS numbers(n)
        ), lines AS MATERIALIZED (
            SELECT n, place, line_number, n * 4 + line_number AS line FROM orders
        ), log AS MATERIALIZED (
            SELECT
                -- Who orders often does not have a small id: a step that meets every customer once.
                CASE WHEN {draw("line", 2)} >= {MISSING_IDS}
                    THEN place * 2147483647 % {plan.customers} + 1 END AS user_id,
                n + 1 AS order_id,
                line_number::INTEGER AS line_number,
                floor({draw("line", 9)} * 5000)::INTEGER AS product_id,
                TIMESTAMP '{day}' + to_seconds((n - {first}) * 86400 // {plan.orders_a_day})
                    AS ordered_at,
                CASE WHEN {draw("line", 3)} >= {MISSING_AMOUNTS} THEN
                    (greatest(0.01, exp(2.5 + 0.9 * {normal}))
                    * if({draw("line", 4)} < {REFUNDS}, -1, 1))::DECIMAL(12, 2) END AS amount,
                {draw("line", 5)} < {DUPLICATES} AS is_sent_twice
            FROM lines
        )
        SELECT * EXCLUDE (is_sent_twice) FROM log
        UNION ALL SELECT * EXCLUDE (is_sent_twice) FROM log WHERE is_sent_twice
    """
