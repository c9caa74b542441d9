"""Whether a date needs a model of its own, or is labelled by the one in force."""

from __future__ import annotations

from datetime import date

from rfm_spark.clustering.model import Model
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.drift import alarm, measured_drift, write_drift
from rfm_spark.pipeline.registry import model_in_force, space_on
from rfm_spark.pipeline.stored_features import features_on
from rfm_spark.pipeline.thresholds import lacks_thresholds, scored, thresholds_in_force


def why_train(context: Context, *, snapshot_date: date) -> str | None:
    """Why a model has to be fitted on a date, in words; None where the one in force will do.

    A model that was fitted on the date itself will do. Drift that asks for a new model is stored
    under the version of the old one.

    Args:
        context: The run.
        snapshot_date: A date whose features have been computed.

    Raises:
        ModelError: The model in force was made with other settings.
    """
    model = model_in_force(context, snapshot_date=snapshot_date)
    if model is None:
        return "there is no model yet"
    if lacks_thresholds(context, snapshot_date=snapshot_date):
        return "there are no score edges yet"
    age, limit = (snapshot_date - model.snapshot_date).days, context.settings.retrain.every_days
    if limit is not None and age >= limit:
        return f"model {model.version} is {age} days old (retrain.every_days)"
    if context.settings.retrain.on_drift and age > 0:
        return _why_drifted(context, model, snapshot_date)
    return None


def _why_drifted(context: Context, model: Model, snapshot_date: date) -> str | None:
    features = features_on(context, snapshot_date)
    thresholds = thresholds_in_force(context, features, snapshot_date=snapshot_date)
    if thresholds is None or not features.limit(1).collect():
        return None
    customers = scored(context, features, thresholds)
    space = space_on(context, model, snapshot_date)
    drift = measured_drift(context, customers, model, space)
    alarms = alarm(context, drift)
    if alarms is None:
        return None
    write_drift(context, drift, model, snapshot_date=snapshot_date)
    return f"{alarms} (retrain.on_drift)"
