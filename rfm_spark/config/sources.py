"""Settings of the sources: where the raw data lies and which column means what."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from rfm_spark.config.base import Settings, resolve_location
from rfm_spark.jdbc_drivers import without_secrets

Expression = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""A SQL expression over the source's own columns."""

ColumnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
"""A name that becomes a column of our tables."""

_PLACES = ("path", "table", "url", "query", "properties")
_PLACES_BY_FORMAT = {"table": ("table",), "jdbc": ("url", "query")}
_OWN_MEANING = ("transactions", "balances", "customers", "events")
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


class TransactionColumns(Settings):
    """Contract name to SQL expression."""

    customer_id: Expression
    transaction_ts: Expression
    amount: Expression
    order_id: Expression | None = None
    transaction_id: Expression | None = None


class Transactions(Log):
    """The transaction log."""

    duplicates: Literal["auto", "whole_row", "keep"] = Field(
        "auto", description="auto: by transaction_id where mapped, else none"
    )
    columns: TransactionColumns


class BalanceColumns(Settings):
    """Contract name to SQL expression."""

    customer_id: Expression
    account_id: Expression | None = None
    transaction_id: Expression | None = None
    balance_date: Expression
    balance: Expression


class Balances(Log):
    """Account balances, for AUM."""

    kind: Literal["snapshot", "flow"] = Field(
        "snapshot",
        description="snapshot: a balance holds until the next row of that account; "
        "flow: signed movements, added up from 0",
    )
    duplicates: Literal["auto", "whole_row", "keep"] = Field(
        "auto", description="auto: by transaction_id where mapped, else none"
    )
    stale_after_days: Annotated[int, Field(ge=0)] | None = Field(
        None, description="an account not stated for longer counts 0"
    )
    columns: BalanceColumns

    @model_validator(mode="after")
    def _movements_are_not_guessed_away(self) -> Balances:
        if self.kind == "flow" and self.duplicates == "whole_row":
            raise ValueError(
                "movements that look alike are real money: map a transaction_id instead of "
                "duplicates: whole_row"
            )
        return self


class CustomerColumns(Settings):
    """Contract name to SQL expression."""

    customer_id: Expression
    start_date: Expression | None = None
    aum: Expression | None = None


class Customers(Source):
    """One row per customer: when the relation began, and AUM where no balances are known."""

    timestamp_format: str | None = None
    columns: CustomerColumns
    attributes: dict[ColumnName, Expression] = Field(
        default_factory=dict, description="carried to profiles, never to clustering"
    )


class ExtraFeature(Settings):
    """A named aggregate per customer over the window."""

    expr: Expression = Field(description="SQL aggregate; {snapshot_date} and {window_start} too")
    missing: bool | int | float | str | None = Field(
        None, description="value for customers without rows"
    )


class FeatureColumns(Settings):
    """Contract name to SQL expression; further names are for the aggregates."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[ColumnName, Expression] = Field(init=False)

    customer_id: Expression
    event_ts: Expression


class FeatureSource(Log):
    """A source of extra features: events of customers, aggregated anew for each snapshot date."""

    columns: FeatureColumns
    features: Annotated[dict[ColumnName, ExtraFeature], Field(min_length=1)]


class EventColumns(Settings):
    """Contract name to SQL expression."""

    customer_id: Expression
    event_ts: Expression
    event: Expression


class Events(Log):
    """Target events, to be counted by segment: sign-ups, redemptions, churn."""

    columns: EventColumns


class Sources(Settings):
    """All sources: the four with a meaning of their own, and any number of extra features."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[ColumnName, FeatureSource] = Field(init=False)

    transactions: Transactions
    balances: Balances | None = None
    customers: Customers | None = None
    events: Events | None = None

    @model_validator(mode="before")
    @classmethod
    def _names(cls, values: Any) -> Any:
        for name, source in values.items() if isinstance(values, dict) else ():
            has_features = isinstance(source, dict) and "features" in source
            near = difflib.get_close_matches(str(name), _OWN_MEANING, n=1)
            is_slip = name not in _OWN_MEANING and near and not has_features
            if is_slip:
                raise PydanticCustomError("extra_forbidden", "is not a setting", {"key": name})
        return values

    @model_validator(mode="after")
    def _one_aum(self) -> Sources:
        if self.balances is not None and self.customers is not None and self.customers.columns.aum:
            raise ValueError(
                "AUM comes either from `balances` or from `customers.columns.aum`; take one out"
            )
        return self

    @property
    def balances_kind(self) -> str | None:
        """snapshot, flow, or None where there is no balances source."""
        return self.balances.kind if self.balances is not None else None

    @property
    def feature_sources(self) -> dict[str, FeatureSource]:
        """The sources of extra features by name."""
        return dict(self.__pydantic_extra__ or {})

    @property
    def extra_features(self) -> list[str]:
        """Names of all extra features, in the order of the file."""
        return [name for source in self.feature_sources.values() for name in source.features]

    @property
    def attributes(self) -> list[str]:
        """Names of the customers' attributes."""
        return list(self.customers.attributes) if self.customers is not None else []

    @property
    def jdbc_urls(self) -> list[str]:
        """Addresses of the databases that are read."""
        fixed = (self.transactions, self.balances, self.customers, self.events)
        sources = [*fixed, *self.feature_sources.values()]
        return [source.url for source in sources if source is not None and source.url is not None]
