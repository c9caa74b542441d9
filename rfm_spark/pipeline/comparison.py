"""Two segments of a date side by side."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import date
from math import inf
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark.errors import DataError
from rfm_spark.insight import attributes as attribute_shares
from rfm_spark.insight import figures
from rfm_spark.insight.comparison import (
    standardised_difference,
    standardised_difference_of_shares,
)
from rfm_spark.insight.figures import Group
from rfm_spark.insight.medians import medians
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.exploration import features_of
from rfm_spark.pipeline.profiles import profiled_features
from rfm_spark.schemas import KINDS

_MOST_SHARES = 15


def compare(
    context: Context, one: str, other: str, *, snapshot_date: date | None, kind: str | None = None
) -> None:
    """Show two segments' features and attributes with standardised differences, largest first.

    Both are rule segments or both are clusters, by their names.

    Args:
        context: The run.
        one: A segment.
        other: The one it is compared with: a positive difference means that ``one`` has more.
        snapshot_date: The date; None takes the newest there is.
        kind: ``rfm`` or ``cluster``; None takes rule segments where there are two of those names.

    Raises:
        DataError: No customer of the date is in one of them, or nothing has been labelled yet.
    """
    found = features_of(context, snapshot_date)
    if found is None:
        raise DataError("there are no features yet; `rfm-spark run` computes and labels them")
    day, features = found
    context.stage("describe", f"{one} beside {other}, {day}")
    labels = context.read("customer_segments").where(F.col("snapshot_date") == F.lit(day))
    kind = _kind(labels, one, other, day, [kind] if kind else list(KINDS))
    chosen = labels.where(F.col(KINDS[kind]).isin(one, other))
    customers = features.join(
        chosen.select("customer_id", *KINDS.values()), on="customer_id", how="inner"
    )
    names = profiled_features(context, features)
    with context.timed("comparing the segments"):
        rows = _feature_rows(customers, names, kind, one, other)
        attributes = context.settings.sources.attributes
        counts = attribute_shares.attribute_counts(customers, attributes)
    headings = ["feature", *(f"{s} of {n}" for s in ("mean", "median") for n in (one, other))]
    what = {"rfm": "rule segments", "cluster": "clusters"}[kind]
    title = f"{what}, {day}: difference of the means in pooled standard deviations"
    context.display.table(title, [*headings, "difference"], rows)
    shares = [
        row for name in attributes for row in _share_rows(counts[name], name, kind, one, other)
    ]
    if shares:
        shares.sort(key=lambda one: (-one[0], one[1][0]))
        context.display.table(
            "attributes that differ most, among customers of whom they are known",
            ("attribute", one, other, "difference"),
            [row for _, row in shares[:_MOST_SHARES]],
        )


def _kind(labels: DataFrame, one: str, other: str, day: date, kinds: Sequence[str]) -> str:
    """The first kind of segment that has both names."""
    names: dict[str, set[str]] = {
        kind: {row[0] for row in labels.select(KINDS[kind]).distinct().collect()} for kind in kinds
    }
    for kind, known in names.items():
        if {one, other} <= known:
            return kind
    every_name = sorted(set().union(*names.values()))
    missing = [name for name in (one, other) if name not in every_name]
    if not missing:
        raise DataError(f"{one} and {other} are not of one kind: one is a cluster")
    near = [
        f" (did you mean {m[0]}?)"
        for n in missing
        if (m := difflib.get_close_matches(n, every_name))
    ]
    raise DataError(
        f"no customer of {day} is in {' or '.join(missing)}{''.join(near)}; there are "
        f"{', '.join(every_name) or 'no segments: run `segment` first'}"
    )


def _feature_rows(
    customers: DataFrame, names: Sequence[str], kind: str, one: str, other: str
) -> list[tuple[Any, ...]]:
    by = {kind: KINDS[kind]}
    known = figures.counted(customers, names, by)
    frames = figures.frames(names, known)
    cells = figures.groups(customers, list(by.values()), frames, known)
    groups: Mapping[str, Group] = figures.added_up(cells, 0)
    middle = medians(customers, names, by, known)
    first, second = groups[one], groups[other]
    rows = [
        (
            name,
            first.sums[name].mean,
            second.sums[name].mean,
            middle.get((kind, one, name)),
            middle.get((kind, other, name)),
            standardised_difference(first.sums[name], second.sums[name], frames[name]),
        )
        for name in names
    ]
    rows.sort(key=lambda row: (-_size(row[1], row[2], row[-1]), row[0]))
    return [("customers", first.customers, second.customers, None, None, None), *rows]


def _share_rows(
    counts: attribute_shares.Counts, name: str, kind: str, one: str, other: str
) -> list[tuple[float, tuple[Any, ...]]]:
    known = {key: n for key, n in counts.items() if key[2] != attribute_shares.MISSING}
    first, second = (attribute_shares.shares(known, kind, segment) for segment in (one, other))
    rows = []
    for value in {**first, **second}:
        own, its = first.get(value, 0.0), second.get(value, 0.0)
        difference = standardised_difference_of_shares(own, its)
        row = (f"{name}: {value}", f"{own:.1%}", f"{its:.1%}", difference)
        rows.append((_size(own, its, difference), row))
    return rows


def _size(one: float | None, other: float | None, difference: float | None) -> float:
    """By what differences are sorted: two constants that differ are as far apart as can be."""
    if difference is not None:
        return abs(difference)
    return inf if one is not None and other is not None and one != other else 0.0
