"""How far the customers of a date have moved away from the model that labels them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame

from rfm_spark import schemas
from rfm_spark.clustering.drift import population_stability_index, standing, wcss_ratio
from rfm_spark.clustering.model import Model
from rfm_spark.clustering.space import Space
from rfm_spark.pipeline.context import Context


@dataclass(frozen=True)
class Drift:
    """Drift of one feature, as in a row of ``drift``; the WCSS is that of all features."""

    feature: str
    psi: float
    mean: float
    std: float
    mean_at_fit: float
    std_at_fit: float
    outside_share: float
    wcss_ratio: float | None
    customers: int
    alarm: bool


def measured_drift(
    context: Context, customers: DataFrame, model: Model, space: Space
) -> list[Drift]:
    """Drift of every feature of a model, by one pass over the customers of a date.

    Args:
        context: The run.
        customers: Rows with features and scores.
        model: The model in force.
        space: The model's, as of the customers' date.

    Returns:
        A row per feature; none for a model that was stored without figures to compare with.
    """
    reference = model.reference
    if reference is None:
        context.display.note(f"model {model.version} has no figures to measure drift against")
        return []
    with context.timed("measuring drift"):
        now = standing(
            customers,
            space,
            model.centroids,
            reference.edges,
            list(zip(reference.lowest, reference.highest, strict=True)),
            most=reference.wcss * reference.customers,
        )
    limits = context.settings.drift
    moved = wcss_ratio(now.wcss, reference, space)
    is_far = _is_far(moved, limits.wcss_ratio)
    means, stds = now.moments.means(), now.moments.stds()
    rows = []
    for i, feature in enumerate(space.features):
        psi = population_stability_index(reference.shares[i], now.shares[i])
        rows.append(
            Drift(
                feature,
                psi,
                means[i],
                stds[i],
                reference.means[i],
                reference.stds[i],
                now.outside[i],
                moved,
                now.moments.customers,
                is_far or psi > limits.psi,
            )
        )
    return rows


def write_drift(
    context: Context, drift: Sequence[Drift], model: Model, *, snapshot_date: date
) -> None:
    """Store drift of a date and a model; writes ``drift``.

    Rows of a model of the same date that this one has replaced go; those of an earlier model, whose
    drift has asked for this one, stay.
    """
    if not drift:
        return
    rows = [
        (
            snapshot_date,
            model.version,
            row.feature,
            row.psi,
            row.mean,
            row.std,
            row.mean_at_fit,
            row.std_at_fit,
            row.outside_share,
            row.wcss_ratio,
            row.customers,
            row.alarm,
        )
        for row in drift
    ]
    table = schemas.DRIFT
    frame = context.spark.createDataFrame(rows, table.ddl).coalesce(1)
    replaced = f"(model_version = '{model.version}' OR model_version LIKE '{snapshot_date}-%')"
    context.write_later(table, frame, f"snapshot_date = DATE'{snapshot_date}' AND {replaced}")


def tell_alarms(context: Context, drift: Sequence[Drift], model: Model) -> None:
    """Warn of what is beyond its limit."""
    if (alarms := alarm(context, drift)) is not None:
        context.display.warn(
            f"customers have moved away from model {model.version}: {alarms}; see drift, and fit "
            "a new model with --retrain if this is to stay"
        )


def alarm(context: Context, drift: Sequence[Drift]) -> str | None:
    """What is beyond its limit, in words; None where nothing is."""
    limits = context.settings.drift
    told = [
        f"{row.feature} has a PSI of {row.psi:.2f} (limit {limits.psi:g})"
        for row in drift
        if row.psi > limits.psi
    ]
    moved = drift[0].wcss_ratio if drift else 1.0
    if moved is None:
        told.append("customers were all alike at the fit, and no longer are")
    elif _is_far(moved, limits.wcss_ratio):
        told.append(
            f"the WCSS per customer is {moved:.2f} times that of the fit "
            f"(limit {limits.wcss_ratio:g})"
        )
    return "; ".join(told) or None


def _is_far(moved: float | None, limit: float) -> bool:
    return moved is None or moved > limit
