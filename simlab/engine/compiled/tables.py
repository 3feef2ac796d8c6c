"""Lay the compiled order book out in tables: one pool of orders and levels for all instruments.

Rows are numbered from 1 where 0 means "none", so that fresh tables of zeros are an empty book. The levels of
one side of one instrument form a skip list ordered best first; the first ``2 * instruments`` rows of `levels`
and `nodes` are the heads of these lists, in the order bids and asks of instrument 0, of instrument 1, and so
on. Memory follows live orders and levels, never the span of prices.
"""

from __future__ import annotations

import numpy as np

from simlab.core.rows import Tables, column, grown, new_rows, opener, record, table
from simlab.core.types import EVENT_WORDS
from simlab.engine.compiled.hashed import ENTRY, rehashed

__all__ = [
    "MANY_LEVELS",
    "MANY_ORDERS",
    "MAX_HEIGHT",
    "Book",
    "allocate",
    "find_book",
    "grow_events",
    "grow_levels",
    "grow_orders",
]

MAX_HEIGHT = 12
"""Height of the skip lists: a quarter of the towers reach each next floor, enough for 16 million levels."""
MANY_ORDERS, MANY_LEVELS = 8192, 2048
"""From here on a book no longer fits the caches that answer at once: what it needs is looked for ahead."""

ORDER = np.dtype(
    [
        ("order_id", "i8"),
        ("price", "i8"),
        ("quantity", "i8"),
        ("expiry", "i8"),
        ("level", "i4"),
        ("next", "i4"),
        ("previous", "i4"),
        ("account", "i4"),
        ("account_next", "i4"),
        ("account_previous", "i4"),
        ("heap", "i4"),
        ("unused", "i4"),
    ]
)
"""One resting order, a cache line: what it is, its neighbours in the queue of its level and in the list of
its account, and its place in the heap of expiring orders. `next` also chains the free rows.
"""

NODE = np.dtype([("key", "i8"), ("side_list", "i4"), ("height", "i4"), ("floors", "i4", (MAX_HEIGHT,))])
"""One level's place in the skip list of its side, a cache line: its key and the next level on each floor."""

LEVEL = np.dtype(
    [
        ("price", "i8"),
        ("depth", "i8"),
        ("head", "i4"),
        ("tail", "i4"),
        ("orders", "i4"),
        ("unused", "i4"),
    ]
)
"""One price level: lots and number of orders that rest there, and the first and last in its queue.

In the head of a side `orders` counts the whole side; in a free row `head` chains the free rows.
"""

OWNER = np.dtype([("head", "i4"), ("tail", "i4"), ("orders", "i4"), ("unused", "i4")])
"""One account: the first and last of its resting orders by age, and their number."""

COUNTERS = np.dtype(
    [
        ("step", "i8"),
        ("sequence", "i8"),
        ("events", "i8"),
        ("orders", "i8"),
        ("free_order", "i8"),
        ("top_order", "i8"),
        ("levels", "i8"),
        ("free_level", "i8"),
        ("top_level", "i8"),
        ("expiring", "i8"),
        ("coin", "i8"),
    ]
)
"""Numbers of a book: what is in use, the next free rows, the present step, the next sequence number."""


class Book(Tables):
    """All state of the compiled book."""

    orders = table(ORDER)
    levels = table(LEVEL)
    nodes = table(NODE)
    ids = table(ENTRY)
    """Hash table from order id to order: open addressing, at most half full."""
    prices = table(ENTRY)
    """Hash table from (side of an instrument, price) to level, likewise."""
    heap = column("i4")
    """Binary heap of the rows of expiring orders by (expiry, id), from index 1."""
    owners = table(OWNER)
    self_trade = column("i8")
    """Policy of each instrument."""
    counters = record(COUNTERS)
    events = table(EVENT_WORDS)


find_book = opener(Book)
"""Give compiled code the book at an address."""


def allocate(
    instruments: int, accounts: int, *, orders: int = 64, levels: int = 64, events: int = 256
) -> Book:
    """Return an empty book with room for at least so many resting orders, levels and events."""
    order_rows = _power_of_two(orders + 2)
    level_rows = _power_of_two(levels + 2 * instruments + 2)
    book = Book(
        orders=new_rows(order_rows, ORDER, grows=True),
        levels=new_rows(level_rows, LEVEL, grows=True),
        nodes=new_rows(level_rows, NODE, grows=True),
        ids=new_rows(2 * order_rows, ENTRY),
        prices=new_rows(2 * level_rows, ENTRY),
        heap=new_rows(order_rows + 1, "i4", grows=True),
        owners=new_rows(accounts, OWNER),
        self_trade=new_rows(instruments, "i8"),
        events=new_rows(events, EVENT_WORDS),
    )
    book.nodes["side_list"][: 2 * instruments] = np.arange(2 * instruments)
    book.counters["top_order"] = 1
    book.counters["top_level"] = book.counters["levels"] = 2 * instruments
    book.counters["coin"] = 0x2545F491
    return book


def grow_orders(book: Book) -> None:
    """Make room for twice the resting orders."""
    book.ids = rehashed(book.ids, 2 * len(book.ids))
    book.orders = grown(book.orders, 2 * len(book.orders))
    book.heap = grown(book.heap, 2 * len(book.heap))


def grow_levels(book: Book) -> None:
    """Make room for twice the price levels."""
    book.prices = rehashed(book.prices, 2 * len(book.prices))
    book.levels = grown(book.levels, 2 * len(book.levels))
    book.nodes = grown(book.nodes, 2 * len(book.nodes))


def grow_events(book: Book, capacity: int) -> None:
    """Give the event buffer room for `capacity` events, its present ones kept."""
    events = new_rows(capacity, EVENT_WORDS)
    kept = int(book.counters["events"][0])
    events[:kept] = book.events[:kept]
    book.events = events


def _power_of_two(least: int) -> int:
    return 1 << max(4, (least - 1).bit_length())
