"""Which fit becomes the model."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rfm_spark.clustering.fits import Fit

SILHOUETTE_TIE = 0.002
"""Silhouettes this close say the same; the smaller k is then the simpler answer."""


def by_silhouette(best: Sequence[Fit], min_share: float) -> tuple[Fit, str]:
    """The fit with the highest silhouette among those without a too small cluster.

    Args:
        best: One fit per k.
        min_share: Smallest share of customers that a cluster may have.

    Returns:
        The chosen fit and why, in words. Where every k has a cluster that is too small, the one
        whose smallest cluster is largest.
    """
    fits, left_out = _large_enough(best, min_share)
    if not fits:
        return _largest_smallest(best, min_share)
    measured = [(fit, s) for fit in fits if (s := fit.silhouette) is not None]
    if not measured:
        return fits[0], "there is nothing to tell customers apart by"
    highest = max(silhouette for _, silhouette in measured)
    near = [fit for fit, silhouette in measured if highest - silhouette <= SILHOUETTE_TIE]
    chosen = min(near, key=lambda fit: fit.k)
    return chosen, f"highest silhouette, {highest:.3f}{left_out}"


def by_elbow(best: Sequence[Fit], candidates: Collection[int], min_share: float) -> tuple[Fit, str]:
    """The fit at the knee of the curve of WCSS over k.

    The knee is where the curve lies furthest below the straight line between its ends, both axes
    scaled to 0 .. 1 (Satopaa et al., "Finding a Kneedle in a Haystack", ICDCSW 2011).

    Args:
        best: One fit per k with ``wcss_all``: the curve.
        candidates: The k that may be chosen.
        min_share: Smallest share of customers that a cluster may have.

    Returns:
        The chosen fit and why, in words.
    """
    curve = {fit.k: fit.wcss_all or 0.0 for fit in best}
    fits, left_out = _large_enough([fit for fit in best if fit.k in candidates], min_share)
    if not fits:
        return _largest_smallest([fit for fit in best if fit.k in candidates], min_share)
    first, last = min(curve), max(curve)
    fall = curve[first] - curve[last]
    if fall <= 0:
        return min(fits, key=lambda fit: fit.k), "the curve of WCSS does not fall"

    def below(fit: Fit) -> float:
        along = (fit.k - first) / (last - first)
        return round(1 - along - (curve[fit.k] - curve[last]) / fall, 9)

    chosen = max(fits, key=lambda fit: (below(fit), -fit.k))
    return chosen, f"knee of the curve of WCSS from k = {first} to {last}{left_out}"


def _large_enough(fits: Sequence[Fit], min_share: float) -> tuple[list[Fit], str]:
    """The fits without a too small cluster, and words about the others."""
    kept = [fit for fit in fits if fit.min_share >= min_share]
    if len(kept) == len(fits):
        return kept, ""
    return kept, f", among the {len(kept)} without a cluster below {min_share:.1%}"


def _largest_smallest(fits: Sequence[Fit], min_share: float) -> tuple[Fit, str]:
    chosen = max(fits, key=lambda fit: (fit.min_share, -fit.k))
    return chosen, f"every k has a cluster below {min_share:.1%}; this one's is the largest"
