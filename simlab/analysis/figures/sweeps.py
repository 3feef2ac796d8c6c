"""Figures of a sweep: how measures answer to a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from simlab.analysis.figures.layout import figure, panels, text
from simlab.analysis.figures.palette import COLOURS, styles
from simlab.analysis.libraries import library
from simlab.analysis.statistics import mean_interval
from simlab.errors import AnalysisError

__all__ = ["indices", "responses", "search"]

_BINS = 10


def responses(runs: pd.DataFrame, parameter: str, measures: Sequence[str]) -> Any:
    """Draw the mean of measures against a parameter, with 95% intervals over runs, a line a treatment.

    A parameter of more than twelve values is cut into ten parts with as many runs each.

    Parameters
    ----------
    runs : DataFrame
        One row a run: `parameter`, ``treatment`` and the measures.
    parameter : str
    measures : sequence of str
        One panel each, one below the other.

    Example
    -------
    >>> runs = pd.DataFrame({"tick": [1, 1, 5, 5], "treatment": "", "spread": [1.0, 2.0, 3.0, 4.0]})
    >>> responses(runs, "tick", ["spread"]).data[0].y
    (1.5, 3.5)
    """
    if not len(runs) or not measures:
        raise AnalysisError(f"there are no runs to draw against {parameter}")
    places, labels = _places(runs[parameter])
    drawn = panels([text(name) for name in measures], x=text(parameter), height=120 + 170 * len(measures))
    looks = styles(runs["treatment"].unique())
    for treatment, group in runs.assign(_place=places).groupby("treatment", sort=True):
        for row, measure in enumerate(measures, 1):
            x, mean, up, down = _means(group, measure)
            trace = library("plotly.graph_objects").Scatter(
                x=[labels[it] for it in x],
                y=mean,
                mode="lines+markers",
                name=text(treatment or "mean"),
                legendgroup=text(treatment),
                showlegend=row == 1 and bool(treatment),
                line={"color": looks[treatment].colour, "dash": looks[treatment].dash, "width": 1.6},
                marker={"symbol": looks[treatment].symbol, "size": 7},
                error_y={"type": "data", "symmetric": False, "array": up, "arrayminus": down, "width": 4},
            )
            drawn.add_trace(trace, row=row, col=1)
    return drawn.update_layout(hovermode="closest")


def _places(values: pd.Series) -> tuple[pd.Series, list[Any]]:
    """Return the place of each run on the axis, and what stands at each place."""
    levels = values.dropna().unique()
    if len(levels) > 12:
        cut, edges = pd.qcut(values.astype(float), _BINS, labels=False, retbins=True, duplicates="drop")
        return cut, [float(it) for it in (edges[:-1] + edges[1:]) / 2]
    numbers = all(isinstance(it, int | float | np.number) for it in levels)
    ordered = sorted(levels) if numbers else list(levels)
    return values.map({it: i for i, it in enumerate(ordered)}), [it if numbers else str(it) for it in ordered]


def _means(group: pd.DataFrame, measure: str) -> tuple[list[int], list[float], list[float], list[float]]:
    """Return places, means, and how far the intervals reach up and down."""
    x, mean, up, down = [], [], [], []
    for place, values in group.dropna(subset=[measure]).groupby("_place")[measure]:
        centre, low, high = mean_interval(values) if len(values) > 1 else (float(values.iloc[0]),) * 3
        x.append(int(place))
        mean.append(centre)
        up.append(high - centre)
        down.append(centre - low)
    return x, mean, up, down


def indices(table: pd.DataFrame, measure: str) -> Any:
    """Draw the Sobol or Morris indices of a measure, a bar a parameter, with 95% intervals.

    Parameters
    ----------
    table : DataFrame
        As `simlab.analysis.compare.sensitivity` returns it.
    measure : str

    Example
    -------
    >>> table = pd.DataFrame({"measure": "spread", "parameter": ["tick"], "first": 0.5, "first_half": 0.1,
    ...                       "total": 0.6, "total_half": 0.1})
    >>> [bar.name for bar in indices(table, "spread").data]
    ['alone (first order)', 'with all others (total)']
    """
    rows = table[table["measure"] == measure]
    kinds = [("mu_star", "mean absolute effect")]
    if "first" in table:
        kinds = [("first", "alone (first order)"), ("total", "with all others (total)")]
    bars = [
        library("plotly.graph_objects").Bar(
            y=[text(name) for name in rows["parameter"]],
            x=rows[column].to_numpy(float),
            error_x={"type": "data", "array": rows[f"{column}_half"].to_numpy(float)},
            orientation="h",
            name=name,
            marker={"color": colour, "pattern": {"shape": shape}},
        )
        for (column, name), colour, shape in zip(kinds, COLOURS, ("", "/"), strict=False)
    ]
    unit = "share of the variance" if "first" in table else f"effect on {measure} over the whole range"
    drawn = figure(bars, x=text(unit), y="", height=120 + 60 * len(rows), hovermode="closest")
    return drawn.update_yaxes(autorange="reversed", type="category")


def search(trials: pd.DataFrame, parameters: Sequence[str]) -> Any:
    """Draw a search: the loss trial by trial with the best so far, and the loss against each parameter.

    Parameters
    ----------
    trials : DataFrame
        ``trial``, ``loss`` and the parameters; trials that failed have an ``error`` and are left out.
    parameters : sequence of str

    Example
    -------
    >>> trials = pd.DataFrame({"trial": [0, 1], "loss": [2.0, 1.0], "tick": [1, 5], "error": None})
    >>> search(trials, ["tick"]).data[1].y
    (2.0, 1.0)
    """
    go, known = library("plotly.graph_objects"), trials[trials["error"].isna()]
    titles = ["trial", *(text(name) for name in parameters)]
    drawn = library("plotly.subplots").make_subplots(
        rows=len(titles), cols=1, vertical_spacing=0.4 / (len(titles) + 1)
    )
    look = {"mode": "markers", "marker": {"color": COLOURS[0], "size": 6}, "showlegend": False}
    drawn.add_trace(go.Scatter(x=known["trial"], y=known["loss"], **look), row=1, col=1)
    best = go.Scatter(
        x=known["trial"],
        y=known["loss"].cummin().tolist(),
        mode="lines",
        line={"color": COLOURS[1], "shape": "hv"},
        name="best so far",
    )
    drawn.add_trace(best, row=1, col=1)
    for row, name in enumerate(parameters, 2):
        values = [it if isinstance(it, int | float | np.number) else str(it) for it in known[name]]
        drawn.add_trace(go.Scatter(x=values, y=known["loss"], **look), row=row, col=1)
    for row, title in enumerate(titles, 1):
        drawn.update_xaxes(title_text=title, row=row, col=1)
        drawn.update_yaxes(title_text="loss (squared scales)", type="log", row=row, col=1)
    return drawn.update_layout(template="none", height=260 * len(titles), title="Search")
