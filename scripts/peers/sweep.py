"""The sweep over k as users of scikit-learn do it: all rows for the fit, a sample to judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from peers.result import FEATURES, MIN_SHARE, Fitted

JUDGED_ROWS = 10_000
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Space:
    """How features become points: log1p of the size with the sign kept, then standardised."""

    means: Points
    stds: Points

    def scaled(self, transformed: Points) -> Points:
        """Points of the space."""
        return (transformed - self.means) / self.stds

    def unscaled(self, points: Points) -> Points:
        """Where points lie in the transformed features' own units."""
        return points * self.stds + self.means


def transformed(features: Mapping[str, Any], missing_recency: int) -> Points:
    """A row per customer.

    Args:
        features: Arrays by name; NaN for the recency of those who never bought.
        missing_recency: What stands for it.
    """
    columns = [np.asarray(features[name], dtype=np.float64) for name in FEATURES]
    columns[0] = np.where(np.isnan(columns[0]), missing_recency, columns[0])
    points = np.column_stack(columns)
    signed: Points = np.sign(points) * np.log1p(np.abs(points))
    return signed


def space_of(rows: Points) -> Space:
    """Means and sample standard deviations; a constant feature is only shifted."""
    stds = rows.std(axis=0, ddof=1)
    return Space(rows.mean(axis=0), np.where(stds > 0, stds, 1.0))


def swept(
    points: Points, space: Space, ks: Sequence[int], seed: int
) -> tuple[dict[int, Fitted], int, Any]:
    """Fit every k with one start, judge each on a sample, and keep the best.

    Returns:
        What came out by k, the chosen k, and its label for each point.
    """
    fits: dict[int, Fitted] = {}
    best: tuple[float, int, Any] | None = None
    for k in ks:
        model = KMeans(k, n_init=1, random_state=seed).fit(points)
        judged = min(JUDGED_ROWS, len(points))
        silhouette = float(
            silhouette_score(points, model.labels_, sample_size=judged, random_state=seed)
        )
        centroids = space.unscaled(model.cluster_centers_).tolist()
        fits[k] = Fitted(float(model.inertia_), silhouette, centroids)
        print(f"k = {k}: silhouette {silhouette:.4f}", flush=True)
        share = np.bincount(model.labels_, minlength=k).min() / len(points)
        if share >= MIN_SHARE and (best is None or silhouette > best[0]):
            best = (silhouette, k, model.labels_)
    if best is None:
        raise SystemExit(f"every k of {list(ks)} has a cluster below {MIN_SHARE:.0%}")
    return fits, best[1], best[2]


def nearest(points: Points, centroids: Points, rows_at_once: int = 500_000) -> tuple[Any, float]:
    """The nearest centroid of each point, and the sum of the squared distances to it."""
    labels, cost = [], 0.0
    norms = (centroids**2).sum(axis=1)
    for start in range(0, len(points), rows_at_once):
        part = points[start : start + rows_at_once]
        distances = norms - 2 * (part @ centroids.T)
        labels.append(distances.argmin(axis=1).astype(np.int32))
        cost += float(distances.min(axis=1).sum() + (part**2).sum())
    return np.concatenate(labels), cost
