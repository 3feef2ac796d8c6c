"""What a page is made of: sections of text, figures, tables and code, without any HTML."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from simlab.analysis.figures import to_json
from simlab.errors import AnalysisError

__all__ = [
    "Cell",
    "Code",
    "Element",
    "Figure",
    "Note",
    "Section",
    "Table",
    "Text",
    "attempt",
    "folded",
    "number",
]


_UNFOLDED = 80
"""Characters of a text in a cell that are always seen."""
_MOST_TEXT = 2_000


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class Note:
    """What is missing or must be known, and what to do about it."""

    text: str
    kind: str = "note"


@dataclass(frozen=True)
class Code:
    """Text shown letter by letter; folded away on the screen under its title."""

    title: str
    text: str
    kind: str = "code"


@dataclass(frozen=True)
class Figure:
    """A Plotly figure with what one sees in it."""

    drawn: Any
    title: str
    caption: str
    half: bool = False
    kind: str = "figure"

    @property
    def json(self) -> str:
        """The figure as JSON that may stand in a script element."""
        return to_json(self.drawn)

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.drawn.layout.height)


@dataclass(frozen=True)
class Cell:
    """One cell: what is shown, what is sorted by, the class of a badge, and what is folded away."""

    text: str
    key: str | float = ""
    badge: str = ""
    more: str = ""


@dataclass(frozen=True)
class Table:
    """A table: names of columns with whether they are numbers, and rows of cells."""

    title: str
    columns: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    sortable: bool = True
    kind: str = "table"


Element = Text | Note | Code | Figure | Table


@dataclass
class Section:
    """A part of the page with a heading; `elements` in order, `parts` are sections within it."""

    id: str
    title: str
    elements: list[Element] = field(default_factory=list)
    parts: list[Section] = field(default_factory=list)


def attempt(what: str, make: Callable[[], Element | Iterable[Element]]) -> list[Element]:
    """Return the elements that `make` gives, or a note with the reason why they cannot be given."""
    try:
        made = make()
        return [made] if isinstance(made, Element) else list(made)
    except AnalysisError as error:
        return [Note(f"{what}: {error}.")]


def folded(value: object) -> Cell:
    """Return a text as a cell, of a long one the rest folded away; a dash where there is none (NaN).

    Example
    -------
    >>> folded("far too dear").text, folded(None).text, folded("dear " * 40).more[:12]
    ('far too dear', '\N{EN DASH}', ' dear dear d')
    """
    if not isinstance(value, str) or not value:
        return Cell("\N{EN DASH}")
    text = value if len(value) <= _MOST_TEXT else f"{value[:_MOST_TEXT]} ({len(value) - _MOST_TEXT:,} more)"
    if len(text) <= _UNFOLDED:
        return Cell(text, text[:_UNFOLDED])
    start = text[:_UNFOLDED]
    start = start[: start.rfind(" ")] if " " in start[_UNFOLDED // 2 :] else start
    return Cell(start, start, more=text[len(start) :])


def number(value: float | None, digits: int = 2, *, significant: bool = False) -> Cell:
    """Return a number as a cell: thousands separated, `digits` decimals or significant ones; else a dash.

    Example
    -------
    >>> number(1234.5).text, number(0.00012345, 3, significant=True).text
    ('1,234.50', '0.000123')
    """
    if value is None or math.isnan(value):
        return Cell("\N{EN DASH}", -math.inf)
    if math.isinf(value):
        return Cell("\N{INFINITY}" if value > 0 else "\N{MINUS SIGN}\N{INFINITY}", value)
    decimals = digits
    if significant and value:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}" if decimals <= 8 else f"{value:.{digits - 1}e}"
    return Cell(text.replace("-", "\N{MINUS SIGN}"), float(value))
