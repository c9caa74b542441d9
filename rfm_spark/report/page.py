"""The page: figures, tables and words put together, with everything that they need inside."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from rfm_spark.report import words
from rfm_spark.report.answers import answers
from rfm_spark.report.figures import Figures, figures_of
from rfm_spark.report.headline import headline
from rfm_spark.report.records import Records
from rfm_spark.report.sections import clusters, making, movement, people, quality, segments

_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


@dataclass(frozen=True)
class Filters:
    """What the page can be narrowed to."""

    dates: list[tuple[str, str]]
    segments: list[str]


def page(records: Records) -> str:
    """The whole report of a date as one HTML document that fetches nothing.

    The same records give the same page, to the byte.
    """
    money = words.Money(records.about.currency, records.about.scale)
    drawn = figures_of(records, money)
    environment = Environment(
        loader=PackageLoader("rfm_spark.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        day=words.day, short_day=words.short_day, name=words.name, count=words.count
    )
    environment.filters.update(share=words.share)
    dates = [(str(day), words.day(day)) for day in reversed(records.dates)]
    return environment.get_template("page.html").render(
        records=records,
        about=records.about,
        headline=headline(records, money),
        answers=answers(records, money),
        figures=drawn.drawings,
        filters=Filters(dates, [words.name(one) for one in drawn.names]),
        segments=segments(records, money),
        clusters=clusters(records, money),
        movement=movement(records, money),
        people=people(records),
        quality=quality(records, money),
        making=making(records, money),
        data=Markup(embedded(_data(records, drawn))),
        plotly=Markup(get_plotlyjs()),
    )


def embedded(value: Any) -> str:
    """JSON for a script element: nothing in it can end the element, or begin another one."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter, escape in _ESCAPES.items():
        text = text.replace(letter, escape)
    return text


def _data(records: Records, drawn: Figures) -> dict[str, Any]:
    """What the page's script draws."""
    return {
        "date": str(records.about.snapshot_date),
        "figures": {key: _plain(one.figure) for key, one in drawn.drawings.items()},
        "dated": {
            key: {str(day): _plain(figure) for day, figure in by_day.items()}
            for key, by_day in drawn.dated.items()
        },
        "grids": [
            None
            if pair is None
            else [{name: _listed(one[name]) for name in ("z", "text", "hovertext")} for one in pair]
            for pair in drawn.grids
        ],
    }


def _plain(figure: go.Figure) -> Any:
    return json.loads(figure.to_json())


def _listed(value: Any) -> list[Any]:
    return [list(row) for row in value]
