"""Turn state into rows of the sampled tables: quotes, depth and accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import Side
from simlab.engine.compiled.arrays import L_DEPTH, L_ORDERS, L_PRICE, Book
from simlab.kernel import state as s
from simlab.market import ledger as m

if TYPE_CHECKING:
    from simlab.kernel.simulation import Simulation

__all__ = ["account_columns", "depth_columns", "quote_columns"]


def quote_columns(rows: NDArray[np.int64]) -> dict[str, Any]:
    """Return columns of the quotes table from the kernel's rows; prices of an empty side are masked."""
    columns = rows.T.copy()
    return {
        "step": columns[s.Q_STEP],
        "instrument": columns[s.Q_INSTRUMENT],
        "best_bid": np.ma.masked_where(columns[s.Q_BID_DEPTH] == 0, columns[s.Q_BID]),
        "bid_depth": columns[s.Q_BID_DEPTH],
        "best_ask": np.ma.masked_where(columns[s.Q_ASK_DEPTH] == 0, columns[s.Q_ASK]),
        "ask_depth": columns[s.Q_ASK_DEPTH],
        "last_price": columns[s.Q_LAST],
        "volume": columns[s.Q_VOLUME],
        "fundamental": columns[s.Q_FUNDAMENTAL].view(np.float64),
    }


def depth_columns(book: Book, instruments: int, step: int, levels: int) -> dict[str, Any]:
    """Return columns of the depth table: the best `levels` levels of every side."""
    rows: list[tuple[int, ...]] = []
    for instrument in range(instruments):
        for side in Side:
            level, n = book.towers[2 * instrument + side, 0], 0
            while level and n < levels:
                at = book.levels[level]
                rows.append((step, instrument, side, n, at[L_PRICE], at[L_DEPTH], at[L_ORDERS]))
                level, n = book.towers[level, 0], n + 1
    columns = np.array(rows, np.int64).reshape(-1, 7).T
    names = ("step", "instrument", "side", "level", "price", "depth", "orders")
    return dict(zip(names, columns, strict=True))


def account_columns(simulation: Simulation, step: int) -> dict[str, Any]:
    """Return columns of the accounts table: every account in every instrument."""
    ledger, count = simulation.ledger, len(simulation.instruments)
    total = len(ledger.accounts)
    positions = ledger.positions
    return {
        "step": np.full(total * count, step, np.int64),
        "account": np.repeat(np.arange(total), count),
        "instrument": np.tile(np.arange(count), total),
        "cash": np.repeat(ledger.accounts[:, m.C_CASH], count),
        "inventory": positions[:, m.P_INVENTORY].copy(),
        "cost": positions[:, m.P_COST].copy(),
        "realised_pnl": positions[:, m.P_REALISED].copy(),
        "fees": np.repeat(ledger.accounts[:, m.C_FEES], count),
        "mark_price": np.tile(simulation.views["mid"], total),
    }
