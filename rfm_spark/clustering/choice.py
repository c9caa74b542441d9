"""Which fit becomes the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rfm_spark.clustering.sweep import Fit

SILHOUETTE_TIE = 0.002
"""Silhouettes this close say the same; the smaller k is then the simpler answer."""


def best_by_k(fits: Iterable[Fit]) -> list[Fit]:
    """The fit with the lowest WCSS of each k, compared at nine digits; ties to the lowest seed."""
    best: dict[int, Fit] = {}
    for fit in sorted(fits, key=lambda fit: (fit.k, _nine_digits(fit.wcss), fit.seed)):
        best.setdefault(fit.k, fit)
    return list(best.values())


def by_silhouette(best: Sequence[Fit], min_share: float) -> tuple[Fit, str]:
    """The fit with the highest silhouette among those without a too small cluster.

    Args:
        best: One fit per k.
        min_share: Smallest share of customers that a cluster may have.

    Returns:
        The chosen fit and why, in words. Where every k has a cluster that is too small, the one
        whose smallest cluster is largest.
    """
    large_enough = [fit for fit in best if fit.min_share >= min_share]
    if not large_enough:
        chosen = max(best, key=lambda fit: (fit.min_share, -fit.k))
        return chosen, f"every k has a cluster below {min_share:.1%}; this one's is the largest"
    measured = [(fit, s) for fit in large_enough if (s := fit.silhouette) is not None]
    if not measured:
        return large_enough[0], "there is nothing to tell customers apart by"
    highest = max(silhouette for _, silhouette in measured)
    near = [fit for fit, silhouette in measured if highest - silhouette <= SILHOUETTE_TIE]
    chosen = min(near, key=lambda fit: fit.k)
    left_out = len(best) - len(large_enough)
    why = f"highest silhouette, {highest:.3f}"
    if left_out:
        why += f", among the {len(large_enough)} without a cluster below {min_share:.1%}"
    return chosen, why


def _nine_digits(value: float) -> float:
    return float(f"{value:.9g}")
