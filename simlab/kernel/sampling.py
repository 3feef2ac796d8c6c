"""Turn state into rows of the sampled tables: quotes, depth and accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import Side
from simlab.engine.compiled.tables import Book
from simlab.kernel.inbox import Entry, EntryKind
from simlab.kernel.state import State
from simlab.market.instruments import Instrument

__all__ = [
    "account_columns",
    "assignment_columns",
    "best_levels",
    "depth_columns",
    "instrument_columns",
    "quote_columns",
    "seat_columns",
]

_COPIED = (
    "name",
    "initial_price",
    "tick_size",
    "lot_size",
    "multiplier",
    "price_unit",
    "maker_fee_ppm",
    "taker_fee_ppm",
    "description",
)


def quote_columns(quotes: NDArray[Any]) -> dict[str, Any]:
    """Return columns of the quotes table from the kernel's rows; prices of an empty side are masked."""
    columns: dict[str, Any] = {name: quotes[name].copy() for name in quotes.dtype.names or ()}
    for price, depth in (("best_bid", "bid_depth"), ("best_ask", "ask_depth")):
        columns[price] = np.ma.masked_where(columns[depth] == 0, columns[price])
    return columns


def best_levels(book: Book, instrument: int, side: Side, most: int) -> list[tuple[int, int, int]]:
    """Return (price, lots, number of orders) of the best levels of a side, best first."""
    floors, found = book.nodes["floors"], []
    row = floors[2 * instrument + side, 0]
    while row and len(found) < most:
        level = book.levels[row]
        found.append((int(level["price"]), int(level["depth"]), int(level["orders"])))
        row = floors[row, 0]
    return found


def depth_columns(state: State, step: int, levels: int) -> dict[str, Any]:
    """Return columns of the depth table: the best `levels` levels of every side."""
    rows = [
        (step, instrument, side, n, *level)
        for instrument in range(len(state.views))
        for side in Side
        for n, level in enumerate(best_levels(state.book, instrument, side, levels))
    ]
    columns = np.array(rows, np.int64).reshape(-1, 7).T
    names = ("step", "instrument", "side", "level", "price", "depth", "orders")
    return dict(zip(names, columns, strict=True))


def account_columns(state: State, step: int) -> dict[str, Any]:
    """Return columns of the accounts table: every account in every instrument."""
    ledger, count = state.ledger, len(state.views)
    total = len(ledger.accounts)
    return {
        "step": np.full(total * count, step, np.int64),
        "account": np.repeat(np.arange(total), count),
        "instrument": np.tile(np.arange(count), total),
        "cash": np.repeat(ledger.accounts["cash"], count),
        "inventory": ledger.positions["inventory"].copy(),
        "cost": ledger.positions["cost"].copy(),
        "realised_pnl": ledger.positions["realised"].copy(),
        "fees": np.repeat(ledger.accounts["fees"], count),
        "mark_price": np.tile(state.views["mid"], total),
    }


def assignment_columns(step: int, rows: NDArray[Any]) -> dict[str, Any]:
    """Return columns of the table of customers' orders, of those given out in one step."""
    names = {"limit": "limit_price"}
    columns: dict[str, Any] = {names.get(name, name): rows[name].copy() for name in rows.dtype.names or ()}
    return {"step": np.full(len(rows), step, np.int64)} | columns


def seat_columns(state: State, entry: Entry) -> dict[str, list[Any]]:
    """Return columns of the table of seats, of one that was taken or given back."""
    return {
        "step": [entry.step],
        "account": [entry.target],
        "event": ["taken" if entry.kind is EntryKind.SEAT_TAKEN else "given_back"],
        "cash": [int(state.ledger.accounts["cash"][entry.target])],
    }


def instrument_columns(instruments: Sequence[Instrument], *, first: int = 0) -> dict[str, list[Any]]:
    """Return columns of the instruments table: what is traded and on which terms, numbered from `first`."""
    columns: dict[str, list[Any]] = {name: [getattr(it, name) for it in instruments] for name in _COPIED}
    return columns | {
        "instrument": list(range(first, first + len(instruments))),
        "price_low": [it.price_band[0] for it in instruments],
        "price_high": [it.price_band[1] for it in instruments],
        "self_trade": [int(it.self_trade) for it in instruments],
    }
