"""Settings of exports: what leaves the store, and where it goes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from rfm_spark.config.activation import (
    BrazeExport,
    CdpIdentifyExport,
    CsvExport,
    ParquetExport,
    SfmcCsvExport,
)
from rfm_spark.config.base import Settings
from rfm_spark.config.mart import JdbcExport
from rfm_spark.config.source import Location

_NAME = re.compile(r"\w[\w .-]{0,99}")


class BtydExport(Settings):
    """The summary that customer lifetime models start from ("buy till you die")."""

    type: Literal["btyd"]
    path: Location = Field(description="folder; each snapshot date has a folder of its own in it")
    format: Literal["parquet", "csv"] = "parquet"
    unit: Literal["days", "weeks"] = Field("days", description="of recency and T")


Export = Annotated[
    BtydExport
    | BrazeExport
    | CdpIdentifyExport
    | SfmcCsvExport
    | CsvExport
    | ParquetExport
    | JdbcExport,
    Field(discriminator="type", description="one way out of the store"),
]


def check_names_and_places(exports: Mapping[str, Export]) -> None:
    """See that names can be parts of file names, and that no export writes over another one.

    Raises:
        ValueError: One cannot, or two share a folder that one of them replaces whole.
    """
    for name in exports:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} becomes part of file names: use letters, digits, _, -, spaces and dots, "
                "at most 100, and begin with a letter, a digit or _"
            )
    for name, own in exports.items():
        if isinstance(own, BtydExport):
            same = [
                other
                for other, settings in exports.items()
                if other != name and _place(settings) == _place(own)
            ]
            if same:
                raise ValueError(
                    f"{name} replaces the whole folder of a date, and {', '.join(same)} has the "
                    "same path; give each a path of its own"
                )


def _place(export: Export) -> str | None:
    return None if isinstance(export, JdbcExport) else export.path.rstrip("/")
