"""Settings of the sources: where the raw data lies and which column means what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, model_validator

from rfm_spark.config.base import Settings, resolve_location

Expression = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""A SQL expression over the source's own columns."""


def _resolve(value: str, info: ValidationInfo) -> str:
    return resolve_location(value, info)


Location = Annotated[str, StringConstraints(min_length=1), AfterValidator(_resolve)]


class Source(Settings):
    """How to read a source."""

    format: Literal["parquet", "csv", "json", "delta", "table"] = Field(
        "parquet", description="how the source is stored"
    )
    path: Location | None = Field(None, description="file, folder or URI; for all but `table`")
    table: str | None = Field(None, description="catalog name, for format `table`")
    options: dict[str, str | bool | int | float] = Field(
        default_factory=dict, description="handed to the Spark reader"
    )
    where: Expression | None = Field(None, description="SQL filter; rows it drops are not rejects")

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        wanted, other = ("table", "path") if self.format == "table" else ("path", "table")
        if getattr(self, wanted) is None:
            raise ValueError(f"format {self.format} needs the key `{wanted}`")
        if getattr(self, other) is not None:
            raise ValueError(f"format {self.format} takes `{wanted}`, not `{other}`")
        return self


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
    balance_date: Expression
    balance: Expression


class Balances(Log):
    """Account balances, for AUM."""

    kind: Literal["snapshot"] = Field(
        "snapshot", description="a balance holds until the next row of that account"
    )
    stale_after_days: Annotated[int, Field(ge=0)] | None = Field(
        None, description="an account not stated for longer counts 0"
    )
    columns: BalanceColumns


class CustomerColumns(Settings):
    """Contract name to SQL expression."""

    customer_id: Expression
    start_date: Expression | None = None
    aum: Expression | None = None


class Customers(Source):
    """One row per customer: when the relation began, and AUM where no balances are known."""

    timestamp_format: str | None = None
    columns: CustomerColumns


class Sources(Settings):
    """All sources."""

    transactions: Transactions
    balances: Balances | None = None
    customers: Customers | None = None

    @model_validator(mode="after")
    def _one_aum(self) -> Sources:
        if self.balances is not None and self.customers is not None and self.customers.columns.aum:
            raise ValueError(
                "AUM comes either from `balances` or from `customers.columns.aum`; take one out"
            )
        return self
