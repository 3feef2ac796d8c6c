"""Answer one message: the contract of `simlab.engine.interface`, compiled.

A message is processed only when `room_for` says that its events and its order fit; so nothing here
allocates, and nothing can fail halfway.
"""

from __future__ import annotations

from simlab.core.jit import jit, jit_inline
from simlab.core.rows import unpacked
from simlab.core.types import (
    FLAG_MARKET,
    FLAG_POST_ONLY,
    FLAG_PRIORITY_KEPT,
    MAX_QUANTITY,
    EventKind,
    MessageKind,
    Reason,
    SelfTrade,
    Side,
    TimeInForce,
)
from simlab.engine.compiled.ahead import look_ahead
from simlab.engine.compiled.events import (
    DONE,
    NEED_EVENTS,
    accounts_word,
    emit,
    emit_rejected,
    room_for,
)
from simlab.engine.compiled.hashed import find_id
from simlab.engine.compiled.queues import delete_order, new_order, remove_level, rest, set_expiry, unrest

__all__ = ["expire", "process", "run_messages"]

_NO_LIMIT = 2**63 - 1


@jit
def _remove_resting(book, row, kind, reason):
    """Cancel or expire a resting order: the event, then the row."""
    order = book.orders[row]
    side_list = book.nodes[order.level].side_list
    accounts = accounts_word(order.account, 0)
    emit(
        book, kind, side_list & 1, reason, 0, side_list >> 1, order.order_id, accounts, order.price,
        order.quantity, 0,
    )  # fmt: skip
    unrest(book, row)
    delete_order(book, row)


@jit_inline
def _trade_level(book, number, order_id, account, side, instrument, quantity, policy):
    """Trade against the queue of one level; return what remains, negative if the incoming order must end."""
    orders, level = book.orders, book.levels[number]
    price = level.price
    row = level.head
    traded = 0
    gone = 0
    while row != 0 and quantity > 0:
        order = orders[row]
        if policy != 0 and order.account == account:
            if policy == SelfTrade.CANCEL_INCOMING:
                quantity = -quantity
                break
            accounts = accounts_word(account, 0)
            emit(
                book, EventKind.CANCELLED, 1 - side, Reason.SELF_TRADE, 0, instrument, order.order_id,
                accounts, price, order.quantity, 0,
            )  # fmt: skip
            traded += order.quantity
            if policy == SelfTrade.CANCEL_BOTH:
                quantity = -quantity
        else:
            fill = min(quantity, order.quantity)
            quantity -= fill
            traded += fill
            accounts = accounts_word(account, order.account)
            emit(
                book, EventKind.FILL, side, 0, 0, instrument, order_id, accounts, price, fill, order.order_id
            )  # fmt: skip
            if fill < order.quantity:
                order.quantity -= fill
                break
        after = order.next
        delete_order(book, row)
        gone += 1
        row = after
    level.depth -= traded
    if gone > 0:
        level.orders -= gone
        level.head = row
        book.levels[2 * instrument + 1 - side].orders -= gone
        if row != 0:
            orders[row].previous = 0
        else:
            level.tail = 0
    return quantity


@jit_inline
def _match(book, order_id, account, side, instrument, key, quantity):
    """Trade an incoming order against the other side, best first, while a level's key is at most `key`."""
    head = book.nodes[2 * instrument + 1 - side]
    policy = book.self_trade[instrument]
    level = head.floors[0]
    while level != 0 and quantity > 0 and book.nodes[level].key <= key:
        quantity = _trade_level(book, level, order_id, account, side, instrument, quantity, policy)
        if book.levels[level].orders == 0:
            remove_level(book, level)
        level = head.floors[0]
    return quantity


@jit
def _fillable(book, account, side, instrument, key, quantity):
    """Say whether a FOK order can trade in full."""
    policy = book.self_trade[instrument]
    level = book.nodes[2 * instrument + 1 - side].floors[0]
    while level != 0 and book.nodes[level].key <= key:
        if policy == 0:
            quantity -= book.levels[level].depth
        else:
            row = book.levels[level].head
            while row != 0 and quantity > 0:
                if book.orders[row].account != account:
                    quantity -= book.orders[row].quantity
                elif policy != SelfTrade.CANCEL_RESTING:
                    return False
                row = book.orders[row].next
        if quantity <= 0:
            return True
        level = book.nodes[level].floors[0]
    return False


@jit_inline
def _marketable(book, side, instrument, key):
    best = book.nodes[2 * instrument + 1 - side].floors[0]
    return best != 0 and book.nodes[best].key <= key


@jit_inline
def _opposite_key(side, price):
    """Return the largest key of the other side that a limit price reaches."""
    return price if side == 0 else ~price


@jit_inline
def _refuse_order(book, kind, side, tif, post_only, instrument, order_id, account, quantity, expiry):
    """Check what can be checked without the other side; return a reason or 0."""
    if kind != MessageKind.LIMIT and kind != MessageKind.MARKET:
        return Reason.INVALID_KIND.value
    if instrument < 0 or instrument >= len(book.self_trade):
        return Reason.UNKNOWN_INSTRUMENT.value
    if account < 0 or account >= len(book.owners):
        return Reason.INVALID_ACCOUNT.value
    if side != Side.BUY and side != Side.SELL:
        return Reason.INVALID_SIDE.value
    if quantity < 1 or quantity > MAX_QUANTITY:
        return Reason.INVALID_QUANTITY.value
    if tif > TimeInForce.FOK or (post_only != 0 and (tif != TimeInForce.GTC or kind != MessageKind.LIMIT)):
        return Reason.INVALID_TIME_IN_FORCE.value
    if order_id < 1:
        return Reason.INVALID_ORDER_ID.value
    if find_id(book, order_id) != 0:
        return Reason.DUPLICATE_ORDER_ID.value
    if expiry < 0 or (expiry != 0 and expiry < book.counters.step):
        return Reason.INVALID_EXPIRY.value
    return 0


@jit_inline
def _order(book, kind, side, tif, post_only, instrument, order_id, account, price, quantity, expiry):
    """Answer a limit or market order."""
    reason = _refuse_order(book, kind, side, tif, post_only, instrument, order_id, account, quantity, expiry)
    key = _NO_LIMIT
    if reason == 0:
        if kind == MessageKind.LIMIT:
            key = _opposite_key(side, price)
        if post_only != 0 and _marketable(book, side, instrument, key):
            reason = Reason.POST_ONLY_WOULD_TRADE.value
        elif tif == TimeInForce.FOK and not _fillable(book, account, side, instrument, key, quantity):
            reason = Reason.FOK_NOT_FILLABLE.value
    if reason != 0:
        emit_rejected(book, reason, side, instrument, order_id, account, price, quantity)
        return
    shown_price = price if kind == MessageKind.LIMIT else 0
    flags = (
        tif | (FLAG_POST_ONLY if post_only != 0 else 0) | (FLAG_MARKET if kind == MessageKind.MARKET else 0)
    )
    accounts = accounts_word(account, 0)
    emit(
        book, EventKind.ACCEPTED, side, 0, flags, instrument, order_id, accounts, shown_price, quantity, 0
    )  # fmt: skip
    remaining = _match(book, order_id, account, side, instrument, key, quantity)
    if remaining == 0:
        return
    if remaining > 0 and kind == MessageKind.LIMIT and tif == TimeInForce.GTC:
        rest(book, new_order(book, order_id, account, expiry), instrument, side, price, remaining)
        return
    reason = Reason.IOC_REMAINDER.value
    if remaining < 0:
        reason = Reason.SELF_TRADE.value
    elif kind == MessageKind.MARKET:
        reason = Reason.MARKET_REMAINDER.value
    emit(
        book, EventKind.CANCELLED, side, reason, 0, instrument, order_id, accounts, shown_price,
        abs(remaining), 0,
    )  # fmt: skip


@jit_inline
def _refuse_replace(book, row, account, quantity, tif, expiry):
    if row == 0:
        return Reason.UNKNOWN_ORDER.value
    if book.orders[row].account != account:
        return Reason.NOT_OWNER.value
    if quantity < 1 or quantity > MAX_QUANTITY:
        return Reason.INVALID_QUANTITY.value
    if tif != TimeInForce.GTC:
        return Reason.INVALID_TIME_IN_FORCE.value
    if expiry < 0 or (expiry != 0 and expiry < book.counters.step):
        return Reason.INVALID_EXPIRY.value
    return 0


@jit
def _replace(book, side, tif, post_only, instrument, order_id, account, price, quantity, expiry):
    """Answer a replace."""
    row = find_id(book, order_id)
    reason = _refuse_replace(book, row, account, quantity, tif, expiry)
    order = book.orders[row]  # row 0 is never an order, and is not looked at when there is none
    own_list = book.nodes[order.level].side_list
    own_side, own_instrument = own_list & 1, own_list >> 1
    keeps = price == order.price and quantity <= order.quantity
    key = _opposite_key(own_side, price)
    if reason == 0 and post_only != 0 and not keeps and _marketable(book, own_side, own_instrument, key):
        reason = Reason.POST_ONLY_WOULD_TRADE.value
    if reason != 0:
        emit_rejected(book, reason, side, instrument, order_id, account, price, quantity)
        return
    if expiry != 0 and expiry != order.expiry:
        set_expiry(book, row, expiry)
    flags = FLAG_PRIORITY_KEPT if keeps else 0
    accounts = accounts_word(account, 0)
    emit(
        book, EventKind.REPLACED, own_side, 0, flags, own_instrument, order_id, accounts, price, quantity, 0
    )  # fmt: skip
    if keeps:
        book.levels[order.level].depth -= order.quantity - quantity
        order.quantity = quantity
        return
    unrest(book, row)
    remaining = _match(book, order_id, account, own_side, own_instrument, key, quantity)
    if remaining > 0:
        rest(book, row, own_instrument, own_side, price, remaining)
        return
    delete_order(book, row)
    if remaining < 0:
        emit(
            book, EventKind.CANCELLED, own_side, Reason.SELF_TRADE, 0, own_instrument, order_id, accounts,
            price, -remaining, 0,
        )  # fmt: skip


@jit_inline
def _cancel(book, side, instrument, order_id, account, price, quantity):
    row = find_id(book, order_id)
    if row != 0 and book.orders[row].account == account:
        _remove_resting(book, row, EventKind.CANCELLED.value, Reason.REQUESTED.value)
        return
    reason = Reason.UNKNOWN_ORDER.value if row == 0 else Reason.NOT_OWNER.value
    emit_rejected(book, reason, side, instrument, order_id, account, price, quantity)


@jit
def _cancel_all(book, side, instrument, order_id, account, price, quantity):
    reason = 0
    if account < 0 or account >= len(book.owners):
        reason = Reason.INVALID_ACCOUNT.value
    elif instrument < -1 or instrument >= len(book.self_trade):
        reason = Reason.UNKNOWN_INSTRUMENT.value
    if reason != 0:
        emit_rejected(book, reason, side, instrument, order_id, account, price, quantity)
        return
    row = book.owners[account].head
    while row != 0:
        order = book.orders[row]
        after = order.account_next
        if instrument == -1 or book.nodes[order.level].side_list >> 1 == instrument:
            _remove_resting(book, row, EventKind.CANCELLED.value, Reason.REQUESTED.value)
        row = after


@jit_inline
def process(book, code, order_id, account, price, quantity, expiry):
    """Answer one message whose room was checked with `room_for`."""
    kind, side, tif, post_only, instrument = unpacked(code)
    if kind == MessageKind.CANCEL:
        _cancel(book, side, instrument, order_id, account, price, quantity)
    elif kind == MessageKind.REPLACE:
        _replace(book, side, tif, post_only, instrument, order_id, account, price, quantity, expiry)
    elif kind == MessageKind.CANCEL_ALL:
        _cancel_all(book, side, instrument, order_id, account, price, quantity)
    else:
        _order(book, kind, side, tif, post_only, instrument, order_id, account, price, quantity, expiry)


@jit_inline
def run_messages(book, messages, start):
    """Process ``messages[start:]``; return (the first not processed, DONE or what must grow)."""
    for i in range(start, len(messages)):
        look_ahead(book, messages, i)
        message = messages[i]
        kind, side, _, _, instrument = unpacked(message.code)
        room = room_for(book, kind, side, instrument, message.account, message.quantity)
        if room != DONE:
            return i, room
        process(
            book, message.code, message.order_id, message.account, message.price, message.quantity,
            message.expiry,
        )  # fmt: skip
    return len(messages), DONE


@jit
def expire(book, step):
    """Expire orders due before `step`; return DONE, or NEED_EVENTS to be called again."""
    counters = book.counters
    counters.step = step
    while counters.expiring > 0:
        row = book.heap[1]
        if book.orders[row].expiry >= step:
            break
        if counters.events >= len(book.events):
            return NEED_EVENTS
        _remove_resting(book, row, EventKind.EXPIRED.value, 0)
    return DONE
