"""Which days of a log still have to be read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class DayRange:
    """Days from first to last, both included; no first day means from where the log starts."""

    first: date | None
    last: date

    def __str__(self) -> str:
        return f"{self.first or 'start of the log'} to {self.last}"


def missing_ranges(ingested: Collection[date], last: date, reprocess_days: int) -> list[DayRange]:
    """Ranges to read so that no day from the first ingested one to ``last`` is missing.

    Each gap starts ``reprocess_days`` early, so that late rows and corrections get in; ranges that
    then touch become one. With nothing missing there is nothing to read.

    Args:
        ingested: Days that count as ingested.
        last: The last day wanted.
        reprocess_days: Days before a gap that are read again.
    """
    if not ingested:
        return [DayRange(None, last)]
    start = min(ingested)
    known = set(ingested)
    ranges: list[tuple[date, date]] = []
    for offset in range((last - start).days + 1):
        day = start + timedelta(days=offset)
        if day in known:
            continue
        first = max(start, day - timedelta(days=reprocess_days))
        if ranges and first <= ranges[-1][1] + ONE_DAY:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((first, day))
    return [DayRange(first, end) for first, end in ranges]


def moved(day: date, days: int) -> date:
    """A day so many days later, or the last (or first) one that there is."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.max if days > 0 else date.min


def days_between(first: date, last: date) -> list[date]:
    """All days from first to last, both included."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def runs_of_days(days: Collection[date]) -> list[tuple[date, date]]:
    """Unbroken runs of days as (first, last), oldest first."""
    runs: list[tuple[date, date]] = []
    for day in sorted(days):
        if runs and day == runs[-1][1] + ONE_DAY:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs
