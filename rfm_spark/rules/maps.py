"""Rule maps as data: an ordered list of rules, best segment first.

A rule claims customers by their scores, by raw features, or by both. Everything here is plain
Python, so that a map can be checked without Spark.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Code = tuple[int, int, int]
"""Scores for recency, frequency and monetary, 1 to the number of bins, the highest best."""

Range = tuple[float | None, float | None]
"""Lowest and highest value, both included; None: no bound. A null value is in no range."""


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
    """A segment and whom it claims: who satisfies everything that the rule says.

    Args:
        segment: Its name and action.
        codes: Score codes, any one of which is enough; empty: the rule lists none.
        scores: ``r``, ``f`` or ``m`` to lowest and highest score.
        features: Feature column to lowest and highest value.
    """

    segment: Segment
    codes: frozenset[Code] = frozenset()
    scores: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    features: Mapping[str, Range] = field(default_factory=dict)

    def claims(self, code: Code, values: Mapping[str, float | None] | None = None) -> bool:
        """Whether this rule takes customers with that code and those feature values."""
        if self.codes and code not in self.codes:
            return False
        by_letter = dict(zip("rfm", code, strict=True))
        if not all(low <= by_letter[name] <= high for name, (low, high) in self.scores.items()):
            return False
        known = values or {}
        return all(is_within(known.get(name), bounds) for name, bounds in self.features.items())


def is_within(value: float | None, bounds: Range) -> bool:
    """Whether a value lies between two bounds, which belong to the range."""
    low, high = bounds
    if value is None:
        return False
    return (low is None or value >= low) and (high is None or value <= high)


@dataclass(frozen=True)
class RuleMap:
    """An ordered list of rules over a grid of codes; a segment's first rule gives its rank."""

    name: str
    bins: tuple[int, int, int]
    rules: tuple[Rule, ...]
    first_match: bool = False
    otherwise: Segment | None = None

    @property
    def letters(self) -> str:
        """The scores that the map looks at: some of ``r``, ``f`` and ``m``, or none."""
        if any(rule.codes for rule in self.rules):
            return "rfm"
        named = {letter for rule in self.rules for letter in rule.scores}
        return "".join(letter for letter in "rfm" if letter in named)

    @property
    def features(self) -> list[str]:
        """The raw features that the map looks at."""
        return sorted({name for rule in self.rules for name in rule.features})

    @property
    def grid(self) -> list[Code]:
        """Every code there is, the lowest first, monetary running fastest."""
        r, f, m = (range(1, n + 1) for n in self.bins)
        return list(itertools.product(r, f, m))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All segments in order of rank: the rules' own, then ``otherwise``."""
        names: dict[str, Segment] = {}
        for rule in self.rules:
            names.setdefault(rule.segment.name, rule.segment)
        if self.otherwise is not None:
            names.setdefault(self.otherwise.name, self.otherwise)
        return tuple(names.values())

    def segment_of(
        self, code: Code, values: Mapping[str, float | None] | None = None
    ) -> Segment | None:
        """The segment of a customer: that of the first rule that claims it, else ``otherwise``."""
        for rule in self.rules:
            if rule.claims(code, values):
                return rule.segment
        return self.otherwise

    def rank_of(self, name: str) -> int:
        """Rank of a segment, 1 = best; customers without a purchase come after all others."""
        names = [segment.name for segment in self.segments]
        return names.index(name) + 1 if name in names else len(names) + 1

    def action_of(self, name: str) -> str:
        """The marketing action of a segment by name."""
        return {s.name: s.action for s in (NO_PURCHASE, *self.segments)}[name]

    def as_json(self) -> str:
        """The whole map, canonical, to be stored beside the edges it was used with."""
        rest = self.otherwise
        return json.dumps(
            {
                "name": self.name,
                "bins": self.bins,
                "first_match": self.first_match,
                "rules": [_as_data(rule, self.bins) for rule in self.rules],
                "otherwise": None if rest is None else [rest.name, rest.action],
            },
            separators=(",", ":"),
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> RuleMap:
        """A map from :meth:`as_json`."""
        data = json.loads(text)
        rules = (
            Rule(
                Segment(rule["name"], rule["action"]),
                frozenset(code_named(name) for name in rule["codes"]),
                {letter: (low, high) for letter, (low, high) in rule["scores"].items()},
                {feature: (low, high) for feature, (low, high) in rule["features"].items()},
            )
            for rule in data["rules"]
        )
        rest = data["otherwise"]
        return cls(
            data["name"],
            tuple(data["bins"]),
            tuple(rules),
            data["first_match"],
            None if rest is None else Segment(*rest),
        )

    @property
    def digest(self) -> str:
        """Eight hex digits that change with any condition, name or action of the map."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()[:8]


def separator_of(numbers: Sequence[int]) -> str:
    """What stands between the scores of a code; something, where a number has two digits."""
    return "-" if max(numbers) > 9 else ""  # noqa: PLR2004


def cell_name(code: Sequence[int], bins: Sequence[int] = ()) -> str:
    """A code as text, as in ``rfm_cell``: '555', or '10-9-5' where there are 10 bins of a score."""
    return separator_of([*code, *bins]).join(str(score) for score in code)


def code_named(name: str) -> Code:
    """The code of a cell's name."""
    r, f, m = (int(score) for score in (name.split("-") if "-" in name else name))
    return r, f, m


def _as_data(rule: Rule, bins: Sequence[int]) -> dict[str, Any]:
    return {
        "name": rule.segment.name,
        "action": rule.segment.action,
        "codes": [cell_name(code, bins) for code in sorted(rule.codes)],
        "scores": {name: list(rule.scores[name]) for name in sorted(rule.scores)},
        "features": {name: list(rule.features[name]) for name in sorted(rule.features)},
    }
