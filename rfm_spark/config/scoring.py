"""Settings of scores."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from rfm_spark.config.base import Settings
from rfm_spark.config.naming import digest, known_feature

Weight = Annotated[float, Field(ge=0)]
Bins = Annotated[int, Field(ge=2, le=10)]

Method = Literal["value", "qcut", "rank", "ntile", "r", "fixed"]
Edges = Annotated[list[float], Field(min_length=1, max_length=9)]

ROLES = ("recency", "frequency", "monetary", "aum")


class Roles(Settings):
    """Which feature plays which role."""

    recency: str = "recency_days"
    frequency: str = "orders"
    monetary: str = "monetary"
    aum: str | None = None

    @field_validator("*")
    @classmethod
    def _feature(cls, value: str | None, info: ValidationInfo) -> str | None:
        return None if value is None else known_feature(value, info)


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


class MethodByRole(Settings):
    """A score method per role."""

    recency: Method = "value"
    frequency: Method = "value"
    monetary: Method = "value"
    aum: Method = "value"


class FixedThresholds(Settings):
    """Edges given by hand, per role."""

    recency: Edges | None = None
    frequency: Edges | None = None
    monetary: Edges | None = None
    aum: Edges | None = None

    @field_validator("*")
    @classmethod
    def _ascending(cls, value: list[float] | None) -> list[float] | None:
        if value is not None and value != sorted(value):
            raise ValueError("edges must ascend, also for recency (in days)")
        return value


class ScoringSettings(Settings):
    """How features become scores, and scores segments."""

    roles: Roles = Roles()
    bins: Bins | BinsByRole = 5
    method: Method | MethodByRole = Field(
        "value",
        description="value: edge j of n is the smallest value with j/n of the customers at or "
        "below it; qcut and rank as pandas, ntile as SQL, r as R's package rfm; fixed: given",
    )
    thresholds: FixedThresholds | None = Field(
        None, description="for fixed: bins - 1 ascending edges per role"
    )
    thresholds_version: str | None = Field(
        None, description="for fixed: a version stored in score_thresholds instead"
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

    @model_validator(mode="after")
    def _fixed_edges(self) -> ScoringSettings:
        fixed = [role for role, method in self.method_by_role.items() if method == "fixed"]
        given = {} if self.thresholds is None else self.thresholds.model_dump(exclude_none=True)
        if given and self.thresholds_version is not None:
            raise ValueError("give either thresholds or thresholds_version")
        if not fixed and (given or self.thresholds_version is not None):
            raise ValueError("thresholds are for method: fixed, which no role has")
        if not fixed or self.thresholds_version is not None:
            return self
        problems = []
        for role in sorted({*fixed, *given}):
            edges, wanted = len(given.get(role, ())), self.bins_by_role.get(role, 0) - 1
            if role not in fixed:
                problems.append(f"thresholds.{role} is given, but its method is not fixed")
            elif edges != wanted:
                problems.append(f"thresholds.{role} needs {wanted} edges and has {edges}")
        if problems:
            raise ValueError("; ".join(problems))
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
    def method_by_role(self) -> dict[str, str]:
        """Role to method."""
        method = self.method
        return {
            role: method if isinstance(method, str) else getattr(method, role)
            for role in self.feature_by_role
        }

    @property
    def edges_by_role(self) -> dict[str, tuple[float, ...]]:
        """Edges given by hand, for the roles that have some."""
        given = self.thresholds
        return {
            role: tuple(edges)
            for role in self.feature_by_role
            if given is not None and (edges := getattr(given, role)) is not None
        }

    @property
    def weight_by_role(self) -> dict[str, float]:
        """Role to weight in rfm_score."""
        return {role: float(getattr(self.weights, role)) for role in self.feature_by_role}

    @property
    def edges_hash(self) -> str:
        """Eight hex digits that change with whatever changes the edges."""
        given = self.edges_by_role or self.thresholds_version
        methods = self.method_by_role
        one = len(set(methods.values())) == 1
        method = next(iter(methods.values())) if one else methods
        further = [] if given is None else [given]
        return digest([self.feature_by_role, self.bins_by_role, method, *further])
