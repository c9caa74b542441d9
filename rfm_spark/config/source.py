"""Settings that any source has: its place, how it is stored, which rows of it count."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rfm_spark.config.base import Settings, resolve_location
from rfm_spark.jdbc_drivers import without_secrets

Expression = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""A SQL expression over the source's own columns."""

ColumnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
"""A name that becomes a column of our tables."""

_PLACES = ("path", "table", "url", "query", "properties")
_PLACES_BY_FORMAT = {"table": ("table",), "jdbc": ("url", "query")}
_LOSSY = {
    "ignorecorruptfiles": "true",
    "ignoremissingfiles": "true",
    "badrecordspath": None,
    "mode": "dropmalformed",
}


def _resolve(value: str, info: ValidationInfo) -> str:
    return resolve_location(value, info)


Location = Annotated[str, StringConstraints(min_length=1), AfterValidator(_resolve)]


class Source(Settings):
    """How to read a source."""

    format: Literal["parquet", "csv", "json", "delta", "table", "jdbc"] = Field(
        "parquet", description="how the source is stored"
    )
    path: Location | None = Field(None, description="file, folder or URI; for files and delta")
    table: str | None = Field(None, description="catalog name, for format `table`")
    url: str | None = Field(None, pattern=r"^jdbc:", description="for format `jdbc`")
    query: Expression | None = Field(None, description="SQL of the database, for format `jdbc`")
    properties: dict[str, str | bool | int | float] = Field(
        default_factory=dict, description="for format `jdbc`: user, password, driver ..."
    )
    options: dict[str, str | bool | int | float] = Field(
        default_factory=dict, description="handed to the Spark reader"
    )
    where: Expression | None = Field(None, description="SQL filter; rows it drops are not rejects")

    @field_validator("options")
    @classmethod
    def _lossless(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, setting in value.items():
            key = name.lower()
            if key in _LOSSY and _LOSSY[key] in (None, str(setting).lower()):
                raise ValueError(f"{name}: {setting} would lose rows without a trace; take it out")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        wanted = _PLACES_BY_FORMAT.get(self.format, ("path",))
        allowed = {*wanted, "properties"} if self.format == "jdbc" else set(wanted)
        if missing := [name for name in wanted if getattr(self, name) is None]:
            raise ValueError(f"format {self.format} needs the key `{'` and `'.join(missing)}`")
        if other := [name for name in _PLACES if name not in allowed and getattr(self, name)]:
            takes = "`, `".join(wanted)
            raise ValueError(f"format {self.format} takes `{takes}`, not `{'`, `'.join(other)}`")
        return self

    @property
    def logins(self) -> dict[str, Any]:
        """What may hold a user or a password."""
        return {**self.options, **self.properties}

    @property
    def place(self) -> str:
        """Where the source is, for people; without user and password."""
        return str(self.path or self.table or without_secrets(self.url or ""))


class Log(Source):
    """A source with one row per event, read by days."""

    log_date: Expression | None = Field(
        None, description="partition day under which the log files a row"
    )
    log_slack_days: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = Field(
        (1, 3), description="partitions read: from - first to to + second"
    )
    timestamp_format: str | None = Field(
        None, description="Spark pattern of text timestamps; else text must start yyyy-MM-dd"
    )
