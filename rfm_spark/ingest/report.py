"""What ``ingest_report`` says of a source: what was read of each day, and which days are in.

A day with rows has a line with the measure ``read``. Days in between that had none are kept as
runs of days, by their first and last day (``empty_from``, ``empty_to``), so that one row of the
year 1 does not fill the table with two thousand years of zeros.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from rfm_spark.ingest.days import days_between, runs_of_days
from rfm_spark.ingest.measures import EMPTY_FROM, EMPTY_TO, FORGOTTEN, UNDATED_REASONS, Tally

ENDS = (EMPTY_FROM, EMPTY_TO)
_End = tuple[date, str]
"""The first or the last day of a run of days without rows, and which of both it is."""


class Line(NamedTuple):
    """A row of ``ingest_report``, for undated rows without a day."""

    day: date | None
    measure: str
    rows: int
    amount: Decimal


@dataclass(frozen=True)
class Report:
    """The lines of a source."""

    lines: Sequence[Line] = ()

    def days_in(self) -> set[date]:
        """Days that count as ingested: they, or a later day of the same ingest, had rows."""
        return _days_in(self._days_read(), self._ends())

    def undated_rows(self) -> int:
        """Rows without any day, as the last batch reported them."""
        return sum(line.rows for line in self.lines if line.day is None and line.measure == "read")

    def last_accepted_day(self, upto: date) -> date | None:
        """The last day, up to one, with an accepted row; None where there is none."""
        accepted = (line for line in self.lines if line.measure == "accepted" and line.rows)
        days = (line.day for line in accepted if line.day is not None and line.day <= upto)
        return max(days, default=None)

    def accepted(self, first: date | None, end: date) -> tuple[int, Decimal]:
        """Accepted rows and their money on some days, without those forgotten since.

        Args:
            first: The first day; None for all history.
            end: The day after the last.
        """
        rows, money = 0, Decimal(0)
        for line in self.lines:
            if line.day is None or line.day >= end or (first is not None and line.day < first):
                continue
            sign = {"accepted": 1, FORGOTTEN: -1}.get(line.measure, 0)
            rows, money = rows + sign * line.rows, money + sign * line.amount
        return rows, money

    def renewal(self, tally: Tally, first: date, last: date) -> Renewal:
        """What changes with a range of days that has been read; the tally gets its empty days."""
        ends = self._ends()
        read = {day for day in self._days_read() if not first <= day <= last} | tally.dated_days
        days_in = self.days_in()
        is_followed = any(day > last for day in days_in)
        end = last if is_followed else max(tally.dated_days, default=None)
        days_in = {day for day in days_in if not first <= day <= last}
        if end is not None:
            days_in.update(days_between(first, end))
        runs = runs_of_days(days_in - read)
        wanted = {mark for run in runs for mark in zip(run, ENDS, strict=True)}
        moved = {day for day, _ in ends ^ wanted if not first <= day <= last}
        for day, measure in wanted:
            if first <= day <= last or day in moved:
                tally.add(day, measure, 0, Decimal(0))
        return Renewal(first, last, frozenset(moved))

    def renewed(self, renewal: Renewal, lines: Iterable[Line]) -> Report:
        """With the lines of a range in place of what was there."""
        return Report([*(line for line in self.lines if not renewal.replaces(line)), *lines])

    def _days_read(self) -> set[date]:
        """Days with dated rows."""
        dated: dict[date, int] = defaultdict(int)
        for line in self.lines:
            if line.day is not None:
                sign = {"read": 1, **dict.fromkeys(UNDATED_REASONS, -1)}.get(line.measure, 0)
                dated[line.day] += sign * line.rows
        return {day for day, rows in dated.items() if rows > 0}

    def _ends(self) -> set[_End]:
        return {
            (line.day, line.measure) for line in self.lines if line.day and line.measure in ENDS
        }


@dataclass(frozen=True)
class Renewal:
    """Which lines a range of days replaces.

    Args:
        first: The first day of the range.
        last: The last one.
        moved: Other days at which a run of days without rows begins or ends now, or did before.
    """

    first: date
    last: date
    moved: frozenset[date] = field(default_factory=frozenset)

    def replaces(self, line: Line) -> bool:
        """Whether a line goes: those of the range, of no day, and of runs that have moved."""
        if line.day is None or self.first <= line.day <= self.last:
            return True
        return line.day in self.moved and line.measure in ENDS

    @property
    def predicate(self) -> str:
        """The same in SQL; it names the days by themselves first, which are the partitions."""
        days = (
            f"activity_date BETWEEN DATE'{self.first}' AND DATE'{self.last}' "
            "OR activity_date IS NULL"
        )
        if not self.moved:
            return f"({days})"
        listed = ", ".join(f"DATE'{day}'" for day in sorted(self.moved))
        ends = ", ".join(f"'{end}'" for end in ENDS)
        return f"({days} OR activity_date IN ({listed})) AND ({days} OR measure IN ({ends}))"


def _days_in(read: set[date], ends: set[_End]) -> set[date]:
    firsts, lasts = (sorted(day for day, end in ends if end == which) for which in ENDS)
    return read.union(*(days_between(*run) for run in zip(firsts, lasts, strict=True)))
