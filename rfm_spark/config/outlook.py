"""Settings of the outlook: which step it repeats, how often, and what later money counts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from rfm_spark.config.base import Settings
from rfm_spark.config.steps import Step

PREVIOUS = "previous"


class OutlookSettings(Settings):
    """What the base becomes if customers go on moving as they did."""

    compare_to: str = Field(
        PREVIOUS,
        description="the step that is repeated: since the previous snapshot date, or a calendar "
        "step such as 1mo, 3mo or 1y",
    )
    periods: Annotated[int, Field(ge=1, le=120)] = Field(10, description="steps to look ahead")
    discount_rate: Annotated[float, Field(ge=0, le=10)] = Field(0.1, description="per step")

    @field_validator("compare_to")
    @classmethod
    def _compare_to(cls, value: str) -> str:
        if value != PREVIOUS:
            try:
                Step.parse(value)
            except ValueError as error:
                raise ValueError(f"{error}, nor {PREVIOUS!r}") from None
        return value

    @property
    def step(self) -> Step | None:
        """The calendar step; None for the step since the previous snapshot date."""
        return None if self.compare_to == PREVIOUS else Step.parse(self.compare_to)
