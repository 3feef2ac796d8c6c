"""Figures of who earned what: P&L over time, what it is made of, who pays whom, how it is spread."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.figures.layout import figure, money_axis, scaled, text
from simlab.analysis.figures.palette import COMPONENTS, INK, styles
from simlab.analysis.figures.thinning import thin
from simlab.analysis.libraries import library
from simlab.analysis.tables import require
from simlab.errors import AnalysisError

__all__ = ["SHOWN", "attribution", "boxes", "by_name", "most", "parts_of_total", "pnl", "transfers", "wealth"]

SHOWN = 12
"""Populations that one figure shows at most; those with the largest absolute P&L are taken."""


def most(table: pd.DataFrame, by: str, column: str = "total", shown: int = SHOWN) -> list[str]:
    """Return the names with the largest last absolute values in `column`, in order of the names.

    Example
    -------
    >>> most(pd.DataFrame({"population": ["a", "b"], "total": [1, -5]}), "population", shown=1)
    ['b']
    """
    last = table.groupby(by, observed=True)[column].last().abs()
    return sorted(last.nlargest(shown).index)


def pnl(
    table: pd.DataFrame,
    *,
    by: str = "population",
    money_unit: float | None = None,
    styled: Iterable[str] | None = None,
) -> Any:
    """Draw the P&L of each population over time.

    Parameters
    ----------
    table : DataFrame
        ``step``, the column `by` and ``total`` (money units), as `simlab.analysis.pnl.pnl` returns it.
    by : str, optional
        ``population`` or ``agent``.
    money_unit : float, optional
        What a money unit is in currency; without it P&L stays in money units.
    styled : iterable of str, optional
        All names of the run, so that colours are those of its other figures; those in the table by default.

    Returns
    -------
    plotly.graph_objects.Figure
        Of the 12 with the largest absolute P&L at most.

    Raises
    ------
    AnalysisError
        When the table is empty.

    Example
    -------
    >>> table = pd.DataFrame({"step": [0, 0, 1, 1], "population": ["a", "b"] * 2, "total": [1, -1, 2, -2]})
    >>> [trace.name for trace in pnl(table).data]
    ['a', 'b']
    """
    _require_rows(table, ("step", by, "total"), "pnl")
    looks = styles(table[by].unique() if styled is None else styled)
    traces = []
    for name in most(table, by):
        rows = table[table[by] == name]
        steps, total = rows["step"].to_numpy(np.int64), rows["total"].to_numpy(float)
        kept = thin(steps, total)
        traces.append(
            library("plotly.graph_objects").Scatter(
                x=steps[kept],
                y=scaled(total[kept], money_unit),
                mode="lines",
                name=text(name),
                line={"color": looks[name].colour, "dash": looks[name].dash, "width": 2},
            )
        )
    return figure(traces, x="step", y=f"P&L ({money_axis(money_unit)})", height=380)


def attribution(table: pd.DataFrame, *, by: str = "population", money_unit: float | None = None) -> Any:
    """Draw what the P&L of each population is made of: bars that add up to the marked total.

    Parameters
    ----------
    table : DataFrame
        The column `by`, ``spread``, ``adverse_selection``, ``inventory``, ``fees``, ``total`` (money units),
        as `simlab.analysis.pnl.attribution` returns it.
    by, money_unit
        As for `pnl`.

    Example
    -------
    >>> table = pd.DataFrame({"population": ["a"], "spread": [5], "adverse_selection": [-3], "inventory": [1],
    ...                       "fees": [-1], "total": [2]})
    >>> [trace.name for trace in attribution(table).data]
    ['spread', 'adverse selection', 'inventory', 'fees', 'total']
    """
    _require_rows(table, (by, *COMPONENTS, "total"), "attribution")
    rows = table[table[by].isin(most(table, by))].sort_values("total")
    parts = {part.replace("_", " "): (rows[part], colour) for part, colour in COMPONENTS.items()}
    return parts_of_total(parts, rows["total"], [str(name) for name in rows[by]], money_unit)


def parts_of_total(
    parts: dict[str, tuple[pd.Series, str]], total: pd.Series, names: list[str], money_unit: float | None
) -> Any:
    """Draw parts of P&L, each with its colour, as bars that add up to the marked total, one name a row."""
    go, shown = library("plotly.graph_objects"), [text(name) for name in names]
    traces = [
        go.Bar(
            x=scaled(values, money_unit),
            y=shown,
            orientation="h",
            name=part,
            marker={"color": colour, "line": {"color": "white", "width": 1}},
        )
        for part, (values, colour) in parts.items()
    ]
    marker = {"symbol": "diamond", "size": 11, "color": "white", "line": {"color": INK, "width": 2}}
    x = scaled(total, money_unit)
    traces.append(go.Scatter(x=x, y=shown, mode="markers", name="total", marker=marker))
    drawn = by_name(traces, f"P&L ({money_axis(money_unit)})", len(names))
    return drawn.update_layout(barmode="relative", bargap=0.35)


def transfers(matrix: pd.DataFrame, *, money_unit: float | None = None) -> Any:
    """Draw who earned from whom: the population of the row earned so much from that of the column.

    Parameters
    ----------
    matrix : DataFrame
        Money units; index and columns are names, as `simlab.analysis.pnl.transfers` returns it.
    money_unit : float, optional
        As for `pnl`.

    Example
    -------
    >>> matrix = pd.DataFrame([[0, 3], [-3, 0]], index=["a", "b"], columns=["a", "b"])
    >>> transfers(matrix).data[0].z.tolist()
    [[0.0, 3.0], [-3.0, 0.0]]
    """
    turned_over = matrix.abs().sum(axis=1)
    names = sorted(turned_over[turned_over > 0].nlargest(SHOWN).index)
    if not names:
        raise AnalysisError("there are no transfers to draw: nobody earned from another")
    values = scaled(matrix.loc[names, names], money_unit)
    limit = float(np.abs(values).max())
    heat = library("plotly.graph_objects").Heatmap(
        x=[text(name) for name in names],
        y=[text(name) for name in names],
        z=values,
        zmin=-limit,
        zmax=limit,
        colorscale=[[0.0, "#D55E00"], [0.5, "#ffffff"], [1.0, "#0072B2"]],
        texttemplate="%{z:,.0f}",
        xgap=2,
        ygap=2,
        showscale=False,
        hovertemplate="%{y} from %{x}: %{z:,.2f}<extra></extra>",
    )
    drawn = by_name([heat], f"earned from ({money_axis(money_unit)})", len(names))
    drawn.update_yaxes(autorange="reversed", showgrid=False)
    return drawn.update_xaxes(showgrid=False, zeroline=False, type="category")


def wealth(
    board: pd.DataFrame, *, money_unit: float | None = None, styled: Iterable[str] | None = None
) -> Any:
    """Draw how the P&L of agents is spread within each population.

    Boxes hold the middle half of the agents, their line is the median, whiskers reach from the 5th to the
    95th percentile, the dashed line is the mean.

    Parameters
    ----------
    board : DataFrame
        One row an agent: ``population``, ``total`` (money units), as `simlab.analysis.pnl.leaderboard`
        returns it.
    money_unit, styled
        As for `pnl`.

    Example
    -------
    >>> board = pd.DataFrame({"population": ["a", "a", "b"], "total": [1, 3, -4]})
    >>> [list(trace.median) for trace in wealth(board).data]
    [[-4.0], [2.0]]
    """
    _require_rows(board, ("population", "total"), "leaderboard")
    sums = board.groupby("population", observed=True)["total"].agg(lambda it: it.abs().max())
    groups = {
        name: scaled(board.loc[board["population"] == name, "total"], money_unit)
        for name in sorted(sums.nlargest(SHOWN).index)
    }
    named = board["population"].unique() if styled is None else styled
    return boxes(groups, f"P&L of an agent ({money_axis(money_unit)})", named)


def boxes(groups: dict[str, NDArray[np.float64]], x: str, styled: Iterable[str]) -> Any:
    """Draw how values are spread within each group, the first on top; see `wealth` for the boxes."""
    looks, traces = styles(styled), []
    for name, values in reversed(groups.items()):
        low, first, middle, third, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
        traces.append(
            library("plotly.graph_objects").Box(
                y=[text(name)],
                q1=[first],
                median=[middle],
                q3=[third],
                lowerfence=[low],
                upperfence=[high],
                mean=[values.mean()],
                boxmean=True,
                orientation="h",
                name=text(name),
                line={"color": looks[name].colour, "width": 2},
                showlegend=False,
            )
        )
    return by_name(traces, x, len(groups))


def by_name(traces: list[Any], x: str, names: int) -> Any:
    """Return a figure with one name a row and no title on the axis of names."""
    drawn = figure(traces, x=x, y="", height=150 + 44 * names, hovermode="closest")
    return drawn.update_yaxes(showgrid=False, type="category")


def _require_rows(table: pd.DataFrame, columns: Iterable[str], name: str) -> None:
    require(table, columns, name)
    if table.empty:
        raise AnalysisError(f"{name} has no rows, so there is nothing to draw: nobody traded")
