"""The report as people see it: opened in Chromium, from a file, at desktop and phone width."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import DESKTOP, PHONE, Seen, started
from report_records import HOSTILE, bare, hostile, shop

from rfm_spark.report import words
from rfm_spark.report.page import page

pytestmark = pytest.mark.slow
NO_WEBGL = """
    const own = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
      return kind.includes("webgl") ? null : own.call(this, kind, ...rest);
    };
"""


@pytest.fixture(scope="module")
def browser():
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("a folder with spaces")
    made = {"shop": shop(), "hostile": hostile(), "bare": bare()}
    for name, records in made.items():
        (folder / f"{name}.html").write_text(page(records), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.fixture(scope="module")
def desktop(browser, files) -> Seen:
    return Seen(browser, files["shop"], DESKTOP)


def test_every_figure_is_drawn_and_nothing_is_fetched(desktop) -> None:
    desktop.assert_whole()
    assert desktop.page.locator(".js-plotly-plot").count() == 17


def test_nothing_is_wider_than_a_phone(browser, files) -> None:
    Seen(browser, files["shop"], PHONE).assert_whole()


def test_a_store_with_one_customer_has_a_whole_page(browser, files) -> None:
    Seen(browser, files["bare"], PHONE).assert_whole()


def test_hostile_names_show_as_text_and_run_nothing(browser, files) -> None:
    seen = Seen(browser, files["hostile"], PHONE)
    seen.assert_whole()
    assert seen.page.title() == "Customer segments, 1 March 2024"
    assert seen.page.locator("img, iframe, a[href^=javascript]").count() == 0
    shown = " ".join(seen.page.locator("body").inner_text().split())
    for name in HOSTILE[:3]:
        assert words.name(name) in shown
    tiles = seen.page.locator("#figure-treemap .slicetext").all_text_contents()
    assert any("<script>alert(1)" in tile for tile in tiles)


def test_a_segment_narrows_tables_and_figures_and_reset_brings_all_back(desktop) -> None:
    rows = desktop.page.locator("#segments div[data-date]:visible tr[data-segment]:visible")
    points = desktop.page.locator("#figure-flat .points path")
    assert (rows.count(), points.count()) == (3, 10)
    desktop.page.select_option("#filter-segment", label="Slipping")
    desktop.settle()
    assert rows.all_inner_texts()[0].split()[1] == "Slipping"
    assert (rows.count(), points.count()) == (1, 3)
    fields = desktop.page.evaluate(
        "document.querySelector('[data-figure=score-grid]').data[0].z.flat().filter(n => n > 0)"
    )
    assert fields == [3]
    desktop.page.click("#filters button")
    desktop.settle()
    assert (rows.count(), points.count()) == (3, 10)
    assert desktop.faults == []


def test_a_date_changes_table_treemap_and_streams_by_keyboard_alone(desktop) -> None:
    desktop.page.focus("#filter-date")
    desktop.page.keyboard.press("ArrowDown")
    desktop.settle()
    caption = desktop.page.locator("#segments div[data-date]:visible caption")
    assert caption.inner_text() == "Segments on 1 February 2024, best first"
    values = "document.querySelector('[data-figure=treemap]').data[0].values"
    assert desktop.page.evaluate(values) == [5, 4]
    assert desktop.page.locator("[data-absent=sankey]").is_visible()
    assert not desktop.page.locator("[data-figure=sankey]").is_visible()
    desktop.page.keyboard.press("ArrowUp")
    desktop.settle()
    assert desktop.page.evaluate(values) == [4, 3, 3]
    assert desktop.page.locator("[data-figure=sankey] .sankey-link").count() == 5
    assert desktop.faults == []


def test_on_paper_every_figure_is_there_and_no_wider_than_the_paper(desktop) -> None:
    paper = desktop.page.pdf(prefer_css_page_size=True)
    assert paper.startswith(b"%PDF")
    desktop.settle()
    widths = "[...document.querySelectorAll('.plot .main-svg')].map(one => one.clientWidth)"
    desktop.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert max(desktop.page.evaluate(widths)) <= 665
    desktop.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    desktop.settle()
    assert max(desktop.page.evaluate(widths)) > 1000


def test_without_scripts_the_tables_are_there(browser, files) -> None:
    context = browser.new_context(java_script_enabled=False)
    silent = context.new_page()
    silent.goto(files["shop"].as_uri())
    assert silent.locator("noscript").first.is_visible()
    assert silent.locator("table.segments tr[data-segment]").first.is_visible()
    context.close()


def test_without_webgl_the_page_says_so_and_shows_the_flat_figure(browser, files) -> None:
    seen = Seen(browser, files["shop"], DESKTOP, first=NO_WEBGL)
    seen.assert_whole()
    assert "WebGL is off" in seen.page.locator("#figure-space").inner_text()
    assert seen.page.locator("#figure-flat .points path").count() == 10
