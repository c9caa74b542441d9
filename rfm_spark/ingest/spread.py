"""Which task groups the rows of which day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from math import ceil
from typing import Any

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

ROWS_PER_TASK = 150_000
"""Days that follow each other share a task up to so many rows: their keys fit the caches."""
ROWS_PER_SHARE = 1_000_000
"""A day with more rows is parted between tasks. Each part is a file; smaller ones read slowly."""


@dataclass(frozen=True)
class Spread:
    """Rows brought together by day, each task with as many as the others.

    Args:
        first: The first day.
        places: For each day from there on, its first task, counted from 0.
        shares: For each day, the number of its tasks.
        tasks: How many there are.
    """

    first: date
    places: tuple[int, ...]
    shares: tuple[int, ...]
    tasks: int

    def key(self, spark: SparkSession, day: Column, customer_id: Column) -> Column:
        """A key whose hash brings a row to its task, and nothing else there.

        Null for days before and after those that were spread.
        """
        days = F.datediff(day, F.lit(self.first))
        offset = F.when(days >= 0, days + F.lit(1))
        task = F.try_element_at(_numbers(self.places), offset)
        if max(self.shares) > 1:
            shares = F.try_element_at(_numbers(self.shares), offset)
            task = task + F.pmod(F.xxhash64(customer_id), shares.cast("bigint")).cast("int")
        return F.try_element_at(_numbers(_keys(spark, self.tasks)), task + F.lit(1))


def spread(rows_by_day: Mapping[date, int]) -> Spread:
    """Spread days over tasks: small neighbours together, a large one parted by its customers.

    Args:
        rows_by_day: Rows of each day that has any; other days must have none.
    """
    days = sorted(rows_by_day)
    if not days:
        return Spread(date.min, (0,), (1,), 1)
    span = (days[-1] - days[0]).days + 1
    places, shares = [0] * span, [1] * span
    task, filled = -1, ROWS_PER_TASK
    for day in days:
        rows, place = rows_by_day[day], (day - days[0]).days
        if rows > ROWS_PER_SHARE:
            places[place], shares[place] = task + 1, ceil(rows / ROWS_PER_SHARE)
            task, filled = task + shares[place], ROWS_PER_TASK
            continue
        if filled + rows > ROWS_PER_TASK:
            task, filled = task + 1, 0
        places[place], filled = task, filled + rows
    return Spread(days[0], tuple(places), tuple(shares), task + 1)


def _keys(spark: SparkSession, tasks: int) -> list[int]:
    """For each partition of so many a number that Spark's hash partitioning puts there."""
    tried = 32 * tasks
    while True:
        numbers = F.sequence(F.lit(0), F.lit(tried - 1))
        places = F.transform(numbers, lambda number: F.pmod(F.hash(number), F.lit(tasks)))
        row: Any = spark.sql("VALUES 1").select(places.alias("places")).first()  # no task runs
        found = {place: number for number, place in enumerate(row["places"])}
        if len(found) == tasks:
            return [found[place] for place in range(tasks)]
        tried *= 2


def _numbers(values: Any) -> Column:
    """An array of whole numbers; as one text, as there may be thousands."""
    return F.split(F.lit(",".join(map(str, values))), ",").cast("array<int>")
