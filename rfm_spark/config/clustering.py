"""Settings of clusters: how they are fitted, when anew, and when they no longer fit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from rfm_spark.config.base import Settings
from rfm_spark.config.naming import known_feature
from rfm_spark.schemas import SCORE_COLUMNS

Share = Annotated[float, Field(ge=0, le=1)]


class ClusteringSettings(Settings):
    """How customers are clustered."""

    features: list[str] | None = Field(
        None, description="null: the columns of the three roles, and aum_per_day with AUM"
    )
    transform: Literal["log1p", "none"] = "log1p"
    scale: Literal["standard", "none"] = "standard"
    algorithm: Literal["kmeans", "bisecting"] = Field(
        "kmeans", description="bisecting: a hierarchy of divisions by two"
    )
    k: Literal["auto"] | Annotated[int, Field(ge=2, le=100)] = Field(
        "auto", description="a number: k_range is swept only if it is given as well"
    )
    k_range: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=2, le=100)]] = (2, 10)
    select: Literal["silhouette", "elbow"] = Field(
        "silhouette", description="elbow: the knee of the curve of WCSS from k = 1"
    )
    min_share: Share = Field(0.01, description="a k with a smaller cluster is not chosen")
    seeds: Annotated[int, Field(ge=1, le=100)] = 3
    max_iter: Annotated[int, Field(ge=1)] = 40
    coreset_size: Literal[0] | Annotated[int, Field(ge=100)] = Field(
        50_000,
        description="fit on a weighted sample of about this size; smaller data whole; 0: on all "
        "rows, whatever it takes",
    )
    names: Literal["rules"] | list[str] = Field(
        "rules", description="rules, or a list, best cluster first"
    )

    @field_validator("features")
    @classmethod
    def _features(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        if value is None:
            return None
        if not value or len(set(value)) != len(value):
            raise ValueError("name at least one feature, and each only once")
        scores = SCORE_COLUMNS.values()
        return [known_feature(name, info, *scores, what="a feature or a score") for name in value]

    @model_validator(mode="after")
    def _consistent(self) -> ClusteringSettings:
        if self.k_range[0] > self.k_range[1]:
            raise ValueError(f"k_range {list(self.k_range)} runs backwards")
        if isinstance(self.names, list):
            if len(set(self.names)) != len(self.names):
                raise ValueError("names must differ from each other")
            if self.k != "auto" and len(self.names) != self.k:
                raise ValueError(f"{len(self.names)} names for k = {self.k}")
        return self

    @property
    def ks(self) -> list[int]:
        """Numbers of clusters to fit, from 2 on, in ascending order."""
        swept = set(range(max(2, self.k_range[0]), self.k_range[1] + 1))
        if self.k == "auto":
            return sorted(swept)
        return sorted(swept | {self.k}) if "k_range" in self.model_fields_set else [self.k]


class RetrainSettings(Settings):
    """When `run` fits a new model, beside when there is none and with --retrain."""

    every_days: Annotated[int, Field(ge=1)] | None = Field(
        None, description="the model in force is at least this old"
    )
    on_drift: bool = Field(False, description="the date's features raise an alarm of `drift`")


class DriftSettings(Settings):
    """From where on a date is told to have drifted away from the model in force."""

    psi: Annotated[float, Field(gt=0)] = Field(
        0.2, description="population stability index of a feature"
    )
    wcss_ratio: Annotated[float, Field(gt=0)] = Field(
        1.5, description="WCSS per customer over that at the fit"
    )
