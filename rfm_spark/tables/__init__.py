"""The Delta store: the only room that knows Delta Lake.

A store is a folder of path tables or a catalog schema. Tables are created from ``schemas`` and
written by predicate, so that writing a date again leaves one copy of it.
"""

from rfm_spark.tables.commits import Fence, Written
from rfm_spark.tables.store import Store
from rfm_spark.tables.upkeep import (
    delete,
    delete_matching,
    optimize,
    update_matching,
    vacuum,
)

__all__ = [
    "Fence",
    "Store",
    "Written",
    "delete",
    "delete_matching",
    "optimize",
    "update_matching",
    "vacuum",
]
