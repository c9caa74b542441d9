"""What segments are like: figures against numpy and scipy, words against a marketer's reading."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F
from scipy import stats

from rfm_spark.insight import attributes as attribute_shares
from rfm_spark.insight import figures, medians, pareto
from rfm_spark.insight.comparison import (
    standardised_difference,
    standardised_difference_of_shares,
)
from rfm_spark.insight.distributions import QUANTILES, correlations, distributions
from rfm_spark.insight.events import segment_events
from rfm_spark.insight.separation import cramers_v, eta_squared
from rfm_spark.insight.words import Figure, Portrait, amount, insight
from rfm_spark.schemas import KINDS

CUSTOMERS = (
    "customer_id bigint, rfm_segment string, cluster_segment string, recency_days int, "
    "monetary decimal(28,2), aum_per_day double, region string"
)
FEATURES = ["recency_days", "monetary", "aum_per_day"]


@pytest.fixture(scope="module")
def crowd() -> pd.DataFrame:
    """400 customers with whales, nulls, ties and one segment without any AUM."""
    draw = random.Random(5)
    rows = []
    for n in range(400):
        segment = draw.choice(["Champions", "Loyal", "Loyal", "Lost"])
        money = Decimal(draw.choice([5, 250, 1000, 99_999])) / 100 + draw.randrange(40)
        aum = None if segment == "Lost" or n % 7 == 0 else draw.random() * 50
        recency = None if n % 11 == 0 else draw.randrange(1, 60)
        region = draw.choice(["north", "south", None])
        if n == 1:
            money = Decimal("1234567.89")
        if n % 13 == 0:
            money = -round(money / 2, 2)
        rows.append((n, segment, draw.choice("AB"), recency, money, aum, region))
    names = [part.split()[0] for part in CUSTOMERS.split(", ")]
    return pd.DataFrame(
        {n: pd.Series(v, dtype=object) for n, v in zip(names, zip(*rows, strict=True), strict=True)}
    )


@pytest.fixture
def customers(spark, crowd):
    rows = [tuple(row) for row in crowd.itertuples(index=False)]
    return spark.createDataFrame(rows, CUSTOMERS)


def values(frame: pd.DataFrame, name: str) -> np.ndarray:
    return frame[name].dropna().astype(float).to_numpy()


def groups_of(customers):
    known = figures.counted(customers, FEATURES, KINDS)
    frames = figures.frames(FEATURES, known)
    cells = figures.groups(customers, list(KINDS.values()), frames, known)
    return frames, {kind: figures.added_up(cells, i) for i, kind in enumerate(KINDS)}


def test_means_deviations_and_revenue_of_each_segment(customers, crowd) -> None:
    frames, segments = groups_of(customers)
    for kind, column in KINDS.items():
        assert set(segments[kind]) == set(crowd[column])
        for name, own in crowd.groupby(column):
            group = segments[kind][name]
            assert (group.customers, group.revenue) == (len(own), sum(own["monetary"]))
            for feature in FEATURES:
                known, sums = values(own, feature), group.sums[feature]
                assert sums.count == len(known)
                if not len(known):
                    assert (sums.mean, sums.std(frames[feature])) == (None, None)
                else:
                    assert sums.mean == pytest.approx(known.mean(), rel=1e-9)
                    assert sums.std(frames[feature]) == pytest.approx(known.std(ddof=1), rel=1e-7)


def test_figures_have_the_same_bits_for_any_layout(customers) -> None:
    whole = groups_of(customers)
    for parts in (1, 7):
        shuffled = customers.orderBy(F.xxhash64("customer_id", F.lit(parts))).repartition(parts)
        assert groups_of(shuffled) == whole


def test_medians_are_exact(customers, crowd) -> None:
    known = figures.counted(customers, FEATURES, KINDS)
    found = medians.medians(customers, FEATURES, KINDS, known)
    for kind, column in (*KINDS.items(), ("everybody", None)):
        parts = crowd.groupby(column) if column else [("everybody", crowd)]
        for name, own in parts:
            for feature in FEATURES:
                known = values(own, feature)
                expected = float(np.median(known)) if len(known) else None
                assert found.get((kind, name, feature)) == expected


def test_eta_squared_is_the_share_of_variance_between_segments(customers, crowd) -> None:
    _, segments = groups_of(customers)
    for feature in FEATURES:
        known = [values(own, feature) for _, own in crowd.groupby("rfm_segment")]
        everything = np.concatenate(known)
        between = sum(len(v) * (v.mean() - everything.mean()) ** 2 for v in known if len(v))
        expected = between / ((everything - everything.mean()) ** 2).sum()
        found = eta_squared(group.sums[feature] for group in segments["rfm"].values())
        assert found == pytest.approx(expected, rel=1e-6)


def test_eta_squared_at_its_ends(spark) -> None:
    rows = [(n, "a" if n < 5 else "b", "A", n // 5, Decimal(7), None, None) for n in range(10)]
    _, segments = groups_of(spark.createDataFrame(rows, CUSTOMERS))
    by_rule = [segments["rfm"][name].sums for name in "ab"]
    assert eta_squared(sums["recency_days"] for sums in by_rule) == 1.0
    assert eta_squared(sums["monetary"] for sums in by_rule) is None
    assert eta_squared(sums["aum_per_day"] for sums in by_rule) is None
    assert eta_squared(g.sums["recency_days"] for g in segments["cluster"].values()) == 0.0


def test_a_feature_that_is_constant_in_a_segment_has_no_deviation_there(spark) -> None:
    """Regression: rounding left a trace of a deviation, or a negative square."""
    values = [("a", 1), ("a", 1), ("a", 1), ("b", 2), ("b", 3), ("c", 2), ("c", 2)]
    rows = [(n, s, "A", v, Decimal(1), None, None) for n, (s, v) in enumerate(values)]
    frames, segments = groups_of(spark.createDataFrame(rows, CUSTOMERS))
    a, b, c = (segments["rfm"][name].sums["recency_days"] for name in "abc")
    frame = frames["recency_days"]
    assert (a.std(frame), c.std(frame)) == (0.0, 0.0)
    assert standardised_difference(a, c, frame) is None
    assert standardised_difference(a, b, frame) == pytest.approx(-1.5 / math.sqrt(0.25))
    whole = eta_squared([a, b, c])
    assert whole == pytest.approx(1 - 0.5 / (3 * 1 + 4 + 9 + 8 - 144 / 7))


def test_sums_of_large_counts_do_not_overflow(spark) -> None:
    """Regression: microseconds since 1970 as a feature, added up over customers."""
    frame = spark.range(9_000).select(
        F.lit(2**50).alias("x"),
        F.lit(Decimal(1)).cast("decimal(28,2)").alias("monetary"),
        F.lit("a").alias("rfm_segment"),
    )
    known = figures.counted(frame, ["x"], {"rfm": "rfm_segment"})
    found = figures.groups(frame, ["rfm_segment"], figures.frames(["x"], known), known)
    assert found["a",].sums["x"].mean == 2.0**50


def test_cramers_v_is_that_of_scipy() -> None:
    table = {("a", "x"): 10, ("a", "y"): 30, ("b", "x"): 25, ("c", "y"): 4, ("c", "z"): 9}
    dense = [[table.get((row, column), 0) for column in "xyz"] for row in "abc"]
    expected = stats.contingency.association(np.array(dense), method="cramer")
    assert cramers_v(table) == pytest.approx(expected)
    assert cramers_v({("a", "x"): 3, ("b", "y"): 5}) == 1.0
    assert cramers_v({("a", "x"): 3, ("a", "y"): 5}) is None
    assert cramers_v({}) is None


@pytest.mark.parametrize("few", [20_000, 3])
def test_the_customers_who_bring_80_percent(customers, crowd, monkeypatch, few) -> None:
    monkeypatch.setattr(pareto, "FEW", few)
    monkeypatch.setattr(pareto, "_BUCKETS", 4 if few == 3 else 256)
    for rows in (crowd, crowd[crowd["monetary"] < 1_000]):
        chosen = customers.where(F.col("customer_id").isin([int(n) for n in rows["customer_id"]]))
        wanted, running, last = sum(rows["monetary"]) * Decimal("0.8"), Decimal(0), None
        for last in sorted(rows["monetary"], reverse=True):
            running += last
            if running >= wanted:
                break
        top = rows[rows["monetary"] >= last]
        expected = {kind: dict(Counter(top[column])) for kind, column in KINDS.items()}
        assert pareto.bringing_most(chosen, Decimal("0.8"), KINDS) == expected


def test_nobody_brings_most_of_nothing(customers) -> None:
    for nobody in (customers.where("monetary < 0"), customers.limit(0)):
        assert pareto.bringing_most(nobody, Decimal("0.8"), KINDS) is None


def test_attribute_shares_add_up_to_everybody(spark, customers, crowd) -> None:
    counts = attribute_shares.attribute_counts(customers, ["region"])["region"]
    for kind, column in KINDS.items():
        for name, own in crowd.groupby(column):
            expected = Counter(region or "(missing)" for region in own["region"])
            found = attribute_shares.shares(counts, kind, name)
            assert found == {region: n / len(own) for region, n in expected.items()}
            assert sum(found.values()) == pytest.approx(1)
    assert attribute_shares.attribute_counts(customers, []) == {}


def test_rare_values_of_an_attribute_count_together(customers) -> None:
    many = customers.withColumn("region", F.concat(F.lit("r"), F.least("customer_id", F.lit(50))))
    counts = attribute_shares.attribute_counts(many, ["region"])["region"]
    of_values = defaultdict(int)
    for (kind, _, value), n in counts.items():
        of_values[value] += n if kind == "rfm" else 0
    assert len(of_values) == 21
    assert (of_values["r50"], of_values["(other)"], sum(of_values.values())) == (350, 31, 400)


def test_events_by_segment_with_wilsons_interval(spark) -> None:
    segments = ["Champions"] * 8 + ["Lost"] * 12
    rows = [(n, s, "all", 1, Decimal(1), None, None) for n, s in enumerate(segments)]
    people = spark.createDataFrame(rows, CUSTOMERS)
    had = [(n, "signed up") for n in (0, 1, 2, 3, 3, 3, 9, 777)] + [(19, " "), (0, None)]
    events = spark.createDataFrame(had, "customer_id bigint, event string")
    found = {
        (row["kind"], row["segment"], row["event"]): row
        for row in segment_events(people, events).collect()
    }
    assert len(found) == (2 + 1) * 2
    row = found["rfm", "Champions", "signed up"]
    assert (row["segment_customers"], row["customers"], row["rate"]) == (8, 4, 0.5)
    assert row["lift"] == pytest.approx(0.5 / (5 / 20))
    nobody = found["rfm", "Lost", "signed up"]
    assert (nobody["customers"], nobody["rate"]) == (1, 1 / 12)
    assert found["cluster", "all", "signed up"]["lift"] == 1.0
    assert found["rfm", "Champions", "(missing)"]["customers"] == 1
    for row in found.values():
        wilson = stats.binomtest(row["customers"], row["segment_customers"]).proportion_ci(
            method="wilson"
        )
        overall = found["cluster", "all", row["event"]]["rate"]
        assert row["rate_lower"] == pytest.approx(wilson.low, abs=1e-12)
        assert row["rate_upper"] == pytest.approx(wilson.high, abs=1e-12)
        assert row["lift_lower"] == pytest.approx(wilson.low / overall, abs=1e-12)
        assert row["lift_upper"] == pytest.approx(wilson.high / overall, abs=1e-12)


def test_an_event_nobody_of_a_segment_had_is_a_row_with_zero(spark) -> None:
    rows = [(n, "ab"[n % 2], "all", 1, Decimal(1), None, None) for n in range(4)]
    events = spark.createDataFrame([(0, "left"), (2, "left")], "customer_id bigint, event string")
    counted = segment_events(spark.createDataFrame(rows, CUSTOMERS), events)
    row = counted.where("segment = 'b'").first()
    assert (row["customers"], row["rate"], row["lift"], row["rate_lower"]) == (0, 0.0, 0.0, 0.0)
    assert row["rate_upper"] > 0.5
    assert counted.where("segment = 'a'").first()["rate_upper"] == 1.0


def test_distributions_and_correlations_are_those_of_pandas(customers, crowd) -> None:
    found = {one.feature: one for one in distributions(customers, FEATURES)}
    for name in FEATURES:
        known, one = values(crowd, name), found[name]
        assert one.missing == pytest.approx(1 - len(known) / len(crowd))
        assert one.zeros == pytest.approx((known == 0).mean())
        assert (one.least, one.most) == (known.min(), known.max())
        assert one.mean == pytest.approx(known.mean())
        assert one.std == pytest.approx(known.std(ddof=1))
        assert one.skew == pytest.approx(stats.skew(known))
        ordered = sorted(known)
        assert one.quantiles == tuple(ordered[math.ceil(q * len(known)) - 1] for q in QUANTILES)
    frame = crowd[FEATURES].astype(float)
    for one, other, r in correlations(customers, FEATURES):
        assert r == pytest.approx(frame[one].corr(frame[other]))


def test_distributions_of_nobody_and_of_nothing(customers) -> None:
    nobody = distributions(customers.limit(0), ["recency_days"])[0]
    assert (nobody.mean, nobody.quantiles) == (None, (None,) * len(QUANTILES))
    nothing = customers.withColumn("aum_per_day", F.lit(None).cast("double"))
    assert distributions(nothing, ["aum_per_day"])[0].missing == 1.0
    assert correlations(nothing, ["aum_per_day", "monetary"]) == []


def test_a_pair_that_does_not_vary_where_both_are_known_has_no_correlation(spark) -> None:
    """Regression: Spark's own corr divides by zero there."""
    rows = [(1, 1.0), (1, 2.0), (9, None)]
    frame = spark.createDataFrame(rows, "orders bigint, last_login_days double")
    ansi = "spark.sql.ansi.enabled"
    before = spark.conf.get(ansi)
    spark.conf.set(ansi, "true")
    try:
        assert correlations(frame, ["orders", "last_login_days"]) == []
    finally:
        spark.conf.set(ansi, before)


def test_standardised_differences_do_not_depend_on_the_scale(customers, crowd) -> None:
    frames, segments = groups_of(customers)
    one, other = segments["rfm"]["Champions"], segments["rfm"]["Lost"]
    a, b = (
        values(crowd[crowd["rfm_segment"] == name], "recency_days")
        for name in ("Champions", "Lost")
    )
    expected = (a.mean() - b.mean()) / math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    name = "recency_days"
    found = standardised_difference(one.sums[name], other.sums[name], frames[name])
    assert found == pytest.approx(expected, rel=1e-7)
    aum = one.sums["aum_per_day"], other.sums["aum_per_day"]
    assert standardised_difference(*aum, frames["aum_per_day"]) is None
    assert standardised_difference_of_shares(0.5, 0.3) == pytest.approx(0.2 / math.sqrt(0.23))
    assert standardised_difference_of_shares(0.0, 0.0) is None


def portrait(*pairs: tuple[str, str, float | None, float | None], action="Upsell: bundles", **more):
    return insight(
        Portrait([Figure(*pair) for pair in pairs], 0.123, more.pop("revenue", 0.4), action, **more)
    )


def test_an_insight_says_what_speaks_for_a_segment_and_then_what_speaks_against_it() -> None:
    words = portrait(
        ("recency", "recency_days", 5.0, 20.0),
        ("frequency", "orders", 25.0, 10.0),
        ("monetary", "monetary", 40.0, 100.0),
        currency="USD",
    )
    assert words == (
        "12.3% of customers, 40.0% of revenue: recent (5 days since the last purchase, typically "
        "20) and frequent (25 orders, typically 10), but 0.4 x the average net spend (USD 40, "
        "average USD 100): upsell"
    )


def test_an_insight_of_one_side_or_of_none() -> None:
    lapsed = portrait(
        ("recency", "recency_days", 90.0, 20.0), ("frequency", "orders", 1.0, 2.0), action=""
    )
    assert lapsed.endswith(
        ": not seen for long (90 days since the last purchase, typically 20) and rare (1 orders, "
        "typically 2)"
    )
    close = portrait(("frequency", "orders", 10.0, 10.0), ("monetary", "monetary", 90.0, 100.0))
    assert close == "12.3% of customers, 40.0% of revenue: close to other customers: upsell"
    assert portrait(("monetary", "monetary", -5.0, 0.0), revenue=None).startswith(
        "12.3% of customers: close"
    )
    refunded = portrait(("monetary", "monetary", -50.0, 100.0), currency="EUR")
    assert "revenue: negative net spend (EUR -50, average EUR 100): upsell" in refunded
    assert "without any purchase so far" in portrait(("recency", "recency_days", None, 4.0))
    assert "without last login days" in portrait(("recency", "last_login_days", None, 4.0))


def test_extra_features_are_called_by_their_names_and_aum_by_money() -> None:
    words = portrait(
        ("frequency", "num_logins", 30.0, 10.0), ("aum", "aum", 5000.0, 1000.0), currency="NGN"
    )
    assert "frequent (30 num logins, typically 10)" in words
    assert "5.0 x the average AUM (NGN 5,000, average NGN 1,000)" in words
    assert amount("orders", 12.345, "EUR") == "12.3"
    assert amount("avg_order_value", 12.0, "EUR") == "EUR 12"
