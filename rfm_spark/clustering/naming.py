"""Business names for clusters, made from what their members are like."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count

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
    segments: Sequence[str],
    centroids: Sequence[Sequence[float]],
    features: Sequence[str],
    kept: Mapping[int, str] | None = None,
) -> list[str]:
    """One name per cluster: its rule segment, and what sets it apart where others share that.

    Args:
        segments: Rule segment of each cluster's mean scores.
        centroids: Scaled centroids in the same order.
        features: Names of the centroids' coordinates.
        kept: Places of clusters that have a name already.

    Returns:
        Names that differ from each other, as in "Loyal, high AUM per day".
    """
    names = dict(kept or {})
    fresh = [place for place in range(len(segments)) if place not in names]
    for segment in dict.fromkeys(segments[place] for place in fresh):
        own = [place for place in fresh if segments[place] == segment]
        alike = own + [place for place, name in (kept or {}).items() if is_name_of(segment, name)]
        words = _qualifiers(alike, centroids, features) if len(alike) > 1 else {}
        for place in own:
            name = f"{segment}, {words[place]}" if words else segment
            names[place] = _free(name, names.values())
    return [names[place] for place in range(len(segments))]


def is_name_of(segment: str, name: str) -> bool:
    """Whether a cluster's name was made from a segment's."""
    return name == segment or name.startswith(f"{segment}, ")


def _free(name: str, taken: Collection[str]) -> str:
    if name not in taken:
        return name
    return next(free for i in count(2) if (free := f"{name} ({i})") not in taken)


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
