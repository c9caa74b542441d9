"""A store with hand-made labels: what reads labels needs no run before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from conftest import Project
from pyspark.sql import SparkSession

from rfm_spark import schemas
from rfm_spark.schemas import Field, Table
from rfm_spark.tables import Store

HOSTILE = 'Ace "1", <script>alert(1)</script>\nsecond line'
FORMULA = "=cmd()|'/c calc'!A1"
CONFIG = """
    store: ./warehouse
    timezone: Africa/Lagos
    currency: NGN
    sources:
      transactions:
        path: ./log
        columns: {customer_id: user, transaction_ts: at, amount: paid}
"""
FEATURES = (
    Field("recency_days", "int"),
    Field("orders", "bigint"),
    Field("monetary", schemas.money(2)),
)
ATTRIBUTES = (Field("region", "string"),)


def customer(day: date, name: str, **given: object) -> dict[str, object]:
    """A customer of a date; what is not given is like everybody else's."""
    return {
        "snapshot_date": day,
        "customer_id": name,
        "recency_days": 3,
        "orders": 2,
        "monetary": Decimal("10.50"),
        "r_score": 5,
        "f_score": 2,
        "m_score": 3,
        "rfm_cell": "523",
        "rfm_score": 10 / 3,
        "rfm_segment": FORMULA,
        "cluster": 0,
        "cluster_segment": HOSTILE,
        "aum": Decimal("300.00"),
        "aum_per_day": 2.5,
        "region": 'O\'Neill, "West"\n=1+1',
        **given,
    }


def profiles_of(customers: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    """One row per date, kind and segment, as a run would count them."""
    sizes: dict[tuple[object, str, object], int] = {}
    totals: dict[object, int] = {}
    for row in customers:
        totals[row["snapshot_date"]] = totals.get(row["snapshot_date"], 0) + 1
        for kind, column in schemas.KINDS.items():
            key = (row["snapshot_date"], kind, row[column])
            sizes[key] = sizes.get(key, 0) + 1
    return [
        {
            "snapshot_date": day,
            "kind": kind,
            "segment": segment,
            "rank": rank,
            "customers": size,
            "share": size / totals[day],
            "revenue": Decimal("10.50") * size,
            "revenue_share": size / totals[day],
            "pareto_customers": size,
            "marketing_action": "Thank them",
            "insight": "they are many",
            "mean_aum_per_day": 2.5,
            "median_aum_per_day": 2.5,
            "shares_region": {'O\'Neill, "West"\n=1+1': 0.75, "Łódź \\ \x00": 0.25},
        }
        for rank, ((day, kind, segment), size) in enumerate(sizes.items(), 1)
    ]


def migrations_of(days: Iterable[date]) -> list[dict[str, object]]:
    """Who moved on each of these dates; new and departed customers included."""
    cells = [(None, HOSTILE), (HOSTILE, HOSTILE), (HOSTILE, None)]
    return [
        {
            "snapshot_date": day,
            "previous_snapshot_date": day - timedelta(days=1),
            "kind": "cluster",
            "from_segment": before,
            "to_segment": after,
            "customers": 1,
            "revenue": Decimal("1.00"),
            "by_behaviour": 1,
            "by_recut": 0,
        }
        for day in days
        for before, after in cells
    ]


def label(spark: SparkSession, project: Project, customers: list[dict[str, object]]) -> None:
    """Put customers, profiles and migrations into the project's store, in place of what it has."""
    store = Store(spark, str(project.folder / "warehouse"), is_path=True)
    days = sorted({row["snapshot_date"] for row in customers})
    features = schemas.customer_features("string", 2, ATTRIBUTES)
    segments = schemas.customer_segments("string", FEATURES)
    profiles = schemas.segment_profiles(2, ["aum_per_day"], ["region"])
    _write(spark, store, features, customers)
    _write(spark, store, segments, customers)
    _write(spark, store, profiles, profiles_of(customers))
    _write(spark, store, schemas.segment_migrations(2), migrations_of(days[1:]))


def new_project(folder: Path) -> Project:
    """A project with a configuration and no store."""
    folder.mkdir(parents=True, exist_ok=True)
    project = Project(folder)
    project.configure(CONFIG)
    return project


def _write(
    spark: SparkSession, store: Store, table: Table, rows: Iterable[Mapping[str, object]]
) -> None:
    records = [tuple(row.get(name) for name in table.columns) for row in rows]
    frame = spark.createDataFrame(records, table.ddl).repartition(1)
    store.replace(table, frame, "snapshot_date IS NOT NULL", "by hand")
