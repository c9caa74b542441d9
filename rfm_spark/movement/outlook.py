"""What the base becomes, and what it is worth, if customers go on moving as they did.

A Markov chain of segments, with the value of each: Pfeifer and Carraway, "Modeling customer
relationships as Markov chains", Journal of Interactive Marketing 14 (2000); the managerial CLV
of segments by recency and value is the same with yearly steps. Assumptions:

- the next steps are like the last one: of each segment the same shares go to each other segment;
- nobody new comes, and who has departed does not come back;
- a customer brings in each step what the customers of the segment brought in the last one, on
  average; a segment that is empty at present brings nothing;
- customers of a segment that was empty at the previous date stay where they are.

All is counted in whole numbers and fractions, and rounded once, at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import lcm

from rfm_spark.movement.matrix import Cell, sizes_before, sizes_now

_Vector = list[int]


@dataclass(frozen=True)
class Projection:
    """A segment after a number of periods; period 0 is the present.

    Args:
        segment: Its name.
        period: Steps from the present.
        customers: Expected size.
        revenue: What they bring in that period, half up at the decimals of money.
        discounted_revenue: The same, seen from the present.
        customer_value: Discounted revenue over the periods from 1 to this one of a customer who
            is in this segment at present, wherever the customer goes.
    """

    segment: str
    period: int
    customers: float
    revenue: Decimal
    discounted_revenue: Decimal
    customer_value: float


@dataclass(frozen=True)
class _Chain:
    """Whole numbers: ``moves[i][j] / unit`` is the share of segment i that goes to j in a step."""

    names: Sequence[str]
    moves: Sequence[_Vector]
    unit: int

    def after(self, sizes: _Vector) -> _Vector:
        """Sizes one step later, in parts of ``unit``."""
        places = range(len(self.names))
        return [sum(sizes[i] * self.moves[i][j] for i in places) for j in places]

    def before(self, values: _Vector) -> _Vector:
        """What the next step is expected to bring to who is in each segment, likewise."""
        return [
            sum(share * value for share, value in zip(row, values, strict=True))
            for row in self.moves
        ]


def projected(
    cells: Sequence[Cell], *, periods: int, discount_rate: float, scale: int
) -> list[Projection]:
    """Sizes, revenue and value of every segment for the periods 0 to ``periods``.

    Args:
        cells: A migration matrix; its two dates are one period apart.
        periods: How many steps to look ahead.
        discount_rate: Per period; revenue of period t counts 1 / (1 + rate) ** t of itself.
        scale: Decimals of money.
    """
    chain = _chain(cells)
    discount = 1 / (1 + Fraction(str(discount_rate)))
    now = sizes_now(cells)
    sizes = [now.get(name, 0) for name in chain.names]
    each = _revenue_per_customer(cells, chain.names, sizes)
    money_unit = lcm(*(value.denominator for value in each))
    values = [value.numerator * (money_unit // value.denominator) for value in each]
    worth = [Fraction(0)] * len(chain.names)
    found = []
    for period in range(periods + 1):
        unit, factor = chain.unit**period, discount**period
        if period:
            values = chain.before(values)
            worth = [
                known + Fraction(value, money_unit * unit) * factor
                for known, value in zip(worth, values, strict=True)
            ]
        for name, size, value, own in zip(chain.names, sizes, each, worth, strict=True):
            customers = Fraction(size, unit)
            revenue = customers * value
            found.append(
                Projection(
                    name,
                    period,
                    float(customers),
                    _half_up(revenue, scale),
                    _half_up(revenue * factor, scale),
                    float(own),
                )
            )
        sizes = chain.after(sizes)
    return found


def unknown_moves(cells: Sequence[Cell]) -> list[str]:
    """Segments that have customers now and had none before: nobody knows where they go."""
    before = sizes_before(cells)
    return [name for name in sizes_now(cells) if name not in before]


def _chain(cells: Sequence[Cell]) -> _Chain:
    before, now = sizes_before(cells), sizes_now(cells)
    names = sorted({*before, *now})
    unit = lcm(*before.values())
    moves = [[0] * len(names) for _ in names]
    for cell in cells:
        if cell.from_segment is not None and cell.to_segment is not None:
            row, column = names.index(cell.from_segment), names.index(cell.to_segment)
            moves[row][column] = cell.customers * (unit // before[cell.from_segment])
    for place, name in enumerate(names):
        if name not in before:
            moves[place][place] = unit
    return _Chain(names, moves, unit)


def _revenue_per_customer(
    cells: Sequence[Cell], names: Sequence[str], sizes: Sequence[int]
) -> list[Fraction]:
    revenue = dict.fromkeys(names, Decimal(0))
    for cell in cells:
        if cell.to_segment is not None:
            revenue[cell.to_segment] += cell.revenue
    return [
        Fraction(revenue[name]) / size if size else Fraction(0)
        for name, size in zip(names, sizes, strict=True)
    ]


def _half_up(value: Fraction, scale: int) -> Decimal:
    """Rounded to decimals, halves away from zero, as SQL rounds."""
    parts = abs(value) * 10**scale
    whole = (2 * parts.numerator + parts.denominator) // (2 * parts.denominator)
    return Decimal(whole if value >= 0 else -whole).scaleb(-scale)
