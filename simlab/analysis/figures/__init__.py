"""Draw tables and measures with Plotly: DataFrame in, figure out.

Each function draws one thing, thinned to what a screen can show, in colours that the colour-blind can tell
apart and that also differ by dash, marker or pattern for print in grey. Large tables may be given in batches.

Owns how things look: palette, layout, thinning. May import `compare`, `tables`, `statistics` and
`libraries`.
"""

from __future__ import annotations

from simlab.analysis.figures.agents import SHOWN, attribution, pnl, transfers, wealth
from simlab.analysis.figures.deciders import fallbacks, pnl_by_source, thinking_times
from simlab.analysis.figures.ecology import dynamics
from simlab.analysis.figures.layout import FONT, to_json
from simlab.analysis.figures.market import book_map, price, prices, spread_and_depth, spreads, volume
from simlab.analysis.figures.measures import book_shape, facts_card, forest, pnl_by_run, signature_plot
from simlab.analysis.figures.palette import COLOURS, INK, styles
from simlab.analysis.figures.sweeps import indices, responses, search

__all__ = [
    "COLOURS",
    "FONT",
    "INK",
    "SHOWN",
    "attribution",
    "book_map",
    "book_shape",
    "dynamics",
    "facts_card",
    "fallbacks",
    "forest",
    "indices",
    "pnl",
    "pnl_by_run",
    "pnl_by_source",
    "price",
    "prices",
    "responses",
    "search",
    "signature_plot",
    "spread_and_depth",
    "spreads",
    "styles",
    "thinking_times",
    "to_json",
    "transfers",
    "volume",
    "wealth",
]
