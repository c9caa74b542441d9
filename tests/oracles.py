"""The same answers worked out a second way: plain Python, row by row, no Spark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction


@dataclass(frozen=True)
class Transaction:
    customer_id: str
    day: date
    amount: Decimal
    order_id: str | None


@dataclass(frozen=True)
class Balance:
    customer_id: str
    account_id: str | None
    day: date
    balance: Decimal


def daily(transactions: Iterable[Transaction]) -> dict[tuple[date, str], tuple]:
    """(day, customer) to (orders, lines, purchases, refund lines, refunds)."""
    grouped = defaultdict(list)
    for transaction in transactions:
        grouped[transaction.day, transaction.customer_id].append(transaction)
    result = {}
    for key, rows in grouped.items():
        bought = [row for row in rows if row.amount >= 0]
        returned = [row for row in rows if row.amount < 0]
        named = {row.order_id for row in bought if row.order_id is not None}
        unnamed = sum(row.order_id is None for row in bought)
        result[key] = (
            len(named) + unnamed,
            len(bought),
            sum((row.amount for row in bought), Decimal("0.00")),
            len(returned),
            sum((row.amount for row in returned), Decimal("0.00")),
        )
    return result


def features(
    transactions: Sequence[Transaction],
    balances: Sequence[Balance],
    starts: dict[str, date | None],
    snapshot: date,
    window_days: int | None,
) -> dict[str, dict[str, object]]:
    """Customer to features, by walking over every day."""
    first = snapshot - timedelta(days=window_days) if window_days else date.min
    counted = [row for row in transactions if row.day < snapshot]
    stated = [row for row in balances if row.day < snapshot]
    known_starts = {c: s for c, s in starts.items() if s is None or s < snapshot}
    people = {r.customer_id for r in counted} | {r.customer_id for r in stated} | set(known_starts)
    result = {}
    for person in people:
        rows = [row for row in counted if row.customer_id == person]
        own = [row for row in stated if row.customer_id == person]
        purchase_days = sorted({row.day for row in rows if row.amount >= 0})
        in_window = [row for row in rows if row.day >= first]
        per_day = daily(in_window).values()
        begun = [*purchase_days[:1], *sorted(row.day for row in own)[:1]]
        start = starts.get(person) or min(begun, default=None)
        tenure = (snapshot - start).days if start else None
        orders = sum(day[0] for day in per_day)
        bought = sum((row.amount for row in in_window if row.amount >= 0), Decimal("0.00"))
        returned = sum((row.amount for row in in_window if row.amount < 0), Decimal("0.00"))
        aum = _held(own, snapshot - timedelta(days=1)) if own else None
        result[person] = {
            "first_activity_date": purchase_days[0] if purchase_days else None,
            "last_activity_date": purchase_days[-1] if purchase_days else None,
            "start_date": start,
            "recency_days": (snapshot - purchase_days[-1]).days if purchase_days else None,
            "tenure_days": tenure,
            "first_purchase_days": (snapshot - purchase_days[0]).days if purchase_days else None,
            "orders": orders,
            "active_days": len({row.day for row in in_window if row.amount >= 0}),
            "lines": sum(row.amount >= 0 for row in in_window),
            "monetary": bought + returned,
            "purchase_amount": bought,
            "refund_amount": returned,
            "avg_order_value": float(bought) / orders if orders else None,
            "aum": aum,
            "aum_avg": _mean_held(own, start, first, snapshot) if own else None,
            "aum_per_day": float(aum) / tenure if own and tenure and tenure > 0 else None,
        }
    return result


def _held(own: Sequence[Balance], day: date) -> Decimal:
    total = Decimal("0.00")
    for account in {row.account_id for row in own}:
        known = [row for row in own if row.account_id == account and row.day <= day]
        if known:
            total += max(known, key=lambda row: row.day).balance
    return total


def _mean_held(
    own: Sequence[Balance], start: date | None, first: date, snapshot: date
) -> float | None:
    begin = max(start, first) if start else None
    if begin is None or begin >= snapshot:
        return None
    days = [begin + timedelta(days=n) for n in range((snapshot - begin).days)]
    return float(sum((_held(own, day) for day in days), Decimal(0))) / len(days)


def value_edges(values: Sequence[float], bins: int) -> list[float]:
    """Edge j: the smallest value with at least j/bins of the values at or below it."""
    ordered = sorted(values)
    edges = []
    for j in range(1, bins):
        wanted = Fraction(j * len(ordered), bins)
        edges.append(next(v for v in ordered if sum(x <= v for x in ordered) >= wanted))
    return edges


def value_score(value: float, edges: Sequence[float]) -> int:
    return 1 + sum(edge < value for edge in edges)


def ntile_scores(values: Sequence[float], bins: int) -> list[int]:
    """SQL's NTILE over (value, place in the list): larger buckets first."""
    order = sorted(range(len(values)), key=lambda i: (values[i], i))
    size, larger = divmod(len(values), bins)
    buckets = [b for b in range(1, bins + 1) for _ in range(size + (b <= larger))]
    found = [0] * len(values)
    for place, bucket in zip(order, buckets, strict=True):
        found[place] = bucket
    return found


def r_scores(values: Sequence[float], bins: int) -> list[int]:
    """R's rfm package: type 7 quantiles plus 1; score i where lower <= x < upper."""
    ordered, cuts = sorted(values), []
    for j in range(1, bins):
        index = (len(ordered) - 1) * (j * (1 / bins)) + 1
        low, high = int(index), min(int(index) + (index > int(index)), len(ordered))
        a, b, h = ordered[low - 1], ordered[high - 1], index - int(index)
        cuts.append(((1 - h) * a + h * b if a != b else a) + 1)
    return [1 + sum(cut <= value for cut in cuts) for value in values]
