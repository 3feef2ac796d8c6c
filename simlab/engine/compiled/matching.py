"""Answer one message: the contract of `simlab.engine.interface`, compiled.

A message is processed only when `room_for` says that its events and its order fit; so nothing here
allocates, and nothing can fail halfway.
"""

from __future__ import annotations

import numpy as np

from simlab.core.jit import jit, jit_inline
from simlab.core.types import (
    E_ACCOUNTS,
    E_CODE,
    E_ORDER_ID,
    E_OTHER_ORDER_ID,
    E_PRICE,
    E_QUANTITY,
    E_SEQUENCE,
    E_STEP,
    M_ACCOUNT,
    M_CODE,
    M_EXPIRY,
    M_ORDER_ID,
    M_PRICE,
    M_QUANTITY,
    MAX_QUANTITY,
    EventKind,
    MessageKind,
    Reason,
    TimeInForce,
)
from simlab.engine.compiled.arrays import (
    A_HEAD,
    A_ORDERS,
    B_BIDS,
    B_SELF_TRADE,
    K_ACCOUNT,
    K_ACCOUNT_NEXT,
    K_LEVEL,
    K_NEXT,
    K_PREVIOUS,
    L_DEPTH,
    L_HEAD,
    L_ORDERS,
    L_PRICE,
    L_TAIL,
    O_EXPIRY,
    O_PRICE,
    O_QUANTITY,
    S_EVENTS,
    S_HEAP,
    S_LEVELS,
    S_ORDERS,
    S_SEQUENCE,
    S_STEP,
)
from simlab.engine.compiled.queues import delete_order, new_order, remove_level, rest, set_expiry, unrest
from simlab.engine.compiled.tables import L_KEY, L_LIST, O_ID, find_id

__all__ = [
    "DONE",
    "NEED_EVENTS",
    "NEED_LEVELS",
    "NEED_ORDERS",
    "expire",
    "process",
    "room_for",
    "run_messages",
]

DONE, NEED_EVENTS, NEED_ORDERS, NEED_LEVELS = 0, 1, 2, 3

_LIMIT, _MARKET, _CANCEL, _REPLACE, _CANCEL_ALL = (int(kind) for kind in MessageKind)
_GTC, _IOC, _FOK = (int(value) for value in TimeInForce)
_ACCEPTED, _REJECTED, _FILL, _CANCELLED, _REPLACED, _EXPIRED = (int(kind) for kind in EventKind)
_CANCEL_RESTING, _CANCEL_INCOMING, _CANCEL_BOTH = 1, 2, 3
_NO_LIMIT = 2**63 - 1
_LOW_HALF = 0xFFFFFFFF


def _codes(*reasons: Reason) -> tuple[int, ...]:
    return tuple(int(reason) for reason in reasons)


(
    _INVALID_KIND,
    _INVALID_SIDE,
    _INVALID_QUANTITY,
    _INVALID_ORDER_ID,
    _DUPLICATE_ORDER_ID,
    _UNKNOWN_ORDER,
    _NOT_OWNER,
    _UNKNOWN_INSTRUMENT,
    _INVALID_TIME_IN_FORCE,
    _INVALID_EXPIRY,
    _POST_ONLY_WOULD_TRADE,
    _FOK_NOT_FILLABLE,
    _INVALID_ACCOUNT,
) = range(1, 14)
_REQUESTED, _SELF_TRADE, _IOC_REMAINDER, _MARKET_REMAINDER = _codes(
    Reason.REQUESTED, Reason.SELF_TRADE, Reason.IOC_REMAINDER, Reason.MARKET_REMAINDER
)


@jit_inline
def emit(book, kind, side, reason, flags, instrument, order_id, accounts, price, quantity, other_order_id):
    """Append one event; there is room."""
    state = book.state
    n = state[S_EVENTS]
    events = book.events
    events[n, E_CODE] = kind | (side << 8) | (reason << 16) | (flags << 24) | (instrument << 32)
    events[n, E_SEQUENCE] = state[S_SEQUENCE]
    events[n, E_STEP] = state[S_STEP]
    events[n, E_ORDER_ID] = order_id
    events[n, E_ACCOUNTS] = accounts
    events[n, E_PRICE] = price
    events[n, E_QUANTITY] = quantity
    events[n, E_OTHER_ORDER_ID] = other_order_id
    state[S_EVENTS] = n + 1
    state[S_SEQUENCE] += 1


@jit
def emit_rejected(book, reason, side, instrument, order_id, account, price, quantity):
    """Append the refusal of a message, repeating it."""
    shown_side = side if side == 1 else 0
    shown_account = account if -(2**31) <= account < 2**31 else -1
    emit(
        book,
        _REJECTED,
        shown_side,
        reason,
        0,
        instrument,
        order_id,
        shown_account & _LOW_HALF,
        price,
        quantity,
        0,
    )


@jit_inline
def room_for(book, kind, side, instrument, account, quantity):
    """Say whether the next message fits as it is (DONE), or what must grow first."""
    state = book.state
    if state[S_ORDERS] + 2 >= book.orders.shape[0]:
        return NEED_ORDERS
    if state[S_LEVELS] + 2 >= book.levels.shape[0]:
        return NEED_LEVELS
    if book.events.shape[0] - state[S_EVENTS] < events_needed(
        book, kind, side, instrument, account, quantity
    ):
        return NEED_EVENTS
    return DONE


@jit_inline
def events_needed(book, kind, side, instrument, account, quantity):
    """Bound the number of events a message can make."""
    own = 0
    if 0 <= account < book.owners.shape[0]:
        own = np.int64(book.owners[account, A_ORDERS])
    if kind == _CANCEL:
        return 1
    if kind == _CANCEL_ALL:
        return own + 1
    if kind == _REPLACE:  # the order's own instrument and side count, not the message's
        return max(0, min(quantity, book.state[S_ORDERS])) + own + 4
    if instrument < 0 or instrument >= book.books.shape[0]:
        return 1
    opposite = book.books[instrument, B_BIDS + 1 - (side & 1)]
    cancelled = own if book.books[instrument, B_SELF_TRADE] != 0 else 0
    return max(0, min(opposite, quantity)) + cancelled + 4


@jit
def _remove_resting(book, row, reason):
    """Cancel a resting order: the event, then the row."""
    level = np.int64(book.links[row, K_LEVEL])
    side_list = book.levels[level, L_LIST]
    emit(
        book,
        _EXPIRED if reason == 0 else _CANCELLED,
        side_list & 1,
        reason,
        0,
        side_list >> 1,
        book.orders[row, O_ID],
        np.int64(book.links[row, K_ACCOUNT]),
        book.orders[row, O_PRICE],
        book.orders[row, O_QUANTITY],
        0,
    )
    unrest(book, row)
    delete_order(book, row)


@jit_inline
def _trade_level(book, level, order_id, account, side, instrument, quantity, policy):
    """Trade against the queue of one level; return what remains, negative if the incoming order must end."""
    orders, links, levels = book.orders, book.links, book.levels
    price = levels[level, L_PRICE]
    row = np.int64(levels[level, L_HEAD])
    traded = 0
    gone = 0
    while row != 0 and quantity > 0:
        maker = np.int64(links[row, K_ACCOUNT])
        maker_quantity = orders[row, O_QUANTITY]
        if policy != 0 and maker == account:
            if policy == _CANCEL_INCOMING:
                quantity = -quantity
                break
            accounts, reason = maker, _SELF_TRADE
            emit(
                book,
                _CANCELLED,
                1 - side,
                reason,
                0,
                instrument,
                orders[row, O_ID],
                accounts,
                price,
                maker_quantity,
                0,
            )
            fill = maker_quantity
            traded += fill
            if policy == _CANCEL_BOTH:
                quantity = -quantity
        else:
            fill = min(quantity, maker_quantity)
            quantity -= fill
            traded += fill
            emit(
                book,
                _FILL,
                side,
                0,
                0,
                instrument,
                order_id,
                account | (maker << 32),
                price,
                fill,
                orders[row, O_ID],
            )
            if fill < maker_quantity:
                orders[row, O_QUANTITY] = maker_quantity - fill
                break
        after = np.int64(links[row, K_NEXT])
        delete_order(book, row)
        gone += 1
        row = after
    levels[level, L_DEPTH] -= traded
    if gone > 0:
        levels[level, L_ORDERS] -= gone
        levels[level, L_HEAD] = row
        book.books[instrument, B_BIDS + 1 - side] -= gone
        if row != 0:
            links[row, K_PREVIOUS] = 0
        else:
            levels[level, L_TAIL] = 0
    return quantity


@jit_inline
def _match(book, order_id, account, side, instrument, key, quantity):
    """Trade an incoming order against the other side, best first, while a level's key is at most `key`."""
    levels, towers = book.levels, book.towers
    opposite = 2 * instrument + 1 - side
    policy = book.books[instrument, B_SELF_TRADE]
    level = np.int64(towers[opposite, 0])
    while level != 0 and quantity > 0 and levels[level, L_KEY] <= key:
        quantity = _trade_level(book, level, order_id, account, side, instrument, quantity, policy)
        if levels[level, L_ORDERS] == 0:
            remove_level(book, level)
        level = np.int64(towers[opposite, 0])
    return quantity


@jit
def _fillable(book, account, side, instrument, key, quantity):
    """Say whether a FOK order can trade in full."""
    links, levels = book.links, book.levels
    policy = book.books[instrument, B_SELF_TRADE]
    level = np.int64(book.towers[2 * instrument + 1 - side, 0])
    while level != 0 and levels[level, L_KEY] <= key:
        if policy == 0:
            quantity -= levels[level, L_DEPTH]
        else:
            row = np.int64(levels[level, L_HEAD])
            while row != 0 and quantity > 0:
                if links[row, K_ACCOUNT] != account:
                    quantity -= book.orders[row, O_QUANTITY]
                elif policy != _CANCEL_RESTING:
                    return False
                row = np.int64(links[row, K_NEXT])
        if quantity <= 0:
            return True
        level = np.int64(book.towers[level, 0])
    return False


@jit_inline
def _marketable(book, side, instrument, key):
    best = np.int64(book.towers[2 * instrument + 1 - side, 0])
    return best != 0 and book.levels[best, L_KEY] <= key


@jit_inline
def _opposite_key(side, price):
    """Return the largest key of the other side that a limit price reaches."""
    return price if side == 0 else ~price


@jit_inline
def _refuse_order(book, kind, side, tif, post_only, instrument, order_id, account, quantity, expiry):
    """Check what can be checked without the other side; return a reason or 0."""
    if kind != _LIMIT and kind != _MARKET:
        return _INVALID_KIND
    if instrument < 0 or instrument >= book.books.shape[0]:
        return _UNKNOWN_INSTRUMENT
    if account < 0 or account >= book.owners.shape[0]:
        return _INVALID_ACCOUNT
    if side != 0 and side != 1:
        return _INVALID_SIDE
    if quantity < 1 or quantity > MAX_QUANTITY:
        return _INVALID_QUANTITY
    if tif > _FOK or (post_only != 0 and (tif != _GTC or kind != _LIMIT)):
        return _INVALID_TIME_IN_FORCE
    if order_id < 1:
        return _INVALID_ORDER_ID
    if find_id(book.ids, book.orders, order_id) != 0:
        return _DUPLICATE_ORDER_ID
    if expiry < 0 or (expiry != 0 and expiry < book.state[S_STEP]):
        return _INVALID_EXPIRY
    return 0


@jit_inline
def _order(book, kind, side, tif, post_only, instrument, order_id, account, price, quantity, expiry):
    """Answer a limit or market order."""
    reason = _refuse_order(book, kind, side, tif, post_only, instrument, order_id, account, quantity, expiry)
    key = _NO_LIMIT
    if reason == 0:
        if kind == _LIMIT:
            key = _opposite_key(side, price)
        if post_only != 0 and _marketable(book, side, instrument, key):
            reason = _POST_ONLY_WOULD_TRADE
        elif tif == _FOK and not _fillable(book, account, side, instrument, key, quantity):
            reason = _FOK_NOT_FILLABLE
    if reason != 0:
        emit_rejected(book, reason, side, instrument, order_id, account, price, quantity)
        return
    shown_price = price if kind == _LIMIT else 0
    flags = tif | (4 if post_only != 0 else 0) | (8 if kind == _MARKET else 0)
    emit(book, _ACCEPTED, side, 0, flags, instrument, order_id, account, shown_price, quantity, 0)
    remaining = _match(book, order_id, account, side, instrument, key, quantity)
    if remaining == 0:
        return
    if remaining > 0 and kind == _LIMIT and tif == _GTC:
        row = new_order(book, order_id, account, expiry)
        rest(book, row, instrument, side, price, remaining)
        return
    reason = _MARKET_REMAINDER if kind == _MARKET else _IOC_REMAINDER
    if remaining < 0:
        reason = _SELF_TRADE
    emit(book, _CANCELLED, side, reason, 0, instrument, order_id, account, shown_price, abs(remaining), 0)


@jit
def _refuse_replace(book, row, account, quantity, tif, expiry):
    if row == 0:
        return _UNKNOWN_ORDER
    if book.links[row, K_ACCOUNT] != account:
        return _NOT_OWNER
    if quantity < 1 or quantity > MAX_QUANTITY:
        return _INVALID_QUANTITY
    if tif != _GTC:
        return _INVALID_TIME_IN_FORCE
    if expiry < 0 or (expiry != 0 and expiry < book.state[S_STEP]):
        return _INVALID_EXPIRY
    return 0


@jit
def _replace(book, side, tif, post_only, instrument, order_id, account, price, quantity, expiry):
    """Answer a replace."""
    row = np.int64(find_id(book.ids, book.orders, order_id))
    reason = _refuse_replace(book, row, account, quantity, tif, expiry)
    keeps = False
    own_side = 0
    own_instrument = 0
    if reason == 0:
        level = np.int64(book.links[row, K_LEVEL])
        own_side = book.levels[level, L_LIST] & 1
        own_instrument = book.levels[level, L_LIST] >> 1
        keeps = price == book.orders[row, O_PRICE] and quantity <= book.orders[row, O_QUANTITY]
        if (
            post_only != 0
            and not keeps
            and _marketable(book, own_side, own_instrument, _opposite_key(own_side, price))
        ):
            reason = _POST_ONLY_WOULD_TRADE
    if reason != 0:
        emit_rejected(book, reason, side, instrument, order_id, account, price, quantity)
        return
    if expiry != 0 and expiry != book.orders[row, O_EXPIRY]:
        set_expiry(book, row, expiry)
    flags = 16 if keeps else 0
    emit(book, _REPLACED, own_side, 0, flags, own_instrument, order_id, account, price, quantity, 0)
    if keeps:
        book.levels[np.int64(book.links[row, K_LEVEL]), L_DEPTH] -= book.orders[row, O_QUANTITY] - quantity
        book.orders[row, O_QUANTITY] = quantity
        return
    unrest(book, row)
    remaining = _match(
        book, order_id, account, own_side, own_instrument, _opposite_key(own_side, price), quantity
    )
    if remaining > 0:
        rest(book, row, own_instrument, own_side, price, remaining)
        return
    delete_order(book, row)
    if remaining < 0:
        emit(
            book,
            _CANCELLED,
            own_side,
            _SELF_TRADE,
            0,
            own_instrument,
            order_id,
            account,
            price,
            -remaining,
            0,
        )


@jit_inline
def _cancel(book, side, instrument, order_id, account, price, quantity):
    row = np.int64(find_id(book.ids, book.orders, order_id))
    if row == 0:
        emit_rejected(book, _UNKNOWN_ORDER, side, instrument, order_id, account, price, quantity)
    elif book.links[row, K_ACCOUNT] != account:
        emit_rejected(book, _NOT_OWNER, side, instrument, order_id, account, price, quantity)
    else:
        _remove_resting(book, row, _REQUESTED)


@jit
def _cancel_all(book, side, instrument, order_id, account, price, quantity):
    if account < 0 or account >= book.owners.shape[0]:
        emit_rejected(book, _INVALID_ACCOUNT, side, instrument, order_id, account, price, quantity)
        return
    if instrument < -1 or instrument >= book.books.shape[0]:
        emit_rejected(book, _UNKNOWN_INSTRUMENT, side, instrument, order_id, account, price, quantity)
        return
    row = np.int64(book.owners[account, A_HEAD])
    while row != 0:
        after = np.int64(book.links[row, K_ACCOUNT_NEXT])
        if instrument == -1 or book.levels[np.int64(book.links[row, K_LEVEL]), L_LIST] >> 1 == instrument:
            _remove_resting(book, row, _REQUESTED)
        row = after


@jit_inline
def process(book, code, order_id, account, price, quantity, expiry):
    """Answer one message whose room was checked with `room_for`."""
    kind = code & 0xFF
    side = (code >> 8) & 0xFF
    tif = (code >> 16) & 0xFF
    post_only = (code >> 24) & 0xFF
    instrument = code >> 32
    if kind == _CANCEL:
        _cancel(book, side, instrument, order_id, account, price, quantity)
    elif kind == _REPLACE:
        _replace(book, side, tif, post_only, instrument, order_id, account, price, quantity, expiry)
    elif kind == _CANCEL_ALL:
        _cancel_all(book, side, instrument, order_id, account, price, quantity)
    else:
        _order(book, kind, side, tif, post_only, instrument, order_id, account, price, quantity, expiry)


@jit
def run_messages(book, messages, start):
    """Process ``messages[start:]``; return (the first not processed, DONE or what must grow)."""
    for i in range(start, messages.shape[0]):
        code = messages[i, M_CODE]
        account = messages[i, M_ACCOUNT]
        quantity = messages[i, M_QUANTITY]
        room = room_for(book, code & 0xFF, (code >> 8) & 0xFF, code >> 32, account, quantity)
        if room != DONE:
            return i, room
        order_id, price, expiry = messages[i, M_ORDER_ID], messages[i, M_PRICE], messages[i, M_EXPIRY]
        process(book, code, order_id, account, price, quantity, expiry)
    return messages.shape[0], DONE


@jit
def expire(book, step):
    """Expire orders due before `step`; return DONE, or NEED_EVENTS to be called again."""
    book.state[S_STEP] = step
    while book.state[S_HEAP] > 0:
        row = np.int64(book.heap[1])
        if book.orders[row, O_EXPIRY] >= step:
            break
        if book.state[S_EVENTS] >= book.events.shape[0]:
            return NEED_EVENTS
        _remove_resting(book, row, 0)
    return DONE
