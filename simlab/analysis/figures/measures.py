"""Figures of measures: the book's mean shape, the signature plot, the facts card, estimates side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from simlab.analysis.figures.layout import figure, money_axis, scaled, text
from simlab.analysis.figures.palette import ASK, BID, INK, MUTED, styles
from simlab.analysis.libraries import library
from simlab.analysis.tables import require
from simlab.errors import AnalysisError

__all__ = ["book_shape", "facts_card", "forest", "pnl_by_run", "signature_plot"]

_VERDICTS = {"shown": "#00694e", "not shown": "#a03c00"}


def book_shape(table: pd.DataFrame, *, reference: str = "mid") -> Any:
    """Draw the mean depth against the distance from the mid or from the best price.

    Parameters
    ----------
    table : DataFrame
        ``reference``, ``side``, ``distance`` (ticks), ``depth`` (lots) of one instrument, as
        `simlab.analysis.quality.book_shape` returns it.
    reference : str, optional
        ``mid`` or ``best``.

    Raises
    ------
    AnalysisError
        When the table has no rows of this reference.

    Example
    -------
    >>> table = pd.DataFrame({"reference": "mid", "side": ["bid", "ask"], "distance": 1, "depth": [4.0, 5.0]})
    >>> [trace.x.tolist() for trace in book_shape(table).data]
    [[-1], [1]]
    """
    require(table, ("reference", "side", "distance", "depth"), "book_shape")
    rows = table[table["reference"] == reference].sort_values("distance")
    if rows.empty:
        raise AnalysisError(f"book_shape has no rows with reference {reference!r}; it has best or mid")
    traces = []
    for side, sign, colour, symbol in (("bid", -1, BID, "circle"), ("ask", 1, ASK, "square")):
        half = rows[rows["side"] == side]
        look = {"line": {"color": colour, "width": 1.6}, "marker": {"symbol": symbol, "size": 5}}
        x, y = sign * half["distance"].to_numpy(), half["depth"].to_numpy(float)
        traces.append(
            library("plotly.graph_objects").Scatter(x=x, y=y, mode="lines+markers", name=side, **look)
        )
    return figure(traces, x=f"distance from the {reference} (ticks)", y="mean depth (lots)", height=320)


def signature_plot(table: pd.DataFrame) -> Any:
    """Draw the realised variance against the sampling interval, relative to the shortest.

    Parameters
    ----------
    table : DataFrame
        ``interval`` (steps) and ``ratio``, as `simlab.analysis.quality.signature_plot` returns it.

    Example
    -------
    >>> signature_plot(pd.DataFrame({"interval": [1, 10], "ratio": [1.0, 0.7]})).data[0].y.tolist()
    [1.0, 0.7]
    """
    require(table, ("interval", "ratio"), "signature_plot")
    drawn = library("plotly.graph_objects").Scatter(
        x=table["interval"].to_numpy(),
        y=table["ratio"].to_numpy(float),
        mode="lines+markers",
        name="realised variance",
        line={"color": BID, "width": 1.6},
        marker={"size": 6},
    )
    shown = figure([drawn], x="sampling interval (steps)", y="relative variance (1)", height=320)
    shown.add_hline(y=1, line={"color": MUTED, "dash": "dash", "width": 1})
    return shown.update_xaxes(type="log", dtick=1).update_yaxes(rangemode="tozero")


def facts_card(card: pd.DataFrame) -> Any:
    """Draw the stylised-facts card as a table: one line a fact.

    Parameters
    ----------
    card : DataFrame
        ``fact``, ``estimate``, ``low``, ``high``, ``verdict``, as `simlab.analysis.facts.card` returns it.

    Example
    -------
    >>> card = pd.DataFrame({"fact": ["fat tails"], "estimate": [3.1], "low": [2.6], "high": [3.7],
    ...                      "verdict": ["shown"]})
    >>> list(facts_card(card).data[0].cells["values"][1])
    ['3.1']
    """
    require(card, ("fact", "estimate", "low", "high", "verdict"), "facts card")
    interval = [
        "" if np.isnan(low) else f"{low:.3g} to {high:.3g}"
        for low, high in zip(card["low"].astype(float), card["high"].astype(float), strict=True)
    ]
    estimate = ["" if np.isnan(value) else f"{value:.3g}" for value in card["estimate"].astype(float)]
    verdicts = [str(verdict) for verdict in card["verdict"]]
    colours = [_VERDICTS.get(verdict, MUTED) for verdict in verdicts]
    drawn = library("plotly.graph_objects").Table(
        columnwidth=[3, 1, 2, 2],
        header={
            "values": ["fact", "estimate", "95% interval", "verdict"],
            "align": "left",
            "fill": {"color": "#eef1f5"},
        },
        cells={
            "values": [[text(fact) for fact in card["fact"]], estimate, interval, verdicts],
            "align": "left",
            "height": 26,
            "fill": {"color": "white"},
            "font": {"color": [[INK], [INK], [INK], colours]},
        },
    )
    return figure([drawn], x="", y="", height=110 + 27 * len(card))


def forest(table: pd.DataFrame, *, label: str, x: str) -> Any:
    """Draw estimates with their intervals one below the other, with a line at 0.

    Parameters
    ----------
    table : DataFrame
        The column `label`, ``estimate``, ``low``, ``high`` in one unit.
    label : str
        Column with the names.
    x : str
        Title of the axis, with the unit.

    Example
    -------
    >>> table = pd.DataFrame({"measure": ["spread"], "estimate": [0.4], "low": [0.1], "high": [0.9]})
    >>> forest(table, label="measure", x="effect (1)").data[0].error_x["array"].tolist()
    [0.5]
    """
    require(table, (label, "estimate", "low", "high"), "estimates")
    if table.empty:
        raise AnalysisError("there are no estimates to draw")
    estimate = table["estimate"].to_numpy(float)
    bars = {
        "type": "data",
        "symmetric": False,
        "array": table["high"].to_numpy(float) - estimate,
        "arrayminus": estimate - table["low"].to_numpy(float),
        "thickness": 1.6,
        "width": 5,
    }
    drawn = library("plotly.graph_objects").Scatter(
        x=estimate,
        y=[text(name) for name in table[label]],
        mode="markers",
        marker={"color": BID, "size": 9, "symbol": "square"},
        error_x=bars | {"color": BID},
        showlegend=False,
        name="estimate",
    )
    shown = figure([drawn], x=x, y="", height=110 + 30 * len(table), hovermode="closest")
    shown.add_vline(x=0, line={"color": MUTED, "dash": "dash", "width": 1})
    return shown.update_yaxes(autorange="reversed", type="category")


def pnl_by_run(table: pd.DataFrame, *, money_unit: float | None = None) -> Any:
    """Draw the P&L of each population at the end of several runs, side by side.

    Parameters
    ----------
    table : DataFrame
        ``run``, ``population``, ``total`` (money units): one row a run and population.
    money_unit : float, optional
        What a money unit is in currency; without it P&L stays in money units.

    Example
    -------
    >>> table = pd.DataFrame({"run": ["x", "y"], "population": "a", "total": [1, 2]})
    >>> [trace.name for trace in pnl_by_run(table).data]
    ['x', 'y']
    """
    require(table, ("run", "population", "total"), "P&L by run")
    looks = styles(table["run"].unique())
    traces = []
    for label, rows in table.groupby("run", sort=False):
        marker = {"color": looks[label].colour, "symbol": looks[label].symbol, "size": 11, "opacity": 0.9}
        traces.append(
            library("plotly.graph_objects").Scatter(
                x=scaled(rows["total"], money_unit),
                y=[text(name) for name in rows["population"]],
                mode="markers",
                name=text(label),
                marker=marker,
            )
        )
    names = table["population"].nunique()
    drawn = figure(
        traces, x=f"P&L ({money_axis(money_unit)})", y="", height=170 + 44 * names, hovermode="closest"
    )
    return drawn.update_yaxes(type="category")
