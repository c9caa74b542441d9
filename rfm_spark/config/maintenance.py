"""Settings of the upkeep: how much of the past stays."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rfm_spark.config.base import Settings


class MaintenanceSettings(Settings):
    """What `maintain` removes beside old files."""

    keep_snapshots: Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="keep customers' rows of so many snapshot dates, the newest; null: of all",
    )
    keep_rejects_days: Annotated[int, Field(ge=0)] | None = Field(
        90, description="keep rejected rows of the last so many ingested days; null: all"
    )
