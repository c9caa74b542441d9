"""Start each engine on a log, one after the other, and compare what they find."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import psutil

from peers import agreement, rfm_store
from peers.cluster import standalone
from peers.measure import EngineError, Measured, measured, warm
from peers.options import DUCKDB, PANDAS, RFM, TEXTBOOK, Options, Row
from peers.order_log import FIRST_SNAPSHOT, Plan, bring_tomorrow, take_back
from peers.result import Result

PROJECT = Path(__file__).parents[2]
MODULES = {
    TEXTBOOK: "peers.textbook",
    DUCKDB: "peers.duckdb_sklearn",
    PANDAS: "peers.pandas_recipe",
}
PANDAS_BYTES_A_LINE = 320
COLD, NEXT_DAY = "first day", "next day"
NEXT_SNAPSHOT = FIRST_SNAPSHOT + timedelta(days=1)


@dataclass
class Comparison:
    """Engines on one log; ``rows`` and ``wrong`` grow with each run.

    Args:
        plan: What the log was made from.
        log: Its folder.
        folder: Where stores and results go.
        options: How engines are run.
        tell: Takes a line for people.
    """

    plan: Plan
    log: Path
    folder: Path
    options: Options
    tell: Callable[[str], None]
    rows: list[Row] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        """All engines on the first day, then the next day; results are compared after each."""
        take_back(self.log)
        self.clear()
        found = {name: self._cold(name) for name in self.options.engines}
        first = {name: result for name, result in found.items() if result}
        self._compare(COLD, first, self.plan.days)
        bring_tomorrow(self.log)
        try:
            self._next_day(first)
        finally:
            take_back(self.log)

    def clear(self) -> None:
        """Remove what runs have left."""
        shutil.rmtree(self._place(), ignore_errors=True)

    def _place(self, name: str = "") -> Path:
        return self.folder / "runs" / name.replace(", ", "_").replace(" ", "_")

    def _cold(self, name: str) -> Result | None:
        if name == RFM:
            return self._rfm_spark(COLD, FIRST_SNAPSHOT)
        if name == PANDAS and (reason := too_large(self.plan.lines)):
            self._add(COLD, name, None, note=reason)
            return None
        return self._peer(COLD, name, FIRST_SNAPSHOT, name)

    def _next_day(self, first: Mapping[str, Result]) -> None:
        second = {}
        if RFM in first and (result := self._rfm_spark(NEXT_DAY, NEXT_SNAPSHOT)):
            second[RFM] = result
        if DUCKDB in first:
            model = ("--model", str(self._place(DUCKDB) / "result.json"))
            for name, more in ((f"{DUCKDB}, known model", model), (f"{DUCKDB}, new sweep", ())):
                if result := self._peer(NEXT_DAY, DUCKDB, NEXT_SNAPSHOT, name, more):
                    second[name] = result
        self._compare(NEXT_DAY, second, self.plan.days + 1)

    def _rfm_spark(self, work: str, snapshot_date: date) -> Result | None:
        place = self._place(RFM)
        config = rfm_store.configure(place, self.log, self.options.k_range)
        command = [
            *(sys.executable, "-m", "rfm_spark.cli", "run", "--config", str(config)),
            *("--snapshot-date", str(snapshot_date), "--log-format", "json"),
        ]
        lines = place / f"{snapshot_date}.log"
        took = self._measured(work, RFM, command, lines)
        if took is None:
            return None
        steps = rfm_store.stages(lines)
        result = rfm_store.stored_result(place / "store", snapshot_date, steps)
        self._add(work, RFM, took, steps=steps, chosen_k=result.chosen_k)
        return result

    def _peer(
        self, work: str, engine: str, day: date, name: str, more: Sequence[str] = ()
    ) -> Result | None:
        place = self._place(name)
        place.mkdir(parents=True)
        smallest, largest = self.options.k_range
        command = [
            *(sys.executable, "-m", MODULES[engine], "--log", str(self.log), "--out", str(place)),
            *("--snapshot-date", str(day), "--first-day", str(self.plan.first_day)),
            *("--k", str(smallest), str(largest), "--seed", str(self.options.seed), *more),
        ]
        if engine == DUCKDB:
            command += ["--memory", self.options.duckdb_memory]
        took = self._measured(work, name, command, place / "lines.log")
        if took is None:
            return None
        result = Result.load(place / "result.json")
        self._add(work, name, took, steps=result.seconds, chosen_k=result.chosen_k)
        return result

    def _measured(self, work: str, name: str, command: list[str], lines: Path) -> Measured | None:
        """What a run took; None where it failed, which is then said."""
        self.tell(f"{self.plan.lines:,} lines, {work}: {name}")
        warm(self.log)
        options, cluster = self.options, None
        paths = [str(PROJECT), str(PROJECT / "scripts"), os.environ.get("PYTHONPATH", "")]
        try:
            with ExitStack() as stack:
                if options.executors and name in (RFM, TEXTBOOK):
                    place = lines.parent / "workers"
                    cluster = stack.enter_context(
                        standalone(options.executors, options.executor_gib, place)
                    )
                environment = {"PYTHONPATH": os.pathsep.join(paths)} | options.spark_environment(
                    cluster
                )
                workers = cluster.workers if cluster else ()
                took = measured(command, lines, environment, workers)
        except EngineError as error:
            self.wrong.append(f"{work}, {name}: {error}")
            self._add(work, name, None, note="failed")
            return None
        self.tell(f"  {took.seconds:.1f} s, {took.memory / 2**30:.1f} GiB")
        return took

    def _add(
        self,
        work: str,
        engine: str,
        took: Measured | None,
        *,
        steps: Mapping[str, float] | None = None,
        chosen_k: int | None = None,
        note: str = "",
    ) -> None:
        of = self.options.executors
        work = f"{work}, {of} executor{'s' * (of > 1)}" if of else work
        lines, days = self.plan.lines, self.plan.days
        self.rows.append(Row(lines, days, work, engine, took, steps or {}, chosen_k, note))

    def _compare(self, work: str, results: Mapping[str, Result], missing_recency: int) -> None:
        if not results:
            return
        (name, ours), *others = results.items()
        for other, theirs in others:
            different = agreement.disagreements(ours, theirs)
            self.wrong += [f"{work}, {name} and {other}: {line}" for line in different]
        evaluated = agreement.costs(results, ours.chosen_k, missing_recency)
        if work == COLD:
            self.wrong += agreement.wrong_costs(results, ours.chosen_k, evaluated)
            if name == RFM:
                self.wrong += agreement.poor_fits(ours, dict(others))
        shown = ", ".join(f"{name} {cost:,.0f}" for name, cost in evaluated.items())
        self.tell(f"  WCSS of everybody's centroids for k = {ours.chosen_k}: {shown}")


def too_large(lines: int) -> str:
    """Why pandas is left out; empty: the log fits in this machine's memory."""
    needed, there = lines * PANDAS_BYTES_A_LINE, psutil.virtual_memory().available
    if needed <= there:
        return ""
    return f"left out: needs about {needed / 2**30:.0f} GiB, {there / 2**30:.0f} are free"
