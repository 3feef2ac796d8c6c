"""Decide whether a message may go to the book: a reason code, or 0. Nothing here raises or changes a book.

Cancels always pass. What the order book itself refuses (unknown ids, sides, quantities) is left to it.
"""

from __future__ import annotations

import numpy as np

from simlab.core.jit import jit, jit_inline
from simlab.core.types import MAX_QUANTITY, MessageKind, Reason, SelfTrade
from simlab.engine.compiled.arrays import (
    A_HEAD,
    A_ORDERS,
    B_SELF_TRADE,
    K_ACCOUNT,
    K_ACCOUNT_NEXT,
    K_LEVEL,
    L_DEPTH,
    L_PRICE,
    O_PRICE,
    O_QUANTITY,
)
from simlab.engine.compiled.tables import L_LIST, find_id
from simlab.market.ledger import (
    C_CASH,
    C_POPULATION,
    C_RESERVED,
    C_SENT,
    C_WINDOW,
    I_BAND_HIGH,
    I_BAND_LOW,
    I_HALTED_UNTIL,
    I_LOT,
    I_TICK,
    P_INVENTORY,
    P_OPEN_BUY,
    P_OPEN_SELL,
    R_BORROWING,
    R_OPEN_ORDERS,
    R_POSITION,
    R_RATE,
    R_RESERVE,
    R_SHORT,
    R_WINDOW,
    unit_cost,
)

__all__ = ["admit"]

_LIMIT, _MARKET, _CANCEL, _REPLACE, _CANCEL_ALL = (int(kind) for kind in MessageKind)
_CANCEL_RESTING = int(SelfTrade.CANCEL_RESTING)
_UNKNOWN_INSTRUMENT = int(Reason.UNKNOWN_INSTRUMENT)
_INVALID_ACCOUNT = int(Reason.INVALID_ACCOUNT)
_HALTED = int(Reason.MARKET_HALTED)
_OFF_TICK = int(Reason.PRICE_OFF_TICK)
_OFF_LOT = int(Reason.QUANTITY_OFF_LOT)
_BAND = int(Reason.PRICE_BAND)
_FUNDS = int(Reason.FUNDS)
_SHORT_LIMIT = int(Reason.SHORT_LIMIT)
_POSITION_LIMIT = int(Reason.POSITION_LIMIT)
_RATE_LIMIT = int(Reason.RATE_LIMIT)
_OPEN_ORDER_LIMIT = int(Reason.OPEN_ORDER_LIMIT)


@jit
def _own_depth(book, level, account):
    """Return the lots of an account's own orders at a price level. O(its resting orders)."""
    lots = 0
    row = np.int64(book.owners[account, A_HEAD])
    while row != 0:
        if book.links[row, K_LEVEL] == level:
            lots += book.orders[row, O_QUANTITY]
        row = np.int64(book.links[row, K_ACCOUNT_NEXT])
    return lots


@jit
def _cost_to_take(book, ledger, instrument, account, quantity):
    """Return the most that buying up to `quantity` lots from the asks can cost now, with fees. O(levels)."""
    cost = 0
    position = account * ledger.instruments.shape[0] + instrument
    # own asks that self-trade prevention will cancel give no lots: the order goes on to dearer ones
    skips_own = (
        book.books[instrument, B_SELF_TRADE] == _CANCEL_RESTING
        and ledger.positions[position, P_OPEN_SELL] > 0
    )
    level = np.int64(book.towers[2 * instrument + 1, 0])
    while level != 0 and quantity > 0:
        depth = book.levels[level, L_DEPTH]
        if skips_own:
            depth -= _own_depth(book, level, account)
        taken = min(quantity, depth)
        cost += taken * unit_cost(ledger.instruments, instrument, book.levels[level, L_PRICE])
        quantity -= taken
        level = np.int64(book.towers[level, 0])
    return cost


@jit_inline
def _refuse_terms(instruments, kind, instrument, price, quantity, step):
    """Check an order against its instrument's terms."""
    if step < instruments[instrument, I_HALTED_UNTIL]:
        return _HALTED
    if kind != _MARKET:
        tick = instruments[instrument, I_TICK]
        if tick != 1 and price % tick != 0:
            return _OFF_TICK
        if price < instruments[instrument, I_BAND_LOW] or price > instruments[instrument, I_BAND_HIGH]:
            return _BAND
    lot = instruments[instrument, I_LOT]
    if lot != 1 and quantity % lot != 0:
        return _OFF_LOT
    return 0


@jit_inline
def _refuse_rate(accounts, account, limit, window, step):
    """Count a message against the account's rate limit."""
    if limit < 0:
        return 0
    present = step // window + 1
    if accounts[account, C_WINDOW] != present:
        accounts[account, C_WINDOW] = present
        accounts[account, C_SENT] = 0
    if accounts[account, C_SENT] >= limit:
        return _RATE_LIMIT
    accounts[account, C_SENT] += 1
    return 0


@jit_inline
def _refuse_position(book, ledger, kind, side, instrument, account, price, quantity, old_price, old_quantity):
    """Check funds, short selling and position limits; an order being replaced is taken out first."""
    accounts, instruments = ledger.accounts, ledger.instruments
    population = accounts[account, C_POPULATION]
    reserve = ledger.policies[population, R_RESERVE]
    position = account * instruments.shape[0] + instrument
    limit = ledger.policies[population, R_POSITION]
    inventory = ledger.positions[position, P_INVENTORY]
    if side == 1:
        short = ledger.policies[population, R_SHORT]
        if reserve != 0:
            inventory -= ledger.positions[position, P_OPEN_SELL] - old_quantity
        if short >= 0 and inventory - quantity < -short:
            return _SHORT_LIMIT
        return _POSITION_LIMIT if limit >= 0 and inventory - quantity < -limit else 0
    if reserve != 0:
        inventory += ledger.positions[position, P_OPEN_BUY] - old_quantity
    if limit >= 0 and inventory + quantity > limit:
        return _POSITION_LIMIT
    borrowing = ledger.policies[population, R_BORROWING]
    if borrowing < 0:
        return 0
    available = accounts[account, C_CASH] + borrowing
    if reserve != 0:
        available -= accounts[account, C_RESERVED]
        if old_quantity > 0:
            available += old_quantity * unit_cost(instruments, instrument, old_price)
    if kind == _MARKET:
        return _FUNDS if _cost_to_take(book, ledger, instrument, account, quantity) > available else 0
    return _FUNDS if quantity * unit_cost(instruments, instrument, price) > available else 0


@jit_inline
def admit(book, ledger, code, order_id, account, price, quantity, step):
    """Return (0 or the reason to refuse, old price, old quantity): what a replaced order is now."""
    kind = code & 0xFF
    side = (code >> 8) & 0xFF
    may_rest = kind == _LIMIT and (code >> 16) & 0xFF == 0
    instrument = code >> 32
    if account < 0 or account >= ledger.accounts.shape[0]:
        return _INVALID_ACCOUNT, 0, 0
    if kind == _CANCEL or kind == _CANCEL_ALL:
        return 0, 0, 0
    old_price = 0
    old_quantity = 0
    if kind == _REPLACE:
        row = np.int64(find_id(book.ids, book.orders, order_id))
        if row == 0 or book.links[row, K_ACCOUNT] != account:
            return 0, 0, 0
        level = np.int64(book.links[row, K_LEVEL])
        side = book.levels[level, L_LIST] & 1
        instrument = book.levels[level, L_LIST] >> 1
        old_price, old_quantity = book.orders[row, O_PRICE], book.orders[row, O_QUANTITY]
    if instrument < 0 or instrument >= ledger.instruments.shape[0]:
        return _UNKNOWN_INSTRUMENT, 0, 0
    if (side != 0 and side != 1) or quantity < 1 or quantity > MAX_QUANTITY:
        return 0, old_price, old_quantity
    reason = _refuse_terms(ledger.instruments, kind, instrument, price, quantity, step)
    if reason == 0:
        population = ledger.accounts[account, C_POPULATION]
        policies = ledger.policies
        reason = _refuse_rate(
            ledger.accounts, account, policies[population, R_RATE], policies[population, R_WINDOW], step
        )
        if reason == 0 and may_rest:
            most = policies[population, R_OPEN_ORDERS]
            if most >= 0 and book.owners[account, A_ORDERS] >= most:
                reason = _OPEN_ORDER_LIMIT
    if reason == 0:
        reason = _refuse_position(
            book, ledger, kind, side, instrument, account, price, quantity, old_price, old_quantity
        )
    return reason, old_price, old_quantity
