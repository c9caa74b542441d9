"""Settings of exports: what leaves the store, and where it goes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rfm_spark.config.base import Settings
from rfm_spark.config.mart import JdbcExport
from rfm_spark.config.source import Location


class BtydExport(Settings):
    """The summary that customer lifetime models start from ("buy till you die")."""

    type: Literal["btyd"]
    path: Location = Field(description="folder; each snapshot date has a folder of its own in it")
    format: Literal["parquet", "csv"] = "parquet"
    unit: Literal["days", "weeks"] = Field("days", description="of recency and T")


Export = Annotated[
    BtydExport | JdbcExport,
    Field(discriminator="type", description="one way out of the store"),
]
