"""Say what agents earned over time: realised, unrealised, fees."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simlab.analysis.pnl.fills import MAX_CELLS, Fills, group_accounts
from simlab.analysis.pnl.ledger import Ledger, grid_of, walk
from simlab.analysis.tables import Frames
from simlab.errors import AnalysisError

__all__ = ["pnl"]

_COLUMNS = ("cash", "inventory_value", "realised", "unrealised", "fees")


def pnl(
    trades: Frames,
    quotes: Frames,
    agents: pd.DataFrame,
    instruments: pd.DataFrame,
    accounts: Frames | None = None,
    *,
    by: str = "population",
    every: int | None = None,
) -> pd.DataFrame:
    """Return profit and loss over time, realised and unrealised, cumulative since the start.

    Positions are marked at the last known mid; at the end of the run at the mark of the table `accounts`, if
    it is given and goes on to the end. Realised P&L follows average cost: closing a part of a position takes
    out that part of its cost, rounded down, as the ledger does.

    Parameters
    ----------
    trades, quotes : Frames
        In order of steps; read once, in bounded memory.
    agents, instruments : DataFrame
    accounts : Frames, optional
        Tells the inventory at the start (the first sample less the fills up to it), valued at the initial
        price. Without it everybody starts with none.
    by : {"population", "agent"}
    every : int, optional
        Distance of the rows in steps; the last step always has one. By default about 500 rows for each.

    Returns
    -------
    DataFrame
        ``step``; ``population`` or ``agent`` (categorical); and in money units, float64: ``cash`` and
        ``inventory_value`` (their changes since the start), ``realised`` (before fees), ``unrealised``,
        ``fees`` (paid less rebates), ``total``. Ordered by step, then as in the table agents.

    Raises
    ------
    AnalysisError
        When a table lacks a column or contradicts another, or the result would have more than 50 million
        cells.

    Example
    -------
    >>> trades = pd.DataFrame({"step": [1], "instrument": 0, "price": 101, "quantity": 2,
    ...                        "aggressor_side": "buy", "taker_account": 0, "maker_account": 1})
    >>> quotes = pd.DataFrame({"step": [0, 1, 2], "instrument": 0, "best_bid": [99, 99, 101],
    ...                        "best_ask": [101, 103, 103]})
    >>> agents = pd.DataFrame({"account": [0, 1], "name": ["a", "b"], "population": ["takers", "makers"]})
    >>> instruments = pd.DataFrame({"instrument": [0], "name": ["ACME"], "initial_price": [100],
    ...                             "multiplier": [1], "maker_fee_ppm": [0], "taker_fee_ppm": [0]})
    >>> pnl(trades, quotes, agents, instruments)[["step", "population", "total"]].values.tolist()[2:]
    [[1, 'takers', 0.0], [1, 'makers', 0.0], [2, 'takers', 2.0], [2, 'makers', -2.0]]
    """
    groups = group_accounts(agents, by)
    source = Fills(trades, quotes, agents, instruments, accounts)
    grid = grid_of(source.steps, every)
    _require_room(len(grid), len(groups.names), by)
    ledger = Ledger(source)
    halves = np.zeros((len(grid), len(groups.names), len(_COLUMNS)), np.int64)
    for k, step in enumerate(walk(source, ledger, grid)):
        marks = source.closing_marks if k == len(grid) - 1 else source.marks(step)
        halves[k] = groups.sums(ledger.snapshot(marks))
    grid[-1] = max(grid[-1], ledger.last_step)
    codes = np.tile(np.arange(len(groups.names)), len(grid))
    money = halves.reshape(-1, len(_COLUMNS)) / 2
    table = {"step": np.repeat(grid, len(groups.names)), by: pd.Categorical.from_codes(codes, groups.names)}
    table |= dict(zip(_COLUMNS, money.T, strict=True))
    return pd.DataFrame(table | {"total": money[:, 0] + money[:, 1]})


def _require_room(points: int, groups: int, by: str) -> None:
    cells = points * groups * (len(_COLUMNS) + 3)
    if cells > MAX_CELLS:
        smaller = 'by="population" or ' if by == "agent" else ""
        raise AnalysisError(
            f"P&L by {by} would have {points:,} rows for each of {groups:,}, in all {cells:,} cells; the "
            f"most is {MAX_CELLS:,}; give {smaller}a larger every"
        )
