"""Bring messages to the book: latency, admission, matching, settlement, hash."""

from __future__ import annotations

import numpy as np

from simlab.core.hashing import hash_words
from simlab.core.jit import jit, jit_inline, jit_inside
from simlab.core.random import Role, block
from simlab.core.rows import copy_row, unpacked
from simlab.engine.compiled.events import DONE, emit_rejected, room_for
from simlab.engine.compiled.matching import process
from simlab.kernel.observing import hear
from simlab.market.admission import admit
from simlab.market.ledger import settle

__all__ = ["NEED_FLIGHT", "arrive", "deliver", "drain_outbox", "seal"]

NEED_FLIGHT = 4
"""Like the needs of `simlab.engine.compiled.events`: more room for messages on their way."""

_LATENCY = np.uint64(Role.LATENCY)
_S32 = np.uint64(32)


@jit_inline
def _hash_events(hashed, events, first, last):
    """Continue the event log's hash."""
    for i in range(first, last):
        event = events[i]
        hashed = hash_words(
            hashed, np.uint64(event.code), np.uint64(event.sequence), np.uint64(event.step),
            np.uint64(event.order_id), np.uint64(event.accounts), np.uint64(event.price),
            np.uint64(event.quantity), np.uint64(event.other_order_id),
        )  # fmt: skip
    return hashed


@jit_inline
def seal(state, first, old_price, old_quantity):
    """Settle and hash the events from `first` on."""
    book, clock = state.book, state.clock
    last = book.counters.events
    settle(state.ledger, book.events, first, last, old_price, old_quantity, clock.step)
    clock.hash = _hash_events(clock.hash, book.events, first, last)
    if clock.listens != 0:
        hear(state, first, last)


@jit_inside
def deliver(state, message):
    """Bring one message to the market; return DONE, or what must grow with nothing changed."""
    return _deliver(
        state, message.code, message.order_id, message.account, message.price, message.quantity,
        message.expiry,
    )  # fmt: skip


@jit
def _deliver(state, code, order_id, account, price, quantity, expiry):
    """Bring a message to the market by its words: tables of messages are of several types."""
    book, clock = state.book, state.clock
    kind, side, _, _, instrument = unpacked(code)
    room = room_for(book, kind, side, instrument, account, quantity)
    if room != DONE:
        return room
    first = book.counters.events
    reason, old_price, old_quantity = admit(
        book, state.ledger, code, order_id, account, price, quantity, clock.step
    )
    if reason != 0:
        emit_rejected(book, reason, side, instrument, order_id, account, price, quantity)
    else:
        process(book, code, order_id, account, price, quantity, expiry)
    seal(state, first, old_price, old_quantity)
    clock.messages += 1
    return DONE


@jit
def _take_off(state, message, arrival):
    """Put a message on its way; return False when there is no room."""
    clock, flight = state.clock, state.flight
    slot = clock.free_message
    if slot != 0:
        clock.free_message = flight[slot].next
    else:
        slot = clock.top_message
        if slot >= len(flight):
            return False
        clock.top_message = slot + 1
    copy_row(flight[slot], message)
    flight[slot].next = 0
    queue = state.arrivals[arrival & (len(state.arrivals) - 1)]
    if queue.last != 0:
        flight[queue.last].next = slot
    else:
        queue.first = slot
    queue.last = slot
    clock.in_flight += 1
    return True


@jit_inline
def _latency(state, account, index, step):
    agent = state.agents[account]
    population = state.populations[agent.population]
    low, high = population.latency_low + agent.thinking, population.latency_high + agent.thinking
    if low == high:
        return low
    word, _ = block(agent.key, _LATENCY, np.uint64(step), np.uint64(index))
    return low + np.int64(((word >> _S32) * np.uint64(high - low + 1)) >> _S32)


@jit_inside
def drain_outbox(state):
    """Deliver what the outbox holds, or put it on its way; return DONE or what must grow."""
    clock, outbox = state.clock, state.outbox
    while clock.out_cursor < clock.out_count:
        n = clock.out_cursor + 1
        message = outbox[n]
        account = message.account
        repeat = clock.repeat if n == 1 or outbox[n - 1].account == account else 0
        wait = _latency(state, account, repeat, clock.step) if 0 <= account < len(state.agents) else 0
        message.step = clock.step
        if wait == 0 and clock.simultaneous == 0:
            room = deliver(state, message)
            if room != DONE:
                return room
        elif not _take_off(state, message, clock.step + wait):
            return NEED_FLIGHT
        clock.repeat = repeat + 1
        clock.out_cursor = n
    clock.out_cursor = 0
    clock.out_count = 0
    return DONE


@jit_inside
def arrive(state):
    """Deliver what arrives in this step, in the order it was sent; return DONE or what must grow."""
    clock, flight = state.clock, state.flight
    queue = state.arrivals[clock.step & (len(state.arrivals) - 1)]
    while queue.first != 0:
        slot = queue.first
        message = flight[slot]
        room = deliver(state, message)
        if room != DONE:
            return room
        queue.first = message.next
        if queue.first == 0:
            queue.last = 0
        message.next = clock.free_message
        clock.free_message = slot
        clock.in_flight -= 1
    return DONE
