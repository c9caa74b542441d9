"""Who is meant: customers in chosen segments, with the campaign that their segment gets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark.schemas import KINDS

_OF_SEGMENTS = (*KINDS.values(), "segment")


def campaign(campaigns: Mapping[str, str], rule_segments: Collection[str]) -> Column:
    """The campaign of a customer's segment; null where the segment has none.

    Args:
        campaigns: Segment to campaign.
        rule_segments: Names that rule segments have. A campaign of such a name goes by
            ``rfm_segment``, any other one by ``cluster_segment``; the rule segment's comes first.
    """
    by_rule = {name: to for name, to in campaigns.items() if name in rule_segments}
    by_cluster = {name: to for name, to in campaigns.items() if name not in rule_segments}
    return F.coalesce(
        _looked_up(F.col(KINDS["rfm"]), by_rule), _looked_up(F.col(KINDS["cluster"]), by_cluster)
    )


def _looked_up(column: Column, values: Mapping[str, str]) -> Column:
    nothing = F.lit(None).cast("string")
    cases = list(values.items())
    if not cases:
        return nothing
    (name, value), *others = cases
    found = F.when(column == F.lit(name), F.lit(value))
    return reduce(lambda so_far, c: so_far.when(column == F.lit(c[0]), F.lit(c[1])), others, found)


def segment_columns(columns: Iterable[str]) -> list[str]:
    """Those of a table's columns that hold names of segments."""
    return [name for name in columns if name in _OF_SEGMENTS]


def in_segments(rows: DataFrame, segments: Sequence[str] | None) -> DataFrame:
    """Rows of chosen segments, by rule or by cluster; all of them where None is given.

    The table must have at least one column of :func:`segment_columns`.
    """
    if segments is None:
        return rows
    chosen = (F.col(name).isin(*segments) for name in segment_columns(rows.columns))
    return rows.where(reduce(lambda one, other: one | other, chosen))
