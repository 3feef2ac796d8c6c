"""Write the compiled book's events, and say beforehand how many a message can make."""

from __future__ import annotations

from simlab.core.jit import jit, jit_inline
from simlab.core.rows import packed
from simlab.core.types import EventKind, MessageKind, Side, pack_accounts

__all__ = [
    "DONE",
    "NEED_EVENTS",
    "NEED_LEVELS",
    "NEED_ORDERS",
    "accounts_word",
    "emit",
    "emit_rejected",
    "events_needed",
    "room_for",
]

DONE, NEED_EVENTS, NEED_ORDERS, NEED_LEVELS = range(4)
"""Whether a message fits as the book is, or what must grow first."""

accounts_word = jit_inline(pack_accounts)


@jit_inline
def emit(book, kind, side, reason, flags, instrument, order_id, accounts, price, quantity, other_order_id):
    """Append one event; there is room."""
    counters = book.counters
    event = book.events[counters.events]
    event.code = packed(kind, side, reason, flags, instrument)
    event.sequence = counters.sequence
    event.step = counters.step
    event.order_id = order_id
    event.accounts = accounts
    event.price = price
    event.quantity = quantity
    event.other_order_id = other_order_id
    counters.events += 1
    counters.sequence += 1


@jit
def emit_rejected(book, reason, side, instrument, order_id, account, price, quantity):
    """Append the refusal of a message, repeating it."""
    shown_side = side if side == Side.SELL else 0
    shown_account = account if -(2**31) <= account < 2**31 else -1
    accounts = accounts_word(shown_account, 0)
    emit(
        book, EventKind.REJECTED, shown_side, reason, 0, instrument, order_id, accounts, price, quantity, 0
    )  # fmt: skip


@jit_inline
def room_for(book, kind, side, instrument, account, quantity):
    """Say whether the next message fits as it is (DONE), or what must grow first."""
    counters = book.counters
    if counters.orders + 2 >= len(book.orders):
        return NEED_ORDERS
    if counters.levels + 2 >= len(book.levels):
        return NEED_LEVELS
    if len(book.events) - counters.events < events_needed(book, kind, side, instrument, account, quantity):
        return NEED_EVENTS
    return DONE


@jit_inline
def events_needed(book, kind, side, instrument, account, quantity):
    """Bound the number of events a message can make."""
    if kind == MessageKind.CANCEL:
        return 1
    own = book.owners[account].orders if 0 <= account < len(book.owners) else 0
    if kind == MessageKind.CANCEL_ALL:
        return own + 1
    if kind == MessageKind.REPLACE:  # the order's own instrument and side count, not the message's
        return max(0, min(quantity, book.counters.orders)) + own + 4
    if instrument < 0 or instrument >= len(book.self_trade):
        return 1
    opposite = book.levels[2 * instrument + 1 - (side & 1)].orders
    cancelled = own if book.self_trade[instrument] != 0 else 0
    return max(0, min(opposite, quantity)) + cancelled + 4
