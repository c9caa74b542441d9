"""What an export's hold-out says: the arms beside each other, since they were assigned."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pyspark.sql import functions as F

from rfm_spark.activation.lift import Arm, Effect, conversion_effect, revenue_effect
from rfm_spark.activation.outcome import outcomes
from rfm_spark.errors import DataError
from rfm_spark.ingest.days import ONE_DAY
from rfm_spark.pipeline.audience import assignments_of
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.ingest import is_everything_in
from rfm_spark.schemas import CONTROL, TREATMENT

_ALL = "(all)"
Arms = Mapping[str, Arm]


def experiment(context: Context, *, name: str, snapshot_date: date) -> None:
    """Show conversion and revenue per customer of both arms, and treatment against control.

    Customers count in the arm that they were assigned to, sent or not, from the day of their
    assignment to the day before the snapshot date; segments are those of the assignment.

    Args:
        context: The run.
        name: Which one of ``exports``.
        snapshot_date: The day after the last day counted.

    Raises:
        DataError: Nobody was assigned to an arm before the date.
    """
    context.stage("experiment", f"{name}, until {snapshot_date}")
    assigned = assignments_of(context, name)
    first = None if assigned is None else assigned.agg(F.min("assigned_on")).collect()[0][0]
    if assigned is None or first is None or first >= snapshot_date:
        found = f"the first was on {first}" if first else "there is none"
        raise DataError(
            f"nobody was assigned to an arm of {name} before {snapshot_date}; {found}. An export "
            "with `holdout` above 0 assigns; the outcome is counted from that date on"
        )
    if not is_everything_in(context, snapshot_date - ONE_DAY):
        context.display.warn(
            f"not every day before {snapshot_date} is in yet: what is missing counts as no purchase"
        )
    scale = context.settings.amount_scale
    daily = context.store.read("customer_daily")
    with context.timed("counting what both arms did"):
        counted = outcomes(assigned, daily, snapshot_date=snapshot_date, scale=scale)
        rows = counted.collect()
    arms: dict[str, dict[str, Arm]] = {_ALL: {}}
    for row in rows:
        unit = Fraction(1, 10**scale)
        revenue, squares = int(row["units"]) * unit, int(row["squares"]) * unit**2
        arm = Arm(row["customers"], row["buyers"], revenue, squares)
        segment = arms.setdefault(row["segment"] or "(none)", {})
        segment[row["arm"]] = segment.get(row["arm"], Arm()) + arm
        arms[_ALL][row["arm"]] = arms[_ALL].get(row["arm"], Arm()) + arm
    segments = [_ALL, *sorted(name for name in arms if name != _ALL)]
    _show(context, name, f"{first} to {snapshot_date - ONE_DAY}", {s: arms[s] for s in segments})


def _show(context: Context, name: str, days: str, segments: Mapping[str, Arms]) -> None:
    currency = context.settings.currency
    unit = f", in {currency}" if currency else ""
    context.display.table(
        f"{name}: arms, {days}{unit}",
        ["segment", "arm", "customers", "buyers", "conversion", "revenue", "revenue per customer"],
        [
            _arm_row(context, segment, arm, arms.get(arm, Arm()))
            for segment, arms in segments.items()
            for arm in (TREATMENT, CONTROL)
        ],
    )
    context.display.table(
        f"{name}: treatment against control, with 95 % intervals{unit}",
        [
            "segment",
            "measure",
            "difference",
            "difference from",
            "difference to",
            "lift",
            "lift from",
            "lift to",
            "remark",
        ],
        [row for segment, arms in segments.items() for row in _effect_rows(segment, arms)],
    )


def _arm_row(context: Context, segment: str, name: str, arm: Arm) -> list[Any]:
    scale = context.settings.amount_scale
    revenue = Decimal(int(arm.revenue * 10**scale)).scaleb(-scale)
    return [segment, name, arm.customers, arm.buyers, arm.conversion, revenue, arm.mean]


def _effect_rows(segment: str, arms: Arms) -> list[list[Any]]:
    treatment, control = arms.get(TREATMENT, Arm()), arms.get(CONTROL, Arm())
    effects = {
        "conversion": conversion_effect(treatment, control),
        "revenue": revenue_effect(treatment, control),
    }
    return [[segment, measure, *_cells(effect)] for measure, effect in effects.items()]


def _cells(effect: Effect) -> list[Any]:
    nothing = (None, None)
    return [
        effect.difference,
        *(effect.interval or nothing),
        effect.lift,
        *(effect.lift_interval or nothing),
        effect.remark,
    ]
