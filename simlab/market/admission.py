"""Decide whether a message may go to the book: a reason code, or 0. Nothing here raises or changes a book.

Cancels always pass. What the order book itself refuses (unknown ids, sides, quantities) is left to it.
"""

from __future__ import annotations

from simlab.core.jit import jit, jit_inline
from simlab.core.rows import unpacked
from simlab.core.types import MAX_QUANTITY, MessageKind, Reason, SelfTrade, Side, TimeInForce
from simlab.engine.compiled.hashed import find_id
from simlab.market.instruments import MAX_MONEY
from simlab.market.ledger import FOR_EVER, unit_cost

__all__ = ["admit"]


@jit
def _own_depth(book, level, account):
    """Return the lots of an account's own orders at a price level. O(its resting orders)."""
    lots = 0
    row = book.owners[account].head
    while row != 0:
        order = book.orders[row]
        if order.level == level:
            lots += order.quantity
        row = order.account_next
    return lots


@jit
def _cost_to_take(book, ledger, side, instrument, account, quantity):
    """Return the most that a market order of up to `quantity` lots can cost now, with fees. O(levels)."""
    cost = 0
    position = ledger.positions[account * len(ledger.terms) + instrument]
    # own orders that self-trade prevention will cancel give no lots: the order goes on to worse ones
    own = position.open_sell if side == Side.BUY else position.open_buy
    skips_own = book.self_trade[instrument] == SelfTrade.CANCEL_RESTING and own > 0
    level = book.nodes[2 * instrument + 1 - side].floors[0]
    while level != 0 and quantity > 0:
        depth = book.levels[level].depth
        if skips_own:
            depth -= _own_depth(book, level, account)
        taken = min(quantity, depth)
        cost += taken * unit_cost(ledger.terms[instrument], side, book.levels[level].price)
        quantity -= taken
        level = book.nodes[level].floors[0]
    return cost


@jit_inline
def _refuse_terms(terms, kind, price, quantity, step):
    """Check an order against its instrument's terms."""
    if step < terms.halted_until:
        return Reason.DELISTED.value if terms.halted_until == FOR_EVER else Reason.MARKET_HALTED.value
    if kind != MessageKind.MARKET:
        if terms.tick_size != 1 and price % terms.tick_size != 0:
            return Reason.PRICE_OFF_TICK.value
        if price < terms.band_low or price > terms.band_high:
            return Reason.PRICE_BAND.value
    if terms.lot_size != 1 and quantity % terms.lot_size != 0:
        return Reason.QUANTITY_OFF_LOT.value
    return 0


@jit_inline
def _refuse_rate(account, policy, step):
    """Count a message against the account's rate limit."""
    if policy.rate_limit < 0:
        return 0
    present = step // policy.rate_window + 1
    if account.window != present:
        account.window = present
        account.sent = 0
    if account.sent >= policy.rate_limit:
        return Reason.RATE_LIMIT.value
    account.sent += 1
    return 0


@jit_inline
def _refuse_money(ledger, account, position, terms, side, quantity):
    """Check that no sum of the account's money can come near 2^63, whatever its orders trade at."""
    bought, sold = position.open_buy, position.open_sell
    if side == Side.BUY:
        bought += quantity
    else:
        sold += quantity
    lots = max(abs(position.inventory + bought), abs(position.inventory - sold))
    fees = ledger.accounts[ledger.exchange.fees].cash
    if (
        lots > terms.lot_limit
        or abs(account.cash) > MAX_MONEY
        or abs(account.fees) > MAX_MONEY
        or abs(fees) > MAX_MONEY
    ):
        return Reason.MONEY_LIMIT.value
    return 0


@jit_inline
def _refuse_position(position, policy, side, quantity, old_quantity):
    """Check short selling and the position limit."""
    reserve = policy.reserve != 0
    if side == Side.BUY:
        inventory = position.inventory + quantity + (position.open_buy - old_quantity if reserve else 0)
        if policy.position_limit >= 0 and inventory > policy.position_limit:
            return Reason.POSITION_LIMIT.value
        return 0
    inventory = position.inventory - quantity - (position.open_sell - old_quantity if reserve else 0)
    if policy.short_limit >= 0 and inventory < -policy.short_limit:
        return Reason.SHORT_LIMIT.value
    if policy.position_limit >= 0 and inventory < -policy.position_limit:
        return Reason.POSITION_LIMIT.value
    return 0


@jit_inline
def _refuse_funds(book, ledger, kind, side, instrument, number, price, quantity, old_price, old_quantity):
    """Check that an order can be paid for."""
    account, terms = ledger.accounts[number], ledger.terms[instrument]
    policy = ledger.policies[account.population]
    if policy.borrowing < 0 or (side == Side.SELL and terms.band_low >= 0):
        return 0
    available = account.cash + policy.borrowing
    if policy.reserve != 0:
        available -= account.reserved
        if old_quantity > 0:
            available += old_quantity * unit_cost(terms, side, old_price)
    if kind == MessageKind.MARKET:
        cost = _cost_to_take(book, ledger, side, instrument, number, quantity)
    else:
        cost = quantity * unit_cost(terms, side, price)
    return Reason.FUNDS.value if cost > available else 0


@jit_inline
def _refuse_account(
    book, ledger, kind, side, may_rest, instrument, number, price, quantity, old_price, old_quantity, step
):
    """Check an order against what its account may do; an order being replaced is taken out first."""
    account = ledger.accounts[number]
    policy = ledger.policies[account.population]
    position = ledger.positions[number * len(ledger.terms) + instrument]
    reason = _refuse_rate(account, policy, step)
    if reason != 0:
        return reason
    if may_rest and policy.open_orders >= 0 and book.owners[number].orders >= policy.open_orders:
        return Reason.OPEN_ORDER_LIMIT.value
    reason = _refuse_position(position, policy, side, quantity, old_quantity)
    if reason == 0:
        reason = _refuse_money(
            ledger, account, position, ledger.terms[instrument], side, quantity - old_quantity
        )
    if reason == 0:
        reason = _refuse_funds(
            book, ledger, kind, side, instrument, number, price, quantity, old_price, old_quantity
        )
    return reason


@jit_inline
def admit(book, ledger, code, order_id, account, price, quantity, step):
    """Return (0 or the reason to refuse, old price, old quantity): what a replaced order is now."""
    kind, side, tif, _, instrument = unpacked(code)
    if account < 0 or account >= len(ledger.accounts):
        return Reason.INVALID_ACCOUNT.value, 0, 0
    if kind == MessageKind.CANCEL or kind == MessageKind.CANCEL_ALL:
        return 0, 0, 0
    old_price = 0
    old_quantity = 0
    if kind == MessageKind.REPLACE:
        row = find_id(book, order_id)
        if row == 0 or book.orders[row].account != account:
            return 0, 0, 0
        order = book.orders[row]
        side_list = book.nodes[order.level].side_list
        side, instrument = side_list & 1, side_list >> 1
        old_price, old_quantity = order.price, order.quantity
    if instrument < 0 or instrument >= len(ledger.terms):
        return Reason.UNKNOWN_INSTRUMENT.value, 0, 0
    if (side != Side.BUY and side != Side.SELL) or quantity < 1 or quantity > MAX_QUANTITY:
        return 0, old_price, old_quantity
    reason = _refuse_terms(ledger.terms[instrument], kind, price, quantity, step)
    if reason == 0:
        may_rest = kind == MessageKind.LIMIT and tif == TimeInForce.GTC
        reason = _refuse_account(
            book, ledger, kind, side, may_rest, instrument, account, price, quantity, old_price, old_quantity,
            step,
        )  # fmt: skip
    return reason, old_price, old_quantity
