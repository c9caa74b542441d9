"""Names and texts in SQL."""

from __future__ import annotations

from collections.abc import Mapping


def listed(properties: Mapping[str, str]) -> str:
    """Properties as in TBLPROPERTIES."""
    return ", ".join(f"{text(key)}={text(value)}" for key, value in properties.items())


def quoted(name: str) -> str:
    """An identifier."""
    return f"`{name.replace('`', '``')}`"


def text(value: str) -> str:
    """A string literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
