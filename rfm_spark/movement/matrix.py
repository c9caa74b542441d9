"""Migration matrices: customers by the segment that they had and the segment that they have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from rfm_spark.schemas import KINDS


@dataclass(frozen=True)
class Cell:
    """Customers who went from one segment to another, or stayed.

    Args:
        from_segment: At the previous date; None: new customers.
        to_segment: At the present one; None: departed customers.
        customers: How many they are.
        revenue: Their net money on the days between the two dates.
        by_recut: Of these, those whom the earlier edges or model would have put elsewhere; None
            where that cannot be told.
    """

    from_segment: str | None
    to_segment: str | None
    customers: int
    revenue: Decimal
    by_recut: int | None

    @property
    def by_behaviour(self) -> int | None:
        """All others: they are where the earlier edges or model would have put them, too."""
        return None if self.by_recut is None else self.customers - self.by_recut

    @property
    def is_at_both(self) -> bool:
        """Whether these customers are there at both dates."""
        return self.from_segment is not None and self.to_segment is not None

    @property
    def moved(self) -> bool:
        """Whether they are there at both dates, in different segments."""
        return self.is_at_both and self.from_segment != self.to_segment


def crossed(previous: DataFrame, present: DataFrame, revenue: DataFrame) -> DataFrame:
    """Customers of two dates, counted by all their segments together.

    One row per combination of the segments at both dates and of ``recut_<kind>``, with
    ``customers`` and ``revenue``. There are as many rows as combinations, whatever the number of
    customers. A customer who is missing at a date has null segments there.

    Args:
        previous: customer_id and the segment columns of both kinds, one row per customer.
        present: The same of the present date, and ``recut_<kind>``: whether the earlier edges or
            model would have put the customer elsewhere; null where that cannot be told.
        revenue: customer_id and revenue, one row per customer with any.
    """
    was = previous.select("customer_id", *(F.col(c).alias(f"from_{k}") for k, c in KINDS.items()))
    now = present.select("customer_id", *_present_keys())
    return _counted(was.join(now, on="customer_id", how="full_outer"), revenue)


def crossed_within(present: DataFrame, revenue: DataFrame) -> DataFrame:
    """The same of labels that say which segments their customers had; departed ones are missing.

    Args:
        present: customer_id, the segment columns of both kinds, ``previous_<column>`` of these,
            null for new customers, and ``recut_<kind>``.
        revenue: As in :func:`crossed`.
    """
    pairs = present.select(
        "customer_id",
        *(F.col(f"previous_{column}").alias(f"from_{kind}") for kind, column in KINDS.items()),
        *_present_keys(),
    )
    return _counted(pairs, revenue)


def at_previous(rows: Iterable[Row]) -> int:
    """Customers of the previous date in the rows of :func:`crossed`."""
    kind = next(iter(KINDS))
    return sum(row["customers"] for row in rows if row[f"from_{kind}"] is not None)


def _present_keys() -> list[Column]:
    segments = [F.col(column).alias(f"to_{kind}") for kind, column in KINDS.items()]
    return [*segments, *(F.col(f"recut_{kind}") for kind in KINDS)]


def _counted(pairs: DataFrame, revenue: DataFrame) -> DataFrame:
    keys = [f"{side}_{kind}" for kind in KINDS for side in ("from", "to", "recut")]
    both = pairs.join(revenue, on="customer_id", how="left")
    return both.groupBy(*keys).agg(
        F.count(F.lit(1)).alias("customers"), F.sum("revenue").alias("revenue")
    )


def cells_of(rows: Iterable[Row], kind: str) -> list[Cell]:
    """The matrix of one kind of segment from the rows of :func:`crossed`; names in order.

    New customers come first, departed ones last of their row.
    """
    customers: dict[tuple[str | None, str | None], int] = defaultdict(int)
    revenue: dict[tuple[str | None, str | None], Decimal] = defaultdict(Decimal)
    recut: dict[tuple[str | None, str | None], int] = defaultdict(int)
    unknown = False
    for row in rows:
        place = row[f"from_{kind}"], row[f"to_{kind}"]
        customers[place] += row["customers"]
        revenue[place] += row["revenue"] or Decimal(0)
        recut[place] += row["customers"] if row[f"recut_{kind}"] else 0
        unknown |= place[1] is not None and row[f"recut_{kind}"] is None
    return [
        Cell(*place, customers[place], revenue[place], None if unknown else recut[place])
        for place in sorted(customers, key=_names_in_order)
    ]


def sizes_before(cells: Sequence[Cell]) -> dict[str, int]:
    """Customers of each segment at the previous date, departed ones included."""
    return _added(cells, "from_segment")


def sizes_now(cells: Sequence[Cell]) -> dict[str, int]:
    """Customers of each segment at the present date, new ones included."""
    return _added(cells, "to_segment")


def kept(cells: Sequence[Cell]) -> int:
    """Customers who are there at both dates, in the same segment."""
    return sum(c.customers for c in cells if c.is_at_both and not c.moved)


def at_both(cells: Sequence[Cell]) -> int:
    """Customers who are there at both dates."""
    return sum(cell.customers for cell in cells if cell.is_at_both)


def contingency(cells: Sequence[Cell]) -> list[list[int]]:
    """Customers of both dates, a row per previous segment and a column per present one."""
    both = [cell for cell in cells if cell.is_at_both]
    rows = sorted({str(cell.from_segment) for cell in both})
    columns = sorted({str(cell.to_segment) for cell in both})
    table = [[0] * len(columns) for _ in rows]
    for cell in both:
        row, column = rows.index(str(cell.from_segment)), columns.index(str(cell.to_segment))
        table[row][column] = cell.customers
    return table


def _added(cells: Sequence[Cell], side: str) -> dict[str, int]:
    sizes: dict[str, int] = defaultdict(int)
    for cell in cells:
        if (name := getattr(cell, side)) is not None:
            sizes[name] += cell.customers
    return dict(sorted(sizes.items()))


def _names_in_order(place: tuple[str | None, str | None]) -> tuple[str, bool, str]:
    before, now = place
    return before or "", now is None, now or ""
