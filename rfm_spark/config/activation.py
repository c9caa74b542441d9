"""Settings of exports to those who talk to customers: who is sent, and in which shape."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from rfm_spark.config.base import Settings
from rfm_spark.config.naming import known
from rfm_spark.config.source import Location
from rfm_spark.schemas import AUDIENCE_TABLES, CAMPAIGN, RESERVED_COLUMNS, TABLE_NAMES

_TECHNICAL = ("feature_state", "run_signs", "export_changes")
EXPORTABLE = tuple(name for name in TABLE_NAMES if name not in _TECHNICAL)
"""Tables that an export may name."""
# What a profile in a marketing tool gets unless told otherwise: what rarely changes.
_ATTRIBUTES = ("rfm_segment", "cluster_segment")


class Outlet(Settings):
    """What any way out of the store says: where to, which rows and columns, whom to hold out."""

    path: Location = Field(description="folder or URI")
    table: str = "customer_segments"
    columns: list[str] = Field([], description="of the table")
    segments: list[str] | None = Field(
        None, description="only customers in one of these; null: everybody"
    )
    holdout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0, description="share of the customers who are never sent"
    )
    salt: str = Field("", description="another salt draws another hold-out")

    @field_validator("columns")
    @classmethod
    def _columns(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise ValueError("name each column only once")
        return value

    @field_validator("segments")
    @classmethod
    def _segments(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and not value:
            raise ValueError("name at least one segment, or null for everybody")
        return value

    @field_validator("table")
    @classmethod
    def _table(cls, value: str) -> str:
        return known(value, list(EXPORTABLE), "a table that can be exported")

    @model_validator(mode="after")
    def _has_customers(self) -> Outlet:
        if self.holdout and not self.is_audience:
            raise ValueError(
                f"holdout needs a table of customers ({', '.join(AUDIENCE_TABLES)}), and "
                f"{self.table} is none"
            )
        return self

    @model_validator(mode="after")
    def _columns_exist(self, info: ValidationInfo) -> Outlet:
        context = info.context or {}
        names = {*RESERVED_COLUMNS, CAMPAIGN, *context.get("further_columns", ())}
        for name in self.columns if self.is_audience else ():
            known(name, sorted(names), f"a column of {self.table}")
        return self

    @property
    def is_audience(self) -> bool:
        """Whether the table has one row per snapshot date and customer."""
        return self.table in AUDIENCE_TABLES


class _ChangedRows(Outlet):
    """Only customers whose attributes have changed since they were last sent."""

    table: Literal["customer_segments", "customer_features"] = "customer_segments"
    columns: list[str] = Field(
        [], description=f"attributes; none named: {', '.join(_ATTRIBUTES)}, and campaign"
    )

    @property
    def attributes(self) -> list[str]:
        """Columns of the payload, without the campaign that is added where there are campaigns."""
        return [name for name in self.columns or _ATTRIBUTES if name != "customer_id"]

    @model_validator(mode="after")
    def _has_attributes(self) -> _ChangedRows:
        if not self.attributes:
            raise ValueError("columns names no attribute beside customer_id")
        return self


class BrazeExport(_ChangedRows):
    """Changed customers for Braze's Cloud Data Ingestion."""

    type: Literal["braze"]
    format: Literal["json", "parquet"] = Field("json", description="json: one object per line")
    updated_at: bool = Field(
        True, description="false: without UPDATED_AT, which Braze's file storage syncs do not take"
    )


class CdpIdentifyExport(_ChangedRows):
    """Changed customers as identify calls, one JSON object per line."""

    type: Literal["cdp_identify"]


class _CsvCells(Outlet):
    """Rows as CSV."""

    columns: list[str] = Field([], description="none named: all columns of the table")
    formulas: Literal["guard", "keep"] = Field(
        "guard",
        description="guard: an apostrophe before text that a spreadsheet would take for a formula",
    )


class SfmcCsvExport(_CsvCells):
    """One CSV file for Salesforce Marketing Cloud, customer_id first, with a manifest."""

    type: Literal["sfmc_csv"]
    table: Literal["customer_segments", "customer_features"] = "customer_segments"


class CsvExport(_CsvCells):
    """Any result table as CSV."""

    type: Literal["csv"]


class ParquetExport(Outlet):
    """Any result table as Parquet."""

    type: Literal["parquet"]
    columns: list[str] = Field([], description="none named: all columns of the table")


ChangedExport = BrazeExport | CdpIdentifyExport
WholeExport = SfmcCsvExport | CsvExport | ParquetExport
