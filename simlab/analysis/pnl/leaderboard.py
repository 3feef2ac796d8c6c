"""Rank agents by what they earned, with what tells how they came by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.pnl.fills import MAX_CELLS, T_MULTIPLIER, Fills
from simlab.analysis.pnl.ledger import (
    A_FILLS,
    A_MAKER_VOLUME,
    A_NOTIONAL,
    A_VOLUME,
    P_INVENTORY,
    Ledger,
    grid_of,
    walk,
)
from simlab.analysis.pnl.performance import inventory_half_life, max_drawdown, sharpe, turnover
from simlab.analysis.tables import EXCHANGE, Frames

__all__ = ["leaderboard"]

_GRID_POINTS = 500
_SERIES = 3


@dataclass(frozen=True)
class _Series:
    """What every account had at each step of the grid, (points, accounts) float64, money units.

    `pnl` since the start; the positions' absolute value; their value at initial prices, which moves with
    inventory only; and at the last point the parts of P&L in half money units, (accounts, 5) int64.
    """

    pnl: NDArray[np.float64]
    value: NDArray[np.float64]
    inventory: NDArray[np.float64]
    end: NDArray[np.int64]


def leaderboard(
    trades: Frames,
    quotes: Frames,
    agents: pd.DataFrame,
    instruments: pd.DataFrame,
    accounts: Frames | None = None,
    *,
    every: int | None = None,
) -> pd.DataFrame:
    """Return every agent with its P&L and how it came by it, best first.

    Sharpe ratio, drawdown, half-life and turnover are taken from values at every `every` th step, and depend
    on that distance. The exchange's own accounts, which receive fees, are left out.

    Parameters
    ----------
    trades, quotes : Frames
        In order of steps; read once, in bounded memory.
    agents, instruments : DataFrame
        `agents` may have the column ``strategy``.
    accounts : Frames, optional
        Tells the inventory at the start and the closing marks; see `simlab.analysis.pnl.pnl`.
    every : int, optional
        Steps. By default the run is cut into about 500 parts, fewer with more than 30,000 agents.

    Returns
    -------
    DataFrame
        ``rank`` (from 1; who earned the same has the same), ``agent``, ``population``, ``strategy``; in money
        units ``total``, ``realised`` (before fees), ``unrealised``, ``fees`` (paid less rebates); ``sharpe``,
        ``max_drawdown`` (money units), ``turnover``, ``inventory_half_life`` (steps; of the positions' value
        at initial prices when there are several instruments), as `simlab.analysis.pnl` defines them;
        ``maker_share`` (of the volume, 0 to 1; NaN without fills), ``fills`` and ``volume`` (lots). Ordered
        by total, then by name. The distance in steps is in ``attrs["every"]``.

    Raises
    ------
    AnalysisError
        When a table lacks a column or contradicts another.

    Example
    -------
    >>> import simlab
    >>> simlab.open("runs/quickstart-1").leaderboard().head()  # doctest: +SKIP
    """
    source = Fills(trades, quotes, agents, instruments, accounts)
    points = min(_GRID_POINTS, MAX_CELLS // (_SERIES * max(1, len(source.agents))))
    grid = grid_of(source.steps, every, points)
    every = int(grid[0]) + 1
    ledger = Ledger(source)
    series = _series(source, ledger, grid)
    table = _table(source, ledger, series, every)
    contest = table[table["population"] != EXCHANGE]
    contest = contest.sort_values(["total", "agent"], ascending=[False, True], ignore_index=True)
    contest.insert(0, "rank", contest["total"].rank(method="min", ascending=False).astype(np.int64))
    contest.attrs["every"] = every
    return contest


def _series(source: Fills, ledger: Ledger, grid: NDArray[np.int64]) -> _Series:
    pnl, value, inventory = (np.zeros((len(grid), len(source.agents))) for _ in range(_SERIES))
    for k, step in enumerate(walk(source, ledger, grid)):
        marks = source.closing_marks if k == len(grid) - 1 else source.marks(step)
        parts = ledger.snapshot(marks)
        held = ledger.positions[:, :, P_INVENTORY] * source.terms[:, T_MULTIPLIER]
        pnl[k] = (parts[:, 0] + parts[:, 1]) / 2
        value[k] = (np.abs(held) @ np.abs(marks)) / 2
        inventory[k] = (held @ source.initial_marks) / 2
    return _Series(pnl, value, inventory, parts)


def _table(source: Fills, ledger: Ledger, series: _Series, every: int) -> pd.DataFrame:
    agents, counts = source.agents, ledger.accounts
    even = slice(source.steps // every)  # the last part of the run may be shorter
    share = np.full(len(agents), np.nan)
    np.divide(counts[:, A_MAKER_VOLUME], counts[:, A_VOLUME], out=share, where=counts[:, A_VOLUME] > 0)
    columns = {"agent": agents["name"], "population": agents["population"]}
    columns |= {"strategy": agents["strategy"]} if "strategy" in agents else {}
    realised, unrealised, fees = (series.end[:, c] / 2 for c in (2, 3, 4))
    return pd.DataFrame(
        columns
        | {
            "total": series.pnl[-1],
            "realised": realised,
            "unrealised": unrealised,
            "fees": fees,
            "sharpe": sharpe(series.pnl[even]),
            "max_drawdown": max_drawdown(series.pnl),
            "turnover": turnover(counts[:, A_NOTIONAL], series.value),
            "inventory_half_life": inventory_half_life(series.inventory[even], every),
            "maker_share": share,
            "fills": counts[:, A_FILLS],
            "volume": counts[:, A_VOLUME],
        }
    )
