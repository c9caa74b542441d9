"""What people see while a command runs: a terminal, or lines of JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

_WIDEST = 120
_SHORT = 20
_QUIET_SECONDS = 15


@dataclass(frozen=True)
class SegmentLine:
    """A segment as the closing table shows it."""

    segment: str
    customers: int
    share: float
    revenue: Decimal
    revenue_share: float | None
    action: str
    insight: str
    aum_per_day: float | None


class TerminalDisplay:
    """Stages, tables and seconds as they come, and a table of segments at the end."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or _console()
        self._status: Status | None = None
        self._stage = ""
        self._last_line = time.monotonic()

    def run(self, run_id: str) -> None:
        """A run begins; people find it in `runs`."""

    def stage(self, name: str, about: str) -> None:
        """A stage begins."""
        self._print(f"[bold]{escape(name)}[/bold]  {escape(about)}")
        self._stage = name

    def stage_done(self, name: str, seconds: float) -> None:
        """A stage has ended, well or not; people see the next line."""

    def working(self, what: str) -> None:
        """Something that takes a while is under way."""
        if self.console.is_terminal:
            if self._status is None:
                self._status = self.console.status("")
                self._status.start()
            self._status.update(f"{escape(self._stage)}: {escape(what)}")
        elif time.monotonic() - self._last_line > _QUIET_SECONDS:
            self._print(f"  ... {escape(what)}")

    def wrote(self, stage: str | None, table: str, rows: int, seconds: float) -> None:
        """A table was written."""
        self._print(f"  {table:<24}{rows:>14,} rows  {seconds:>7.1f} s")

    def note(self, text: str) -> None:
        """Something that the reader should know."""
        self._print(f"  {escape(text)}")

    def warn(self, text: str) -> None:
        """Something that the reader should look at."""
        self._print(f"  [yellow]warning:[/yellow] {escape(text)}")

    def segments(
        self, title: str, lines: Sequence[SegmentLine], currency: str, remarks: Sequence[str]
    ) -> None:
        """The segments of a date as a table, best first, and what to know of all of them."""
        has_aum = any(line.aum_per_day is not None for line in lines)
        table = Table(title=escape(title), title_justify="left", title_style="bold", box=None)
        table.add_column("segment", no_wrap=True)
        unit = f" ({currency})" if currency else ""
        headings = ["customers", "share", f"revenue{unit}", "share"]
        headings += [f"AUM per day{unit}"] if has_aum else []
        for heading in headings:
            table.add_column(escape(heading), justify="right", no_wrap=True)
        table.add_column("what to do, and why")
        for line in lines:
            part = "" if line.revenue_share is None else f"{line.revenue_share:.1%}"
            cells = [f"{line.customers:,}", f"{line.share:.1%}", f"{line.revenue:,.2f}", part]
            if has_aum:
                cells.append("" if line.aum_per_day is None else f"{line.aum_per_day:,.2f}")
            words = f"{escape(line.action)}\n[dim]{escape(line.insight)}[/dim]"
            table.add_row(escape(line.segment), *cells, words)
        self._show(table)
        for remark in remarks:
            self.console.print(f" {escape(remark)}", soft_wrap=True)

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Any figures as a table; the first column is text."""
        table = Table(title=escape(title), title_justify="left", title_style="bold", box=None)
        shown = [[_shown(cell) for cell in row] for row in rows]
        for place, heading in enumerate(headings):
            is_short = all(len(line[place]) <= _SHORT for line in shown)
            table.add_column(
                escape(heading),
                justify="right" if place else "left",
                no_wrap=not place or is_short,
            )
        for line in shown:
            table.add_row(*map(escape, line))
        self._show(table)

    def done(self, seconds: float, store: str) -> None:
        """The command has succeeded."""
        self._stop()
        self.console.print(
            f"\ndone in {seconds:.0f} s; Delta tables in {escape(store)}", soft_wrap=True
        )

    def failed(self, message: str) -> None:
        """The command has ended with an error."""
        self._stop()
        Console(stderr=True, soft_wrap=True).print(
            f"[red]error:[/red] {escape(message)}", highlight=False
        )

    def _show(self, table: Table) -> None:
        self._stop()
        self.console.print()
        self.console.print(table)

    def _print(self, text: str) -> None:
        self._stop()
        self.console.print(text, soft_wrap=True)
        self._last_line = time.monotonic()

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class JsonDisplay:
    """One JSON object per line on standard output, for log collectors."""

    def __init__(self) -> None:
        self._run: str | None = None
        self._stage: str | None = None

    def run(self, run_id: str) -> None:
        """A run begins; what follows is about it."""
        self._run = run_id

    def stage(self, name: str, about: str) -> None:
        """A stage begins."""
        self._stage = name
        self._line("stage", about=about)

    def stage_done(self, name: str, seconds: float) -> None:
        """A stage has ended, well or not."""
        self._line("stage_done", stage=name, seconds=round(seconds, 3))
        self._stage = None

    def working(self, what: str) -> None:
        """Something that takes a while is under way."""
        self._line("working", what=what)

    def wrote(self, stage: str | None, table: str, rows: int, seconds: float) -> None:
        """A table was written."""
        self._line("wrote", stage=stage, table=table, rows=rows, seconds=round(seconds, 3))

    def note(self, text: str) -> None:
        """Something that the reader should know."""
        self._line("note", text=text)

    def warn(self, text: str) -> None:
        """Something that the reader should look at."""
        self._line("warning", text=text)

    def segments(
        self, title: str, lines: Sequence[SegmentLine], currency: str, remarks: Sequence[str]
    ) -> None:
        """The segments of a date, best first, and what to know of all of them."""
        listed = [line.__dict__ | {"revenue": str(line.revenue)} for line in lines]
        self._line(
            "segments", title=title, currency=currency, segments=listed, remarks=list(remarks)
        )

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Any figures as records."""
        listed = [dict(zip(headings, row, strict=True)) for row in rows]
        self._line("table", title=title, rows=listed)

    def done(self, seconds: float, store: str) -> None:
        """The command has succeeded."""
        self._line("done", seconds=round(seconds, 3), store=store)

    def failed(self, message: str) -> None:
        """The command has ended with an error."""
        self._line("error", message=message)

    def _line(self, event: str, **values: Any) -> None:
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        record = {"at": at, "event": event, "run_id": self._run, "stage": self._stage}
        sys.stdout.write(json.dumps(record | values, ensure_ascii=False, default=str) + "\n")
        sys.stdout.flush()


def _shown(cell: Any) -> str:
    """A cell for people: money and counts in full, other numbers with the digits that tell."""
    if cell is None:
        return ""
    if isinstance(cell, bool) or not isinstance(cell, (int, float, Decimal)):
        return str(cell)
    if not isinstance(cell, float) or cell == int(cell):
        return f"{cell:,}" if not isinstance(cell, float) else f"{cell:,.0f}"
    if abs(cell) >= 1:
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:,.2f}"  # noqa: PLR2004
    return f"{cell:.3g}"


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal or console.width > _WIDEST:
        console.width = _WIDEST
    return console
