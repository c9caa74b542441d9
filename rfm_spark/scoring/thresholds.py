"""Score edges as rows of ``score_thresholds``, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.sql import Row

from rfm_spark.scoring.cuts import Cut


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
    cuts: Mapping[str, Cut]
    features: Mapping[str, str]


def threshold_records(cuts: Mapping[str, Cut]) -> list[dict[str, Any]]:
    """One record per metric and score: values above ``lower`` up to ``upper`` get that score.

    With method ``r`` it is values from ``lower`` on and below ``upper``. For recency the smallest
    values have the highest score. A metric without edges, because nobody has a value, is open at
    both ends. With rank and ntile the ids of the customers on the edges stand beside them.
    """
    records = []
    for metric, cut in cuts.items():
        nothing = [None] * (cut.bins - len(cut.edges))
        edges = [None, *cut.edges, *nothing]
        ids = [None, *(cut.customer_ids or [None] * len(cut.edges)), *nothing]
        for place in range(1, cut.bins + 1):
            records.append(
                {
                    "metric": metric,
                    "score": _turned(metric, cut.bins, place),
                    "lower": edges[place - 1],
                    "upper": edges[place],
                    "lower_customer_id": ids[place - 1],
                    "upper_customer_id": ids[place],
                    "method": cut.method,
                }
            )
    return records


def thresholds_from(rows: Iterable[Row]) -> Thresholds:
    """The edges of one stored version, from its rows."""
    rows = list(rows)
    first = rows[0]
    metrics = dict.fromkeys(row["metric"] for row in rows)
    return Thresholds(
        first["thresholds_version"],
        first["snapshot_date"],
        first["scoring_hash"],
        first["use_hash"],
        first["customers"],
        {metric: _cut(metric, [r for r in rows if r["metric"] == metric]) for metric in metrics},
        {row["metric"]: row["feature"] for row in rows},
    )


def _cut(metric: str, rows: list[Row]) -> Cut:
    bins = len(rows)
    ascending = sorted(rows, key=lambda row: int(_turned(metric, bins, row["score"])))
    edges = [row for row in ascending[:-1] if row["upper"] is not None]
    ids = [row["upper_customer_id"] for row in edges]
    return Cut(
        rows[0]["method"],
        bins,
        tuple(row["upper"] for row in edges),
        tuple(customer_id for customer_id in ids if customer_id is not None),
    )


def _turned(metric: str, bins: int, place: int) -> int:
    """From a place among ascending values to the score, and back."""
    return bins + 1 - place if metric == "recency" else place
