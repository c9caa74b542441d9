"""Whether the numbers can be trusted: what was rejected, what is missing, what no longer fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from rfm_spark.report import words
from rfm_spark.report.records import Drift, Measure, Records

_REASONS = {
    "missing_customer_id": "no customer id",
    "missing_timestamp": "no date",
    "bad_timestamp": "a date that cannot be read",
    "missing_amount": "no amount",
    "bad_amount": "an amount that is no number",
    "refund_dropped": "refund, left out by the settings",
    "malformed": "a row that does not parse",
    "duplicate": "a copy of a row that counts",
    "duplicate_conflicting": "a copy that contradicts the row that counts",
    "forgotten": "rows of customers who were erased since",
}
_COPIES = ("duplicate", "duplicate_conflicting")
_ASIDE = (*_COPIES, "refund_dropped", "forgotten")
_TRANSACTIONS = "transactions"


@dataclass(frozen=True)
class Line:
    """Where rows of a source went, and why."""

    what: str
    rows: int
    share: float
    amount: Decimal | None
    is_reject: bool = False


@dataclass(frozen=True)
class SourceQuality:
    """A source: what was read, and where it went."""

    source: str
    read: int
    read_amount: Decimal | None
    accepted: int
    accepted_amount: Decimal | None
    lines: Sequence[Line]
    adds_up: bool

    @property
    def rejected(self) -> int:
        """Rows that cannot be used."""
        return sum(line.rows for line in self.lines if line.is_reject)

    @property
    def rejected_amount(self) -> Decimal:
        """The money of these rows, as far as it can be read."""
        return sum((line.amount or Decimal(0) for line in self.lines if line.is_reject), Decimal(0))


@dataclass(frozen=True)
class Trust:
    """A verdict and the reasons for it."""

    verdict: str
    reasons: Sequence[str] = field(default_factory=tuple)
    is_alarm: bool = False


def sources(measures: Sequence[Measure]) -> list[SourceQuality]:
    """Every source, the transactions first."""
    names = sorted({one.source for one in measures}, key=lambda name: (name != _TRANSACTIONS, name))
    return [_source(name, [one for one in measures if one.source == name]) for name in names]


def _source(name: str, measures: Sequence[Measure]) -> SourceQuality:
    found = {one.measure: one for one in measures}
    nothing = Measure(name, "", 0, Decimal(0))
    read, accepted = found.get("read", nothing), found.get("accepted", nothing)
    has_money = name == _TRANSACTIONS
    others = [
        one for one in measures if one.measure not in ("read", "accepted", "rounding") and one.rows
    ]
    lines = [
        Line(
            _REASONS.get(one.measure, words.name(one.measure.replace("_", " "))),
            one.rows,
            one.rows / read.rows if read.rows else 0.0,
            one.amount if has_money else None,
            one.measure not in _ASIDE,
        )
        for one in sorted(others, key=lambda one: (one.measure in _ASIDE, -one.rows, one.measure))
    ]
    total_rows = accepted.rows + sum(one.rows for one in others)
    total_amount = accepted.amount + sum((one.amount for one in others), Decimal(0))
    return SourceQuality(
        name,
        read.rows,
        read.amount if has_money else None,
        accepted.rows,
        accepted.amount if has_money else None,
        lines,
        total_rows == read.rows and total_amount == read.amount,
    )


def trust(records: Records, money: words.Money) -> Trust:
    """What speaks for the numbers and against them, in sentences."""
    against, for_ = _against(records), []
    transactions = next(
        (one for one in sources(records.measures) if one.source == _TRANSACTIONS), None
    )
    if transactions is not None:
        for_.append(_rejected(transactions, money))
        if not transactions.adds_up:
            against.append("rows read are not rows accepted, copies and rejects together")
    last = next((one.last for one in records.days if one.source == _TRANSACTIONS), None)
    if last is not None:
        late = (records.about.snapshot_date - last).days - 1
        for_.append(
            f"The last accepted row is of {words.day(last)}"
            + (
                ", the last day counted."
                if late <= 0
                else f", {late} day{'s'[: late != 1]} before the last day counted."
            )
        )
    if latest_drift(records) and not drift_alarms(records):
        for_.append(
            "Customers are still like those whom the clusters were fitted on: no drift alarm."
        )
    if not against:
        return Trust("Yes: the date is up to date and nothing has raised an alarm.", for_)
    verdict = f"With care: {words.listed(against)}."
    return Trust(verdict, for_, is_alarm=True)


def _against(records: Records) -> list[str]:
    against = []
    if records.is_stale:
        against.append(
            "what the labels rest on has been written again since, so they are out of date"
        )
    if records.is_unfinished:
        against.append("a later run of this date has not ended (yet)")
    if alarms := drift_alarms(records):
        against.append(f"the clusters no longer fit these customers ({words.listed(alarms)})")
    if records.customers != sum(cell.customers for cell in records.cells):
        against.append("profiles and labels do not count the same customers")
    made = records.made
    if made.config_hash is not None and made.config_hash != made.config_hash_now:
        against.append("the labels were made with other settings than the report was")
    return against


def latest_drift(records: Records) -> list[Drift]:
    """Drift at the report's date."""
    return [one for one in records.drift if one.day == records.about.snapshot_date]


def drift_alarms(records: Records) -> list[str]:
    """What is beyond its limit at the report's date, in words."""
    own, about = latest_drift(records), records.about
    moved = [words.label(one.feature) for one in own if (one.psi or 0) > about.psi_limit]
    alarms = [f"drift in {words.listed(moved)}"] if moved else []
    if any((one.wcss_ratio or 0) > about.wcss_limit for one in own):
        alarms.append("customers lie further from the centres")
    if not alarms and any(one.alarm for one in own):
        alarms.append("customers were all alike at the fit, and no longer are")
    return alarms


def _rejected(found: SourceQuality, money: words.Money) -> str:
    if not found.rejected:
        return f"All {words.count(found.read)} rows of the log could be used; none was rejected."
    return (
        f"{words.count(found.rejected)} of {words.count(found.read)} rows "
        f"({words.share(found.rejected / found.read, 2)}) could not be used, with "
        f"{money.exact(found.rejected_amount)} as far as their amounts can be read."
    )
