"""What all figures share: layout, axes, and texts that plotly cannot take for markup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from rfm_spark.report import words
from rfm_spark.report.palette import INK, LINE, PAPER, SOFT

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SHORT = 26
"""Characters of a name on an axis or in a tile; tables have all of it."""
_MOST_TICKS, _FEW_TICKS = 7, 3


@dataclass(frozen=True)
class Drawing:
    """A figure for the page: what it shows, and how to read it.

    Args:
        key: Names it on the page.
        title: Its heading.
        figure: What plotly draws.
        height: In pixels.
        lead: What to see in it, in a sentence.
        about: What screen readers are told it is.
        tall: Whether it needs the page's whole width.
    """

    key: str
    title: str
    figure: go.Figure
    height: int
    lead: str = ""
    about: str = ""
    tall: bool = False


def text(value: str | None, most: int | None = SHORT) -> str:
    """A name from data as plotly shows it letter by letter.

    Plotly reads a little HTML in texts, so that ``<`` and ``&`` have to be entities there.
    """
    shown = words.name(value, most)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def lines(*parts: str) -> str:
    """Parts below each other, the first in bold; names in them have to be :func:`text` already."""
    first, *others = parts
    return "<br>".join([f"<b>{first}</b>", *others])


def figure(*traces: Any, **layout: Any) -> go.Figure:
    """A figure in the page's style; margins grow with the labels of the axes."""
    base: dict[str, Any] = {
        "template": "none",
        "font": {"family": FONT, "size": 12, "color": INK},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "margin": {"l": 12, "r": 12, "t": 12, "b": 12},
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": SOFT, "font": {"color": INK, "size": 12}},
        "showlegend": False,
        "separators": ".,",
        "dragmode": False,
    }
    return go.Figure(list(traces), {**base, **layout})


def axis(title: str = "", **further: Any) -> dict[str, Any]:
    """An axis with quiet lines, whose labels take the room that they need."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 12, "color": SOFT}},
        "automargin": True,
        "gridcolor": LINE,
        "linecolor": LINE,
        "zeroline": False,
        "fixedrange": True,
        "tickfont": {"size": 11, "color": INK},
        **further,
    }


def named_axis(names: Sequence[str], title: str = "", **further: Any) -> dict[str, Any]:
    """An axis with a name at 0, 1, 2 and so on: names that look like numbers stay names."""
    labels = [text(one) for one in names]
    places = {"tickvals": list(range(len(names))), "ticktext": labels, "showgrid": False}
    return axis(title, **{**places, "range": [-0.5, len(names) - 0.5], **further})


def money_axis(money: words.Money, values: Sequence[float], title: str = "", **more: Any) -> Any:
    """An axis of money from 0 (or the least) on with round numbers."""
    ticks = round_ticks(min(0.0, *values), max(0.0, *values))
    labels = [money.short(tick) for tick in ticks]
    reach = [ticks[0], max(ticks[-1], *values) * 1.02 if values else ticks[-1]]
    return axis(title, **{"tickvals": ticks, "ticktext": labels, "range": reach, **more})


def round_ticks(low: float, high: float, most: int = _MOST_TICKS) -> list[float]:
    """Round numbers that cover a range."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / most
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [place * step for place in range(first, last + 1)]


def signed_log(value: float) -> float:
    """sign(x) * log10(1 + |x|): spreads the many small amounts, and takes negative ones."""
    return math.copysign(math.log10(1 + abs(value)), value)


def log_axis(values: Sequence[float], title: str, money: words.Money | None) -> dict[str, Any]:
    """An axis for :func:`signed_log` values, labelled in natural units.

    Args:
        values: Natural values that have to fit.
        title: Of the axis.
        money: How money is told; None where the values are no money.
    """
    low, high = min(values, default=0.0), max(values, default=1.0)
    tell = money.short if money else words.number
    inside: list[float] = []
    for factors in ((1,), (1, 3), (1, 2, 5)):  # the shorter the range, the more ticks in a decade
        sizes = [factor * 10.0**power for power in range(13) for factor in factors]
        inside = [
            tick for tick in (*(-size for size in sizes[::-1]), 0.0, *sizes) if low <= tick <= high
        ]
        if len(inside) > _FEW_TICKS:
            break
    else:
        inside = round_ticks(low, high, 4)
    pad = (signed_log(high) - signed_log(low)) * 0.04 or 0.5
    return {
        "title": {"text": title, "font": {"size": 12, "color": SOFT}},
        "tickvals": [signed_log(tick) for tick in inside],
        "ticktext": [tell(tick) for tick in inside],
        "range": [signed_log(low) - pad, signed_log(high) + pad],
    }


def broken(name: str) -> str:
    """A long label on lines of a few words."""
    told, line = [], ""
    for word in name.split():
        if line and len(line) + len(word) > 11:  # noqa: PLR2004
            told.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "<br>".join([*told, line])
