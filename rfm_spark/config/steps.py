"""Calendar steps, as in ``7d``, ``1w``, ``1mo`` and ``1y``."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

_STEP = re.compile(r"([1-9]\d{0,3})(d|w|mo|y)")
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"mo": 1, "y": 12}


@dataclass(frozen=True)
class Step:
    """A number of days, weeks, months or years."""

    count: int
    unit: Literal["d", "w", "mo", "y"]

    @classmethod
    def parse(cls, text: str) -> Step:
        """A step from its text.

        Raises:
            ValueError: It is none.
        """
        found = _STEP.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no calendar step such as 7d, 1w, 1mo or 1y")
        return cls(int(found[1]), found[2])  # type: ignore[arg-type]

    @property
    def is_clipped(self) -> bool:
        """Whether steps may end earlier in a month than they started: 31 January + 1mo."""
        return self.unit in _MONTHS

    def from_day(self, day: date, times: int = 1) -> date:
        """The day that lies so many steps after another one; before it, if negative.

        A day that the month does not have becomes the month's last.

        Raises:
            OverflowError: The calendar has no such day.
        """
        steps = self.count * times
        if not self.is_clipped:
            return day + timedelta(days=steps * _DAYS[self.unit])
        months = day.year * 12 + day.month - 1 + steps * _MONTHS[self.unit]
        year, month = months // 12, months % 12 + 1
        if not date.min.year <= year <= date.max.year:
            raise OverflowError(f"{self} from {day} leaves the calendar")
        return date(year, month, min(day.day, monthrange(year, month)[1]))

    def dates(self, first: date, last: date) -> list[date]:
        """``first`` and every step from it on that is not after ``last``."""
        found = []
        day = first
        while day <= last:
            found.append(day)
            try:
                day = self.from_day(first, len(found))
            except OverflowError:
                break
        return found

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"
