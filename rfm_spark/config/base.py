"""What all settings share: they are closed and frozen, and paths start at the file's folder."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationInfo


class Settings(BaseModel):
    """A section of the configuration: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def resolve_location(value: str, info: ValidationInfo) -> str:
    """An absolute path or a URI as it is; a relative path from the configuration's folder."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value) or value.startswith("/"):
        return value
    folder = (info.context or {}).get("folder", Path())
    return str((Path(folder) / value).resolve())
