"""Rule maps from YAML: bundled ones by name, own ones by path."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from rfm_spark import rules
from rfm_spark.config.base import Settings
from rfm_spark.config.yaml_file import parse_yaml
from rfm_spark.errors import ConfigurationError

Range = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class RuleEntry(Settings):
    """One rule of a map file: a list of codes, or ranges of scores."""

    name: str
    action: str = ""
    codes: Annotated[list[int | str], Field(min_length=1)] | None = None
    r: Range | None = None
    f: Range | None = None
    m: Range | None = None

    @model_validator(mode="after")
    def _one_form(self) -> RuleEntry:
        ranges = [self.r, self.f, self.m]
        if (self.codes is None) == all(range_ is None for range_ in ranges):
            raise ValueError("give either `codes` or at least one of `r`, `f`, `m`")
        if any(range_ is not None and range_[0] > range_[1] for range_ in ranges):
            raise ValueError("a range runs backwards")
        return self

    def as_rule(self) -> rules.Rule:
        """The rule, with codes as numbers."""
        ranges = {letter: value for letter in "rfm" if (value := getattr(self, letter)) is not None}
        codes = frozenset(_code(code) for code in self.codes or ())
        return rules.Rule(rules.Segment(self.name, self.action), codes, ranges)


class Otherwise(Settings):
    """The segment of codes that no rule covers."""

    name: str
    action: str = ""


class RuleMapFile(Settings):
    """A rule map file."""

    bins: Annotated[int, Field(ge=2, le=10)] | tuple[int, int, int] = 5
    first_match: bool = False
    otherwise: Otherwise | None = None
    segments: list[RuleEntry]


def bundled_rule_maps() -> list[str]:
    """Names of the maps that come with the package."""
    folder = resources.files("rfm_spark") / "maps"
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_rule_map(name: str, folder: Path) -> rules.RuleMap:
    """A bundled map by name, or one from a file.

    Args:
        name: A bundled name, or a path that starts at ``folder`` when relative.
        folder: The configuration file's folder.

    Raises:
        ConfigurationError: There is no such map, or it has a hole, an overlap, or a dead rule.
    """
    bundled = bundled_rule_maps()
    if name in bundled:
        text = (resources.files("rfm_spark") / "maps" / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        try:
            text = (folder / name).read_text(encoding="utf-8-sig")
        except OSError:
            near = difflib.get_close_matches(name, bundled, n=1)
            hint = f"did you mean {near[0]}?" if near else f"bundled: {', '.join(bundled)}"
            raise ConfigurationError(
                f"scoring.rules: {name!r} is neither a bundled rule map nor a readable file "
                f"({folder / name}); {hint}"
            ) from None
    rule_map = _parse(text, name)
    found = rules.problems(rule_map)
    if found:
        raise ConfigurationError(f"the rule map {name} is refused: {'; '.join(found)}")
    return rule_map


def _parse(text: str, name: str) -> rules.RuleMap:
    document = parse_yaml(text, name)
    try:
        file = RuleMapFile.model_validate(document.value)
        entries = tuple(entry.as_rule() for entry in file.segments)
    except ValidationError as error:
        listed = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'file'}: {detail['msg']}"
            for detail in error.errors()
        )
        raise ConfigurationError(f"the rule map {name} is refused: {listed}") from None
    except ValueError as error:
        raise ConfigurationError(f"the rule map {name} is refused: {error}") from None
    bins: Any = (file.bins,) * 3 if isinstance(file.bins, int) else file.bins
    rest = file.otherwise
    otherwise = None if rest is None else rules.Segment(rest.name, rest.action)
    return rules.RuleMap(Path(name).stem, bins, entries, file.first_match, otherwise)


def _code(code: int | str) -> rules.Code:
    text = str(code)
    parts = text.split("-") if "-" in text else list(text)
    if len(parts) != 3 or not all(part.isdigit() for part in parts):  # noqa: PLR2004
        raise ValueError(f"code {text!r} must be three scores, as 543 or 10-9-8")
    r, f, m = (int(part) for part in parts)
    return r, f, m
