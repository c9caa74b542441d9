"""The two published ways to cluster that ship as configuration files, on the demo's savings log."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PUBLISHED = PROJECT / "conf" / "published"
SNAPSHOT = "2026-01-01"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def savings(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    make = (sys.executable, "scripts/make_savings_log.py", "--customers", "600")
    subprocess.run([*make, "--out", str(folder / "savings" / "log")], check=True, cwd=PROJECT)
    return folder


def run(project, savings, monkeypatch, name: str) -> None:
    monkeypatch.setenv("RFM_DEMO_DIR", str(savings))
    project.config = PUBLISHED / name
    arguments = ("--snapshot-date", SNAPSHOT, "--set", f"store={project.folder / 'warehouse'}")
    assert project.rfm("run", *arguments) == 0


@pytest.mark.release
def test_unscaled_amounts_can_be_clustered_and_are_bins_of_money(
    project, spark, savings, monkeypatch
) -> None:
    run(project, savings, monkeypatch, "fintech_kmeans.yaml")
    model = project.table(spark, "models").first()
    assert (model["k"], model["transform"], model["scale"]) == (4, "none", "none")
    assert model["features"] == ["recency_days", "orders", "monetary", "aum_per_day"]
    assert model["chosen_because"] == "as configured"
    sweep = project.table(spark, "k_sweep").orderBy("k", "seed").collect()
    curve = [row["wcss_all"] for row in sweep if row["wcss_all"] is not None]
    assert [row["k"] for row in sweep if row["wcss_all"] is not None] == list(range(1, 11))
    assert curve == sorted(curve, reverse=True)
    assert [row["k"] for row in sweep if row["silhouette"] is None] == [1]
    assert {row["k"] for row in sweep if row["chosen"]} == {4}
    # What the README warns of: nearly everybody in one cluster, cut along money alone.
    labels = project.table(spark, "customer_segments").select("cluster", "monetary").collect()
    sizes = [sum(row["cluster"] == number for row in labels) for number in range(4)]
    assert max(sizes) > 0.8 * len(labels)
    by_money = sorted(labels, key=lambda row: row["monetary"])
    changes = sum(a["cluster"] != b["cluster"] for a, b in pairwise(by_money))
    assert changes < 12
    # The elbow can choose as well; training again replaces the model of the date.
    elbow = ("--set", "clustering.k=auto", "--set", "clustering.min_share=0")
    store = f"store={project.folder / 'warehouse'}"
    assert project.rfm("train", "--snapshot-date", SNAPSHOT, "--set", store, *elbow) == 0
    again = project.table(spark, "models").collect()
    assert len(again) == 1
    assert again[0]["chosen_because"] == "knee of the curve of WCSS from k = 1 to 10"
    assert 2 <= again[0]["k"] <= 5


@pytest.mark.release
def test_scores_can_be_clustered_as_they_are(project, spark, savings, monkeypatch) -> None:
    run(project, savings, monkeypatch, "score_kmeans.yaml")
    model = project.table(spark, "models").first()
    scores = ["r_score", "f_score", "m_score", "a_score"]
    assert model["features"] == scores
    assert (model["means"], model["stds"]) == ([0.0] * 4, [1.0] * 4)
    assert model["centroids"] == model["centroids_natural"]
    assert all(1 <= value <= 5 for centroid in model["centroids"] for value in centroid)
    for row in project.table(spark, "customer_segments").collect():
        point = [float(row[name]) for name in scores]
        distances = [math.dist(point, centroid) for centroid in model["centroids"]]
        nearest = min(distances)
        assert row["distance"] == pytest.approx(nearest)
        assert model["cluster_numbers"][distances.index(nearest)] == row["cluster"]
        assert row["margin"] == pytest.approx(sorted(distances)[1] - nearest)
