"""YAML with line numbers, and with an error where a key stands twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from rfm_spark.errors import ConfigurationError


@dataclass(frozen=True)
class Node:
    """A parsed document that remembers on which line each key stands."""

    value: Any
    lines: dict[tuple[str | int, ...], int]

    def line_of(self, keys: Sequence[str | int]) -> int | None:
        """Line of a key, or of the nearest section around it that the file has."""
        for end in range(len(keys), 0, -1):
            line = self.lines.get(tuple(keys[:end]))
            if line is not None:
                return line
        return None


def parse_yaml(text: str, origin: str) -> Node:
    """Parse one YAML document.

    Raises:
        ConfigurationError: It is no YAML, or a key stands twice in one section.
    """
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or error
        raise ConfigurationError(f"{origin}{line} is not valid YAML: {problem}") from None
    lines: dict[tuple[str | int, ...], int] = {}
    doubled = _walk(tree, (), lines) if tree is not None else []
    if doubled:
        raise ConfigurationError(f"{origin}: each key may stand once; {'; '.join(doubled)}")
    return Node(value, lines)


def _walk(
    node: yaml.Node, keys: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]
) -> list[str]:
    doubled = []
    if isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            inner = (*keys, str(key.value))
            line = key.start_mark.line + 1
            if inner in lines:
                doubled.append(f"{key.value} stands on lines {lines[inner]} and {line}")
            lines[inner] = line
            doubled += _walk(item, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            place = (*keys, i)
            lines[place] = item.start_mark.line + 1
            doubled += _walk(item, place, lines)
    return doubled
