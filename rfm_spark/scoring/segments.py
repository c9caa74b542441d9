"""Segments from scores and features, by rule."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from rfm_spark.rules import NO_PURCHASE, Range, Rule, RuleMap
from rfm_spark.scoring.scores import has_no_purchase

_SCORES = {"r": "r_score", "f": "f_score", "m": "m_score"}


def segment_by(rule_map: RuleMap) -> Column:
    """The rule segment of a row with scores and features.

    Customers without any purchase have the segment "No purchase" in every map. A map that looks at
    scores alone is one look-up; else the rules are tried in order.
    """
    by_rule = _by_rules(rule_map) if rule_map.features else _by_code(rule_map)
    return F.when(has_no_purchase(), F.lit(NO_PURCHASE.name)).otherwise(by_rule)


def _by_code(rule_map: RuleMap) -> Column:
    names = [segment.name if (segment := rule_map.segment_of(c)) else None for c in rule_map.grid]
    return F.element_at(F.array(*(F.lit(name) for name in names)), _place(rule_map))


def _by_rules(rule_map: RuleMap) -> Column:
    rest = rule_map.otherwise
    segment = F.lit(None if rest is None else rest.name).cast("string")
    for rule in reversed(rule_map.rules):
        segment = F.when(_claims(rule_map, rule), F.lit(rule.segment.name)).otherwise(segment)
    return segment


def _claims(rule_map: RuleMap, rule: Rule) -> Column:
    claims = F.lit(True)
    if rule.codes:
        places = [place for place, code in enumerate(rule_map.grid, 1) if code in rule.codes]
        claims = claims & _place(rule_map).isin(places)
    for letter, (low, high) in rule.scores.items():
        claims = claims & F.col(_SCORES[letter]).between(low, high)
    for feature, bounds in rule.features.items():
        claims = claims & _is_within(F.col(feature), bounds)
    return claims


def _is_within(value: Column, bounds: Range) -> Column:
    """Whether a value lies between two bounds; a null value never does."""
    low, high = bounds
    number, within = value.cast("double"), value.isNotNull()
    if low is not None:
        within = within & (number >= F.lit(float(low)))
    if high is not None:
        within = within & (number <= F.lit(float(high)))
    return within


def _place(rule_map: RuleMap) -> Column:
    """Where a row's code stands in the map's grid, counted from 1."""
    _, f_bins, m_bins = rule_map.bins
    place = (
        (F.col("r_score") - 1) * (f_bins * m_bins)
        + (F.col("f_score") - 1) * m_bins
        + F.col("m_score")
    )
    return place.cast("int")
