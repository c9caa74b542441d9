"""What every engine says of its own run, as a JSON file that the others' can be compared with."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MEASURES = ("read", "missing_customer_id", "missing_amount", "duplicate")
FEATURES = ("recency_days", "orders", "monetary")
SCORES = {"recency_days": "r_score", "orders": "f_score", "monetary": "m_score"}
BINS = 5
MIN_SHARE = 0.01
"""A k with a smaller cluster is not chosen."""


@dataclass(frozen=True)
class Fitted:
    """What came out for one k.

    Args:
        wcss: Within-cluster sum of squares over all customers, as the engine says it.
        silhouette: By the engine's own formula, on what the engine takes for it.
        centroids: In the transformed features' units, unscaled; None where only their cost is kept.
    """

    wcss: float
    silhouette: float | None
    centroids: list[list[float]] | None


@dataclass(frozen=True)
class Result:
    """What an engine found.

    Args:
        counts: Of each of :data:`MEASURES`, rows of the log.
        edges: Feature to its score edges, ascending in the feature.
        edges_cut_on: The snapshot date whose customers they were cut over.
        sweep: By k.
        chosen_k: The k of the labels.
        means: Of the transformed features, as the fit scaled them.
        stds: Standard deviations of the same.
        seconds: By step.
        files: Parquet files with customer_id, features and scores of every customer.
    """

    counts: Mapping[str, int]
    edges: Mapping[str, Sequence[float]]
    edges_cut_on: str
    sweep: Mapping[int, Fitted]
    chosen_k: int
    means: Sequence[float]
    stds: Sequence[float]
    seconds: Mapping[str, float]
    files: Sequence[str]

    def save(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))

    @staticmethod
    def load(path: Path) -> Result:
        """What :meth:`save` wrote."""
        stored: dict[str, Any] = json.loads(path.read_text())
        sweep = {int(k): Fitted(**fitted) for k, fitted in stored.pop("sweep").items()}
        return Result(**stored, sweep=sweep)


class Stopwatch:
    """Seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step, and say that it is over."""
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 2)
        print(f"{name}: {self.seconds[name]} s", flush=True)
