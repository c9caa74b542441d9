"""Rule maps from YAML: bundled ones by name, own ones by path."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from rfm_spark import rules
from rfm_spark.config.base import Settings
from rfm_spark.config.naming import known
from rfm_spark.config.yaml_file import parse_yaml
from rfm_spark.errors import ConfigurationError
from rfm_spark.schemas import FEATURE_LABELS

SegmentName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Scores = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class RuleEntry(Settings):
    """One rule of a map file: a list of codes, ranges of scores, ranges of raw features."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, tuple[float | None, float | None]] = Field(init=False)

    name: SegmentName
    action: str = ""
    codes: Annotated[list[int | str], Field(min_length=1)] | None = None
    r: Scores | None = None
    f: Scores | None = None
    m: Scores | None = None

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any, info: ValidationInfo) -> Any:
        if not isinstance(values, dict):
            raise ValueError("a rule is a section with `name:` and what it asks for")
        features = (info.context or {}).get("features", [])
        for key in values:
            known(str(key), [*cls.model_fields, *features], "a key of a rule, nor a feature")
        return values

    @model_validator(mode="after")
    def _says_something(self) -> RuleEntry:
        if self.codes is not None and self.scores:
            raise ValueError("give either `codes` or ranges of `r`, `f`, `m`")
        if self.codes is None and not self.scores and not self.features:
            raise ValueError("give `codes`, or a range of `r`, `f`, `m` or of a feature")
        for name, (low, high) in {**self.scores, **self.features}.items():
            if low is None and high is None:
                raise ValueError(f"{name} has no bound at all")
            if low is not None and high is not None and low > high:
                raise ValueError(f"the range of {name} runs backwards")
        return self

    @property
    def scores(self) -> dict[str, tuple[int, int]]:
        """Letter to range of scores."""
        return {name: range_ for name in "rfm" if (range_ := getattr(self, name)) is not None}

    @property
    def features(self) -> dict[str, tuple[float | None, float | None]]:
        """Feature column to range of values."""
        return dict(self.__pydantic_extra__ or {})

    def as_rule(self, action: str) -> rules.Rule:
        """The rule, with codes as numbers."""
        codes = frozenset(_code(code) for code in self.codes or ())
        return rules.Rule(rules.Segment(self.name, action), codes, self.scores, self.features)


class Otherwise(Settings):
    """The segment of codes that no rule covers."""

    name: SegmentName
    action: str = ""


class RuleMapFile(Settings):
    """A rule map file."""

    bins: Annotated[int, Field(ge=2, le=10)] | tuple[int, int, int] = 5
    first_match: bool = False
    otherwise: Otherwise | None = None
    segments: Annotated[list[RuleEntry], Field(min_length=1)]

    @property
    def rules(self) -> tuple[rules.Rule, ...]:
        """The rules in order; those of one segment share the action that one of them names.

        Raises:
            ValueError: Two rules of a segment name different actions.
        """
        actions: dict[str, str] = {}
        for entry in (*self.segments, *([self.otherwise] if self.otherwise else ())):
            action = actions.setdefault(entry.name, entry.action) or entry.action
            if entry.action not in ("", action):
                raise ValueError(f"{entry.name} has two different actions")
            actions[entry.name] = action
        return tuple(entry.as_rule(actions[entry.name]) for entry in self.segments)

    @model_validator(mode="before")
    @classmethod
    def _has_segments(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            raise ValueError("a rule map is a file with `segments:`, a list of rules")
        return values


def bundled_rule_maps() -> list[str]:
    """Names of the maps that come with the package."""
    folder = resources.files("rfm_spark") / "maps"
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_rule_map(
    name: str,
    folder: Path,
    *,
    features: Iterable[str] = FEATURE_LABELS,
    bins: Sequence[int] | None = None,
) -> rules.RuleMap:
    """A bundled map by name, or one from a file.

    Args:
        name: A bundled name, or a path that starts at ``folder`` when relative.
        folder: The configuration file's folder.
        features: Feature columns that rules may name.
        bins: Bins of recency, frequency and monetary that scores are made with. A map must be made
            for the same number of every score that it looks at. Null takes the map's own.

    Raises:
        ConfigurationError: There is no such map, it is made for other bins, or it has a hole, an
            overlap, a dead rule or an unknown feature.
    """
    bundled = bundled_rule_maps()
    if name in bundled:
        text = (resources.files("rfm_spark") / "maps" / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        try:
            text = (folder / name).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"the rule map {name} is not UTF-8: {error}") from None
        except OSError:
            near = difflib.get_close_matches(name, bundled, n=1)
            hint = f"did you mean {near[0]}?" if near else f"bundled: {', '.join(bundled)}"
            raise ConfigurationError(
                f"scoring.rules: {name!r} is neither a bundled rule map nor a readable file "
                f"({folder / name}); {hint}"
            ) from None
    rule_map = _with_bins(_parse(text, name, list(features)), bins)
    found = rules.problems(rule_map)
    if found:
        raise ConfigurationError(f"the rule map {name} is refused: {'; '.join(found)}")
    return rule_map


def _parse(text: str, name: str, features: list[str]) -> rules.RuleMap:
    document = parse_yaml(text, name)
    try:
        file = RuleMapFile.model_validate(document.value, context={"features": features})
        entries = file.rules
    except ValidationError as error:
        listed = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'file'}: "
            + detail["msg"].removeprefix("Value error, ")
            for detail in error.errors()
        )
        raise ConfigurationError(f"the rule map {name} is refused: {listed}") from None
    except ValueError as error:
        raise ConfigurationError(f"the rule map {name} is refused: {error}") from None
    bins: Any = (file.bins,) * 3 if isinstance(file.bins, int) else file.bins
    rest = file.otherwise
    otherwise = None if rest is None else rules.Segment(rest.name, rest.action)
    return rules.RuleMap(Path(name).stem, bins, entries, file.first_match, otherwise)


def _with_bins(rule_map: rules.RuleMap, bins: Sequence[int] | None) -> rules.RuleMap:
    """The map over the scores there are, where it does not look at a score."""
    if bins is None:
        return rule_map
    used = rule_map.letters
    r, f, m = (
        own if letter in used else given
        for letter, own, given in zip("rfm", rule_map.bins, bins, strict=True)
    )
    if (r, f, m) != tuple(bins):
        raise ConfigurationError(
            f"the rule map {rule_map.name} is made for {rule_map.bins} bins of recency, frequency "
            f"and monetary, and scoring.bins says {tuple(bins)}; change one of the two"
        )
    return replace(rule_map, bins=(r, f, m))


def _code(code: int | str) -> rules.Code:
    text = str(code)
    parts = text.split("-") if "-" in text else list(text)
    if len(parts) != 3 or not all(part.isdigit() for part in parts):  # noqa: PLR2004
        raise ValueError(f"code {text!r} must be three scores, as 543 or 10-9-8")
    r, f, m = (int(part) for part in parts)
    return r, f, m
