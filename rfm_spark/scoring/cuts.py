"""Score edges, cut from what customers have now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import order_statistics
from rfm_spark.order_statistics import Key, Standing
from rfm_spark.scoring.methods import ORDERED_METHODS, Position, edge_value, positions
from rfm_spark.scoring.ties import Tie, customers_at

_EVERYBODY = "everybody"


@dataclass(frozen=True)
class Cut:
    """How a feature becomes scores 1 to ``bins``, in ascending order of its value.

    Args:
        method: How the edges were found; it decides to which side a value on an edge falls.
        bins: Number of scores.
        edges: ``bins - 1`` values, smallest first, repeated where values tie; none where nobody
            has a value.
        customer_ids: For rank and ntile, the id of the customer on each edge, as text.
    """

    method: str
    bins: int
    edges: tuple[float, ...]
    customer_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Role:
    """What is cut for a role: its feature, into how many bins, and by which method."""

    feature: str
    bins: int
    method: str


def cut(
    purchasers: DataFrame, roles: Mapping[str, Role]
) -> dict[str, tuple[Cut, dict[float, int]]]:
    """Cut the edges of every role, exactly, for any layout of the data.

    Args:
        purchasers: ``customer_features`` of the customers with a purchase.
        roles: Role to what is cut for it. Customers without a value do not count.

    Returns:
        Role to its cut, and the edges that more than one customer stands on, with their number.
    """
    if not roles:
        return {}
    metrics = {name: F.col(role.feature) for name, role in roles.items()}
    everybody = {_EVERYBODY: F.lit(_EVERYBODY)}
    known = order_statistics.counted(purchasers, metrics, everybody)
    customers = {name: known.rows(_key(name)) for name in roles}
    wanted = {
        name: positions(role.method, customers[name], role.bins) for name, role in roles.items()
    }
    ranks = {_key(name): {r for p in ps for r in (p.lower, p.upper)} for name, ps in wanted.items()}
    found = order_statistics.standings(purchasers, metrics, everybody, known, ranks)
    stands = {(key[2], rank): standing for (key, rank), standing in found.items()}
    cuts = {
        name: _cut(role, wanted[name], {r: s for (n, r), s in stands.items() if n == name})
        for name, role in roles.items()
    }
    ids = _customers_on_edges(purchasers, roles, wanted, stands)
    return {
        name: (
            replace(one, customer_ids=tuple(ids.get(name, ()))),
            _shared([stands[name, position.upper] for position in wanted[name]]),
        )
        for name, one in cuts.items()
    }


def _key(role: str) -> Key:
    return _EVERYBODY, _EVERYBODY, role


def _cut(role: Role, wanted: Sequence[Position], stands: Mapping[int, Standing]) -> Cut:
    edges = tuple(
        edge_value(role.method, stands[p.lower].value, stands[p.upper].value, p.fraction)
        for p in wanted
    )
    return Cut(role.method, role.bins, edges)


def _customers_on_edges(
    purchasers: DataFrame,
    roles: Mapping[str, Role],
    wanted: Mapping[str, Sequence[Position]],
    stands: Mapping[tuple[str, int], Standing],
) -> dict[str, list[str]]:
    ties, owners = [], []
    for name, role in roles.items():
        for position in wanted[name] if role.method in ORDERED_METHODS else ():
            standing = stands[name, position.lower]
            place = position.lower - standing.below
            ties.append(Tie(role.feature, standing.value, standing.rows, place))
            owners.append(name)
    found: dict[str, list[str]] = {}
    if ties:
        for name, customer_id in zip(owners, customers_at(purchasers, ties), strict=True):
            found.setdefault(name, []).append(str(customer_id))
    return found


def _shared(edges: Sequence[Standing]) -> dict[float, int]:
    """Values at edges that several customers have, and how many."""
    return {edge.value: edge.rows for edge in edges if edge.rows > 1}
