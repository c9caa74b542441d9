"""Whether a rule map makes sense: who is claimed by no rule, by two, and which rules never fire."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rfm_spark.rules.maps import NO_PURCHASE, Code, RuleMap, cell_name
from rfm_spark.rules.pieces import Piece, pieces

_MOST_CASES = 300_000
_LISTED = 12


@dataclass(frozen=True)
class Coverage:
    """Which cases a map treats how; a case is a code, values of raw features, or both.

    Args:
        cases: Number of cases.
        uncovered: Cases that no rule claims.
        doubled: Cases that more than one rule claims.
        silent: Place of each rule that never fires, and whom it claims.
    """

    cases: int
    uncovered: list[str]
    doubled: list[str]
    silent: dict[int, list[str]]


def coverage(rule_map: RuleMap) -> Coverage:
    """Go through every case that can occur."""
    uncovered, doubled, fired, count = [], [], set(), 0
    claimed_by: dict[int, list[str]] = {}
    for text, code, values in _cases(rule_map):
        count += 1
        claims = [i for i, rule in enumerate(rule_map.rules) if rule.claims(code, values)]
        fired |= set(claims[:1])
        if not claims:
            uncovered.append(text)
        elif len(claims) > 1:
            doubled.append(text)
        for place in claims[1:]:
            claimed_by.setdefault(place, []).append(text)
    places = range(len(rule_map.rules))
    silent = {place: claimed_by.get(place, []) for place in places if place not in fired}
    return Coverage(count, uncovered, doubled, silent)


def problems(rule_map: RuleMap) -> list[str]:
    """Everything that makes a map ambiguous or incomplete, one sentence each.

    Cases that no rule covers, cases that two rules claim, rules that never fire. Overlaps are
    allowed with ``first_match``, holes with ``otherwise``.
    """
    cases = _number_of_cases(rule_map)
    if cases > _MOST_CASES:
        return [f"its ranges make {cases:,} cases, too many to be checked; use fewer bounds"]
    found = []
    if NO_PURCHASE.name in {segment.name for segment in rule_map.segments}:
        found.append(f"{NO_PURCHASE.name!r} is the segment of customers without any; rename yours")
    outside = sorted({c for rule in rule_map.rules for c in rule.codes} - set(rule_map.grid))
    if outside:
        listed = _listed([cell_name(code, rule_map.bins) for code in outside], "code")
        found.append(f"{listed} cannot occur with {rule_map.bins} bins")
    bins = dict(zip("rfm", rule_map.bins, strict=True))
    found += [
        f"rule {i + 1} ({rule.segment.name}) has {letter} up to {high} of {bins[letter]}"
        for i, rule in enumerate(rule_map.rules)
        for letter, (_, high) in rule.scores.items()
        if high > bins[letter]
    ]
    what, covered = "case" if rule_map.features else "code", coverage(rule_map)
    if covered.uncovered and rule_map.otherwise is None:
        listed = _listed(covered.uncovered, what)
        found.append(f"no rule covers {listed}; add them to a rule or name an `otherwise`")
    if covered.doubled and not rule_map.first_match:
        listed = _listed(covered.doubled, what)
        found.append(f"two rules claim {listed}; take one out or say `first_match: true`")
    for place, cases_of_rule in covered.silent.items():
        why = (
            f"earlier rules take {_listed(cases_of_rule, what)}"
            if cases_of_rule
            else "nobody can be in its ranges"
        )
        name = rule_map.rules[place].segment.name
        found.append(f"rule {place + 1} ({name}) can never fire: {why}")
    return found


def disordered_pairs(rule_map: RuleMap) -> list[tuple[Code, Code]]:
    """Pairs (better code, worse code) in which the better code has the worse segment.

    A code is better than another when no score is lower and at least one is higher. A map that
    looks at raw features gives no segment to a code alone, and has no such pairs.
    """
    if rule_map.features:
        return []
    ranks = {
        code: rule_map.rank_of(segment.name)
        for code in rule_map.grid
        if (segment := rule_map.segment_of(code)) is not None
    }
    return [
        (better, worse)
        for better, worse in itertools.permutations(ranks, 2)
        if all(b >= w for b, w in zip(better, worse, strict=True)) and ranks[better] > ranks[worse]
    ]


def _cases(rule_map: RuleMap) -> Iterator[tuple[str, Code, Mapping[str, float | None]]]:
    by_feature = _pieces(rule_map)
    for code in _codes(rule_map):
        for chosen in itertools.product(*by_feature.values()):
            values = {name: piece.example for name, piece in zip(by_feature, chosen, strict=True)}
            scores = [cell_name(code, rule_map.bins)] if rule_map.letters else []
            yield " & ".join([*scores, *(piece.text for piece in chosen)]), code, values


def _pieces(rule_map: RuleMap) -> dict[str, list[Piece]]:
    return {
        name: pieces(
            name, [rule.features[name] for rule in rule_map.rules if name in rule.features]
        )
        for name in rule_map.features
    }


def _codes(rule_map: RuleMap) -> list[Code]:
    """Every code, or one that stands for all where no rule looks at scores."""
    return rule_map.grid if rule_map.letters else [(1, 1, 1)]


def _number_of_cases(rule_map: RuleMap) -> int:
    count = len(_codes(rule_map))
    for found in _pieces(rule_map).values():
        count *= len(found)
    return count


def _listed(cases: Sequence[str], what: str) -> str:
    separator = "; " if what == "case" else " "
    shown = separator.join(cases[:_LISTED])
    more = f" and {len(cases) - _LISTED} more" if len(cases) > _LISTED else ""
    return f"{what if len(cases) == 1 else what + 's'} {shown}{more}"
