"""All four stages, each only as far as needed."""

from __future__ import annotations

from datetime import date, timedelta

from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.features import features
from rfm_spark.pipeline.ingest import ingest
from rfm_spark.pipeline.retraining import why_train
from rfm_spark.pipeline.segment import segment
from rfm_spark.pipeline.train import train
from rfm_spark.pipeline.up_to_date import features_are_current, labels_are_current


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
    if features_are_current(context, snapshot_date):
        context.display.note(f"features of {snapshot_date} are up to date")
        is_current = not retrain and labels_are_current(context, snapshot_date)
    else:
        features(context, snapshot_date=snapshot_date)
        is_current = False
    if retrain:
        _train(context, "asked for", snapshot_date=snapshot_date)
    elif not is_current:
        train_if_due(context, snapshot_date=snapshot_date)
    if is_current:
        context.display.note(f"segments of {snapshot_date} are up to date")
    else:
        segment(context, snapshot_date=snapshot_date)


def train_if_due(context: Context, *, snapshot_date: date) -> None:
    """Fit a model where there is none for the date, or where `retrain` asks for another one.

    Raises:
        RfmSparkError: Whatever :func:`train` refuses.
    """
    why = why_train(context, snapshot_date=snapshot_date)
    if why is None:
        context.display.note("the model in force stays")
    else:
        _train(context, why, snapshot_date=snapshot_date)


def _train(context: Context, why: str, *, snapshot_date: date) -> None:
    context.display.note(f"a new model: {why}")
    train(context, snapshot_date=snapshot_date)
