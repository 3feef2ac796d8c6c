"""Figures of a tournament: how shares of strategies change where those that earn more grow."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simlab.analysis.figures.layout import figure, text
from simlab.analysis.figures.palette import INK, MUTED, styles
from simlab.analysis.libraries import library

__all__ = ["Shares", "dynamics"]

_GRID = 8
"""Paths of a simplex begin at all shares of so many parts that leave no strategy out."""
_SHAPES = {True: "circle", False: "circle-open"}


class Rest(Protocol):
    """Shares that do not change, ``(strategies,)``, and whether a small push dies out."""

    @property
    def mixture(self) -> NDArray[np.float64]: ...
    @property
    def stable(self) -> bool: ...


class Shares(Protocol):
    """What is drawn: where shares of strategies go, and where they rest (`simlab.analysis.compare.Game`)."""

    def path(self, start: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return times, ``(n,)``, and shares, ``(n, strategies)``, from a beginning."""

    def equilibria(self) -> Sequence[Rest]:
        """Return where shares rest."""


def dynamics(game: Shares, names: list[str]) -> Any:
    """Draw the replicator dynamics: paths in a triangle for three strategies, else shares over time.

    In the triangle, a corner is a market of one strategy, dots are equilibria: filled where small pushes die
    out. Shares over time begin from equal ones.

    Parameters
    ----------
    game : Shares
        A `simlab.analysis.compare.Game`.
    names : list of str
        Of the strategies.

    Example
    -------
    >>> from simlab.analysis.compare import Game, profiles
    >>> game = Game(profiles(2, 2), np.array([[-1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]))
    >>> [trace.name for trace in dynamics(game, ["hawk", "dove"]).data]
    ['hawk', 'dove']
    """
    return _triangle(game, names) if len(names) == 3 else _over_time(game, names)


def _over_time(game: Shares, names: list[str]) -> Any:
    times, shares = game.path(np.full(len(names), 1 / len(names)))
    looks = styles(names)
    lines = [
        library("plotly.graph_objects").Scatter(
            x=times, y=shares[:, i], mode="lines", name=text(name),
            line={"color": looks[name].colour, "dash": looks[name].dash, "width": 2},
        )
        for i, name in enumerate(names)
    ]  # fmt: skip
    drawn = figure(lines, x="time (1 / range of payoffs)", y="share")
    return drawn.update_yaxes(range=[-0.02, 1.02]).update_xaxes(range=[0, _until(times, shares)])


def _until(times: NDArray[np.float64], shares: NDArray[np.float64]) -> float:
    """Return the time when nothing moves any more, and a fifth."""
    moving = np.flatnonzero(np.abs(shares - shares[-1]).max(axis=1) > 0.002)
    return float(min(times[-1], 1.2 * times[moving[-1]] if len(moving) else 1.0))


def _triangle(game: Shares, names: list[str]) -> Any:
    lines = library("plotly.graph_objects").Scatterternary
    starts = [np.array(it) / _GRID for it in itertools.product(range(1, _GRID), repeat=3) if sum(it) == _GRID]
    traces = []
    for start in starts:
        _, way = game.path(start)
        traces.append(_path(lines, way))
        traces.append(_arrow(lines, way))
    for stable in (True, False):
        rests = [it for it in game.equilibria() if it.stable is stable]
        if rests:
            a, b, c = np.array([it.mixture for it in rests]).T
            mark = {"color": INK, "size": 13, "symbol": _SHAPES[stable], "line": {"color": INK, "width": 2}}
            name = "equilibrium, stable" if stable else "equilibrium, not stable"
            traces.append(lines(a=a, b=b, c=c, mode="markers", name=name, marker=mark, cliponaxis=False))
    drawn = figure(traces, x="", y="", height=520, hovermode="closest")
    axes = {
        axis: {"title": {"text": text(name)}, "min": 0, "gridcolor": "#e3e7ec", "linecolor": "#aab2bd"}
        for axis, name in zip(("aaxis", "baxis", "caxis"), names, strict=True)
    }
    return drawn.update_layout(ternary={"sum": 1, "bgcolor": "white", **axes})


def _path(lines: Any, way: NDArray[np.float64]) -> Any:
    a, b, c = way.T
    look = {"color": MUTED, "width": 1.1}
    return lines(a=a, b=b, c=c, mode="lines", line=look, showlegend=False, hoverinfo="skip")


def _arrow(lines: Any, way: NDArray[np.float64]) -> Any:
    """Return an arrowhead that shows where a path goes, on a third of its length."""
    gone = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    at = int(min(max(1, np.searchsorted(gone, gone[-1] / 3)), len(way) - 1))
    a, b, c = way[at - 1 : at + 1].T
    mark = {"symbol": "arrow", "angleref": "previous", "size": [0, 9], "color": MUTED}
    return lines(a=a, b=b, c=c, mode="markers", marker=mark, showlegend=False, hoverinfo="skip")
