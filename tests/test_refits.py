"""Models over time, through the commands: frozen, drifting, refitted, still the same clusters."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from conftest import Project
from sklearn.metrics import adjusted_rand_score

from rfm_spark.clustering import lloyd

CONFIG = """
    store: ./warehouse
    timezone: UTC
    sources:
      transactions:
        format: csv
        path: ./log
        options: {header: true}
        columns: {customer_id: user, transaction_ts: at, amount: paid}
    features: {window_days: 60}
    clustering: {features: [orders, monetary], k_range: [2, 4], seeds: 2}
"""
FIRST, SECOND, THIRD, FOURTH = "2024-03-01", "2024-03-31", "2024-04-30", "2024-05-30"
GROUPS = {"few": (3, 5.0), "many": (30, 6.0), "rich": (4, 900.0)}


def purchases(customer: int, kind: str, month: date):
    """A month of one customer; nobody is quite like another."""
    times, amount = GROUPS[kind]
    for i in range(times):
        day = month + timedelta(days=(i * 7 + customer) % 28)
        yield f"c{customer},{day},{amount * (1 + (customer * 7 + i) % 10 / 50):.2f}"


def kind_of(customer: int, month: int, moving: range = range(0)) -> str:
    names = list(GROUPS)
    return names[(customer + (month if customer in moving else 0)) % 3]


def write_month(project: Project, month: int, kinds) -> None:
    first = date(2024, 1, 31) + timedelta(days=30 * month)
    lines = [line for c, kind in kinds.items() for line in purchases(c, kind, first)]
    folder = project.folder / "log"
    folder.mkdir(exist_ok=True)
    (folder / f"month-{month}.csv").write_text("user,at,paid\n" + "\n".join(lines) + "\n")


def labels(project: Project, spark, day: str) -> dict[str, tuple[int, str]]:
    rows = project.table(spark, "customer_segments").where(f"snapshot_date = '{day}'").collect()
    return {row["customer_id"]: (row["cluster"], row["cluster_segment"]) for row in rows}


def models(project: Project, spark) -> dict[str, object]:
    rows = project.table(spark, "models").collect()
    return {str(row["snapshot_date"]): row for row in rows}


@pytest.mark.release
def test_names_survive_a_month_a_seed_and_a_permutation(project, spark, monkeypatch) -> None:
    """A model is frozen, then refitted on the next month from other draws, numbered backwards."""
    project.configure(CONFIG)
    moving = range(60, 69)
    for month in (0, 1):
        write_month(project, month, {c: kind_of(c, 0) for c in range(90)})
    write_month(project, 2, {c: kind_of(c, 1, moving) for c in range(93)})
    assert project.rfm("run", "--snapshot-date", FIRST) == 0
    before = labels(project, spark, FIRST)
    first = models(project, spark)[FIRST]
    assert first["k"] == 3
    assert (first["matched_to"], first["retired_clusters"], first["agreement"]) == ([], [], None)
    assert first["cluster_numbers"] == [0, 1, 2]
    assert len({name for _, name in before.values()}) == 3
    for kind in range(3):  # planted groups are recovered exactly
        assert len({before[f"c{c}"] for c in range(kind, 90, 3)}) == 1

    assert project.rfm("run", "--snapshot-date", SECOND) == 0
    frozen = labels(project, spark, SECOND)
    assert set(models(project, spark)) == {FIRST}

    solutions = lloyd.solutions

    def other_draws(sample, k, seed, max_iter):
        found = solutions(sample, k, seed + 100, max_iter)
        return [lloyd.Solution(s.centroids[::-1], s.cost, s.iterations) for s in found]

    monkeypatch.setattr(lloyd, "solutions", other_draws)
    assert project.rfm("run", "--snapshot-date", SECOND, "--retrain") == 0
    refitted = labels(project, spark, SECOND)
    second = models(project, spark)[SECOND]
    matched = {m["cluster"]: m for m in second["matched_to"]}
    assert set(matched) == {0, 1, 2}
    assert all(m["previous_cluster"] == m["cluster"] for m in matched.values())
    assert {m["previous_version"] for m in matched.values()} == {first["model_version"]}
    assert second["cluster_names"] == first["cluster_names"]
    stayed = [f"c{c}" for c in range(90) if c not in moving]
    assert {c: before[c] for c in stayed} == {c: refitted[c] for c in stayed}
    # What the registry says of the refit is what the two labellings of that date say.
    ids = sorted(refitted)
    one, other = ([found[c][0] for c in ids] for found in (frozen, refitted))
    assert second["agreement"] == pytest.approx(adjusted_rand_score(one, other))
    for number, match in matched.items():
        own = [c for c in ids if frozen[c][0] == number]
        kept = sum(refitted[c][0] == number for c in own) / len(own)
        assert match["kept_share"] == pytest.approx(kept)
    assert second["agreement"] > 0.8

    # A past date is never labelled by a model of its future.
    assert project.rfm("segment", "--snapshot-date", FIRST) == 0
    assert labels(project, spark, FIRST) == before
    # Fitting a date again gives the numbers that it had.
    assert project.rfm("run", "--snapshot-date", SECOND, "--retrain") == 0
    again = models(project, spark)[SECOND].asDict()
    assert again == second.asDict()


@pytest.mark.release
def test_drift_raises_alarms_and_asks_for_a_new_model(project, spark, capsys) -> None:
    """Stable months label with the old model; a month of new habits brings a new cluster."""
    project.configure(CONFIG.replace("60}", "30}"))
    people = {c: kind_of(c, 0) for c in range(90)}
    for month in (0, 1):
        write_month(project, month, people)
    on_drift = ("--set", "retrain.on_drift=true")
    assert project.rfm("run", "--snapshot-date", FIRST, *on_drift) == 0
    assert project.rfm("run", "--snapshot-date", SECOND, *on_drift) == 0
    assert set(models(project, spark)) == {FIRST}
    drift = project.table(spark, "drift").collect()
    assert len(drift) == 4
    for row in drift:
        assert not row["alarm"]
        assert row["psi"] < 0.05
        assert row["customers"] == 90
    at_fit = [row for row in drift if str(row["snapshot_date"]) == FIRST]
    assert {(r["psi"], r["outside_share"]) for r in at_fit} == {(0.0, 0.0)}
    assert all(r["wcss_ratio"] == pytest.approx(1.0, rel=1e-6) for r in at_fit)
    assert all((r["mean"], r["std"]) == (r["mean_at_fit"], r["std_at_fit"]) for r in at_fit)

    GROUPS["new"] = (200, 4_000.0)
    try:
        write_month(project, 2, {c: "new" if c % 3 == 0 else kind_of(c, 0) for c in range(90)})
    finally:
        del GROUPS["new"]
    assert project.rfm("run", "--snapshot-date", THIRD) == 0  # only told
    assert "customers have moved away from model" in capsys.readouterr().out
    assert set(models(project, spark)) == {FIRST}
    assert project.rfm("run", "--snapshot-date", THIRD, *on_drift) == 0
    found = models(project, spark)
    assert set(found) == {FIRST, THIRD}
    third = found[THIRD]
    rows = project.table(spark, "drift").where(f"snapshot_date = '{THIRD}'").collect()
    of_old = [row for row in rows if row["model_version"] == found[FIRST]["model_version"]]
    of_new = [row for row in rows if row["model_version"] == third["model_version"]]
    assert len(of_old) == len(of_new) == 2
    assert all(row["alarm"] for row in of_old)
    assert any(row["psi"] > 0.2 and row["outside_share"] > 0.3 for row in of_old)
    assert {row["psi"] for row in of_new} == {0.0}
    new = labels(project, spark, THIRD)["c0"][0]
    assert new > 2  # a number that no cluster has had
    assert set(third["cluster_numbers"]) >= {labels(project, spark, FIRST)["c1"][0], new}
    assert third["retired_clusters"] == [labels(project, spark, FIRST)["c0"][0]]

    # Another run of the date finds its own model, and nothing to do.
    assert project.rfm("run", "--snapshot-date", THIRD, *on_drift) == 0
    assert models(project, spark) == found


@pytest.mark.release
def test_a_model_is_refitted_when_it_is_old_enough(project, spark, capsys) -> None:
    project.configure(CONFIG)
    people = {c: kind_of(c, 0) for c in range(30)}
    for month in (0, 1):
        write_month(project, month, people)
    old = ("--set", "retrain.every_days=30", "--set", "clustering.names=[Best, Middle, Rest]")
    old += ("--set", "clustering.k=3")
    assert project.rfm("run", "--snapshot-date", FIRST, *old) == 0
    assert project.rfm("run", "--snapshot-date", "2024-03-30", *old) == 0
    assert set(models(project, spark)) == {FIRST}
    assert project.rfm("run", "--snapshot-date", SECOND, *old) == 0
    assert "is 30 days old (retrain.every_days)" in capsys.readouterr().out
    found = models(project, spark)
    assert set(found) == {FIRST, SECOND}
    assert found[SECOND]["cluster_names"] == found[FIRST]["cluster_names"]
    assert sorted(found[FIRST]["cluster_names"]) == ["Best", "Middle", "Rest"]
    assert [m["cluster"] for m in found[SECOND]["matched_to"]] == [0, 1, 2]
