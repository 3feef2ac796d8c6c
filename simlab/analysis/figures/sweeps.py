"""Figures of a sweep: how measures answer to a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from simlab.analysis.figures.layout import panels, text
from simlab.analysis.figures.palette import styles
from simlab.analysis.libraries import library
from simlab.analysis.statistics import mean_interval
from simlab.errors import AnalysisError

__all__ = ["responses"]

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
