"""Two segments side by side, on a scale that every feature shares."""

from __future__ import annotations

import math

from rfm_spark.insight.figures import Frame, Sums


def standardised_difference(one: Sums, other: Sums, frame: Frame) -> float | None:
    """Difference of two means in units of their pooled deviation.

    (m1 - m2) / sqrt((s1^2 + s2^2) / 2), with sample variances (P. C. Austin, "Balance diagnostics",
    Statistics in Medicine 28, 2009). It does not grow with the number of customers; 0.1 is small.
    None where a group has fewer than two values, or neither varies.
    """
    stds = one.std(frame), other.std(frame)
    if one.mean is None or other.mean is None or stds[0] is None or stds[1] is None:
        return None
    pooled = math.sqrt((stds[0] ** 2 + stds[1] ** 2) / 2)
    return (one.mean - other.mean) / pooled if pooled > 0 else None


def standardised_difference_of_shares(one: float, other: float) -> float | None:
    """The same for two shares: (p1 - p2) / sqrt((p1 (1 - p1) + p2 (1 - p2)) / 2)."""
    pooled = math.sqrt((one * (1 - one) + other * (1 - other)) / 2)
    return (one - other) / pooled if pooled > 0 else None
