"""Figures of who decided: what decisions earned by source, why some were passed on, how long they took."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from simlab.analysis.figures.agents import SHOWN, boxes, parts_of_total
from simlab.analysis.figures.layout import figure, text
from simlab.analysis.figures.palette import COMPONENTS, styles
from simlab.analysis.figures.thinning import RangeMeans
from simlab.analysis.libraries import library
from simlab.analysis.tables import require
from simlab.errors import AnalysisError

__all__ = ["fallbacks", "pnl_by_source", "thinking_times"]

_KINDS = 7
"""Reasons of fallbacks with a colour of their own; the most frequent are taken."""


def pnl_by_source(table: pd.DataFrame, *, money_unit: float | None = None) -> Any:
    """Draw what each population earned by whose decisions: bars that add up to the marked total.

    Parameters
    ----------
    table : DataFrame
        ``population``, ``source``, ``markout``, ``gain``, ``fees``, ``total`` (money units), as
        `simlab.analysis.pnl.pnl_by_source` returns it. Without mark-outs (NaN) the gain is one bar.
    money_unit : float, optional
        What a money unit is in currency; without it P&L stays in money units.

    Raises
    ------
    AnalysisError
        When the table is empty.

    Example
    -------
    >>> table = pd.DataFrame({"population": ["a"], "source": ["llm"], "markout": [2], "gain": [5]})
    >>> table = table.assign(fees=1, total=4)
    >>> [(trace.name, trace.x.tolist()) for trace in pnl_by_source(table).data]
    [('mark-out', [2.0]), ('afterwards', [3.0]), ('fees', [-1.0]), ('total', [4.0])]
    """
    require(table, ("population", "source", "markout", "gain", "fees", "total"), "P&L by source")
    if table.empty:
        raise AnalysisError("P&L by source has no rows, so there is nothing to draw: nobody traded")
    rows = table.iloc[table["total"].abs().argsort(kind="stable")[-SHOWN:]].sort_index(ascending=False)
    early = rows["markout"].fillna(0.0)
    parts = {
        "mark-out": (early, COMPONENTS["spread"]),
        "afterwards": (rows["gain"] - early, COMPONENTS["inventory"]),
        "fees": (-rows["fees"], COMPONENTS["fees"]),
    }
    names = [f"{it.population}: {it.source}" for it in rows.itertuples()]
    return parts_of_total(parts, rows["total"], names, money_unit)


def fallbacks(table: pd.DataFrame, *, steps: int, bars: int = 60) -> Any:
    """Draw how often decisions were passed on over time, by the reason.

    Parameters
    ----------
    table : DataFrame
        One row a time that a decision was passed on: ``step``, ``why``.
    steps : int
        Steps of the run.
    bars : int, optional
        Bars at most.

    Raises
    ------
    AnalysisError
        When nothing was passed on.

    Example
    -------
    >>> table = pd.DataFrame({"step": [0, 1, 1], "why": ["llm timeout", "llm timeout", "llm refusal"]})
    >>> [(trace.name, trace.y.tolist()) for trace in fallbacks(table, steps=2).data]
    [('llm timeout', [1.0, 1.0]), ('llm refusal', [0.0, 1.0])]
    """
    require(table, ("step", "why"), "fallbacks")
    if table.empty:
        raise AnalysisError("there are no fallbacks to draw: no decision was passed on")
    kinds = list(table["why"].value_counts().index)
    shown = table["why"].where(table["why"].isin(kinds[:_KINDS]), "other")
    order = [it for it in [*kinds[:_KINDS], "other"] if (shown == it).any()]
    sums = RangeMeans(steps, bars)
    counts = {f"kind {place}": (shown == it).to_numpy(float) for place, it in enumerate(order)}
    sums.add(table["step"].to_numpy(np.int64), **counts)
    rows, looks = sums.sums(), styles(order)
    traces = [
        library("plotly.graph_objects").Bar(
            x=rows["step"].to_numpy(),
            y=rows[column].to_numpy(),
            width=sums.width,
            offset=0,
            name=text(it),
            marker={"color": looks[it].colour},
            showlegend=True,
        )
        for it, column in zip(order, counts, strict=True)
    ]
    each = "step" if sums.width == 1 else f"{sums.width:,} steps"
    return figure(traces, x="step", y=f"fallbacks per {each}", height=320, barmode="stack")


def thinking_times(table: pd.DataFrame) -> Any:
    """Draw how long decisions took, by population.

    Parameters
    ----------
    table : DataFrame
        One row a decision: ``population``, ``ms``; those without a time (NaN) are left out.

    Raises
    ------
    AnalysisError
        When no time is known.

    Example
    -------
    >>> table = pd.DataFrame({"population": ["a", "a", "b"], "ms": [1000, 3000, float("nan")]})
    >>> [list(trace.median) for trace in thinking_times(table).data]
    [[2.0]]
    """
    require(table, ("population", "ms"), "decisions")
    known = table[table["ms"].notna()]
    if known.empty:
        raise AnalysisError("no decision says how long it took")
    seconds = known["ms"].to_numpy(float) / 1e3
    names = known["population"].astype(str).to_numpy()
    groups = {name: seconds[names == name] for name in sorted(set(names))[:SHOWN]}
    return boxes(groups, "time of a decision (s)", table["population"].astype(str).unique())
