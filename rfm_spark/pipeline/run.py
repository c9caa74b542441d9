"""All four stages, each only as far as needed."""

from __future__ import annotations

from datetime import date, timedelta

from rfm_spark import __version__
from rfm_spark.pipeline import ledger
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.features import features
from rfm_spark.pipeline.ingest import ingest
from rfm_spark.pipeline.segment import model_in_force, segment
from rfm_spark.pipeline.thresholds import stored_thresholds
from rfm_spark.pipeline.train import train


def run(context: Context, *, snapshot_date: date, retrain: bool) -> None:
    """From the raw log to labelled customers of a date.

    Days that are in are not read again; features and labels whose inputs and settings have not
    changed are left as they are; a model is fitted only where there is none yet.

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
    if retrain or _lacks_model(context, snapshot_date):
        train(context, snapshot_date=snapshot_date)
    if _is_current(context, "segment_profiles", snapshot_date):
        context.display.note(f"segments of {snapshot_date} are up to date")
    else:
        segment(context, snapshot_date=snapshot_date)


def _lacks_model(context: Context, snapshot_date: date) -> bool:
    if model_in_force(context, snapshot_date=snapshot_date) is None:
        return True
    if context.settings.scoring.refresh == "every_run":
        return False
    return stored_thresholds(context, snapshot_date=snapshot_date) is None


_STAGES = {
    "customer_features": (("customer_daily", "balance_daily"), ("customer_features",)),
    "segment_profiles": (
        ("customer_features", "models", "score_thresholds"),
        ("customer_segments", "segment_profiles"),
    ),
}


def _is_current(context: Context, output: str, snapshot_date: date) -> bool:
    """Whether the last run that wrote this output for the date saw what there is now.

    Customers and sources of extra features have no versions to compare, so features that use them
    are computed again. A later run of the date that did not succeed may have written half of it.
    """
    sources = context.settings.sources
    if output == "customer_features" and (sources.customers or sources.feature_sources):
        return False
    last = ledger.last_success(context, output=output, snapshot_date=snapshot_date)
    if last is None or last["code_version"] != __version__:
        return False
    if last["config_hash"] != context.configuration.config_hash:
        return False
    if ledger.unfinished_since(context, last, snapshot_date=snapshot_date):
        return False
    inputs, outputs = _STAGES[output]
    seen = {**last["input_versions"], **last["output_versions"]}
    now = {table: context.store.version(table) for table in (*inputs, *outputs)}
    if any(now[table] is None or now[table] < seen.get(table, 0) for table in outputs):
        return False
    return all(now[table] == seen.get(table) for table in inputs)
