"""Segments that others have printed, from the configuration files that ship with the project."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import functions as F

PUBLISHED = Path(__file__).parents[1] / "conf" / "published"

# TARGETS: R's package rfm, snapshot 2006-12-31: customers, orders and revenue of each segment.
R_RFM = {
    "About To Sleep": (102, 283, 23449),
    "At Risk": (28, 216, 22227),
    "Can't Lose Them": (47, 274, 32446),
    "Champions": (35, 316, 31646),
    "Lost": (148, 393, 35324),
    "Loyal Customers": (170, 799, 76562),
    "Need Attention": (10, 57, 4562),
    "New Customers": (104, 329, 28837),
    "Potential Loyalist": (342, 2211, 204856),
    "Promising": (9, 28, 4249),
}
R_EDGES = {
    "recency": [115, 181, 297.4, 482],
    "frequency": [4, 5, 6, 8],
    "monetary": [255.8, 382, 506.4, 666],
}
# UCI Online Retail, clean rows: customers, mean recency, mean invoices, mean revenue.
RF_10 = {
    "About to Sleep": (352, 53.312500, 1.161932, 471.994375),
    "At Risk": (593, 153.785835, 2.876897, 1084.535297),
    "Can't Lose": (63, 132.968254, 8.380952, 2796.155873),
    "Champions": (633, 6.361769, 12.413902, 6857.935482),
    "Hibernating": (1071, 217.605042, 1.101774, 488.643307),
    "Loyal Customers": (819, 33.608059, 6.479853, 2864.247791),
    "Need Attention": (187, 52.427807, 2.326203, 897.627861),
    "New Customers": (42, 7.428571, 1.000000, 388.212857),
    "Potential Loyalists": (484, 17.398760, 2.010331, 1041.222004),
    "Promising": (94, 23.510638, 1.000000, 294.007979),
}


@pytest.fixture
def published(project, shared_data, monkeypatch):
    """Runs a shipped configuration into the test's own store."""

    def run(name: str, snapshot_date: str):
        monkeypatch.setenv("RFM_DATA", str(shared_data))
        monkeypatch.setenv("RFM_STORE", str(project.folder / "warehouse"))
        project.config = PUBLISHED / name
        assert project.rfm("run", "--snapshot-date", snapshot_date) == 0
        return project

    return run


@pytest.mark.slow
def test_the_r_packages_edges_and_its_ten_segments(published, spark) -> None:
    store = published("r_rfm_orders.yaml", "2006-12-31")
    edges = {metric: [] for metric in R_EDGES}
    for row in store.table(spark, "score_thresholds").orderBy("upper").collect():
        if row["upper"] is not None:
            edges[row["metric"]].append(row["upper"])
    for metric, expected in R_EDGES.items():
        assert edges[metric] == pytest.approx(expected, abs=1e-9)
    segments = store.table(spark, "customer_segments").groupBy("rfm_segment")
    found = {
        row["rfm_segment"]: (row["customers"], row["orders"], row["revenue"])
        for row in segments.agg(F.count("*"), F.sum("lines"), F.sum("monetary"))
        .toDF("rfm_segment", "customers", "orders", "revenue")
        .collect()
    }
    assert found == {name: (n, m, Decimal(r)) for name, (n, m, r) in R_RFM.items()}
    profiles = store.table(spark, "segment_profiles").where("kind = 'rfm'").collect()
    assert {row["segment"]: row["customers"] for row in profiles} == {
        n: v[0] for n, v in R_RFM.items()
    }
    assert {row["segment"]: row["revenue"] for row in profiles} == {
        n: v[2] for n, v in R_RFM.items()
    }


@pytest.mark.slow
@pytest.mark.usefixtures("generated_code")
def test_the_ten_segments_that_notebooks_print_for_online_retail(published, spark) -> None:
    store = published("online_retail_rf_10.yaml", "2011-12-10")
    profiles = store.table(spark, "segment_profiles").where("kind = 'rfm'").collect()
    found = {
        row["segment"]: (
            row["customers"],
            row["mean_recency_days"],
            row["mean_orders"],
            row["mean_monetary"],
        )
        for row in profiles
    }
    assert set(found) == set(RF_10)
    for name, (customers, *means) in RF_10.items():
        assert found[name][0] == customers
        assert found[name][1:] == pytest.approx(means, abs=5.1e-7)
