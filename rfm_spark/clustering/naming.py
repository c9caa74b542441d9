"""Business names for clusters, made from what their members are like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_WORDS = {
    2: ("low", "high"),
    3: ("low", "medium", "high"),
    4: ("lowest", "lower", "higher", "highest"),
}
_SHORT = {
    "recency_days": "days since purchase",
    "orders": "orders",
    "active_days": "active days",
    "lines": "lines",
    "monetary": "spend",
    "purchase_amount": "gross spend",
    "avg_order_value": "order value",
    "aum": "AUM",
    "aum_avg": "average AUM",
    "aum_per_day": "AUM per day",
    "tenure_days": "tenure",
}


def unique_names(
    segments: Sequence[str], centroids: Sequence[Sequence[float]], features: Sequence[str]
) -> list[str]:
    """One name per cluster: its rule segment, and what sets it apart where others share that.

    Args:
        segments: Rule segment of each cluster's mean scores.
        centroids: Scaled centroids in the same order.
        features: Names of the centroids' coordinates.

    Returns:
        Names that differ from each other, as in "Loyal, high AUM per day".
    """
    names = list(segments)
    for segment in dict.fromkeys(segments):
        group = [i for i, name in enumerate(segments) if name == segment]
        if len(group) > 1:
            for i, words in _qualifiers(group, centroids, features).items():
                names[i] = f"{segment}, {words}"
    return names


def _qualifiers(
    group: Sequence[int], centroids: Sequence[Sequence[float]], features: Sequence[str]
) -> Mapping[int, str]:
    def spread(place: int) -> float:
        values = [centroids[i][place] for i in group]
        return max(values) - min(values)

    widest = max(range(len(features)), key=spread)
    label = _SHORT.get(features[widest], features[widest].replace("_", " "))
    ordered = sorted(group, key=lambda i: (centroids[i][widest], i))
    words = _WORDS.get(len(group)) or [f"{i} of {len(group)} by" for i in range(1, len(group) + 1)]
    return {i: f"{word} {label}" for i, word in zip(ordered, words, strict=True)}
