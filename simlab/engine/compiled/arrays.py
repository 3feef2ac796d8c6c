"""Lay the compiled order book out in arrays: one pool of orders and levels for all instruments.

Rows are numbered from 1 where 0 means "none", so that fresh arrays of zeros are an empty book. An order
is one cache line: four 64-bit words say what it is (`orders`), eight 32-bit words where it stands
(`links`, a view of the same memory). Levels of one side of
one instrument form a skip list ordered best first; the first ``2 * instruments`` rows of `levels` and
`towers` are the heads of these lists. Memory follows live orders and levels, never the span of prices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.engine.compiled.tables import L_LIST, rebuild_ids, rebuild_level_map

__all__ = ["Book", "allocate", "grow_events", "grow_levels", "grow_orders"]

# orders: (n, 8) int64, words 0 to 3; word 0 is tables.O_ID
O_PRICE, O_QUANTITY, O_EXPIRY = range(1, 4)
# links: (n, 16) int32, the same memory, words 4 to 7 in halves; K_NEXT also chains the free rows
K_LEVEL, K_NEXT, K_PREVIOUS, K_ACCOUNT, K_ACCOUNT_NEXT, K_ACCOUNT_PREVIOUS, K_HEAP = range(8, 15)
# levels: (m, 8) int64; columns 0 and 1 are tables.L_KEY and tables.L_LIST
L_HEAD, L_TAIL, L_DEPTH, L_ORDERS, L_PRICE, L_HEIGHT = range(2, 8)
# owners: (accounts, 4) int32
A_HEAD, A_TAIL, A_ORDERS, A_UNUSED = range(4)
# books: (instruments, 4) int64
B_SELF_TRADE, B_BIDS, B_ASKS, B_UNUSED = range(4)
# state: (16,) int64
(
    S_FREE_ORDER,
    S_TOP_ORDER,
    S_ORDERS,
    S_FREE_LEVEL,
    S_TOP_LEVEL,
    S_LEVELS,
    S_SEQUENCE,
    S_STEP,
    S_HEAP,
    S_COIN,
    S_EVENTS,
) = range(11)

MAX_HEIGHT = 12
"""Height of the skip lists: a quarter of the towers reach each next floor, enough for 16 million levels."""


class Book(NamedTuple):
    """All state of the compiled book. Plain arrays: to copy them is to copy the book."""

    orders: NDArray[np.int64]
    links: NDArray[np.int32]
    levels: NDArray[np.int64]
    towers: NDArray[np.int32]
    ids: NDArray[np.int64]
    """Hash table from order id to row: (2 n,), open addressing, 0 is free."""
    level_map: NDArray[np.int32]
    """Hash table from (side of an instrument, price) to level: (2 m,), 0 is free."""
    heap: NDArray[np.int32]
    """Binary heap of the rows of expiring orders by (expiry, id), from index 1."""
    owners: NDArray[np.int32]
    books: NDArray[np.int64]
    state: NDArray[np.int64]
    events: NDArray[np.int64]

    TABLES = {  # noqa: RUF012
        "orders": 8,
        "links": 16,
        "levels": 8,
        "towers": MAX_HEIGHT,
        "ids": 1,
        "level_map": 1,
        "heap": 1,
        "owners": 4,
        "books": 4,
        "state": 1,
        "events": 8,
    }


def allocate(
    instruments: int, accounts: int, *, orders: int = 64, levels: int = 64, events: int = 256
) -> Book:
    """Return an empty book with room for at least so many resting orders, levels and events."""
    order_rows = _power_of_two(orders + 2)
    level_rows = _power_of_two(levels + 2 * instruments + 2)
    state = np.zeros(16, np.int64)
    state[S_TOP_ORDER] = 1
    state[S_TOP_LEVEL] = state[S_LEVELS] = 2 * instruments
    state[S_COIN] = 0x2545F491
    book_levels = _lines(level_rows)
    book_levels[: 2 * instruments, L_LIST] = np.arange(2 * instruments)
    order_lines = _lines(order_rows)
    return Book(
        orders=order_lines,
        links=order_lines.view(np.int32),
        levels=book_levels,
        towers=np.zeros((level_rows, MAX_HEIGHT), np.int32),
        ids=np.zeros(2 * order_rows, np.int32),
        level_map=np.zeros(2 * level_rows, np.int32),
        heap=np.zeros(order_rows + 1, np.int32),
        owners=np.zeros((accounts, 4), np.int32),
        books=np.zeros((instruments, 4), np.int64),
        state=state,
        events=np.zeros((events, 8), np.int64),
    )


def grow_orders(book: Book) -> Book:
    """Return a book with room for twice the resting orders; the old one must not be used again."""
    orders = _lines(2 * len(book.orders))
    orders[: len(book.orders)] = book.orders
    ids = np.zeros(2 * len(book.ids), np.int32)
    rebuild_ids(book.ids, ids, orders)
    return book._replace(orders=orders, links=orders.view(np.int32), heap=_doubled(book.heap), ids=ids)


def grow_levels(book: Book) -> Book:
    """Return a book with room for twice the price levels; the old one must not be used again."""
    levels = _lines(2 * len(book.levels))
    levels[: len(book.levels)] = book.levels
    level_map = np.zeros(2 * len(book.level_map), np.int32)
    rebuild_level_map(book.level_map, level_map, levels)
    return book._replace(levels=levels, towers=_doubled(book.towers), level_map=level_map)


def grow_events(book: Book, capacity: int) -> Book:
    """Return a book whose event buffer has `capacity` rows, its present events kept."""
    events = np.zeros((capacity, 8), np.int64)
    kept = int(book.state[S_EVENTS])
    events[:kept] = book.events[:kept]
    return book._replace(events=events)


def _lines(rows: int) -> NDArray[np.int64]:
    """Return rows of eight words that each fill one 64-byte cache line."""
    words = np.zeros(8 * rows + 8, np.int64)
    offset = -(words.ctypes.data // 8) % 8
    return words[offset : offset + 8 * rows].reshape(rows, 8)


def _doubled(array: NDArray) -> NDArray:
    larger = np.zeros((2 * array.shape[0], *array.shape[1:]), array.dtype)
    larger[: array.shape[0]] = array
    return larger


def _power_of_two(least: int) -> int:
    return 1 << max(4, (least - 1).bit_length())
