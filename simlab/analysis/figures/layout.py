"""What all figures share: fonts, grid, units on axes, and text that cannot become markup."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simlab.analysis.figures.palette import INK, MUTED
from simlab.analysis.libraries import library

__all__ = ["FONT", "figure", "money_axis", "panels", "price_axis", "scaled", "text", "to_json"]

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_GRID = "#e3e7ec"
_AXIS = {
    "gridcolor": _GRID,
    "linecolor": "#aab2bd",
    "showline": True,
    "ticks": "outside",
    "tickcolor": "#aab2bd",
    "zerolinecolor": "#aab2bd",
    "zerolinewidth": 1,
    "automargin": True,
}


def figure(traces: list[Any], *, x: str, y: str, height: int = 360, **layout: Any) -> Any:
    """Return a figure of these traces with axis titles `x` and `y`; `layout` is put on top."""
    go = library("plotly.graph_objects")
    drawn = go.Figure(traces)
    _style(drawn, height, layout)
    drawn.update_xaxes(title_text=x)
    drawn.update_yaxes(title_text=y)
    return drawn


def panels(titles: list[str], *, x: str, height: int = 460, **layout: Any) -> Any:
    """Return an empty figure of panels one above the other over one x axis; `titles` are the y axes'."""
    subplots = library("plotly.subplots")
    drawn = subplots.make_subplots(rows=len(titles), cols=1, shared_xaxes=True, vertical_spacing=0.07)
    _style(drawn, height, layout)
    for row, title in enumerate(titles, 1):
        drawn.update_yaxes(title_text=title, row=row)
    drawn.update_xaxes(title_text=x, row=len(titles))
    return drawn


def _style(drawn: Any, height: int, layout: dict[str, Any]) -> None:
    drawn.update_layout(
        template="none",
        height=height,
        margin={"l": 64, "r": 16, "t": 40, "b": 48},
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "xanchor": "left",
            "yanchor": "bottom",
            "traceorder": "normal",
        },
        hovermode="x unified",
        hoverlabel={"font": {"family": FONT, "size": 12}},
        colorway=[MUTED],
    )
    drawn.update_layout(**layout)
    drawn.update_xaxes(**_AXIS)
    drawn.update_yaxes(**_AXIS)


def text(value: object) -> str:
    """Return text as Plotly shows it letter by letter, though it draws a part of HTML."""
    return html.escape(str(value), quote=False)


def scaled(values: ArrayLike, unit: float | None) -> NDArray[np.float64]:
    """Return the values as float64, times the unit if there is one."""
    return np.asarray(values, float) * (1.0 if unit is None else unit)


def price_axis(price_unit: float | None) -> str:
    """Return the unit of prices for an axis title."""
    return "price units" if price_unit is None else "currency"


def money_axis(money_unit: float | None) -> str:
    """Return the unit of money for an axis title."""
    return "money units" if money_unit is None else "currency"


def to_json(drawn: Any) -> str:
    """Return a figure as JSON that may stand inside a script element of a page.

    Example
    -------
    >>> import plotly.graph_objects as go
    >>> "</" in to_json(go.Figure(layout={"meta": "</script>"}))
    False
    """
    return drawn.to_json().translate(str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}))
