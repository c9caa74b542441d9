"""A short insight in words, made from a segment's numbers."""

from __future__ import annotations

from collections.abc import Mapping

from rfm_spark.schemas import FEATURE_LABELS

_CLOSE = (0.8, 1.25)
"""Ratios between these say nothing worth a word."""


def insight(
    means: Mapping[str, float | None], overall: Mapping[str, float | None], share: float
) -> str:
    """How a segment differs from the average customer, the largest differences first.

    Args:
        means: Mean of each feature within the segment; null where it has none.
        overall: The same over all customers.
        share: The segment's share of customers, 0 to 1.

    Returns:
        As in "12.3% of customers; net spend 2.4 x, orders 2.1 x the average".
    """
    ratios = []
    for feature, mean in means.items():
        base = overall.get(feature)
        if mean is None or base is None or base <= 0 or mean < 0:
            continue
        ratio = mean / base
        if not _CLOSE[0] < ratio < _CLOSE[1]:
            ratios.append((max(ratio, 1 / ratio) if ratio else float("inf"), feature, ratio))
    ratios.sort(key=lambda entry: (-entry[0], entry[1]))
    words = [f"{_label(name)} {ratio:.1f} x" for _, name, ratio in ratios[:3]]
    size = f"{share:.1%} of customers"
    return f"{size}; {', '.join(words)} the average" if words else f"{size}; close to the average"


def _label(feature: str) -> str:
    """What a feature is called; an extra one by its own name."""
    return FEATURE_LABELS.get(feature, feature.replace("_", " "))
