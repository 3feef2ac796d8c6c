"""Keep the books: cash, inventory, reserves, fees and realised profit, in integers, from events alone.

Double entry: every fill moves cash from buyer to seller, lots from seller to buyer, and fees from both to
the fee account. Shocks trade from the error account; both belong to the exchange (`ExchangeAccount`).
A fee is ``ceil(|notional| * ppm / 1e6)`` money units: rounded towards the fee account, so a rebate (a
negative fee) is rounded towards zero. `cost` is what an open position cost, signed: positive for a long
position; closing part of it takes out its share rounded down. At every moment and for every account::

    cash + sum(cost) + fees - sum(realised) = starting cash + sum(starting cost)
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from simlab.core.jit import jit_inline
from simlab.core.rows import Tables, record, table, unpacked
from simlab.core.types import FLAG_MARKET, EventKind, Side, unpack_accounts

__all__ = ["FILL_LOG", "FOR_EVER", "ExchangeAccount", "Ledger", "fee", "hold", "settle", "unit_cost"]

ACCOUNT = np.dtype(
    [
        ("cash", "i8"),
        ("reserved", "i8"),
        ("fees", "i8"),
        ("population", "i8"),
        ("last_look", "i8"),
        ("window", "i8"),
        ("sent", "i8"),
        ("fill_log", "i8"),
    ]
)
"""One account, a cache line. `window` and `sent` are of its rate limit; `fill_log` 0 says it has none."""

POSITION = np.dtype(
    [
        ("inventory", "i8"),
        ("cost", "i8"),
        ("realised", "i8"),
        ("open_buy", "i8"),
        ("open_sell", "i8"),
        ("bought", "i8"),
        ("sold", "i8"),
        ("fills", "i8"),
    ]
)
"""One account in one instrument, a cache line; the last three count since the agent last looked."""

TERMS = np.dtype(
    [
        ("tick_size", "i8"),
        ("lot_size", "i8"),
        ("multiplier", "i8"),
        ("band_low", "i8"),
        ("band_high", "i8"),
        ("lot_limit", "i8"),
        ("maker_ppm", "i8"),
        ("taker_ppm", "i8"),
        ("halted_until", "i8"),
        ("last_price", "i8"),
        ("last_quantity", "i8"),
        ("last_side", "i8"),
        ("volume", "i8"),
        ("trades", "i8"),
        ("bought", "i8"),
    ]
)
"""One instrument: its terms, and what traded last and altogether; `bought`: lots that aggressors bought."""

FOR_EVER = 2**62
"""Value of `halted_until` for an instrument that is no longer listed."""

POLICY = np.dtype(
    [
        ("borrowing", "i8"),
        ("short_limit", "i8"),
        ("position_limit", "i8"),
        ("reserve", "i8"),
        ("rate_limit", "i8"),
        ("rate_window", "i8"),
        ("open_orders", "i8"),
    ]
)
"""What the accounts of one population may do; the last row is the exchange's own."""

REASONS = 64
"""Reason codes, with room to spare."""

STATS = np.dtype([("orders", "i8"), ("fills", "i8"), ("volume", "i8"), ("refused", "i8", (REASONS,))])
"""What the accounts of one population did, in total; messages refused by reason."""


CUSTOMER = np.dtype(
    [
        ("side", "i8"),
        ("limit", "i8"),
        ("limit_step", "i8"),
        ("quantity", "i8"),
        ("since", "i8"),
        ("unused", "i8", (3,)),
    ]
)
"""What an account may trade for its customer in one instrument, a cache line.

`quantity` lots are left, 0 for none. The next lot size has the limit price `limit`, each further one is worth
`limit_step` less to a customer who buys, or costs one who sells that much more. `since` is the step at which
the account was given the order.
"""


class ExchangeAccount(IntEnum):
    """An account of the exchange's own; they are numbered after all agents, in this order."""

    FEES = 0
    ERRORS = 1


EXCHANGE = np.dtype([("fees", "i8"), ("errors", "i8")])
"""The numbers of the exchange's own accounts."""

OWN_FILL = np.dtype([("step", "i8"), ("quantity", "i8"), ("price", "i8"), ("order_id", "i8")])
"""One fill of an account that keeps a log; `quantity` is negative for a sale."""

FILL_LOG = 16
"""Latest fills that an account with a log remembers in each instrument."""

_MILLION = 1_000_000
_SMALL = 2**31

accounts_of = jit_inline(unpack_accounts)


class Ledger(Tables):
    """All accounts of a market; rows of `positions` are ``account * instruments + instrument``."""

    accounts = table(ACCOUNT)
    positions = table(POSITION)
    terms = table(TERMS)
    policies = table(POLICY)
    stats = table(STATS)
    exchange = record(EXCHANGE)
    fills = table(OWN_FILL)
    """`FILL_LOG` rows for each account with a log and instrument, used in turn."""
    customers = table(CUSTOMER)
    """A row for each of `positions`, or none at all where nobody trades for customers."""


@jit_inline
def fee(notional, ppm):
    """Return ``ceil(notional * ppm / 1e6)`` without overflow, money units."""
    if ppm == 0:
        return 0
    whole = notional // _MILLION
    rest = notional - whole * _MILLION
    return whole * ppm - (-(rest * ppm)) // _MILLION


@jit_inline
def unit_cost(terms, side, price):
    """Return the most that one lot can cost with fees, at a limit price, money units; never below 0.

    A purchase costs its price; a sale costs something only where prices can be below zero.
    """
    notional = price * terms.multiplier
    ppm = max(terms.maker_ppm, terms.taker_ppm)
    charged = fee(abs(notional), ppm) if ppm > 0 else 0
    return max(0, (notional if side == Side.BUY else -notional) + charged)


@jit_inline
def _share(cost, part, whole):
    """Return ``floor(cost * part / whole)`` without overflow, for parts below 2**31."""
    if part == whole:
        return cost
    if -_SMALL < cost < _SMALL:
        return cost * part // whole
    each = cost // whole
    rest = cost - each * whole
    if whole < _SMALL:
        return each * part + rest * part // whole
    quotient = 0
    remainder = 0
    for bit in range(30, -1, -1):  # long division of rest * part, of up to 92 bits, bit by bit
        remainder = 2 * remainder + (rest if (part >> bit) & 1 else 0)
        quotient = 2 * quotient + remainder // whole
        remainder %= whole
    return each * part + quotient


@jit_inline
def hold(ledger, account, instrument, side, price, quantity):
    """Reserve (or with a negative quantity release) what a resting order may use."""
    position, terms = ledger.positions[account * len(ledger.terms) + instrument], ledger.terms[instrument]
    if side == Side.BUY:
        position.open_buy += quantity
    else:
        position.open_sell += quantity
    if side == Side.BUY or terms.band_low < 0:
        ledger.accounts[account].reserved += quantity * unit_cost(terms, side, price)


@jit_inline
def _change_position(position, signed, unit):
    """Book `signed` lots, negative for a sale, at `unit` money units a lot into a position."""
    inventory = position.inventory
    position.inventory = inventory + signed
    if inventory == 0 or (inventory > 0) == (signed > 0):
        position.cost += signed * unit
        return
    held = abs(inventory)
    quantity = abs(signed)
    closed = min(held, quantity)
    removed = _share(position.cost, closed, held)
    sign = 1 if inventory > 0 else -1
    position.realised += sign * closed * unit - removed
    position.cost += sign * -(quantity - closed) * unit - removed


@jit_inline
def _serve_customer(customer, side, quantity, lot_size):
    """Take a fill out of what is left of a customer's order; the last unit's limit price stays."""
    if customer.side != side or customer.quantity <= 0:
        return
    before = customer.quantity
    customer.quantity = max(before - quantity, 0)
    units = before // lot_size - max(customer.quantity // lot_size, 1)
    customer.limit += (units if side == Side.SELL else -units) * customer.limit_step


@jit_inline
def _book_side(ledger, account_number, instrument, side, price, quantity, ppm, step, order_id):
    """Book one side of a fill; return the fee."""
    account = ledger.accounts[account_number]
    row = account_number * len(ledger.terms) + instrument
    position = ledger.positions[row]
    signed = quantity if side == Side.BUY else -quantity
    unit = price * ledger.terms[instrument].multiplier
    paid = fee(abs(unit * quantity), ppm)
    account.cash -= unit * signed + paid
    account.fees += paid
    _change_position(position, signed, unit)
    if side == Side.BUY:
        position.bought += quantity
    else:
        position.sold += quantity
    position.fills += 1
    if len(ledger.customers) > 0:
        _serve_customer(ledger.customers[row], side, quantity, ledger.terms[instrument].lot_size)
    stats = ledger.stats[account.population]
    stats.fills += 1
    stats.volume += quantity
    if account.fill_log > 0:
        at = (account.fill_log * len(ledger.terms) + instrument) * FILL_LOG
        own = ledger.fills[at + (position.fills - 1) % FILL_LOG]
        own.step = step
        own.quantity = signed
        own.price = price
        own.order_id = order_id
    return paid


@jit_inline
def _settle_fill(ledger, event, instrument, side, limit_price, is_market, step):
    terms = ledger.terms[instrument]
    taker, maker = accounts_of(event.accounts)
    price, quantity = event.price, event.quantity
    if not is_market:
        hold(ledger, taker, instrument, side, limit_price, -quantity)
    hold(ledger, maker, instrument, 1 - side, price, -quantity)
    paid = _book_side(ledger, taker, instrument, side, price, quantity, terms.taker_ppm, step, event.order_id)
    paid += _book_side(
        ledger, maker, instrument, 1 - side, price, quantity, terms.maker_ppm, step, event.other_order_id
    )
    fee_account = ledger.accounts[ledger.exchange.fees]
    fee_account.cash += paid
    fee_account.fees -= paid
    terms.last_price = price
    terms.last_quantity = quantity
    terms.last_side = side
    terms.volume += quantity
    terms.trades += 1
    if side == Side.BUY:
        terms.bought += quantity


@jit_inline
def settle(ledger, events, start, stop, old_price, old_quantity, step):
    """Book the events of one message (or of an expiry).

    `old_price` and `old_quantity` are what a replaced order was before; they do not matter otherwise.
    """
    limit_price = 0
    is_market = False
    taker_id = 0
    for i in range(start, stop):
        event = events[i]
        kind, side, reason, flags, instrument = unpacked(event.code)
        if kind == EventKind.FILL:
            _settle_fill(ledger, event, instrument, side, limit_price, is_market, step)
            continue
        account, _ = accounts_of(event.accounts)
        if kind == EventKind.REJECTED:
            if account < len(ledger.accounts):
                ledger.stats[ledger.accounts[account].population].refused[reason] += 1
        elif kind == EventKind.ACCEPTED or kind == EventKind.REPLACED:
            limit_price = event.price
            is_market = (flags & FLAG_MARKET) != 0
            taker_id = event.order_id
            if kind == EventKind.ACCEPTED:
                ledger.stats[ledger.accounts[account].population].orders += 1
            else:
                hold(ledger, account, instrument, side, old_price, -old_quantity)
            if not is_market:
                hold(ledger, account, instrument, side, event.price, event.quantity)
        elif not (is_market and event.order_id == taker_id):
            hold(ledger, account, instrument, side, event.price, -event.quantity)
