"""Have memory brought near that the next messages of a batch need: in a large book they would wait for it.

A message leads from its place in a hash table to a row, and from there to the neighbours of that row. Each
stage is asked for some messages after the one before, when what it reads has arrived. Nothing here changes
the book or depends on it for more than speed: what is read may be out of date when its message's turn comes.
"""

from __future__ import annotations

from simlab.core.jit import jit_inline
from simlab.core.rows import prefetch, unpacked
from simlab.core.types import MessageKind
from simlab.engine.compiled.hashed import tag_of_id, tag_of_level
from simlab.engine.compiled.tables import MANY_LEVELS, MANY_ORDERS

__all__ = ["look_ahead"]

_PLACES, _ROWS, _NEIGHBOURS = 12, 8, 4
"""How many messages ahead each stage is asked for."""


@jit_inline
def _id_place(book, message):
    return tag_of_id(message.order_id) & (len(book.ids) - 1)


@jit_inline
def _price_place(book, side, instrument, price):
    key = price if side == 1 else ~price
    return tag_of_level(2 * instrument + side, key) & (len(book.prices) - 1)


@jit_inline
def _ask_for_places(book, message, many_orders, many_levels):
    """Ask for the hash tables' entries."""
    kind, side, _, _, instrument = unpacked(message.code)
    if many_orders:
        prefetch(book.ids, _id_place(book, message))
    if many_levels and kind == MessageKind.LIMIT:
        prefetch(book.prices, _price_place(book, side, instrument, message.price))


@jit_inline
def _ask_for_rows(book, message, many_orders, many_levels):
    """Ask for the rows to which they most likely lead."""
    kind, side, _, _, instrument = unpacked(message.code)
    if kind == MessageKind.CANCEL or kind == MessageKind.REPLACE:
        if many_orders:
            prefetch(book.orders, book.ids[_id_place(book, message)].row)
    elif kind == MessageKind.LIMIT and many_levels:
        level = book.prices[_price_place(book, side, instrument, message.price)].row
        prefetch(book.nodes, level)
        prefetch(book.levels, level)


@jit_inline
def _ask_for_neighbours(book, message, many_orders, many_levels):
    """Ask for what changes with these rows."""
    kind, side, _, _, instrument = unpacked(message.code)
    if kind == MessageKind.CANCEL or kind == MessageKind.REPLACE:
        if many_orders:
            order = book.orders[book.ids[_id_place(book, message)].row]
            prefetch(book.orders, order.next)
            prefetch(book.orders, order.previous)
            prefetch(book.orders, order.account_next)
            prefetch(book.orders, order.account_previous)
            if many_levels:
                prefetch(book.levels, order.level)
                prefetch(book.nodes, order.level)
    elif kind == MessageKind.LIMIT and many_levels:
        level = book.levels[book.prices[_price_place(book, side, instrument, message.price)].row]
        prefetch(book.orders, level.tail)


@jit_inline
def look_ahead(book, messages, i):
    """Ask for what the messages after message `i` need."""
    many_orders = book.counters.orders > MANY_ORDERS
    many_levels = book.counters.levels > MANY_LEVELS
    if (many_orders or many_levels) and i + _PLACES < len(messages):
        _ask_for_places(book, messages[i + _PLACES], many_orders, many_levels)
        _ask_for_rows(book, messages[i + _ROWS], many_orders, many_levels)
        _ask_for_neighbours(book, messages[i + _NEIGHBOURS], many_orders, many_levels)
