"""A real Chromium without a window, and what it says of a page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
# Figures that show something: marks of plotly's traces, or a canvas for three dimensions.
MARKS = (
    ".slice, .points path, .scatterlayer path, .heatmaplayer image, .bars path, .sankey-link, "
    ".gl-container canvas"
)


def chromium() -> str | None:
    """The system's Chromium, if it has one."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    return None


@contextmanager
def started() -> Iterator[object]:
    """A browser: the system's Chromium, else the one that playwright has installed."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        except Error as error:
            reason = str(error).strip().splitlines()[0]
            pytest.skip(f"no Chromium here (apt-get install chromium): {reason}")
        with browser:
            yield browser


class Seen:
    """An opened page, and everything that went wrong or out."""

    def __init__(self, browser, file: Path, viewport: dict[str, int], *, first: str = "") -> None:
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport=viewport)
        if first:
            self.page.add_init_script(first)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-drawn]", timeout=60_000)

    def _said(self, message) -> None:
        if message.type == "error":
            self.faults.append(message.text)

    def settle(self) -> None:
        """Wait until whatever was asked for has been drawn."""
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 60)))")

    def outside(self) -> list[str]:
        """Requests that leave the page."""
        own = ("file:", "data:", "blob:")
        return [url for url in self.requests if not url.startswith(own)]

    def empty_figures(self) -> list[str]:
        """Figures on the page without anything drawn."""
        return self.page.evaluate(
            """marks => [...document.querySelectorAll("[data-figure]")].filter(one => !one.hidden)
               .filter(one => !one.matches(".js-plotly-plot") || !one.querySelector(marks))
               .map(one => one.dataset.figure)""",
            MARKS,
        )

    def overlaps(self) -> list[str]:
        """Pairs of figures, tables and headings whose boxes share more than a pixel."""
        return self.page.evaluate(
            """() => {
              const chosen = ".plot, figcaption, .scroll, h2, article, .numbers li";
              const parts = [...document.querySelectorAll(chosen)]
                .map(one => [one.outerHTML.slice(0, 80), one.getBoundingClientRect(), one])
                .filter(([, box, one]) => box.width && box.height && !one.closest("details"));
              const met = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
                && a.top < b.bottom - 1 && b.top < a.bottom - 1;
              return parts.flatMap(([name, box], place) => parts.slice(place + 1)
                .filter(([, other]) => met(box, other)).map(([other]) => `${name} / ${other}`));
            }"""
        )

    def too_wide(self) -> int:
        """By how many pixels the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    def beyond(self) -> list[str]:
        """Drawn texts that stick out of their figure."""
        return self.page.evaluate(
            """() => [...document.querySelectorAll(".plot")].flatMap(plot => {
              const own = plot.getBoundingClientRect();
              return [...plot.querySelectorAll("svg text")].filter(one => {
                const box = one.getBoundingClientRect(), style = getComputedStyle(one);
                const shown = box.width && style.fill !== "rgba(0, 0, 0, 0)" && style.opacity > 0;
                return shown && (box.left < own.left - 2 || box.right > own.right + 2
                  || box.bottom > own.bottom + 2);
              }).map(one => plot.dataset.figure + ": " + one.textContent);
            })"""
        )

    def assert_whole(self) -> None:
        """Everything that holds for any page at any width."""
        assert self.faults == []
        assert self.outside() == []
        assert self.empty_figures() == []
        assert self.overlaps() == []
        assert self.too_wide() <= 0
        assert self.beyond() == []
