"""Bring messages to the book: latency, admission, matching, settlement, hash."""

from __future__ import annotations

import numpy as np

from simlab.core.hashing import hash_rows
from simlab.core.jit import jit, jit_inline
from simlab.core.random import Role, block
from simlab.core.types import M_ACCOUNT, M_CODE, M_EXPIRY, M_ORDER_ID, M_PRICE, M_QUANTITY, M_STEP, M_TAG
from simlab.engine.compiled.arrays import S_EVENTS
from simlab.engine.compiled.matching import DONE, emit_rejected, process, room_for
from simlab.kernel.state import (
    P_LATENCY_HIGH,
    P_LATENCY_LOW,
    T_FREE_MESSAGE,
    T_HASH,
    T_IN_FLIGHT,
    T_MESSAGES,
    T_OUT_COUNT,
    T_OUT_CURSOR,
    T_REPEAT,
    T_SIMULTANEOUS,
    T_STEP,
    T_TOP_MESSAGE,
)
from simlab.market.admission import admit
from simlab.market.ledger import C_POPULATION, settle

__all__ = ["NEED_FLIGHT", "arrive", "deliver", "drain_outbox", "seal"]

NEED_FLIGHT = 4
"""Like the needs of `simlab.engine.compiled.matching`: more room for messages on their way."""

_LATENCY = np.uint64(Role.LATENCY)
_S32 = np.uint64(32)


@jit_inline
def seal(book, ledger, world, words, first, old_price, old_quantity):
    """Settle and hash the events from `first` on."""
    last = book.state[S_EVENTS]
    settle(ledger, book.events, first, last, old_price, old_quantity, world.clock[T_STEP])
    world.clock[T_HASH] = np.int64(hash_rows(np.uint64(world.clock[T_HASH]), words, first, last))


@jit_inline
def deliver(book, ledger, world, words, row):
    """Bring one message row to the market; return DONE, or what must grow with nothing changed."""
    code = row[M_CODE]
    order_id, account, price, quantity = row[M_ORDER_ID], row[M_ACCOUNT], row[M_PRICE], row[M_QUANTITY]
    kind = code & 0xFF
    side = (code >> 8) & 0xFF
    instrument = code >> 32
    room = room_for(book, kind, side, instrument, account, quantity)
    if room != DONE:
        return room
    first = book.state[S_EVENTS]
    step = world.clock[T_STEP]
    reason, old_price, old_quantity = admit(book, ledger, code, order_id, account, price, quantity, step)
    if reason != 0:
        emit_rejected(book, reason, side, instrument, order_id, account, price, quantity)
    else:
        process(book, code, order_id, account, price, quantity, row[M_EXPIRY])
    seal(book, ledger, world, words, first, old_price, old_quantity)
    world.clock[T_MESSAGES] += 1
    return DONE


@jit
def _take_off(world, row, arrival):
    """Put a message on its way; return False when there is no room."""
    clock, flight, arrivals = world.clock, world.flight, world.arrivals
    slot = clock[T_FREE_MESSAGE]
    if slot != 0:
        clock[T_FREE_MESSAGE] = flight[slot, M_TAG]
    else:
        slot = clock[T_TOP_MESSAGE]
        if slot >= flight.shape[0]:
            return False
        clock[T_TOP_MESSAGE] = slot + 1
    for k in range(M_TAG):
        flight[slot, k] = row[k]
    flight[slot, M_TAG] = 0
    bucket = arrival & (arrivals.shape[0] - 1)
    last = arrivals[bucket, 1]
    if last != 0:
        flight[last, M_TAG] = slot
    else:
        arrivals[bucket, 0] = slot
    arrivals[bucket, 1] = slot
    clock[T_IN_FLIGHT] += 1
    return True


@jit_inline
def _latency(world, population, account, index, step):
    low = world.populations[population, P_LATENCY_LOW]
    high = world.populations[population, P_LATENCY_HIGH]
    if low == high:
        return low
    word, _ = block(world.keys[account], _LATENCY, np.uint64(step), np.uint64(index))
    return low + np.int64(((word >> _S32) * np.uint64(high - low + 1)) >> _S32)


@jit_inline
def drain_outbox(book, ledger, world, words):
    """Deliver what the outbox holds, or put it on its way; return DONE or what must grow."""
    clock, outbox = world.clock, world.outbox
    while clock[T_OUT_CURSOR] < clock[T_OUT_COUNT]:
        n = clock[T_OUT_CURSOR] + 1
        row = outbox[n]
        account = row[M_ACCOUNT]
        repeat = clock[T_REPEAT] if n == 1 or outbox[n - 1, M_ACCOUNT] == account else 0
        wait = 0
        if 0 <= account < world.agents.shape[0]:
            wait = _latency(world, ledger.accounts[account, C_POPULATION], account, repeat, clock[T_STEP])
        row[M_STEP] = clock[T_STEP]
        if wait == 0 and clock[T_SIMULTANEOUS] == 0:
            room = deliver(book, ledger, world, words, row)
            if room != DONE:
                return room
        elif not _take_off(world, row, clock[T_STEP] + wait):
            return NEED_FLIGHT
        clock[T_REPEAT] = repeat + 1
        clock[T_OUT_CURSOR] = n
    clock[T_OUT_CURSOR] = 0
    clock[T_OUT_COUNT] = 0
    return DONE


@jit
def arrive(book, ledger, world, words):
    """Deliver what arrives in this step, in the order it was sent; return DONE or what must grow."""
    clock, flight, arrivals = world.clock, world.flight, world.arrivals
    bucket = clock[T_STEP] & (arrivals.shape[0] - 1)
    while arrivals[bucket, 0] != 0:
        slot = arrivals[bucket, 0]
        room = deliver(book, ledger, world, words, flight[slot])
        if room != DONE:
            return room
        arrivals[bucket, 0] = flight[slot, M_TAG]
        if arrivals[bucket, 0] == 0:
            arrivals[bucket, 1] = 0
        flight[slot, M_TAG] = clock[T_FREE_MESSAGE]
        clock[T_FREE_MESSAGE] = slot
        clock[T_IN_FLIGHT] -= 1
    return DONE
