"""Names checked against what there is, and digests of settings."""

from __future__ import annotations

import difflib
import hashlib
import json

from pydantic import ValidationInfo

from rfm_spark.schemas import FEATURE_LABELS


def known(name: str, choices: list[str], what: str) -> str:
    """The name, if it is among the choices.

    Raises:
        ValueError: It is not; the nearest choice is named.
    """
    if name in choices:
        return name
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(choices)
    raise ValueError(f"{name!r} is not {what}; {hint}")


def known_feature(name: str, info: ValidationInfo, *further: str, what: str = "a feature") -> str:
    """The name, if it is a feature of the table, an extra feature, or one of the further names."""
    extra = (info.context or {}).get("extra_features", [])
    return known(name, [*FEATURE_LABELS, *extra, *further], what)


def digest(value: object) -> str:
    """Eight hex digits of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
