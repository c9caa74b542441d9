"""All four stages, each only as far as needed."""

from __future__ import annotations

from datetime import date, timedelta

from rfm_spark import __version__
from rfm_spark.pipeline import customers, events, ledger
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.features import features
from rfm_spark.pipeline.ingest import ingest
from rfm_spark.pipeline.retraining import why_train
from rfm_spark.pipeline.segment import segment
from rfm_spark.pipeline.train import train


def run(context: Context, *, snapshot_date: date, retrain: bool) -> None:
    """From the raw log to labelled customers of a date.

    Days that are in are not read again; features and labels whose inputs and settings have not
    changed are left as they are; a model is fitted where there is none yet, or where `retrain`
    says that the one in force is too old or no longer fits.

    Args:
        context: The run.
        snapshot_date: The day after the last day counted.
        retrain: Fit a new model on this date in any case.

    Raises:
        RfmSparkError: Whatever a stage refuses.
    """
    ingest(context, first=None, last=snapshot_date - timedelta(days=1))
    if _is_current(context, "customer_features", snapshot_date):
        context.display.note(f"features of {snapshot_date} are up to date")
    else:
        features(context, snapshot_date=snapshot_date)
    is_current = not retrain and _is_current(context, "segment_profiles", snapshot_date)
    why = "asked for" if retrain else None
    if not retrain and not is_current:
        why = why_train(context, snapshot_date=snapshot_date)
    if why is not None:
        context.display.note(f"a new model: {why}")
        train(context, snapshot_date=snapshot_date)
    if is_current:
        context.display.note(f"segments of {snapshot_date} are up to date")
    else:
        segment(context, snapshot_date=snapshot_date)


_STAGES = {
    "customer_features": (("customer_daily", "balance_daily"), ("customer_features",)),
    "segment_profiles": (
        ("customer_features", "models", "score_thresholds"),
        ("customer_segments", "segment_profiles"),
    ),
}


def _is_current(context: Context, output: str, snapshot_date: date) -> bool:
    """Whether the last run that wrote this output for the date saw what there is now.

    A source of customers or events has no version to compare, but a fingerprint of its content.
    Features that use other sources are computed again. A later run of the date that did not succeed
    may have written half of it.
    """
    sources = context.settings.sources
    if output == "customer_features" and sources.feature_sources:
        return False
    last = ledger.last_success(context, output=output, snapshot_date=snapshot_date)
    made_by = (__version__, context.configuration.config_hash)
    if last is None or (last["code_version"], last["config_hash"]) != made_by:
        return False
    if ledger.unfinished_since(context, last, snapshot_date=snapshot_date):
        return False
    inputs, outputs = _STAGES[output]
    seen = {**last["input_versions"], **last["output_versions"]}
    now = {table: context.store.version(table) for table in (*inputs, *outputs)}
    if any(now[table] is None or now[table] < seen.get(table, 0) for table in outputs):
        return False
    read = {table: now[table] for table in inputs} | _content_now(context, output, snapshot_date)
    return all(seen.get(name) == found for name, found in read.items())


def _content_now(context: Context, output: str, snapshot_date: date) -> dict[str, int]:
    """Fingerprints of the sources without versions that an output is made from."""
    sources, found = context.settings.sources, context.run.input_versions
    if output == "customer_features" and sources.customers is not None:
        customers.read_customers(context, context.customer_id_type())
        return {customers.FINGERPRINT: found[customers.FINGERPRINT]}
    if output == "segment_profiles" and sources.events is not None:
        events.read_fingerprint(context, snapshot_date=snapshot_date)
        return {events.FINGERPRINT: found[events.FINGERPRINT]}
    return {}
