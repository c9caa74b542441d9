"""Rule maps: which scores and features make which segment, and whether a map makes sense."""

from rfm_spark.rules.checks import Coverage, coverage, disordered_pairs, problems
from rfm_spark.rules.maps import (
    NO_PURCHASE,
    Code,
    Range,
    Rule,
    RuleMap,
    Segment,
    cell_name,
    is_within,
    separator_of,
)

__all__ = [
    "NO_PURCHASE",
    "Code",
    "Coverage",
    "Range",
    "Rule",
    "RuleMap",
    "Segment",
    "cell_name",
    "coverage",
    "disordered_pairs",
    "is_within",
    "problems",
    "separator_of",
]
