"""Whether what is stored of a snapshot date is what a run would write now.

The ledger says which run wrote it, with which settings, and what that run had read. Sources
without versions have a fingerprint of their content there. A date is not out of date because other
dates or later days have been written since.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from rfm_spark import __version__, schemas
from rfm_spark.features import updating
from rfm_spark.pipeline import customers, events, extra_features, ledger
from rfm_spark.pipeline.context import Context, identity_of, number_of
from rfm_spark.pipeline.earlier import FEED_IS_GONE
from rfm_spark.pipeline.ingest import is_everything_in
from rfm_spark.pipeline.ledger_entries import Entry
from rfm_spark.pipeline.logs import fingerprint_name
from rfm_spark.pipeline.registry import model_in_force
from rfm_spark.pipeline.snapshots import labels_on
from rfm_spark.pipeline.stored_features import features_on
from rfm_spark.pipeline.thresholds import version_in_force


def is_up_to_date(context: Context, snapshot_date: date) -> bool:
    """Whether a run of the date would have nothing to do."""
    return (
        is_everything_in(context, snapshot_date - timedelta(days=1))
        and features_are_current(context, snapshot_date)
        and labels_are_current(context, snapshot_date)
    )


def features_are_current(context: Context, snapshot_date: date) -> bool:
    """Whether ``customer_features`` of a date are what they would be now."""
    written = _last_run(context, snapshot_date, "customer_features")
    if written is None or not features_on(context, snapshot_date).limit(1).collect():
        return False
    seen = _seen(written)
    facts = ["customer_daily"]
    if context.settings.sources.balances is not None:
        facts.append("balance_daily")
    if any(_has_changed(context, table, seen, snapshot_date) for table in facts):
        return False
    now = context.run.input_versions
    if context.settings.sources.customers is not None:
        customers.read_customers(context, context.customer_id_type())
        if seen.get(customers.FINGERPRINT) != now[customers.FINGERPRINT]:
            return False
    extra_features.read_fingerprints(context, snapshot_date=snapshot_date)
    names = map(fingerprint_name, context.settings.sources.feature_sources)
    return all(seen.get(name) == now[name] for name in names)


def labels_are_current(context: Context, snapshot_date: date) -> bool:
    """Whether the labels of a date, and what follows from them, are what they would be now.

    Its features must be current.
    """
    written = _last_run(context, snapshot_date, "segment_profiles", "customer_segments")
    if written is None or snapshot_date in ledger.stale_dates(context):
        return False
    seen = _seen(written)
    features = ledger.last_success(context, output="customer_features", snapshot_date=snapshot_date)
    if features is None or features.output_versions["customer_features"] > seen.get(
        "customer_features", -1
    ):
        return False
    if context.settings.sources.events is not None:
        events.read_fingerprint(context, snapshot_date=snapshot_date)
        if seen.get(events.FINGERPRINT) != context.run.input_versions[events.FINGERPRINT]:
            return False
    labels = labels_on(context, snapshot_date).select("model_version", "thresholds_version").first()
    model = model_in_force(context, snapshot_date=snapshot_date)
    if labels is None or model is None:
        return False
    edges = version_in_force(context, labels["thresholds_version"], snapshot_date=snapshot_date)
    return (labels["model_version"], labels["thresholds_version"]) == (model.version, edges)


def _last_run(context: Context, snapshot_date: date, *outputs: str) -> Entry | None:
    """The last run that wrote the outputs of a date, if they are still what it left there."""
    last = ledger.last_success(context, output=outputs[0], snapshot_date=snapshot_date)
    made_by = (__version__, context.configuration.config_hash)
    if last is None or (last.code_version, last.config_hash) != made_by:
        return None
    if ledger.unfinished_since(context, last, snapshot_date=snapshot_date):
        return None
    for table in outputs:
        now = context.store.version(table)
        if now is None or now < last.output_versions.get(table, 0):
            return None  # created anew
    return last


def _seen(run: Entry) -> dict[str, int]:
    return {**run.input_versions, **run.output_versions}


def _has_changed(context: Context, table: str, seen: Mapping[str, int], before: date) -> bool:
    """Whether a daily table's rows of days before a date are others than a run saw."""
    store, version = context.store, seen.get(table)
    now = store.version(table)
    if version is None or now is None or now < version:
        return True
    if seen.get(identity_of(table)) != number_of(store.table_id(table)):
        return True
    if now == version:
        return False
    if store.unfollowable(table, version, now) is not None:
        return True
    try:
        changes = updating.signed_changes(store.changes(table, version, now))
        kind = context.settings.sources.balances_kind
        if table == "customer_daily":
            net = updating.net_purchase_changes(changes, before=before, first_day=None)
        else:
            assert kind is not None
            net = updating.changed_holders(changes, schemas.BALANCE_COLUMNS[kind], before=before)
        return bool(net.limit(1).collect())
    except Exception as error:
        if FEED_IS_GONE.search(str(error)):
            return True
        raise
