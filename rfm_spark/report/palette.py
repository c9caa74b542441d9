"""Colours that tell things apart for the colour-blind, on paper and in grey.

Categories: Okabe and Ito, "Color Universal Design" (2008), in an order in which neighbours differ
in lightness too. Ordered things: one hue from light to dark, or from one hue over white to another.
Whatever a colour says stands beside it in words.
"""

from __future__ import annotations

INK, SOFT, LINE, PAPER = "#17212b", "#566573", "#d5dbe1", "#ffffff"
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, VERMILLION, BLACK, YELLOW = "#56B4E9", "#D55E00", "#4a4a4a", "#F0E442"
CATEGORIES = (BLUE, ORANGE, GREEN, PURPLE, BLACK, SKY, VERMILLION, YELLOW)
SYMBOLS = (
    "circle",
    "diamond",
    "square",
    "x",
    "cross",
    "circle-open",
    "square-open",
    "diamond-open",
)
"""One beside each colour; all of them exist in two and in three dimensions."""

GOOD, BAD, STEADY = BLUE, VERMILLION, "#9aa5af"
"""Moved up, moved down, stayed."""
DEEPER = ((0.0, "#eaf2f8"), (0.35, "#a9cce3"), (0.7, "#3f8fc4"), (1.0, "#064b77"))
"""Little to much."""
AROUND = (
    (0.0, "#b35806"),
    (0.25, "#f1a340"),
    (0.5, "#f7f7f7"),
    (0.75, "#67a9cf"),
    (1.0, "#08519c"),
)
"""Below, equal, above: ColorBrewer's orange to blue."""
# cividis (Nunez, Anderton and Renslow, 2018), dark to light, without the palest end.
_CIVIDIS = ("#00224e", "#2a3f6d", "#575d6d", "#7d7c78", "#a59c74", "#d2c060", "#fee838")


def ranked(number: int) -> list[str]:
    """As many colours from dark (best) to light, each lighter than the one before."""
    if number == 1:
        return [_CIVIDIS[1]]
    return [_between(_CIVIDIS, place / (number - 1)) for place in range(number)]


def category(place: int) -> str:
    """The colour of the n-th category; from the ninth on they come again."""
    return CATEGORIES[place % len(CATEGORIES)]


def symbol(place: int) -> str:
    """The symbol of the n-th category; shifted by one each time that the colours come again."""
    return SYMBOLS[(place + place // len(CATEGORIES)) % len(SYMBOLS)]


def faded(colour: str, opacity: float) -> str:
    """The same colour, see-through."""
    red, green, blue = _parts(colour)
    return f"rgba({red},{green},{blue},{opacity:g})"


def _between(colours: tuple[str, ...], part: float) -> str:
    place = part * (len(colours) - 1)
    low = min(int(place), len(colours) - 2)
    pairs = zip(_parts(colours[low]), _parts(colours[low + 1]), strict=True)
    mixed = [round(one + (other - one) * (place - low)) for one, other in pairs]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
