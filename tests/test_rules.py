"""Rule maps: which codes make which segment, and which maps are refused."""

import itertools
from pathlib import Path

import pytest

from rfm_spark.config.rule_maps import bundled_rule_maps, load_rule_map
from rfm_spark.errors import ConfigurationError
from rfm_spark.rules import cell_name, coverage, disordered_pairs, problems
from rfm_spark.rules.pieces import pieces


@pytest.fixture
def own_map(tmp_path: Path):
    def load(text: str):
        (tmp_path / "own.yaml").write_text(text)
        return load_rule_map("own.yaml", tmp_path)

    return load


# TARGETS: the published maps, each code under its segment.
PUBLISHED = {
    "klaviyo_6": {
        "Champions": "333 332 323",
        "Loyal": "321 322 331 232 233",
        "Recent": "312 313 311 222 223",
        "Needs Attention": "213 221 123 132 133",
        "At Risk": "231 212 122 131 211",
        "Inactive": "111 112 113 121",
    },
    "pymc_6": {
        "Premium Customer": "334 443 444 344 434 433 343 333",
        "Repeat Customer": "244 234 232 332 143 233 243",
        "Top Spender": "424 414 144 314 324 124 224 423 413 133 323 313 134",
        "At Risk Customer": "422 223 212 122 222 132 322 312 412 123 214",
        "Inactive Customer": "411 111 113 114 112 211 311",
    },
}
RF_10 = {
    "Champions": ("5", "45"),
    "Loyal Customers": ("34", "45"),
    "Potential Loyalists": ("45", "23"),
    "New Customers": ("5", "1"),
    "Promising": ("4", "1"),
    "Need Attention": ("3", "3"),
    "About to Sleep": ("3", "12"),
    "Can't Lose": ("12", "5"),
    "At Risk": ("12", "34"),
    "Hibernating": ("12", "12"),
}
R_RFM_10 = {
    "Champions": ("5", "5", "5"),
    "Potential Loyalist": ("345", "345", "2345"),
    "Loyal Customers": ("234", "234", "234"),
    "Promising": ("34", "123", "345"),
    "New Customers": ("45", "123", "12345"),
    "Can't Lose Them": ("12", "34", "45"),
    "At Risk": ("12", "2345", "45"),
    "Need Attention": ("123", "345", "345"),
    "About To Sleep": ("23", "123", "1234"),
    "Lost": ("1", "12345", "12345"),
}
UNCOVERED = {
    "pymc_6": "121 131 141 142 213 221 231 241 242 321 331 341 342 421 431 432 441 442",
    "r_rfm_10": "215 241 251 252 341 351 441 451 541 551",
}


@pytest.mark.parametrize("name", bundled_rule_maps())
def test_each_bundled_map_has_just_the_published_gaps_and_an_action_for_everybody(name) -> None:
    rule_map = load_rule_map(name, Path())
    assert problems(rule_map) == []
    assert coverage(rule_map).uncovered == UNCOVERED.get(name, "").split()
    assert all(segment.action for segment in rule_map.segments)
    assert len(rule_map.segments) == int(name.rpartition("_")[2]) + (name == "r_rfm_10")


def test_seven_maps_are_bundled() -> None:
    names = ["core_4", "crm_11", "klaviyo_6", "pymc_6", "r_rfm_10", "rf_10", "value_8"]
    assert bundled_rule_maps() == names


@pytest.mark.parametrize("name", PUBLISHED)
def test_maps_of_codes_are_as_published(name) -> None:
    rule_map = load_rule_map(name, Path())
    rest = rule_map.otherwise.name if rule_map.otherwise else None
    published = {code: s for s, codes in PUBLISHED[name].items() for code in codes.split()}
    for code in rule_map.grid:
        assert rule_map.segment_of(code).name == published.get(cell_name(code), rest)


def test_rf_10_and_r_rfm_10_are_as_published() -> None:
    rf_10, r_rfm_10 = (load_rule_map(name, Path()) for name in ("rf_10", "r_rfm_10"))
    assert rf_10.letters == "rf"
    for code in itertools.product(range(1, 6), repeat=3):
        texts = [str(score) for score in code]
        grid = [n for n, sets in RF_10.items() if all(map(str.__contains__, sets, texts[:2]))]
        assert [rf_10.segment_of(code).name] == grid[:1]
        first = [n for n, sets in R_RFM_10.items() if all(map(str.__contains__, sets, texts))]
        assert r_rfm_10.segment_of(code).name == (first[0] if first else "Others")


def test_core_4_keeps_its_words_and_never_puts_a_better_code_into_a_worse_segment() -> None:
    rule_map = load_rule_map("core_4", Path())
    corners = {(5, 5, 5): "Core/Loyal", (1, 5, 5): "Slipping", (3, 3, 3): "Faithful"}
    for code, name in {**corners, (1, 1, 1): "Lost"}.items():
        assert rule_map.segment_of(code).name == name
    assert [segment.name for segment in rule_map.segments] == [*corners.values(), "Lost"]
    assert disordered_pairs(rule_map) == []


def test_a_map_of_two_scores_fits_any_bins_of_the_third() -> None:
    assert load_rule_map("rf_10", Path(), bins=(5, 5, 3)).bins == (5, 5, 3)
    assert load_rule_map("value_8", Path(), bins=(4, 3, 2)).bins == (4, 3, 2)
    with pytest.raises(ConfigurationError, match="is made for"):
        load_rule_map("rf_10", Path(), bins=(4, 5, 5))


def test_crm_11_gives_every_one_of_the_125_codes_exactly_one_segment() -> None:
    rule_map = load_rule_map("crm_11", Path())
    assert len(rule_map.grid) == 125
    assert problems(rule_map) == []
    assert len(rule_map.segments) == 11


@pytest.mark.parametrize(
    ("code", "segment"),
    [
        ((5, 5, 5), "Champions"),
        ((4, 4, 4), "Loyal"),
        ((5, 1, 1), "New Customers"),
        ((3, 2, 3), "Potential Loyalist"),
        ((5, 1, 5), "Promising"),
        ((1, 1, 3), "Cannot Lose Them"),
        ((2, 5, 5), "At Risk"),
        ((1, 5, 1), "Lost"),
        ((2, 5, 1), "About To Sleep"),
    ],
)
def test_crm_11_as_published(code, segment) -> None:
    assert load_rule_map("crm_11", Path()).segment_of(code).name == segment


def test_crm_11_has_287_pairs_where_the_better_code_has_the_worse_segment() -> None:
    pairs = disordered_pairs(load_rule_map("crm_11", Path()))
    assert len(pairs) == 287
    assert all(all(b >= w for b, w in zip(*pair, strict=True)) for pair in pairs)


def test_ranges_cover_what_codes_would(own_map) -> None:
    rule_map = own_map(
        "bins: 2\nsegments:\n- {name: Good, r: [2, 2]}\n- {name: Bad, r: [1, 1], f: [1, 2]}\n"
    )
    assert [rule_map.segment_of(code).name for code in [(2, 1, 1), (1, 2, 2)]] == ["Good", "Bad"]


def test_a_map_with_a_hole_is_refused_with_the_codes(own_map) -> None:
    with pytest.raises(ConfigurationError, match="no rule covers codes 111 112 121 122"):
        own_map("bins: 2\nsegments:\n- {name: Good, r: [2, 2]}\n")


def test_a_map_with_an_overlap_is_refused_with_the_codes(own_map) -> None:
    with pytest.raises(ConfigurationError, match="two rules claim code 222"):
        own_map("bins: 2\nsegments:\n- {name: A, codes: [222]}\n- {name: B, r: [1, 2]}\n")


def test_first_match_allows_overlaps_and_otherwise_allows_holes(own_map) -> None:
    rule_map = own_map(
        "bins: 2\nfirst_match: true\notherwise: {name: Rest}\n"
        "segments:\n- {name: A, codes: [222]}\n- {name: B, r: [2, 2]}\n"
    )
    names = [rule_map.segment_of(code).name for code in [(2, 2, 2), (2, 1, 1), (1, 2, 2)]]
    assert names == ["A", "B", "Rest"]
    assert [rule_map.rank_of(name) for name in ("A", "B", "Rest", "No purchase")] == [1, 2, 3, 4]


def test_a_rule_that_can_never_fire_is_refused(own_map) -> None:
    never = r"rule 2 \(B\) can never fire: earlier rules take code 222"
    with pytest.raises(ConfigurationError, match=never):
        own_map(
            "bins: 2\nfirst_match: true\n"
            "segments:\n- {name: A, r: [1, 2]}\n- {name: B, codes: [222]}\n"
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bins: 2\nsegments:\n- {name: A, codes: [22]}\n", "'22' must be three scores"),
        ("bins: 2\nsegments:\n- {name: A, codes: [333], r: [1, 2]}\n", "give either `codes`"),
        ("bins: 2\nsegments:\n- {name: A, r: [2, 1]}\n", "range of r runs backwards"),
        ("bins: 2\nsegments:\n- {name: A, r: [1, 3]}\n", "has r up to 3 of 2"),
        ("segments:\n- {name: A, recency_dayz: [1, 9]}\n", "did you mean recency_days"),
        ("segments:\n- {name: A, orders: [null, null]}\n", "orders has no bound"),
        ("segments:\n- {name: A}\n", "give `codes`, or a range"),
        ("segments: []\n", "at least 1 item"),
        ("bins: 2\nsegments:\n- {name: No purchase, r: [1, 2]}\n", "rename yours"),
        ("segments:\n- {name: A, acton: x, r: [1, 5]}\n", "did you mean action"),
        ("- A\n", "a list of rules"),
        ("segments: [A]\n", "a rule is a section"),
        ("bins: 2\notherwise: {name: ''}\nsegments:\n- {name: A, r: [1, 2]}\n", "at least 1"),
        (
            "bins: 2\notherwise: {name: No purchase}\nsegments:\n- {name: A, r: [2, 2]}\n",
            "rename yours",
        ),
        (
            "bins: 2\notherwise: {name: A, action: y}\n"
            "segments:\n- {name: A, r: [2, 2], action: x}\n",
            "A has two different actions",
        ),
        (
            "segments:\n- {name: A, r: [1, 2], action: x}\n- {name: A, r: [3, 5], action: y}\n",
            "A has two different actions",
        ),
        ("bins: 2\nsegmentz: []\n", "segmentz"),
        (
            "bins: 2\notherwise: {name: R}\nsegments:\n- {name: A, codes: [555]}\n",
            "code 555 cannot",
        ),
    ],
)
def test_a_map_that_makes_no_sense_is_refused(own_map, text, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        own_map(text)


def test_an_unknown_map_names_the_nearest_bundled_one() -> None:
    with pytest.raises(ConfigurationError, match="did you mean crm_11"):
        load_rule_map("crm_12", Path())


def test_scores_of_two_digits_are_kept_apart() -> None:
    assert cell_name((5, 4, 3)) == "543"
    assert cell_name((10, 9, 1)) == "10-9-1"
    assert cell_name((5, 4, 3), (10, 5, 5)) == "5-4-3"


def test_a_map_that_is_not_utf_8_is_said(tmp_path) -> None:
    (tmp_path / "own.yaml").write_bytes("segments:\n- {name: Caf\u00e9}\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        load_rule_map("own.yaml", tmp_path)


@pytest.mark.parametrize(
    ("feature", "bounds", "expected"),
    [
        ("recency_days", (365, 366), ["from 1 to 364", "365", "366", "from 367"]),
        ("orders", (0, 3), ["0", "from 1 to 2", "3", "from 4"]),
        ("avg_order_value", (100,), ["below 100", "100", "above 100", "null"]),
        ("monetary", (0,), ["below 0", "0", "above 0"]),
        ("refund_amount", (-5, 0), ["below -5", "-5", "between -5 and 0", "0"]),
        ("my_own", (2,), ["below 2", "2", "above 2", "null"]),
    ],
)
def test_a_feature_is_cut_into_the_pieces_that_can_occur(feature, bounds, expected) -> None:
    found = pieces(feature, [(bound, None) for bound in bounds])
    assert [piece.text.removeprefix(f"{feature} ") for piece in found] == expected


def test_holes_and_overlaps_of_raw_features_are_listed(own_map) -> None:
    hole = (
        "segments:\n- {name: A, recency_days: [null, 30]}\n- {name: B, recency_days: [40, null]}\n"
    )
    with pytest.raises(ConfigurationError, match="no rule covers case recency_days from 31 to 39"):
        own_map(hole)
    with pytest.raises(ConfigurationError, match="two rules claim case recency_days 30;"):
        own_map(hole.replace("40", "30"))
    with pytest.raises(ConfigurationError, match="covers case avg_order_value null"):
        own_map(
            "segments:\n- {name: A, avg_order_value: [null, 9.5]}\n"
            "- {name: B, avg_order_value: [9.5, null]}\nfirst_match: true\n"
        )
    with pytest.raises(ConfigurationError, match="nobody can be in its ranges"):
        own_map(
            "otherwise: {name: Rest}\nsegments:\n- {name: A, recency_days: [-9, 0]}\n"
            "- {name: B, orders: [3, null]}\n"
        )
    whole = own_map(hole.replace("40", "31"))
    assert [whole.segment_of((1, 1, 1), {"recency_days": d}).name for d in (30, 31)] == ["A", "B"]


def test_a_hole_between_scores_and_features_names_both(own_map) -> None:
    with pytest.raises(ConfigurationError, match="no rule covers case 111 & monetary below 10"):
        own_map(
            "bins: 2\nfirst_match: true\nsegments:\n"
            "- {name: A, codes: [112, 121, 122, 211, 212, 221, 222]}\n"
            "- {name: B, monetary: [10, null]}\n"
        )


def test_ranges_that_cannot_all_be_checked_are_refused(own_map) -> None:
    names = ("recency_days", "orders", "lines", "monetary", "tenure_days", "active_days")
    rules = [
        f"- {{name: S{i}, {', '.join(f'{n}: [{i}, null]' for n in names)}}}" for i in range(2, 9)
    ]
    with pytest.raises(ConfigurationError, match="too many to be checked"):
        own_map("first_match: true\notherwise: {name: R}\nsegments:\n" + "\n".join(rules))


def test_the_readmes_own_map_is_one(own_map) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    text = next(b.split("```")[0] for b in readme.split("```yaml\n") if b.startswith("first_match"))
    rule_map = own_map(text)
    rich = {"aum": 100_000.0, "recency_days": 9.0}
    assert rule_map.segment_of((2, 1, 1), rich).name == "Rich and silent"
    assert rule_map.segment_of((3, 1, 1), rich).name == "Fresh"
