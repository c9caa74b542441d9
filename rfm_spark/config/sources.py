"""Settings of the sources: which column means what, and what each source stands for."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from rfm_spark.config.base import Settings
from rfm_spark.config.source import ColumnName, Expression, Log, Source
from rfm_spark.jdbc_drivers import secrets_of

_OWN_MEANING = ("transactions", "balances", "customers", "events")


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
        return [source.url for source in self._all if source.url is not None]

    @property
    def secrets(self) -> set[str]:
        """Users, passwords and tokens of all sources."""
        logins = (secrets_of(source.url or "", source.logins) for source in self._all)
        return set().union(*logins)

    @property
    def _all(self) -> list[Source]:
        fixed = (self.transactions, self.balances, self.customers, self.events)
        named = [source for source in fixed if source is not None]
        return [*named, *self.feature_sources.values()]
