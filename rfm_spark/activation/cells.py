"""Rows as lines of CSV, as RFC 4180 has them.

A cell with a comma, a quote, CR or LF is quoted, and quotes in it are doubled. Null is an empty
cell, empty text is "". Lines are to be ended by CR LF.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

LINE_END = "\r\n"
_NEEDS_QUOTES = '[",\r\n]'
# What Excel, LibreOffice and Google Sheets take for the beginning of a formula (OWASP, "CSV
# Injection"), unless it is the sign of a number.
_FORMULA = "^[=+@\t\r\n-]"
_NUMBER = "^[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?\\z"
_WITH_OFFSET = "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"
_NESTED = ("array", "map", "struct")


def header(names: Sequence[str]) -> str:
    """The first line, without its end."""
    return ",".join(_quoted(name) for name in names)


def _quoted(text: str) -> str:
    is_plain = text and not any(mark in text for mark in '",\r\n')
    return text if is_plain else '"' + text.replace('"', '""') + '"'


def line(types: Mapping[str, str], *, guard: bool) -> Column:
    """A row as a line, without its end.

    Args:
        types: Column to SQL type, in the order of the cells.
        guard: Whether text that a spreadsheet would take for a formula gets an apostrophe before
            it. Numbers, also negative ones in text, stay as they are.
    """
    cells = [cell(F.col(f"`{name}`"), type_, guard=guard) for name, type_ in types.items()]
    if len(cells) == 1:  # readers pass over lines with nothing in them
        return F.when(cells[0] == "", '""').otherwise(cells[0])
    return F.concat_ws(",", *cells)


def cell(value: Column, type_: str, *, guard: bool) -> Column:
    """A value as a cell. Nested ones are JSON, times have their offset from UTC."""
    text = text_of(value, type_)
    if guard and type_ == "string":
        text = guarded(text)
    quoted = F.concat(F.lit('"'), F.replace(text, F.lit('"'), F.lit('""')), F.lit('"'))
    needs_quotes = (text == "") | text.rlike(_NEEDS_QUOTES)
    return F.coalesce(F.when(needs_quotes, quoted).otherwise(text), F.lit(""))


def text_of(value: Column, type_: str) -> Column:
    """A value as text."""
    if type_.startswith(_NESTED):
        return F.to_json(value, {"ignoreNullFields": "false"})
    if type_ == "timestamp":
        return F.date_format(value, _WITH_OFFSET)
    return value.cast("string")


def guarded(text: Column) -> Column:
    """Text that no spreadsheet takes for a formula."""
    is_formula = text.rlike(_FORMULA) & ~text.rlike(_NUMBER)
    return F.when(is_formula, F.concat(F.lit("'"), text)).otherwise(text)
