"""The configuration as pydantic models; defaults are the documented ones."""

from __future__ import annotations

import difflib
import hashlib
import json
import zoneinfo
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from rfm_spark.config.base import Settings, resolve_location
from rfm_spark.config.sources import Location, Sources
from rfm_spark.schemas import AUM_FEATURES, FEATURE_LABELS, RESERVED_COLUMNS, SCORE_COLUMNS

Days = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
Bins = Annotated[int, Field(ge=2, le=10)]

ROLES = ("recency", "frequency", "monetary", "aum")


def _known(name: str, choices: list[str], what: str) -> str:
    if name in choices:
        return name
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(choices)
    raise ValueError(f"{name!r} is not {what}; {hint}")


def _known_feature(name: str, info: ValidationInfo, *further: str, what: str = "a feature") -> str:
    extra = (info.context or {}).get("extra_features", [])
    return _known(name, [*FEATURE_LABELS, *extra, *further], what)


class FeatureSettings(Settings):
    """What is counted."""

    window_days: Days | None = Field(None, description="null: all history")
    exclude_after_days: Days | None = Field(
        None, description="leave out customers silent for longer"
    )
    incremental: bool = Field(
        True, description="update the previous features instead of re-reading history"
    )


class Roles(Settings):
    """Which feature plays which role."""

    recency: str = "recency_days"
    frequency: str = "orders"
    monetary: str = "monetary"
    aum: str | None = None

    @field_validator("*")
    @classmethod
    def _feature(cls, value: str | None, info: ValidationInfo) -> str | None:
        return None if value is None else _known_feature(value, info)


class BinsByRole(Settings):
    """A number of bins per role."""

    recency: Bins = 5
    frequency: Bins = 5
    monetary: Bins = 5
    aum: Bins = 5


class Weights(Settings):
    """Weights of the scores in rfm_score."""

    recency: Weight = 1
    frequency: Weight = 1
    monetary: Weight = 1
    aum: Weight = 0

    @model_validator(mode="after")
    def _some(self) -> Weights:
        if self.recency + self.frequency + self.monetary + self.aum <= 0:
            raise ValueError("at least one weight must be above 0")
        return self


class ScoringSettings(Settings):
    """How features become scores, and scores segments."""

    roles: Roles = Roles()
    bins: Bins | BinsByRole = 5
    method: Literal["value"] = Field(
        "value", description="edge j of n: the smallest value with j/n of the customers at or below"
    )
    refresh: Literal["when_trained", "every_run"] = Field(
        "when_trained", description="when edges are cut anew"
    )
    weights: Weights = Weights()
    rules: str = Field("crm_11", description="a bundled rule map or a path to one")

    @model_validator(mode="after")
    def _aum_weight(self) -> ScoringSettings:
        if self.weights.aum > 0 and self.roles.aum is None:
            raise ValueError("weights.aum is above 0, but no feature plays roles.aum")
        return self

    @property
    def feature_by_role(self) -> dict[str, str]:
        """Role to feature column, without roles nobody plays."""
        return {role: name for role in ROLES if (name := getattr(self.roles, role)) is not None}

    @property
    def bins_by_role(self) -> dict[str, int]:
        """Role to number of bins."""
        bins = self.bins
        return {
            role: bins if isinstance(bins, int) else getattr(bins, role)
            for role in self.feature_by_role
        }

    @property
    def weight_by_role(self) -> dict[str, float]:
        """Role to weight in rfm_score."""
        return {role: float(getattr(self.weights, role)) for role in self.feature_by_role}

    @property
    def edges_hash(self) -> str:
        """Eight hex digits that change with whatever changes the edges."""
        return digest([self.feature_by_role, self.bins_by_role, self.method])


class ClusteringSettings(Settings):
    """How customers are clustered."""

    features: list[str] | None = Field(
        None, description="null: the columns of the three roles, and aum_per_day with AUM"
    )
    transform: Literal["log1p", "none"] = "log1p"
    scale: Literal["standard", "none"] = "standard"
    algorithm: Literal["kmeans"] = "kmeans"
    k: Literal["auto"] | Annotated[int, Field(ge=2, le=100)] = "auto"
    k_range: tuple[Annotated[int, Field(ge=2)], Annotated[int, Field(ge=2, le=100)]] = (2, 10)
    select: Literal["silhouette"] = "silhouette"
    min_share: Share = Field(0.01, description="a k with a smaller cluster is not chosen")
    seeds: Annotated[int, Field(ge=1, le=100)] = 3
    max_iter: Annotated[int, Field(ge=1)] = 40
    coreset_size: Annotated[int, Field(ge=100)] = Field(
        50_000, description="fit on a weighted sample of about this size; smaller data whole"
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
        return [_known_feature(name, info, *scores, what="a feature or a score") for name in value]

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


class RfmSettings(Settings):
    """The whole configuration file."""

    store: str = Field(description="folder or URI with / or :, or catalog.schema with one dot")
    model_dir: Location | None = Field(None, description="default <store>/_models")
    timezone: str = Field(description="business day of a timestamp")
    currency: str = Field("", description="label only")
    amount_scale: Annotated[int, Field(ge=0, le=6)] = Field(2, description="decimals of money")
    returns: Literal["net", "drop", "raise"] = Field("net", description="what refunds do")
    max_rejected_share: Share = Field(0.1, description="more than this of a batch: exit 3")
    reprocess_days: Annotated[int, Field(ge=0)] = Field(
        3, description="days read again, so that late rows and corrections get in"
    )
    max_lag_days: Days | None = Field(
        None, description="no accepted row in the last N days: exit 3"
    )
    sources: Sources
    features: FeatureSettings = FeatureSettings()
    scoring: ScoringSettings = ScoringSettings()
    clustering: ClusteringSettings = ClusteringSettings()

    @field_validator("store")
    @classmethod
    def _store(cls, value: str, info: ValidationInfo) -> str:
        if "/" in value or ":" in value:
            return resolve_location(value, info)
        if value.count(".") == 1 and all(part.strip() for part in value.split(".")):
            return value
        raise ValueError(
            f"{value!r} is neither a folder (./{value}) nor a catalog.schema with exactly one dot"
        )

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, value: str) -> str:
        names = sorted(zoneinfo.available_timezones())
        return _known(value, names, "a time zone") if names and value not in names else value

    @model_validator(mode="after")
    def _model_dir(self) -> RfmSettings:
        if not self.is_path_store and self.model_dir is None:
            raise ValueError("model_dir is required where store is catalog.schema")
        return self

    @model_validator(mode="after")
    def _names_are_free(self) -> RfmSettings:
        taken = {name.lower() for name in RESERVED_COLUMNS}
        for name in [*self.sources.extra_features, *self.sources.attributes]:
            if name.lower() in taken:
                raise ValueError(
                    f"the feature or attribute {name} has the name of another column; choose "
                    "another one"
                )
            taken.add(name.lower())
        return self

    @model_validator(mode="after")
    def _scores_exist(self) -> RfmSettings:
        if "a_score" in (self.clustering.features or ()) and self.scoring.roles.aum is None:
            raise ValueError("clustering.features names a_score, but no feature plays roles.aum")
        return self

    @model_validator(mode="after")
    def _aum_has_source(self) -> RfmSettings:
        customers = self.sources.customers
        if self.sources.balances or (customers and customers.columns.aum):
            return self
        named = {*self.scoring.feature_by_role.values(), *(self.clustering.features or ())}
        aum = sorted(named & set(AUM_FEATURES))
        if aum:
            raise ValueError(
                f"{', '.join(aum)} is used, but neither sources.balances nor "
                "sources.customers.columns.aum says what a customer holds"
            )
        return self

    @property
    def is_path_store(self) -> bool:
        """Whether tables are folders (else they have catalog names)."""
        return "/" in self.store or ":" in self.store

    @property
    def models_location(self) -> str:
        """Folder of the fitted models."""
        return self.model_dir or f"{self.store.rstrip('/')}/_models"

    @property
    def has_aum(self) -> bool:
        """Whether any source says what customers hold."""
        customers = self.sources.customers
        return self.sources.balances is not None or bool(customers and customers.columns.aum)

    @property
    def numeric_features(self) -> list[str]:
        """Feature columns that roles and clustering name, beside the scores."""
        named = {*self.scoring.feature_by_role.values(), *self.clustering_features}
        return [name for name in self.feature_columns if name in named]

    @property
    def feature_columns(self) -> list[str]:
        """All feature columns that numbers may be asked of, in the order of the table."""
        return [*FEATURE_LABELS, *self.sources.extra_features]

    @property
    def clustering_features(self) -> list[str]:
        """The columns that are clustered, defaults filled in."""
        if self.clustering.features is not None:
            return list(self.clustering.features)
        roles = self.scoring.feature_by_role
        names = [roles["recency"], roles["frequency"], roles["monetary"]]
        if self.has_aum:
            names.append("aum_per_day")
        return list(dict.fromkeys(names))

    @property
    def clustering_hash(self) -> str:
        """Eight hex digits that change with whatever changes the meaning of a model."""
        clustering = self.clustering
        return digest(
            [self.clustering_features, clustering.transform, clustering.scale, clustering.algorithm]
        )


def digest(value: object) -> str:
    """Eight hex digits of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
