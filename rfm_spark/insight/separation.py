"""How much of what tells customers apart lies between the segments."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction

from rfm_spark.insight.figures import Sums


def eta_squared(segments: Iterable[Sums]) -> float | None:
    """Share of a feature's variance that lies between segments, 0 to 1.

    Sum of squares between the segments over the total (Fisher's correlation ratio, squared). None
    where the feature does not vary or has no values.
    """
    known = [sums for sums in segments if sums.count]
    whole = sum(known, Sums())
    if not whole.scatter:
        return None
    within = sum((sums.scatter for sums in known), Fraction(0))
    return min(1.0, max(0.0, float((whole.scatter - within) / whole.scatter)))


def cramers_v(table: Mapping[tuple[str, str], int]) -> float | None:
    """Association of segments and an attribute's values, 0 to 1 (Cramér, 1946; not corrected).

    Args:
        table: Segment and value to customers; missing values are to be left out before.

    Returns:
        The square root of chi squared over customers times (the smaller side of the table - 1);
        None where there are fewer than two segments or two values.
    """
    rows: dict[str, int] = defaultdict(int)
    columns: dict[str, int] = defaultdict(int)
    for (segment, value), customers in table.items():
        rows[segment] += customers
        columns[value] += customers
    smaller, total = min(len(rows), len(columns)), sum(rows.values())
    if smaller < 2:  # noqa: PLR2004
        return None
    parts = sum(
        (Fraction(n * n, rows[segment] * columns[value]) for (segment, value), n in table.items()),
        Fraction(0),
    )
    return math.sqrt(float((parts - 1) * total) / (total * (smaller - 1)))
