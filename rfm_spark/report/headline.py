"""The numbers at the top of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from rfm_spark.report import words
from rfm_spark.report.answers import slipping
from rfm_spark.report.quality import drift_alarms, sources
from rfm_spark.report.records import Records


@dataclass(frozen=True)
class Number:
    """A number, what it is, and a remark; ``is_alarm`` marks one to look at."""

    label: str
    value: str
    remark: str = ""
    exact: str = ""
    is_alarm: bool = False


def headline(records: Records, money: words.Money) -> Sequence[Number]:
    """Customers, revenue, who is slipping away, what is held, and how clean the log is."""
    everybody = records.customers
    buyers = sum(cell.customers for cell in records.cells if cell.has_purchase)
    mean = float(records.revenue) / everybody if everybody else None
    lost = slipping(records)
    numbers = [
        Number("Customers", words.count(everybody), _since(records)),
        Number(
            "Revenue"
            if records.about.window_days is None
            else f"Revenue in {records.about.window_days} days",
            money.short(records.revenue),
            "net of refunds",
            money.exact(records.revenue),
        ),
        Number("Revenue per customer", money.short(mean), f"{words.count(buyers)} have bought"),
    ]
    if records.about.has_aum:
        numbers.append(
            Number(
                "Assets under management",
                money.short(records.aum),
                "at the end of the last day",
                money.exact(records.aum),
            )
        )
    remark = f"{money.short(lost.revenue)} brought so far" if lost.customers else "nobody"
    numbers.append(
        Number("Slipping away", words.count(lost.customers), remark, is_alarm=lost.customers > 0)
    )
    found = next((one for one in sources(records.measures) if one.source == "transactions"), None)
    if found is not None and found.read:
        rows = f"{words.count(found.rejected)} of {words.count(found.read)} rows"
        numbers.append(Number("Rejected", words.share(found.rejected / found.read, 2), rows))
    if drift_alarms(records):
        numbers.append(Number("Drift", "Alarm", "the clusters are ageing", is_alarm=True))
    return numbers


def _since(records: Records) -> str:
    """The change since the previous date of the history."""
    previous: date | None = max(
        (d for d in records.dates if d < records.about.snapshot_date), default=None
    )
    if previous is None:
        return "first snapshot date"
    before = sum(
        one.customers for one in records.segments if one.kind == "rfm" and one.day == previous
    )
    change = records.customers - before
    sign = "+" if change > 0 else "\u2212" if change < 0 else "±"
    return f"{sign}{abs(change):,} since {words.short_day(previous)}"
