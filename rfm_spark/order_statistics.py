"""Exact order statistics: which value stands at a rank, without any task seeing everybody.

Two passes find it. The first counts rows in buckets of nearly equal values, some percent wide. It
tells in which bucket every rank lies, and where a bucket holds one value only, as it does for small
whole numbers, which value that is. The second pass counts the rows of the other wanted buckets by
value. Only the inside of a bucket is ever ordered.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import IntegralType

_SMALL = 1 << 10
"""Whole numbers up to this size have a bucket of their own."""
_BUCKETS_A_DOUBLING = 16
_AT_ONE = 1 << 15
"""Number of the bucket of 1: that of the smallest double is still above ``_SMALL``."""
_NOT_A_NUMBER = 1 << 20
_PLACES = 1 << 22
"""More than there are numbers of buckets."""

Key = tuple[str, str, str]
"""A grouping by its name, one of its groups, and a metric."""
_Cell = tuple[str, ...]
"""One group of every grouping."""

_GROUP = ["grouping", "group"]
_BUCKET = ["metric", "bucket"]
_ASKED = "grouping string, group string, metric int, bucket int, before bigint, rank bigint"
_INSIDE = "metric int, bucket int, grouping string, group string"


@dataclass(frozen=True)
class Bucket:
    """Rows of nearly equal values; a bucket of larger ones has a larger number."""

    number: int
    rows: int
    least: float
    most: float

    @property
    def is_one_value(self) -> bool:
        """Whether all of its rows have the same value; NaN is one."""
        return self.least == self.most or (math.isnan(self.least) and math.isnan(self.most))

    def __add__(self, other: Bucket) -> Bucket:
        """The rows of both, of the same number."""
        least, most = min(self.least, other.least), max(self.most, other.most)
        return Bucket(self.number, self.rows + other.rows, least, most)


@dataclass(frozen=True)
class Standing:
    """A value, the number of rows with a smaller one, and the number of rows with the same."""

    value: float
    below: int
    rows: int


@dataclass(frozen=True)
class Counted:
    """How many rows have which values.

    Args:
        groupings: Their names, in the order of the groups of a cell.
        cells: Cell and metric to buckets.
    """

    groupings: Sequence[str]
    cells: Mapping[tuple[_Cell, str], Sequence[Bucket]]

    @cached_property
    def groups(self) -> Mapping[Key, Sequence[Bucket]]:
        """The buckets of each group and metric, those of the smallest values first."""
        found: dict[Key, dict[int, Bucket]] = {}
        for (cell, metric), buckets in self.cells.items():
            for grouping, group in zip(self.groupings, cell, strict=True):
                own = found.setdefault((grouping, group, metric), {})
                for bucket in buckets:
                    known = own.get(bucket.number)
                    own[bucket.number] = known + bucket if known else bucket
        return {key: [own[number] for number in sorted(own)] for key, own in found.items()}

    def is_by_value(self, metric: str) -> bool:
        """Whether every bucket of a metric holds one whole number, for all groups."""
        return all(
            bucket.is_one_value and bucket.least.is_integer()
            for (_, name), buckets in self.cells.items()
            if name == metric
            for bucket in buckets
        )

    def rows(self, key: Key) -> int:
        """Rows of a group that have a value of a metric."""
        return sum(bucket.rows for bucket in self.groups.get(key, ()))

    def holding(self, key: Key, ranks: Collection[int]) -> dict[int, tuple[Bucket, int]]:
        """The bucket that holds each rank, 1 being the smallest, and the rows in those below it."""
        found: dict[int, tuple[Bucket, int]] = {}
        wanted = sorted(set(ranks))
        below = 0
        for bucket in self.groups.get(key, ()):
            while wanted and wanted[0] <= below + bucket.rows:
                found[wanted.pop(0)] = bucket, below
            below += bucket.rows
        if wanted:
            raise ValueError(f"{key} has {below} rows, and none of rank {wanted[0]}")
        return found


def counted(
    frame: DataFrame,
    metrics: Mapping[str, Column],
    groupings: Mapping[str, Column],
) -> Counted:
    """Count rows by buckets of their values, in one pass.

    Args:
        frame: The rows.
        metrics: Name to numeric column; a null does not count, NaN is the largest value.
        groupings: Name to text column; each of its values is a group.
    """
    if not metrics:
        return Counted(list(groupings), {})
    cell = [f"cell_{i}" for i in range(len(groupings))]
    rows = (
        _stacked(frame, list(metrics.values()), groupings)
        .groupBy(*cell, *_BUCKET)
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.min("value").alias("least"),
            F.max("value").alias("most"),
        )
    )
    names = list(metrics)
    cells: dict[tuple[_Cell, str], list[Bucket]] = {}
    for row in rows.collect():
        bucket = Bucket(row["bucket"], row["rows"], row["least"], row["most"])
        key = tuple(row[name] for name in cell), names[row["metric"]]
        cells.setdefault(key, []).append(bucket)
    return Counted(list(groupings), cells)


def standings(
    frame: DataFrame,
    metrics: Mapping[str, Column],
    groupings: Mapping[str, Column],
    known: Counted,
    ranks: Mapping[Key, Collection[int]],
) -> dict[tuple[Key, int], Standing]:
    """The value at each wanted rank, 1 being the smallest; at most one pass over the rows.

    Args:
        frame: The rows.
        metrics: Name to numeric column.
        groupings: Name to text column.
        known: From :func:`counted`, of the same rows, metrics and groupings.
        ranks: Which ranks, each between 1 and the rows of its group.
    """
    found: dict[tuple[Key, int], Standing] = {}
    open_ranks: dict[tuple[Key, int], tuple[Bucket, int]] = {}
    for key, numbers in ranks.items():
        for rank, (bucket, below) in known.holding(key, numbers).items():
            if bucket.is_one_value:
                found[key, rank] = Standing(bucket.least, below, bucket.rows)
            else:
                open_ranks[key, rank] = bucket, below
    if open_ranks:
        found |= _looked_up(frame, metrics, groupings, known, open_ranks)
    return found


def _looked_up(
    frame: DataFrame,
    metrics: Mapping[str, Column],
    groupings: Mapping[str, Column],
    known: Counted,
    ranks: Mapping[tuple[Key, int], tuple[Bucket, int]],
) -> dict[tuple[Key, int], Standing]:
    names = sorted({metric for (_, _, metric), _ in ranks}, key=list(metrics).index)
    asked = [
        (grouping, group, names.index(metric), bucket.number, below, rank)
        for ((grouping, group, metric), rank), (bucket, below) in ranks.items()
    ]
    wanted = {row[:4] for row in asked}
    inside = [
        (*cell, names.index(metric), bucket.number, grouping, group)
        for (cell, metric), buckets in known.cells.items()
        for bucket in buckets
        for grouping, group in zip(known.groupings, cell, strict=True)
        if metric in names and (grouping, group, names.index(metric), bucket.number) in wanted
    ]
    chosen = {name: metrics[name] for name in names}
    running = running_counts(frame, chosen, groupings, inside)
    places = F.broadcast(frame.sparkSession.createDataFrame(asked, _ASKED))
    upto = F.col("before") + F.col("below")
    stands = (F.col("rank") > upto) & (F.col("rank") <= upto + F.col("rows"))
    rows = running.join(places, on=[*_GROUP, *_BUCKET], how="inner").where(stands)
    return {
        ((row["grouping"], row["group"], names[row["metric"]]), row["rank"]): Standing(
            row["value"], row["before"] + row["below"], row["rows"]
        )
        for row in rows.collect()
    }


def running_counts(
    frame: DataFrame,
    metrics: Mapping[str, Column],
    groupings: Mapping[str, Column],
    inside: Sequence[tuple[Any, ...]],
) -> DataFrame:
    """Every value inside some buckets, with the rows that have it and those below it there.

    A window holds the distinct values of one bucket of one metric in one group, no more.

    Args:
        frame: The rows.
        metrics: Name to numeric column.
        groupings: Name to text column.
        inside: Groups of a cell, place of the metric, number of the bucket; then the grouping and
            the group that they are counted for.
    """
    cell = [f"cell_{i}" for i in range(len(groupings))]
    schema = ", ".join(f"{name} string" for name in cell)
    table = frame.sparkSession.createDataFrame(list(inside), f"{schema}, {_INSIDE}")
    rows = _stacked(frame, list(metrics.values()), groupings)
    places = {row[len(cell)] * _PLACES + row[len(cell) + 1] for row in inside}
    place = F.col("metric").cast("bigint") * F.lit(_PLACES) + F.col("bucket")
    near = rows.where(place.isin(sorted(places)))  # a number is looked up faster than a join's key
    near = near.join(F.broadcast(table), on=[*cell, *_BUCKET], how="inner")
    counts = near.groupBy(*_GROUP, *_BUCKET, "value").agg(F.count(F.lit(1)).alias("rows"))
    in_order = Window.partitionBy(*_GROUP, *_BUCKET).orderBy("value")
    below = F.sum("rows").over(in_order.rowsBetween(Window.unboundedPreceding, -1))
    return counts.withColumn("below", F.coalesce(below, F.lit(0)))


def _stacked(
    frame: DataFrame, values: Sequence[Column], groupings: Mapping[str, Column]
) -> DataFrame:
    """A row for every value that is not null: cell, metric, value, bucket."""
    cell = [group.alias(f"cell_{i}") for i, group in enumerate(groupings.values())]
    each = F.posexplode(F.array(*(value.cast("double") for value in values)))
    stacked = frame.select(*cell, each.alias("metric", "value"))
    types = [field.dataType for field in frame.select(*values).schema]
    whole = [place for place, type_ in enumerate(types) if isinstance(type_, IntegralType)]
    is_whole = F.col("metric").isin(whole) if whole else None
    number = bucket_number(F.col("value"), is_whole)
    return stacked.where(F.col("value").isNotNull()).withColumn("bucket", number)


def bucket_number(value: Column, is_whole: Column | None = None) -> Column:
    """Number of a value's bucket; it grows with the value, as Java promises of its logarithm.

    Args:
        value: A double that is not null.
        is_whole: Where values are whole numbers; small ones have a bucket of their own.
    """
    doublings = F.ln(F.abs(value)) * F.lit(_BUCKETS_A_DOUBLING / math.log(2))
    size = F.floor(F.least(doublings, F.lit(float(_AT_ONE)))).cast("int") + F.lit(_AT_ONE)
    other = (
        F.when(F.isnan(value), F.lit(_NOT_A_NUMBER))
        .when(value > 0, size)
        .when(value < 0, -size)
        .otherwise(F.lit(0))
    )
    if is_whole is None:
        return other
    return F.when(is_whole & (F.abs(value) <= _SMALL), value.cast("int")).otherwise(other)
