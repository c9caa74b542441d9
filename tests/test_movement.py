"""Migration matrices and what follows from them, without a store."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from rfm_spark.clustering.agreement import adjusted_rand_index
from rfm_spark.config.outlook import OutlookSettings
from rfm_spark.config.rule_maps import load_rule_map
from rfm_spark.movement import matrix
from rfm_spark.movement.matrix import Cell
from rfm_spark.movement.outlook import projected, unknown_moves
from rfm_spark.pipeline.outlook import outlook_date
from rfm_spark.rules import RuleMap
from rfm_spark.rules.maps import code_named


def cell(before, now, customers, revenue="0") -> Cell:
    return Cell(before, now, customers, Decimal(revenue), 0)


@pytest.fixture(scope="module")
def crossed(spark):
    """Seven customers; revenue of one who is nowhere must not count."""
    previous = spark.createDataFrame(
        [
            (1, "Good", "one"),
            (2, "Good", "one"),
            (3, "Good", "two"),
            (4, "Bad", "two"),
            (5, "Bad", "two"),
        ],
        "customer_id bigint, rfm_segment string, cluster_segment string",
    )
    present = spark.createDataFrame(
        [
            (1, "Good", "one", False, False),
            (2, "Bad", "one", True, False),
            (3, "Bad", "two", False, True),
            (4, "Bad", "one", False, True),
            (6, "Good", "two", True, False),
            (7, "Good", "two", False, False),
        ],
        "customer_id bigint, rfm_segment string, cluster_segment string, recut_rfm boolean, "
        "recut_cluster boolean",
    )
    revenue = spark.createDataFrame(
        [(1, Decimal("10.00")), (3, Decimal("-2.50")), (5, Decimal("4.00")), (9, Decimal("99.00"))],
        "customer_id bigint, revenue decimal(28,2)",
    )
    return matrix.crossed(previous, present, revenue).collect()


def test_cells_of_rule_segments(crossed) -> None:
    assert matrix.cells_of(crossed, "rfm") == [
        Cell(None, "Good", 2, Decimal(0), 1),
        Cell("Bad", "Bad", 1, Decimal(0), 0),
        Cell("Bad", None, 1, Decimal("4.00"), 0),
        Cell("Good", "Bad", 2, Decimal("-2.50"), 1),
        Cell("Good", "Good", 1, Decimal("10.00"), 0),
    ]


def test_cells_of_clusters(crossed) -> None:
    assert matrix.cells_of(crossed, "cluster") == [
        Cell(None, "two", 2, Decimal(0), 0),
        Cell("one", "one", 2, Decimal("10.00"), 0),
        Cell("two", "one", 1, Decimal(0), 1),
        Cell("two", "two", 1, Decimal("-2.50"), 1),
        Cell("two", None, 1, Decimal("4.00"), 0),
    ]


def test_rows_add_up_to_the_previous_sizes_and_columns_to_the_present_ones(crossed) -> None:
    cells = matrix.cells_of(crossed, "rfm")
    assert matrix.sizes_before(cells) == {"Bad": 2, "Good": 3}
    assert matrix.sizes_now(cells) == {"Bad": 3, "Good": 3}
    assert all(one.by_behaviour + one.by_recut == one.customers for one in cells)
    assert (matrix.at_both(cells), matrix.kept(cells)) == (4, 2)


def test_labels_that_name_the_previous_segments_give_the_same_but_for_who_departed(
    spark, crossed
) -> None:
    labels = spark.createDataFrame(
        [
            (1, "Good", "one", "Good", "one", False, False),
            (2, "Good", "one", "Bad", "one", True, False),
            (3, "Good", "two", "Bad", "two", False, True),
            (4, "Bad", "two", "Bad", "one", False, True),
            (6, None, None, "Good", "two", True, False),
            (7, None, None, "Good", "two", False, False),
        ],
        "customer_id bigint, previous_rfm_segment string, previous_cluster_segment string, "
        "rfm_segment string, cluster_segment string, recut_rfm boolean, recut_cluster boolean",
    )
    revenue = spark.createDataFrame(
        [(1, Decimal("10.00")), (3, Decimal("-2.50")), (5, Decimal("4.00"))],
        "customer_id bigint, revenue decimal(28,2)",
    )
    rows = matrix.crossed_within(labels, revenue).collect()
    for kind in ("rfm", "cluster"):
        everybody = matrix.cells_of(crossed, kind)
        assert matrix.cells_of(rows, kind) == [one for one in everybody if one.to_segment]
    assert (matrix.at_previous(rows), matrix.at_previous(crossed)) == (4, 5)


def test_where_the_cut_is_lost_nothing_is_told_apart(spark) -> None:
    labels = "customer_id bigint, rfm_segment string, cluster_segment string"
    previous = spark.createDataFrame([(1, "A", "a")], labels)
    present = spark.createDataFrame(
        [(1, "A", "a", None, None)], f"{labels}, recut_rfm boolean, recut_cluster boolean"
    )
    revenue = spark.createDataFrame([], "customer_id bigint, revenue decimal(28,2)")
    rows = matrix.crossed(previous, present, revenue).collect()
    (only,) = matrix.cells_of(rows, "rfm")
    assert (only.customers, only.by_behaviour, only.by_recut) == (1, None, None)


def test_agreement_of_a_matrix_is_scikit_learns_of_the_labels() -> None:
    draw = np.random.default_rng(4)
    before, now = draw.integers(0, 4, 500), draw.integers(0, 3, 500)
    now = np.where(draw.random(500) < 0.6, before % 3, now)
    pairs, counts = np.unique(np.stack([before, now], 1), axis=0, return_counts=True)
    cells = [cell(f"s{a}", f"s{b}", int(n)) for (a, b), n in zip(pairs, counts, strict=True)]
    cells += [cell(None, "s1", 40), cell("s2", None, 30)]
    found = adjusted_rand_index(matrix.contingency(cells))
    assert found == pytest.approx(adjusted_rand_score(before, now), abs=1e-12)


def test_a_chain_converges_to_its_stationary_distribution() -> None:
    # Of A 9 in 10 stay, of B 7 in 10: pi = (3/4, 1/4).
    cells = [cell("A", "A", 90), cell("A", "B", 10), cell("B", "A", 30), cell("B", "B", 70)]
    rows = projected(cells, periods=80, discount_rate=0.1, scale=2)
    last = {one.segment: one.customers for one in rows if one.period == 80}
    assert last == pytest.approx({"A": 150, "B": 50}, abs=1e-9)
    for period in range(81):
        assert sum(one.customers for one in rows if one.period == period) == pytest.approx(200)


def test_a_three_state_chain_converges_to_the_eigenvector() -> None:
    counts = np.array([[50, 30, 20], [5, 80, 15], [10, 10, 80]])
    names = ["low", "mid", "top"]
    cells = [cell(names[i], names[j], int(counts[i, j])) for i in range(3) for j in range(3)]
    moves = counts / counts.sum(1, keepdims=True)
    values, vectors = np.linalg.eig(moves.T)
    stationary = np.real(vectors[:, np.argmax(np.real(values))])
    stationary = stationary / stationary.sum() * counts.sum()
    rows = projected(cells, periods=120, discount_rate=0, scale=2)
    last = [one.customers for one in rows if one.period == 120]
    assert last == pytest.approx(list(stationary), abs=1e-6)


def test_the_value_of_a_two_state_chain_has_a_closed_form() -> None:
    """Customers stay active with p, else they depart: value = v * sum of (p / (1 + r)) ** t."""
    cells = [cell("Active", "Active", 80, "400.00"), cell("Active", None, 20)]
    rows = projected(cells, periods=7, discount_rate=0.25, scale=2)
    ratio = Fraction(4, 5) / Fraction(5, 4)
    worth = 5 * ratio * (1 - ratio**7) / (1 - ratio)
    assert rows[-1].customer_value == float(worth)
    assert rows[0].customer_value == 0
    present = rows[0]
    assert (present.customers, present.revenue, present.discounted_revenue) == (
        80,
        Decimal("400.00"),
        Decimal("400.00"),
    )
    second = rows[2]
    assert second.customers == pytest.approx(51.2, abs=1e-12)
    assert second.revenue == Decimal("256.00")
    assert second.discounted_revenue == Decimal("163.84")
    whole = sum(one.discounted_revenue for one in rows if one.period > 0)
    assert float(whole) == pytest.approx(80 * float(worth), abs=0.04)  # seven roundings


def test_the_base_is_worth_what_its_customers_are_worth() -> None:
    cells = [
        cell(None, "New", 40, "120.00"),
        cell("Top", "Top", 30, "900.00"),
        cell("Top", "Low", 10, "50.00"),
        cell("Top", None, 5, "7.00"),
        cell("Low", "Top", 8, "160.00"),
        cell("Low", "Low", 60, "-12.00"),
    ]
    rows = projected(cells, periods=12, discount_rate=0.08, scale=6)
    present = {one.segment: one.customers for one in rows if one.period == 0}
    assert present == {"Low": 70, "New": 40, "Top": 38}
    value = {one.segment: one.customer_value for one in rows if one.period == 12}
    whole = sum(one.discounted_revenue for one in rows if one.period > 0)
    assert float(whole) == pytest.approx(sum(present[s] * value[s] for s in present), abs=1e-4)
    # Nobody knows where new customers go: they stay, and bring the same each time.
    assert unknown_moves(cells) == ["New"]
    assert value["New"] == pytest.approx(sum(3 / 1.08**t for t in range(1, 13)))


def test_a_segment_that_is_empty_now_brings_nothing() -> None:
    cells = [cell("Old", "Top", 10, "100.00"), cell("Top", "Old", 0), cell("Top", "Top", 5)]
    rows = projected(cells, periods=2, discount_rate=0, scale=0)
    assert [one.revenue for one in rows if one.segment == "Old"] == [Decimal(0)] * 3


def test_money_is_rounded_half_up_once() -> None:
    cells = [cell("A", "A", 1, "-0.01"), cell("A", None, 1)]
    rows = projected(cells, periods=1, discount_rate=0, scale=2)
    assert rows[1].revenue == Decimal("-0.01")  # -0.005
    cells = [cell("A", "A", 1, "0.01"), cell("A", None, 1)]
    assert projected(cells, periods=1, discount_rate=0, scale=2)[1].revenue == Decimal("0.01")


def test_no_cells_have_no_outlook() -> None:
    assert projected([], periods=3, discount_rate=0.1, scale=2) == []


@pytest.mark.parametrize(
    "name", ["crm_11", "klaviyo_6", "rf_10", "pymc_6", "r_rfm_10", "core_4", "value_8"]
)
def test_a_stored_map_is_the_map(name: str) -> None:
    rule_map = load_rule_map(name, None)  # type: ignore[arg-type]
    again = RuleMap.from_json(rule_map.as_json())
    assert again == rule_map
    assert again.digest == rule_map.digest


def test_codes_of_ten_bins_come_back() -> None:
    assert code_named("543") == (5, 4, 3)
    assert code_named("10-9-5") == (10, 9, 5)


@pytest.mark.parametrize(
    ("compare_to", "now", "expected"),
    [
        ("previous", "2025-04-01", "2025-03-28"),
        ("previous", "2024-03-31", None),
        ("1y", "2025-03-31", "2024-03-31"),
        ("1mo", "2025-04-30", "2025-03-28"),  # two days off, as month ends clip
        ("1mo", "2025-05-05", None),  # eight days off
        ("7d", "2025-04-04", "2025-03-28"),
        ("7d", "2025-04-05", None),  # days must meet
        ("1y", "0001-06-01", None),
    ],
)
def test_the_outlook_repeats_the_step_that_is_asked_for(compare_to, now, expected) -> None:
    notes: list[str] = []
    context = SimpleNamespace(
        settings=SimpleNamespace(outlook=OutlookSettings(compare_to=compare_to)),
        display=SimpleNamespace(note=notes.append),
    )
    dates = [date(2024, 3, 31), date(2024, 12, 31), date(2025, 3, 28)]
    found = outlook_date(context, dates, date.fromisoformat(now))  # type: ignore[arg-type]
    assert str(found) == str(expected)
    has_earlier = date.fromisoformat(now) > dates[0]
    assert bool(notes) == (expected is None and has_earlier)
