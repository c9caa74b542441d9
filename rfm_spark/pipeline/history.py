"""Daily facts as of a snapshot date, pinned to their versions, and counted from all history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame

from rfm_spark.config.naming import digest
from rfm_spark.features import state as states
from rfm_spark.features.aum import BalanceRules
from rfm_spark.features.rfm import purchase_history
from rfm_spark.pipeline.context import Context, Pinned

_STATE_FORMAT = 1


@dataclass(frozen=True)
class History:
    """Daily facts as of a snapshot date, pinned to their versions, and how they are counted."""

    snapshot_date: date
    first_day: date | None
    daily: Pinned
    balances: Pinned | None
    rules: BalanceRules | None
    state_hash: str

    @property
    def versions(self) -> dict[str, object]:
        """What the state says of the tables that it was made from."""
        return {
            "daily_table": self.daily.table_id,
            "daily_version": self.daily.version,
            "balance_table": self.balances.table_id if self.balances else None,
            "balance_version": self.balances.version if self.balances else None,
            "state_hash": self.state_hash,
        }


def read_history(context: Context, *, snapshot_date: date, first_day: date | None) -> History:
    """Pin the daily tables for the features of a date."""
    settings = context.settings
    source = settings.sources.balances
    rules = balances = None
    if source is not None:
        balances = context.read_pinned("balance_daily")
        rules = BalanceRules(source.kind, source.stale_after_days, settings.amount_scale)
    counted = [
        _STATE_FORMAT,
        settings.features.window_days,
        settings.amount_scale,
        context.customer_id_type(),
        [source.kind, source.stale_after_days] if source is not None else None,
    ]
    daily = context.read_pinned("customer_daily")
    return History(snapshot_date, first_day, daily, balances, rules, digest(counted))


def counted_anew(history: History, units_of: int | None) -> DataFrame:
    """The state of a date from all its history; ``units_of`` as in ``rfm.purchase_history``."""
    snapshot_date, first_day = history.snapshot_date, history.first_day
    purchases = purchase_history(
        history.daily.frame, snapshot_date=snapshot_date, first_day=first_day, units_of=units_of
    )
    balances = None
    if history.balances is not None and history.rules is not None:
        balances = states.balance_history(
            history.balances.frame,
            history.rules,
            snapshot_date=snapshot_date,
            first_day=first_day,
        )
    return states.feature_state(purchases, balances, constants=history.versions)
