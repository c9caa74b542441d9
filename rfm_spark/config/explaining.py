"""Pydantic's findings as sentences for the person who wrote the file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rfm_spark.config.settings import RfmSettings
from rfm_spark.config.yaml_file import Node


def explain(error: ValidationError, values: Any, root: Node, path: Path) -> str:
    """All problems of a configuration, one line each, with the line in the file.

    An unknown key is answered with the nearest known one. Where a value fits none of several
    allowed forms, the forms stand together in one line.
    """
    problems: dict[str, list[str]] = {}
    for detail in error.errors():
        keys = [*_keys(detail, values), *_inner_key(detail)]
        name = ".".join(str(key) for key in keys) or "configuration"
        line = root.line_of(keys)
        where = f"line {line}: {name}" if line else name
        problems.setdefault(where, []).append(_sentence(detail, keys))
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    listed = "\n".join(f"  {where}: {'; or '.join(found)}" for where, found in problems.items())
    return f"{path} is refused, {count}:\n{listed}"


def _sentence(detail: ErrorDetails, keys: Sequence[str | int]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown_key(keys, detail["loc"])
    if kind in ("missing", "union_tag_not_found"):
        return "is required and not given"
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "union_tag_invalid":
        return _unknown_tag(detail)
    if kind in ("model_type", "model_attributes_type"):
        message = "Input should be a section"
    if kind == "value_error":
        return message
    told = f"{message[:1].lower()}{message[1:]}"
    is_secret = any(str(key) in ("url", "properties") for key in keys)
    return told if is_secret else f"{told}, got {detail['input']!r}"


def _unknown_key(keys: Sequence[str | int], loc: Sequence[str | int]) -> str:
    known = sorted(_known_keys(keys[:-1], loc))
    near = difflib.get_close_matches(str(keys[-1]), known, n=1)
    if near:
        return f"is not a setting; did you mean {near[0]}?"
    return f"is not a setting; known here: {', '.join(known)}"


def _unknown_tag(detail: ErrorDetails) -> str:
    """Which kinds of section there are."""
    tag, known = detail["ctx"]["tag"], re.findall(r"'([^']*)'", detail["ctx"]["expected_tags"])
    near = difflib.get_close_matches(str(tag), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
    return f"should not be {tag!r}; {hint}"


def _known_keys(keys: Sequence[str | int], loc: Sequence[str | int]) -> set[str]:
    places: list[Any] = [RfmSettings]
    for key in keys:
        places = [inner for place in places for inner in _inside(place, str(key))]
    models = [model for place in places for model in _models_in(place)]
    models = [model for model in models if _type_of(model) in loc] or models
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


def _inside(annotation: Any, key: str) -> Iterator[Any]:
    """What stands under a key of a section, or of a mapping of names to sections."""
    if get_origin(annotation) is dict:
        yield get_args(annotation)[1]
        return
    for model in _models_in(annotation):
        if key in model.model_fields:
            yield model.model_fields[key].annotation
        else:
            yield from _inside(get_type_hints(model).get("__pydantic_extra__"), key)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _type_of(model: type[BaseModel]) -> str | None:
    """What `type` says in a section of this form; None for forms that have no such key."""
    field = model.model_fields.get("type")
    named = get_args(field.annotation) if field is not None else ()
    return str(named[0]) if named else None


def _inner_key(detail: ErrorDetails) -> list[str]:
    """The key that a whole section was refused for."""
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return ["type"]
    key = detail.get("ctx", {}).get("key")
    return [] if key is None else [str(key)]


def _keys(detail: ErrorDetails, values: Any) -> list[int | str]:
    """Where the problem is, in keys of the file; pydantic also names the form of a union."""
    keys: list[int | str] = []
    for i, part in enumerate(detail["loc"]):
        inside = (isinstance(values, dict) and part in values) or (
            isinstance(values, list) and isinstance(part, int) and part < len(values)
        )
        if inside:
            keys.append(part)
            values = values[part]
        elif detail["type"] == "missing" and i == len(detail["loc"]) - 1:
            keys.append(part)
    return keys
