"""What the base becomes, and is worth, if customers go on moving as they did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from rfm_spark import schemas
from rfm_spark.movement.outlook import projected, unknown_moves
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.migrations import Migrations

_CLIPPED = timedelta(days=3)
"""How far a month's end may move a step: the 31st of January and the 28th of February."""


def outlook_date(context: Context, dates: Sequence[date], snapshot_date: date) -> date | None:
    """The earlier date whose migrations are projected; None where there is none a step before.

    Args:
        context: The run.
        dates: All dates with labels.
        snapshot_date: The present.
    """
    before = [day for day in dates if day < snapshot_date]
    step = context.settings.outlook.step
    if step is None or not before:
        return before[-1] if before else None
    try:
        wanted = step.from_day(snapshot_date, -1)
    except OverflowError:
        return None
    nearest = min(before, key=lambda day: (abs(day - wanted), day))
    if abs(nearest - wanted) <= (_CLIPPED if step.is_clipped else timedelta()):
        return nearest
    context.display.note(
        f"no outlook: outlook.compare_to is {step}, and there are no labels of {wanted}"
    )
    return None


def write_outlook(context: Context, found: Migrations | None, *, snapshot_date: date) -> None:
    """Project the segments of a date; writes ``segment_outlook``.

    Args:
        context: The run.
        found: The matrices whose step is repeated; None: there is no outlook.
        snapshot_date: The present.
    """
    scale, settings = context.settings.amount_scale, context.settings.outlook
    records = []
    for kind, cells in (found.cells if found else {}).items():
        if stuck := unknown_moves(cells):
            context.display.note(
                f"outlook: nobody was in {', '.join(stuck)} at the previous date, so its customers "
                "are taken to stay there"
            )
        records += [
            {
                "kind": kind,
                "segment": one.segment,
                "period": one.period,
                "previous_snapshot_date": found and found.previous_date,
                "customers": one.customers,
                "revenue": one.revenue,
                "discounted_revenue": one.discounted_revenue,
                "customer_value": one.customer_value,
            }
            for one in projected(
                cells, periods=settings.periods, discount_rate=settings.discount_rate, scale=scale
            )
        ]
    context.write_records(schemas.segment_outlook(scale), records, snapshot_date)
