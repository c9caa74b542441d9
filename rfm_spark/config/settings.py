"""The configuration as pydantic models; defaults are the documented ones."""

from __future__ import annotations

import zoneinfo
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from rfm_spark.config.base import Settings, resolve_location
from rfm_spark.config.clustering import (
    ClusteringSettings,
    DriftSettings,
    RetrainSettings,
    Share,
)
from rfm_spark.config.exports import Export, check_names_and_places
from rfm_spark.config.maintenance import MaintenanceSettings
from rfm_spark.config.mart import JdbcExport
from rfm_spark.config.naming import digest, known
from rfm_spark.config.outlook import OutlookSettings
from rfm_spark.config.scoring import ScoringSettings
from rfm_spark.config.source import Location
from rfm_spark.config.sources import Sources
from rfm_spark.jdbc_drivers import secrets_of
from rfm_spark.schemas import (
    AUM_FEATURES,
    CAMPAIGN,
    FEATURE_LABELS,
    RESERVED_COLUMNS,
    SCORE_COLUMNS,
)

Days = Annotated[int, Field(ge=1)]


class FeatureSettings(Settings):
    """What is counted."""

    window_days: Days | None = Field(None, description="null: all history")
    exclude_after_days: Days | None = Field(
        None, description="leave out customers silent for longer"
    )
    incremental: bool = Field(
        True, description="update the previous features instead of re-reading history"
    )


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
    retrain: RetrainSettings = RetrainSettings()
    drift: DriftSettings = DriftSettings()
    outlook: OutlookSettings = OutlookSettings()
    maintain: MaintenanceSettings = MaintenanceSettings()
    campaigns: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        {}, description="segment: campaign; column or trait `campaign` of exports"
    )
    exports: dict[str, Export] = Field({}, description="name: settings; see `export --to`")

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

    @field_validator("exports")
    @classmethod
    def _exports(cls, value: dict[str, Export]) -> dict[str, Export]:
        check_names_and_places(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, value: str) -> str:
        names = sorted(zoneinfo.available_timezones())
        return known(value, names, "a time zone") if names and value not in names else value

    @model_validator(mode="after")
    def _model_dir(self) -> RfmSettings:
        if not self.is_path_store and self.model_dir is None:
            raise ValueError("model_dir is required where store is catalog.schema")
        return self

    @model_validator(mode="after")
    def _names_are_free(self) -> RfmSettings:
        taken = {name.lower() for name in RESERVED_COLUMNS}
        taken |= {CAMPAIGN} if self.campaigns else set()
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
    def jdbc_urls(self) -> list[str]:
        """Addresses of the databases that are read or written."""
        return [*self.sources.jdbc_urls, *(export.url for export in self._marts)]

    @property
    def secrets(self) -> set[str]:
        """Users, passwords and tokens of all databases."""
        logins = (secrets_of(export.url, export.properties) for export in self._marts)
        return self.sources.secrets.union(*logins)

    @property
    def _marts(self) -> list[JdbcExport]:
        return [export for export in self.exports.values() if isinstance(export, JdbcExport)]

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
        clustering, names = self.clustering, self.clustering_features
        parts: list[object] = [names, clustering.transform, clustering.scale, clustering.algorithm]
        if set(names) & set(SCORE_COLUMNS.values()):  # of other edges or bins they are others
            parts.append(self.scoring.edges_hash)
        return digest(parts)
