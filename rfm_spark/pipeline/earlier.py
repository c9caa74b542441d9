"""An earlier snapshot date's state, what has changed since, and the state carried on from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.features import state as states
from rfm_spark.features import updating
from rfm_spark.pipeline.context import Context, Pinned
from rfm_spark.pipeline.history import History

FEED_IS_GONE = re.compile(
    r"DELTA_MISSING_CHANGE_DATA|DELTA_CHANGE_DATA_FILE_NOT_FOUND|DELTA_CDC|DELTA_VERSIONS_NOT_CONTIG|"
    r"DELTA_VERSION_NOT_FOUND|DELTA_TRUNCATED_TRANSACTION_LOG|FILE_NOT_EXIST|FileNotFoundException|"
    r"CANNOT_READ_FILE|DELTA_CHANGE_TABLE_FEED|VersionNotFound"
)


@dataclass(frozen=True)
class Earlier:
    """A stored state that can be carried on, and what has changed before its date since."""

    snapshot_date: date
    first_day: date | None
    state: DataFrame
    net: DataFrame | None
    has_losses: bool
    holders: DataFrame | None


def find_earlier(context: Context, history: History) -> tuple[Earlier | None, str | None]:
    """The newest state that can be carried on to the date, or why there is none."""
    stored = context.store.read_or_none("feature_state")
    if stored is None:
        return None, "there is no earlier state"
    upto = stored.where(F.col("snapshot_date") <= F.lit(history.snapshot_date))
    newest = upto.agg(F.max("snapshot_date")).collect()[0][0]
    if newest is None:
        return None, "there is no earlier state"
    state = upto.where(F.col("snapshot_date") == F.lit(newest))
    columns = [name for name in history.versions if name in state.columns]
    seen = state.select(*columns).limit(1).collect()[0].asDict()
    why = _not_continued(context, history, seen, newest)
    if why is not None:
        return None, why
    try:
        return _changed_since(context, history, seen, newest, state)
    except Exception as error:
        found = FEED_IS_GONE.search(str(error))
        if found is None:
            raise
        return None, f"what has changed since {newest} can no longer be read ({found[0]})"


def _not_continued(
    context: Context, history: History, seen: dict[str, object], newest: date
) -> str | None:
    if seen.get("state_hash") != history.state_hash:
        return f"the settings have changed since {newest}"
    window = context.settings.features.window_days
    if window is not None and (history.snapshot_date - newest).days >= window:
        return f"nothing of the window of {newest} is left"
    for pinned, key in ((history.daily, "daily"), (history.balances, "balance")):
        if pinned is None:
            continue
        if seen[f"{key}_table"] != pinned.table_id:
            return f"{pinned.name} was created anew since {newest}"
        version = seen[f"{key}_version"]
        assert isinstance(version, int)
        why = context.store.unfollowable(pinned.name, version, pinned.version)
        if why is not None:
            return f"{pinned.name}: {why}"
    return None


def _changed_since(
    context: Context, history: History, seen: dict[str, object], newest: date, state: DataFrame
) -> tuple[Earlier | None, str | None]:
    changes = _changes(context, history.daily, seen["daily_version"])
    if changes is not None:
        rewritten = changes.where(F.col("activity_date") < F.lit(newest)).count()
        known = state.agg(F.sum("history_rows")).collect()[0][0] or 0
        if rewritten > known:  # each row counts twice: taken away, and added
            return None, f"more than half of the days before {newest} were read again"
    moved = None
    if history.balances is not None:
        moved = _changes(context, history.balances, seen["balance_version"])
    window = context.settings.features.window_days
    first_day = newest - timedelta(days=window) if window else None
    return earlier_state(history, state, changes, moved, of=newest, first_day=first_day), None


def earlier_state(
    history: History,
    state: DataFrame,
    daily_changes: DataFrame | None,
    balance_changes: DataFrame | None,
    *,
    of: date,
    first_day: date | None,
) -> Earlier:
    """A state with what has changed since in the days before it; looks whether anything has.

    Args:
        history: The daily facts to carry it on to.
        state: ``feature_state`` of one date.
        daily_changes: Change feed of ``customer_daily`` since; None where there was no version.
        balance_changes: The same of ``balance_daily``.
        of: The state's snapshot date.
        first_day: First day of its window; None for all history.
    """
    net, has_losses, holders = None, False, None
    if daily_changes is not None:
        signed = updating.signed_changes(daily_changes)
        net = updating.net_purchase_changes(signed, before=of, first_day=first_day)
        losses = F.sum((F.col("purchase_days") < 0).cast("bigint"))
        found = net.agg(F.count(F.lit(1)).alias("days"), losses.alias("losses")).collect()[0]
        net, has_losses = (net if found["days"] else None), bool(found["losses"])
    if balance_changes is not None and history.rules is not None:
        signed = updating.signed_changes(balance_changes)
        money = schemas.BALANCE_COLUMNS[history.rules.kind]
        touched = updating.changed_holders(signed, money, before=of)
        holders = touched if touched.limit(1).collect() else None
    return Earlier(of, first_day, state, net, has_losses, holders)


def _changes(context: Context, pinned: Pinned, since: object) -> DataFrame | None:
    assert isinstance(since, int)
    if since == pinned.version:
        return None
    return context.store.changes(pinned.name, since, pinned.version)


def carried_on(history: History, earlier: Earlier, units_of: int | None) -> DataFrame:
    """The state of a date from an earlier one; ``units_of`` as in ``rfm.purchase_history``."""
    purchases = updating.updated_purchases(
        earlier.state,
        earlier.net,
        _days(history.daily.frame, "activity_date", earlier.snapshot_date, history.snapshot_date),
        _left(history.daily.frame, "activity_date", history, earlier),
        units_of,
    )
    if earlier.has_losses:
        before = F.col("activity_date") < F.lit(history.snapshot_date)
        purchases = updating.found_again(purchases, history.daily.frame.where(before))
    balances = _carried_balances(history, earlier)
    return states.feature_state(purchases, balances, constants=history.versions)


def _carried_balances(history: History, earlier: Earlier) -> DataFrame | None:
    if history.balances is None or history.rules is None:
        return None
    stated, day = history.balances.frame, "balance_date"
    entered = _days(stated, day, earlier.snapshot_date, history.snapshot_date)
    left = _left(stated, day, history, earlier)
    state, touched = earlier.state, earlier.holders
    if touched is not None:
        state = state.join(touched, on="customer_id", how="left_anti")
        entered = entered.join(touched, on="customer_id", how="left_anti")
        left = left.join(touched, on="customer_id", how="left_anti") if left is not None else None
    carried = states.updated_balances(
        state,
        entered,
        left,
        history.rules,
        from_date=earlier.snapshot_date,
        to_date=history.snapshot_date,
        from_first_day=earlier.first_day,
        to_first_day=history.first_day,
    )
    if touched is None:
        return carried
    again = states.balance_history(
        stated.join(touched, on="customer_id", how="left_semi"),
        history.rules,
        snapshot_date=history.snapshot_date,
        first_day=history.first_day,
    )
    return carried.unionByName(again)


def _days(frame: DataFrame, day: str, first: date, end: date) -> DataFrame:
    return frame.where((F.col(day) >= F.lit(first)) & (F.col(day) < F.lit(end)))


def _left(frame: DataFrame, day: str, history: History, earlier: Earlier) -> DataFrame | None:
    if earlier.first_day is None or history.first_day is None:
        return None
    return _days(frame, day, earlier.first_day, history.first_day)
