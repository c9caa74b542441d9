"""Settings of the mart: tables of a database, for dashboards."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from rfm_spark.config.base import Settings
from rfm_spark.config.source import ColumnName

Identifier = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[^\x00]+$")]


class JdbcExport(Settings):
    """Tables of a PostgreSQL database that dashboards read while they are replaced."""

    type: Literal["jdbc"]
    url: str = Field(description="jdbc:postgresql://host:port/database")
    properties: dict[str, str | bool | int | float] = Field(
        default_factory=dict, description="user, password and others of the JDBC driver"
    )
    schema_: Identifier = Field(
        "public", alias="schema", description="schema of the database; made if it is not there"
    )
    columns: list[ColumnName] = Field(
        [], description="further columns of customer_features for customer_segmentation"
    )
    keep_dates: Annotated[int, Field(ge=1)] = Field(
        1, description="snapshot dates of customers, profiles and migrations, the newest ones"
    )

    @field_validator("url")
    @classmethod
    def _is_postgresql(cls, value: str) -> str:
        if not value.startswith("jdbc:postgresql:"):
            raise ValueError("the mart is for PostgreSQL; the address starts jdbc:postgresql:")
        return value
