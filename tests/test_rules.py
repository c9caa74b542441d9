"""Rule maps: which codes make which segment, and which maps are refused."""

from pathlib import Path

import pytest

from rfm_spark.config.rule_maps import load_rule_map
from rfm_spark.errors import ConfigurationError
from rfm_spark.rules import cell_name, disordered_pairs, problems


@pytest.fixture
def own_map(tmp_path: Path):
    def load(text: str):
        (tmp_path / "own.yaml").write_text(text)
        return load_rule_map("own.yaml", tmp_path)

    return load


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
    with pytest.raises(ConfigurationError, match=r"rule 2 \(B\) can never fire"):
        own_map(
            "bins: 2\nfirst_match: true\n"
            "segments:\n- {name: A, r: [1, 2]}\n- {name: B, codes: [222]}\n"
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bins: 2\nsegments:\n- {name: A, codes: [22]}\n", "'22' must be three scores"),
        ("bins: 2\nsegments:\n- {name: A, codes: [333], r: [1, 2]}\n", "give either `codes`"),
        ("bins: 2\nsegments:\n- {name: A, r: [2, 1]}\n", "runs backwards"),
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
