"""Exact order statistics: which value stands at a rank, without any task seeing everybody.

Two passes find it. The first brackets every wanted rank by an approximate quantile. The second
counts: rows below a bracket as one number, rows inside it by value. Only the inside of a bracket
is ever ordered, so it does not matter how good the approximation is; a rank that it misses is
looked for among all values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

_SLACK = 3
"""Ranks on either side of a bracket, in units of the sketch's own error."""
FEW = 20_000
"""A population so small that one task may order all of its values."""

Interval = tuple[float, float]
Key = tuple[str, str, str]
"""A grouping by its name, one of its groups, and a metric."""

EVERYTHING: tuple[Interval, ...] = ((float("-inf"), float("inf")),)

_KEY = ["grouping", "group", "metric"]
_INTERVALS = "grouping string, group string, metric string, place int, low double, high double"
_WANTED = "grouping string, group string, metric string, rank bigint"


@dataclass(frozen=True)
class Population:
    """How many rows of a group have a value, and disjoint intervals that hold the wanted ranks."""

    rows: int
    intervals: tuple[Interval, ...] = EVERYTHING


@dataclass(frozen=True)
class Standing:
    """A value, the number of rows with a smaller one, and the number of rows with the same."""

    value: float
    below: int
    rows: int


def populations(
    frame: DataFrame,
    metrics: Mapping[str, Column],
    probabilities: Mapping[str, Sequence[float]],
    groupings: Mapping[str, Column],
    *,
    accuracy: int = 10_000,
) -> dict[Key, Population]:
    """Bracket the ranks near some probabilities, in one pass per grouping.

    Args:
        frame: The rows.
        metrics: Name to numeric column; a null does not count.
        probabilities: Metric to the shares of its rows at which ranks will be asked for.
        groupings: Name to text column; each of its values is a group.
        accuracy: Of the sketch: it errs by one part in as many, a bracket holds some six. Fewer
            parts are found faster, and leave more rows to be ordered in the second pass.
    """
    found: dict[Key, Population] = {}
    for grouping, group in groupings.items() if metrics else ():
        rows = frame.groupBy(group.alias("group")).agg(
            *(F.count(column).alias(f"rows_{name}") for name, column in metrics.items()),
            *(
                F.percentile_approx(
                    column.cast("double"), _around(probabilities[name], accuracy), accuracy
                ).alias(f"ends_{name}")
                for name, column in metrics.items()
            ),
        )
        for row in rows.collect():
            for name in metrics:
                count, ends = row[f"rows_{name}"], row[f"ends_{name}"] or ()
                intervals = EVERYTHING if count <= FEW else _merged(ends)
                found[grouping, row["group"], name] = Population(count, intervals)
    return found


def standings(
    frame: DataFrame,
    metrics: Mapping[str, Column],
    groupings: Mapping[str, Column],
    populations: Mapping[Key, Population],
    ranks: Mapping[Key, Collection[int]],
) -> dict[tuple[Key, int], Standing]:
    """The value at each wanted rank, 1 being the smallest; one pass over the rows.

    Args:
        frame: The rows.
        metrics: Name to numeric column; a null does not count.
        groupings: Name to text column.
        populations: Where to look, from :func:`populations` or all rows of a small group.
        ranks: Which ranks, each between 1 and the rows of its population.
    """
    wanted = {key: sorted(set(numbers)) for key, numbers in ranks.items() if numbers}
    if not wanted:
        return {}
    intervals = {key: populations[key].intervals for key in wanted}
    found = _standings(frame, metrics, groupings, intervals, wanted)
    lost = {
        key: [rank for rank in numbers if (key, rank) not in found]
        for key, numbers in wanted.items()
    }
    lost = {key: numbers for key, numbers in lost.items() if numbers}
    if lost:  # a sketch outside its own error bound: look among all values of that metric
        found |= _standings(frame, metrics, groupings, dict.fromkeys(lost, EVERYTHING), lost)
    return found


def _around(probabilities: Sequence[float], accuracy: int) -> list[float]:
    slack = _SLACK / accuracy
    return [min(1.0, max(0.0, p + side * slack)) for p in probabilities for side in (-1, 1)]


def _merged(ends: Sequence[float]) -> tuple[Interval, ...]:
    merged: list[Interval] = []
    for low, high in sorted(zip(ends[::2], ends[1::2], strict=True)):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _standings(
    frame: DataFrame,
    metrics: Mapping[str, Column],
    groupings: Mapping[str, Column],
    intervals: Mapping[Key, Sequence[Interval]],
    wanted: Mapping[Key, Sequence[int]],
) -> dict[tuple[Key, int], Standing]:
    running = running_counts(frame, metrics, groupings, intervals)
    asked = [(*key, rank) for key, numbers in wanted.items() for rank in numbers]
    places = F.broadcast(frame.sparkSession.createDataFrame(asked, _WANTED))
    stands = (F.col("rank") > F.col("below")) & (F.col("rank") <= F.col("below") + F.col("rows"))
    rows = running.join(places, on=_KEY, how="inner").where(stands)
    return {
        ((row["grouping"], row["group"], row["metric"]), row["rank"]): Standing(
            row["value"], row["below"], row["rows"]
        )
        for row in rows.collect()
    }


def running_counts(
    frame: DataFrame,
    metrics: Mapping[str, Column],
    groupings: Mapping[str, Column],
    intervals: Mapping[Key, Sequence[Interval]],
) -> DataFrame:
    """Every value inside an interval with the rows that have it and the rows below it.

    A window holds the distinct values of one interval of one metric in one group, no more.
    """
    table = [
        (*key, place, low, high)
        for key, places in intervals.items()
        for place, (low, high) in enumerate(places)
    ]
    places = F.broadcast(frame.sparkSession.createDataFrame(table, _INTERVALS))
    # A row counts for its own interval and, as one below it, for every higher one.
    near = _stacked(frame, metrics, groupings).join(places, on=_KEY, how="inner")
    near = near.where(F.col("value") <= F.col("high"))
    inside = F.when(F.col("value") >= F.col("low"), F.col("value"))
    keys = [*_KEY, "place"]
    counts = near.groupBy(*keys, inside.alias("value")).agg(F.count(F.lit(1)).alias("rows"))
    in_order = Window.partitionBy(*keys).orderBy(F.asc_nulls_first("value"))
    before = in_order.rowsBetween(Window.unboundedPreceding, -1)
    below = F.coalesce(F.sum("rows").over(before), F.lit(0))
    return counts.withColumn("below", below).where(F.col("value").isNotNull())


def _stacked(
    frame: DataFrame, metrics: Mapping[str, Column], groupings: Mapping[str, Column]
) -> DataFrame:
    each = F.array(
        *(
            F.struct(
                F.lit(grouping).alias("grouping"),
                group.alias("group"),
                F.lit(metric).alias("metric"),
                value.cast("double").alias("value"),
            )
            for grouping, group in groupings.items()
            for metric, value in metrics.items()
        )
    )
    stacked = frame.select(F.explode(each).alias("one")).select("one.*")
    return stacked.where(F.col("value").isNotNull())
