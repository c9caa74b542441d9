"""Rule maps: which scores make which segment.

A map is data: an ordered list of rules, best segment first. Rules are resolved to the full grid
of score codes here, in plain Python, so that a map can be checked without Spark and applied in
Spark by one look-up.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Code = tuple[int, int, int]
"""Scores for recency, frequency and monetary, 1 to the number of bins, the highest best."""


@dataclass(frozen=True)
class Segment:
    """A segment's business name and what marketing does with it."""

    name: str
    action: str


NO_PURCHASE = Segment(
    "No purchase", "Activation: welcome offer that makes the first purchase easy, with a deadline"
)
"""Customers without any purchase have no code; every map has this segment for them."""


@dataclass(frozen=True)
class Rule:
    """A segment and the codes it claims: listed ones, or all within ranges of scores."""

    segment: Segment
    codes: frozenset[Code] = frozenset()
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def claims(self, code: Code) -> bool:
        """Whether this rule takes customers with that code."""
        if self.codes:
            return code in self.codes
        scores = dict(zip("rfm", code, strict=True))
        return all(low <= scores[letter] <= high for letter, (low, high) in self.ranges.items())


@dataclass(frozen=True)
class RuleMap:
    """An ordered list of rules over a grid of codes; a rule's place is the segment's rank."""

    name: str
    bins: tuple[int, int, int]
    rules: tuple[Rule, ...]
    first_match: bool = False
    otherwise: Segment | None = None

    @property
    def grid(self) -> list[Code]:
        """Every code there is, the lowest first, monetary running fastest."""
        r, f, m = (range(1, n + 1) for n in self.bins)
        return list(itertools.product(r, f, m))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All segments in order of rank: the rules' own, then ``otherwise``."""
        names = {rule.segment.name: rule.segment for rule in self.rules}
        if self.otherwise is not None:
            names.setdefault(self.otherwise.name, self.otherwise)
        return tuple(names.values())

    def segment_of(self, code: Code) -> Segment | None:
        """The segment of a code: the first rule that claims it, else ``otherwise``."""
        for rule in self.rules:
            if rule.claims(code):
                return rule.segment
        return self.otherwise

    def rank_of(self, name: str) -> int:
        """Rank of a segment, 1 = best; customers without a purchase come after all others."""
        names = [segment.name for segment in self.segments]
        return names.index(name) + 1 if name in names else len(names) + 1

    def action_of(self, name: str) -> str:
        """The marketing action of a segment by name."""
        return {s.name: s.action for s in (*self.segments, NO_PURCHASE)}[name]

    def as_json(self) -> str:
        """The resolved map, canonical, to be stored beside the edges it was used with."""
        cells = [segment.name if (segment := self.segment_of(code)) else None for code in self.grid]
        return json.dumps(
            {
                "name": self.name,
                "bins": self.bins,
                "segments": [[segment.name, segment.action] for segment in self.segments],
                "cells": cells,
            },
            separators=(",", ":"),
            ensure_ascii=False,
        )

    @property
    def digest(self) -> str:
        """Eight hex digits that change with any cell, name or action of the map."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()[:8]


def problems(rule_map: RuleMap) -> list[str]:
    """Everything that makes a map ambiguous or incomplete, one sentence each.

    Codes that no rule covers, codes that two rules claim, rules that never fire. Overlaps are
    allowed with ``first_match``, holes with ``otherwise``.
    """
    found = []
    claims = {
        code: [i for i, rule in enumerate(rule_map.rules) if rule.claims(code)]
        for code in rule_map.grid
    }
    holes = [code for code, claimed in claims.items() if not claimed]
    if holes and rule_map.otherwise is None:
        found.append(f"no rule covers {_listed(holes)}; add them to a rule or name an `otherwise`")
    doubled = [code for code, claimed in claims.items() if len(claimed) > 1]
    if doubled and not rule_map.first_match:
        found.append(f"two rules claim {_listed(doubled)}; take one out or say `first_match: true`")
    outside = sorted({c for rule in rule_map.rules for c in rule.codes} - set(claims))
    if outside:
        found.append(f"{_listed(outside)} cannot occur with {rule_map.bins} bins")
    firing = {claimed[0] for claimed in claims.values() if claimed}
    found.extend(
        f"rule {i + 1} ({rule.segment.name}) can never fire"
        for i, rule in enumerate(rule_map.rules)
        if i not in firing
    )
    return found


def disordered_pairs(rule_map: RuleMap) -> list[tuple[Code, Code]]:
    """Pairs (better code, worse code) in which the better code has the worse segment.

    A code is better than another when no score is lower and at least one is higher.
    """
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


def cell_name(code: Sequence[int]) -> str:
    """A code as text: '555', or '10-9-10' where a score has two digits."""
    return ("-" if max(code) > 9 else "").join(str(score) for score in code)  # noqa: PLR2004


def _listed(codes: Sequence[Code], most: int = 12) -> str:
    shown = " ".join(cell_name(code) for code in codes[:most])
    more = f" and {len(codes) - most} more" if len(codes) > most else ""
    return f"{'code' if len(codes) == 1 else 'codes'} {shown}{more}"
