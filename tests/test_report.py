"""The report as a page: what it says, for whatever a store has; no Spark, no browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from report_records import BEFORE, HOSTILE, TODAY, bare, hostile, segment, shop

from rfm_spark.errors import ConfigurationError
from rfm_spark.report import needed, words
from rfm_spark.report.answers import answers, slipping
from rfm_spark.report.drawing import round_ticks, text
from rfm_spark.report.output import check_place, write_page
from rfm_spark.report.page import embedded, page
from rfm_spark.report.palette import CATEGORIES, ranked
from rfm_spark.report.quality import sources
from rfm_spark.report.records import Cell, Measure

VOID = {"meta", "br", "img", "input", "link"}


class Reader(HTMLParser):
    """Elements, attributes and visible text of a page, as a browser would take them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open[-1] == tag, (self.open[-3:], tag)
        self.open.pop()

    def handle_data(self, data):
        last = self.open[-1] if self.open else ""
        if last == "script":
            self.scripts.append(data)
        elif last != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text)).replace("\u00a0", " ")

    @property
    def data(self):
        return json.loads(self.scripts[0])

    def figures(self) -> set[str]:
        return {a["data-figure"] for _, a in self.elements if a.get("data-figure")}


@pytest.fixture(scope="module")
def whole() -> Reader:
    return Reader(page(shop()))


@pytest.fixture(scope="module")
def hostile_page() -> Reader:
    return Reader(page(hostile()))


def test_every_element_is_closed_and_every_figure_has_its_data(whole) -> None:
    assert whole.open == []
    assert (
        whole.figures()
        == set(whole.data["figures"])
        == {
            "treemap",
            "score-grid",
            "spend-grid",
            "pareto",
            "months",
            "score-against",
            "elbow",
            "silhouette",
            "space",
            "flat",
            "profiles",
            "overlap",
            "sankey",
            "sizes-rfm",
            "drift",
            "outlook-revenue",
            "outlook-customers",
        }
    )
    for name, figure in whole.data["figures"].items():
        assert figure["data"], name


def test_nothing_is_fetched_and_the_policy_forbids_it() -> None:
    html = page(shop())
    reader = Reader(html)
    policy = next(a["content"] for _, a in reader.elements if a.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert "unsafe-eval" not in policy
    for tag, attributes in reader.elements:
        assert "src" not in attributes, tag
        assert not (attributes.get("href") or "#").strip("#").count(":"), attributes
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert not [name for name in attributes if name.startswith("on")]
    assert len(html.encode()) < 8_000_000


def test_the_same_records_give_the_same_bytes() -> None:
    assert page(shop()) == page(shop())


@pytest.mark.parametrize("name", [words.name(name) for name in HOSTILE])
def test_hostile_names_are_text(hostile_page, name) -> None:
    assert name in hostile_page.words
    assert hostile_page.open == []


def test_hostile_names_make_no_element_and_end_no_script(hostile_page, whole) -> None:
    assert {tag for tag, _ in hostile_page.elements} <= {tag for tag, _ in whole.elements} | {
        "table"
    }
    assert len(hostile_page.scripts) == len(whole.scripts) == 3
    assert "49" not in hostile_page.words.split()
    assert hostile_page.data["date"] == "2024-03-01"


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def test_plotly_sees_no_markup_but_ours_in_names(hostile_page) -> None:
    """Plotly reads b, br, a, sub and others in texts; only ours may be there."""
    for found in strings(hostile_page.data["figures"]):
        tags = set(re.findall(r"<[^>]*>?", found))
        assert tags <= {"<b>", "</b>", "<br>", "<extra>", "</extra>"}, found


def test_embedded_data_cannot_end_its_element() -> None:
    value = {"a": "</script><!-- & \u2028\u2029", "b": [1.5, None]}
    made = embedded(value)
    assert not set(made) & set("<>&\u2028\u2029")
    assert json.loads(made) == value


def test_numbers_that_are_none_are_no_error_in_data() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        embedded(float("nan"))


def test_questions_are_answered_in_words(whole) -> None:
    money = words.Money("EUR")
    best, bring, lost, to_do, trusted = (one for one in answers(shop(), money))
    assert best.answer.replace("\u00a0", " ") == (
        "Best: 4 customers, 40.0 % of all, who brought EUR 650 or 65.0 % of the revenue."
    )
    assert bring.answer.replace("\u00a0", " ") == "4 customers (40.0 %) bring 80 % of the revenue."
    assert "the best 20 % bring 20 %" in bring.further[-1].replace("\u00a0", " ")
    assert lost.answer.replace("\u00a0", " ").endswith(
        "they brought EUR 300, 30.0 % of the revenue."
    )
    assert to_do.further[0] == "Best (4): Thank: send a card."
    assert trusted.answer.startswith("Yes")
    assert trusted.further[0].replace("\u00a0", " ") == (
        "3 of 100 rows (3.00 %) could not be used, with EUR 75.50 as far as their amounts can be "
        "read."
    )
    assert trusted.further[1].startswith(
        "The last accepted row is of 28 February 2024, 1 day before"
    )
    for one in (best, bring, lost, to_do, trusted):
        assert one.question in whole.words


@pytest.mark.parametrize(
    ("cell", "counts"),
    [
        (Cell(2, 4, 1, "a", True, 7, Decimal(1)), True),
        (Cell(2, 1, 4, "a", True, 7, Decimal(1)), True),
        (Cell(3, 5, 5, "a", True, 7, Decimal(1)), False),
        (Cell(1, 3, 3, "a", True, 7, Decimal(1)), False),
        (Cell(1, 5, 5, "a", True, 7, Decimal(0)), False),
        (Cell(1, 5, 5, "a", False, 7, Decimal(1)), False),
    ],
)
def test_who_slips_away_is_silent_and_used_to_be_worth_something(cell, counts) -> None:
    assert slipping(replace(shop(), cells=[cell])).customers == (7 if counts else 0)


def test_low_and_high_are_parts_of_the_scores_there_are() -> None:
    bins = {"recency": 3, "frequency": 3, "monetary": 3}
    records = replace(shop(), about=replace(shop().about, bins=bins))
    cells = [Cell(r, 3, 1, "a", True, 10**r, Decimal(1)) for r in (1, 2, 3)]
    assert slipping(replace(records, cells=cells)).customers == 10


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"is_stale": True}, "out of date"),
        ({"is_unfinished": True}, "has not ended"),
        ({"cells": []}, "do not count the same customers"),
        ({"drift": [replace(shop().drift[0], psi=0.5, alarm=True)]}, "drift in orders"),
        ({"drift": [replace(shop().drift[0], wcss_ratio=2.0, alarm=True)]}, "further from"),
        ({"made": replace(shop().made, config_hash="other")}, "other settings"),
        (
            {"measures": [*shop().measures, Measure("transactions", "bad_amount", 1, Decimal(0))]},
            "are not rows accepted",
        ),
    ],
)
def test_what_speaks_against_the_numbers_is_said_first(change, said) -> None:
    trusted = answers(replace(shop(), **change), words.Money("EUR"))[-1]
    assert trusted.is_alarm
    assert trusted.answer.startswith("With care")
    assert said in trusted.answer


def test_rows_and_money_of_a_source_add_up_or_are_said_not_to() -> None:
    (own,) = sources(shop().measures)
    assert own.adds_up
    assert (own.rejected, own.rejected_amount) == (3, Decimal("75.50"))
    (short,) = sources(shop().measures[:-1])
    assert not short.adds_up


@pytest.mark.parametrize(
    ("records", "gone", "said"),
    [
        (
            replace(
                shop(), segments=[one for one in shop().segments if one.day == TODAY], moves=[]
            ),
            {"sankey", "sizes-rfm"},
            "This is the first snapshot date",
        ),
        (replace(shop(), outlook=[]), {"outlook-revenue"}, "There is no outlook"),
        (replace(shop(), drift=[]), {"drift"}, "No drift has been measured"),
        (replace(shop(), fits=shop().fits[1:2]), {"elbow", "silhouette"}, "Only one number"),
        (
            replace(
                shop(),
                segments=[one for one in shop().segments if one.kind == "rfm"],
                sample=[],
                model=None,
                overlaps=[],
            ),
            {"space", "flat", "profiles", "overlap"},
            "This date has no clusters",
        ),
        (replace(shop(), curve=[]), {"pareto"}, "Revenue altogether is not above 0"),
        (replace(shop(), months=[]), {"months"}, "rows of one month at most"),
        (replace(shop(), cells=[]), {"score-grid", "spend-grid"}, "Nobody has bought"),
        (replace(shop(), measures=[]), set(), "Nothing is stored about what was read"),
    ],
)
def test_a_section_without_data_says_why_instead_of_an_empty_figure(records, gone, said) -> None:
    reader = Reader(page(records))
    assert said in reader.words
    assert not reader.figures() & gone
    assert reader.figures() == set(reader.data["figures"])


def test_one_customer_without_revenue_has_a_page() -> None:
    reader = Reader(page(bare()))
    assert "1 customer" in reader.words
    assert reader.open == []


def test_all_customers_alike_have_a_page() -> None:
    same = {"recency_days": 3.0, "orders": 1.0, "monetary": 5.0}
    records = shop()
    sample = [replace(point, values=same, rfm_score=3.0) for point in records.sample]
    model = replace(records.model, z=[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    fits = [replace(fit, wcss=0.0, silhouette=None) for fit in records.fits]
    reader = Reader(page(replace(records, sample=sample, model=model, fits=fits)))
    assert "space" in reader.figures()
    assert "silhouette" not in reader.figures()


def test_aum_is_shown_where_a_source_says_it() -> None:
    records = shop()
    sample = [
        replace(point, values={**point.values, "aum_per_day": 1.5 * n})
        for n, point in enumerate(records.sample)
    ]
    about = replace(
        records.about, has_aum=True, roles={**records.about.roles, "aum": "aum_per_day"}
    )
    reader = Reader(page(replace(records, about=about, sample=sample, aum=Decimal("12345678.90"))))
    assert "Score against AUM per day" in reader.words
    assert "EUR 12.3 M EUR 12,345,678.90" in reader.words
    without = Reader(page(shop()))
    assert "Score against net spend" in without.words
    assert "Assets under management" not in without.words


def test_each_date_has_its_table_and_the_reports_own_is_shown_first(whole) -> None:
    dated = [a for tag, a in whole.elements if tag == "div" and "data-date" in a]
    assert [a["data-date"] for a in dated[:2]] == [str(TODAY), str(BEFORE)]
    assert ["hidden" in a for a in dated[:2]] == [False, True]
    assert set(whole.data["dated"]["treemap"]) == {str(TODAY), str(BEFORE)}
    assert set(whole.data["dated"]["sankey"]) == {str(TODAY)}


def test_streams_add_up_to_the_sizes_of_both_dates(whole) -> None:
    link = whole.data["figures"]["sankey"]["data"][0]["link"]
    labels = whole.data["figures"]["sankey"]["data"][0]["node"]["label"]
    assert sum(link["value"]) == 11
    assert labels == ["Best 5", "Gone 4", "new 2", "Best 5", "Slipping 2", "Gone 3", "left 1"]


def test_names_that_look_like_numbers_stay_names() -> None:
    records = shop(clusters=("2024", "1e5"))
    shown = Reader(page(records)).data["figures"]["profiles"]["layout"]["yaxis"]
    assert shown["tickvals"] == [0, 1]
    assert shown["ticktext"] == ["1e5", "2024"]


def test_what_is_darker_in_a_treemap_brings_more(whole) -> None:
    trace = whole.data["figures"]["treemap"]["data"][0]
    assert trace["values"] == [4, 3, 3]
    assert trace["marker"]["colors"] == [0.65, 0.3, 0.05]


def test_the_chosen_k_is_marked_in_both_curves_and_in_words(whole) -> None:
    for key in ("elbow", "silhouette"):
        layout = whole.data["figures"][key]["layout"]
        assert [note["text"] for note in layout["annotations"]] == ["<b>k = 2</b> chosen"]
        assert layout["shapes"][0]["x0"] == 2
    assert "k = 2 was chosen: highest silhouette, 0.600." in whole.words


@pytest.mark.parametrize(
    ("amount", "short", "exact"),
    [
        ("0", "EUR 0", "EUR 0.00"),
        ("12.5", "EUR 12.5", "EUR 12.50"),
        ("-401.2", "EUR \u2212401", "EUR \u2212401.20"),
        ("99999.99", "EUR 100,000", "EUR 99,999.99"),
        ("566300", "EUR 566 k", "EUR 566,300.00"),
        ("4596039.58", "EUR 4.60 M", "EUR 4,596,039.58"),
        ("292985395.67", "EUR 293 M", "EUR 292,985,395.67"),
        ("12345678901234567890.12", "EUR 12,345,679 T", "EUR 12,345,678,901,234,567,890.12"),
    ],
)
def test_money_is_told_shortly_and_exactly(amount, short, exact) -> None:
    money = words.Money("EUR")
    assert money.short(Decimal(amount)).replace("\u00a0", " ") == short
    assert money.exact(Decimal(amount)).replace("\u00a0", " ") == exact
    assert words.Money("").exact(Decimal("1")) == "1.00"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "\u2013"),
        (0.0, "0.0 %"),
        (0.0004, "< 0.1 %"),
        (0.5, "50.0 %"),
        (-0.25, "\u221225.0 %"),
    ],
)
def test_a_small_share_is_not_told_as_nothing(value, told) -> None:
    assert words.share(value).replace("\u00a0", " ") == told


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a\nb\r\n\tc", "a b c"),
        ("", "(no name)"),
        (None, "(no name)"),
        ("ab\u202ecd\u0000", "abcd"),
        ("\ud800x", "x"),
    ],
)
def test_names_are_on_one_line_without_control_characters(given, shown) -> None:
    assert words.name(given) == shown


def test_long_names_are_shortened_in_figures_and_whole_in_tables() -> None:
    long = "Customers who " + "really " * 20 + "matter"
    assert len(text(long)) == 26
    reader = Reader(page(shop(names=(long, "b", "c"))))
    assert long in reader.words


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-5, 12, [-5, -2.5, 0, 2.5, 5, 7.5, 10, 12.5]),
    ],
)
def test_ticks_are_round_and_cover_the_range(low, high, ticks) -> None:
    assert round_ticks(low, high) == pytest.approx(ticks)


def lightness(colour: str) -> float:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_ranks_are_told_apart_in_grey_too() -> None:
    shades = [lightness(colour) for colour in ranked(12)]
    assert all(later - earlier > 5 for earlier, later in pairwise(shades))
    assert len(set(CATEGORIES)) == len(CATEGORIES) == 8


@pytest.mark.parametrize("out", ["report.html", "a/b/Report.HTM", "/Volumes/a/b/2024-03-01.html"])
def test_a_place_is_a_local_html_file(out) -> None:
    assert str(check_place(out)) == out


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("report.pdf", r"name it \*\.html"),
        ("s3://bucket/report.html", "and not to a URI"),
        ("dbfs:/reports/x.html", "and not to a URI"),
        ("report", "is an HTML page"),
    ],
)
def test_other_places_are_refused(out, said) -> None:
    with pytest.raises(ConfigurationError, match=said):
        check_place(out)


def test_a_page_is_put_in_its_place_whole(tmp_path) -> None:
    place = tmp_path / "not yet" / "there" / "report.html"
    write_page("one", place)
    write_page("zwei \u20ac", place)
    assert place.read_bytes() == "zwei \u20ac".encode()
    assert [file.name for file in place.parent.iterdir()] == ["report.html"]


def test_a_place_that_cannot_be_written_is_said_in_a_sentence(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_page("one", tmp_path / "file" / "report.html")


def test_a_folder_is_no_file(tmp_path) -> None:
    (tmp_path / "x.html").mkdir()
    with pytest.raises(ConfigurationError, match="there is a folder of that name"):
        check_place(str(tmp_path / "x.html"))


def test_missing_packages_are_named_with_what_brings_them(monkeypatch) -> None:
    needed.check_packages()
    monkeypatch.setattr(needed, "find_spec", lambda name: None if name == "plotly" else object())
    with pytest.raises(ConfigurationError, match=r'package plotly,.*"rfm-spark\[report\]"'):
        needed.check_packages()
    monkeypatch.setattr(needed, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="packages jinja2, plotly,"):
        needed.check_packages()


def test_the_newest_rank_orders_segments_of_all_dates() -> None:
    records = shop()
    old = segment("Old name", 2, 1, "1.00", day=date(2024, 1, 1))
    reader = Reader(page(replace(records, segments=[*records.segments, old])))
    options = [a.get("value") for tag, a in reader.elements if tag == "option"]
    assert options == ["2024-03-01", "2024-02-01", "2024-01-01", "", "0", "1", "2", "3"]
