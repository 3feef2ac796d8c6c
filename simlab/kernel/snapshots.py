"""Read a state for somebody outside: the book of an instrument, an account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simlab.core.types import NO_EXPIRY, Side
from simlab.kernel.sampling import best_levels
from simlab.kernel.state import State
from simlab.market.ledger import FOR_EVER

__all__ = ["AccountSnapshot", "BookSnapshot", "OpenOrder", "PositionSnapshot", "account_of", "book_of"]


@dataclass(frozen=True)
class BookSnapshot:
    """One instrument's book as it is now.

    `bids` and `asks` hold (price in price units, lots, number of orders), best first. `sequence` is the
    number of the next event of the market, `step` the next step to run. An instrument that is not `listed`
    any more is halted for ever.
    """

    instrument: int
    step: int
    sequence: int
    bids: tuple[tuple[int, int, int], ...]
    asks: tuple[tuple[int, int, int], ...]
    last_price: int
    volume: int
    halted: bool
    listed: bool = True


class OpenOrder(NamedTuple):
    """One resting order; `quantity` is what remains, lots; `expiry` the last step it lives, 0 for no end."""

    order_id: int
    instrument: int
    side: Side
    price: int
    quantity: int
    expiry: int = NO_EXPIRY


class PositionSnapshot(NamedTuple):
    """An account in one instrument: lots, and money units for `cost` and `realised_pnl`."""

    inventory: int
    cost: int
    realised_pnl: int
    open_buy: int
    open_sell: int


@dataclass(frozen=True)
class AccountSnapshot:
    """One account as it is now, money units; a position for each instrument, orders oldest first."""

    account: int
    cash: int
    reserved: int
    fees: int
    positions: tuple[PositionSnapshot, ...]
    orders: tuple[OpenOrder, ...]


def book_of(state: State, instrument: int, depth: int) -> BookSnapshot:
    """Return the best `depth` levels of an instrument's book."""
    terms, step = state.ledger.terms[instrument], int(state.clock["step"][0])
    bids, asks = (tuple(best_levels(state.book, instrument, side, depth)) for side in Side)
    return BookSnapshot(
        instrument=instrument,
        step=step,
        sequence=int(state.book.counters["sequence"][0]),
        bids=bids,
        asks=asks,
        last_price=int(terms["last_price"]),
        volume=int(terms["volume"]),
        halted=bool(step < terms["halted_until"]),
        listed=bool(terms["halted_until"] != FOR_EVER),
    )


def account_of(state: State, account: int) -> AccountSnapshot:
    """Return an account with its positions and resting orders."""
    row, count = state.ledger.accounts[account], len(state.views)
    own = state.ledger.positions[account * count : (account + 1) * count]
    names = ("inventory", "cost", "realised", "open_buy", "open_sell")
    return AccountSnapshot(
        account=account,
        cash=int(row["cash"]),
        reserved=int(row["reserved"]),
        fees=int(row["fees"]),
        positions=tuple(PositionSnapshot(*(int(it[name]) for name in names)) for it in own),
        orders=tuple(_orders_of(state, account)),
    )


def _orders_of(state: State, account: int) -> list[OpenOrder]:
    book, found = state.book, []
    row = int(book.owners["head"][account])
    while row:
        order = book.orders[row]
        instrument, side = np.divmod(int(book.nodes["side_list"][order["level"]]), 2)
        what = (int(order[name]) for name in ("price", "quantity", "expiry"))
        found.append(OpenOrder(int(order["order_id"]), int(instrument), Side(int(side)), *what))
        row = int(order["account_next"])
    return found
