"""Give every population its colour, dash and marker: the same in every figure, legible in grey."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from simlab.analysis.tables import EXCHANGE

__all__ = [
    "ASK",
    "BID",
    "COLOURS",
    "COMPONENTS",
    "FUNDAMENTAL",
    "INK",
    "MUTED",
    "NEWS",
    "Style",
    "styles",
]

INK = "#1b1f24"
MUTED = "#5b6470"
FUNDAMENTAL = "#009E73"
NEWS = "#CC79A7"

BID = "#0072B2"
ASK = "#D55E00"

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C510A")
"""Okabe and Ito (2008) without black, kept for the market, and yellow, which a white page swallows."""

DASHES = ("solid", "6px,3px", "2px,2px", "9px,3px,2px,3px", "14px,3px", "14px,3px,2px,3px,2px,3px")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "triangle-down")


@dataclass(frozen=True)
class Style:
    """How one population is drawn. Colour alone never tells two apart: the dash or the marker does too."""

    colour: str
    dash: str
    symbol: str


_EXCHANGE_STYLE = Style("#7A828C", "2px,4px", "line-ew")
"""The exchange's own accounts are drawn alike beside any others."""

COMPONENTS = {
    "spread": "#00694E",
    "adverse_selection": "#D55E00",
    "inventory": "#9FD0EE",
    "fees": "#1B1F24",
}
"""Colours of the parts of P&L, as `simlab.analysis.pnl.attribution` names them; also far apart in grey."""


def styles(names: Iterable[str]) -> dict[str, Style]:
    """Return the style of each population (or run), decided by its place among the sorted names.

    Give all populations of a run, not only those that a figure shows, so that a population looks the same
    in every figure; the exchange has a style of its own. Colours repeat after 7 names and dashes after 6, so
    that no two of the first 42 look alike.

    Example
    -------
    >>> styles(["value", "makers"])["makers"].colour
    '#0072B2'
    """
    chosen = {
        name: Style(
            COLOURS[place % len(COLOURS)],
            DASHES[place % len(DASHES)],
            SYMBOLS[place % len(SYMBOLS)],
        )
        for place, name in enumerate(sorted(set(names) - {EXCHANGE}))
    }
    return chosen | {EXCHANGE: _EXCHANGE_STYLE}
