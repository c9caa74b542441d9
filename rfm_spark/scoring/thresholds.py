"""Score edges as rows of ``score_thresholds``, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.sql import Row


@dataclass(frozen=True)
class Thresholds:
    """Edges of every role, and the version they are stored under.

    ``scoring_hash`` changes with what the edges are cut from, ``use_hash`` with the rule map and
    the weights they are used with; ``customers`` counts those with a purchase when they were cut.
    """

    version: str
    snapshot_date: date
    scoring_hash: str
    use_hash: str
    customers: int
    edges: Mapping[str, Sequence[float]]


def threshold_records(
    edges: Mapping[str, Sequence[float]], bins: Mapping[str, int]
) -> list[dict[str, Any]]:
    """One record per metric and score: values above ``lower`` up to ``upper`` get that score.

    For recency the smallest values have the highest score. A metric without edges, because nobody
    has a value, is open at both ends.
    """
    records = []
    for metric, n in bins.items():
        ends = [None, *edges[metric], *[None] * (n - len(edges[metric]))]
        for place in range(1, n + 1):
            score = n + 1 - place if metric == "recency" else place
            lower, upper = ends[place - 1], ends[place]
            records.append({"metric": metric, "score": score, "lower": lower, "upper": upper})
    return records


def thresholds_from(rows: Iterable[Row]) -> Thresholds:
    """The edges of one stored version, from its rows."""
    rows = list(rows)
    edges: dict[str, list[float]] = {row["metric"]: [] for row in rows}
    for row in rows:
        if row["upper"] is not None:
            edges[row["metric"]].append(row["upper"])
    first = rows[0]
    return Thresholds(
        first["thresholds_version"],
        first["snapshot_date"],
        first["scoring_hash"],
        first["use_hash"],
        first["customers"],
        {metric: sorted(values) for metric, values in edges.items()},
    )
