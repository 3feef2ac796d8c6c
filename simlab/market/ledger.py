"""Keep the books: cash, inventory, reserves, fees and realised profit, in integers, from events alone.

Double entry: every fill moves cash from buyer to seller, lots from seller to buyer, and fees from both to
the fee account, which is the last but one; the last is the error account, from which shocks trade.
A fee is ``ceil(notional * ppm / 1e6)`` money units: rounded towards the fee account, so a rebate (a negative
fee) is rounded towards zero. `cost` is what an open position cost, signed: positive for a long position;
closing part of it takes out its share rounded down. At every moment and for every account::

    cash + sum(cost) + fees - sum(realised) = starting cash + sum(starting cost)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.core.jit import jit_inline
from simlab.core.types import (
    E_ACCOUNTS,
    E_CODE,
    E_ORDER_ID,
    E_OTHER_ORDER_ID,
    E_PRICE,
    E_QUANTITY,
    FLAG_MARKET,
    EventKind,
)

__all__ = ["FILL_LOG", "Ledger", "fee", "settle", "unit_cost"]

# accounts: (accounts, 8) int64; the last three are of the agent's observation and rate limit
C_CASH, C_RESERVED, C_FEES, C_POPULATION, C_LAST_LOOK, C_WINDOW, C_SENT, C_FILL_ROW = range(8)
# positions: (accounts * instruments, 8) int64; the last three count since the agent last looked
P_INVENTORY, P_COST, P_REALISED, P_OPEN_BUY, P_OPEN_SELL, P_BOUGHT, P_SOLD, P_FILLS = range(8)
# instruments: (instruments, 16) int64
(
    I_TICK,
    I_LOT,
    I_MULTIPLIER,
    I_BAND_LOW,
    I_BAND_HIGH,
    I_MAKER_PPM,
    I_TAKER_PPM,
    I_HALTED_UNTIL,
    I_LAST_PRICE,
    I_LAST_QUANTITY,
    I_LAST_SIDE,
    I_VOLUME,
    I_TRADES,
    I_INITIAL_PRICE,
) = range(14)
# policies: (populations, 8) int64
R_BORROWING, R_SHORT, R_POSITION, R_RESERVE, R_RATE, R_WINDOW, R_OPEN_ORDERS = range(7)
# stats: (populations, 4) int64
T_ORDERS, T_FILLS, T_VOLUME, T_REFUSED = range(4)
# fills: (rows, FILL_LOG, 4) int64: step, signed quantity, price, order id
FILL_LOG = 16

_ACCEPTED, _REJECTED, _FILL, _CANCELLED, _REPLACED, _EXPIRED = (int(kind) for kind in EventKind)
_MARKET = FLAG_MARKET << 24
_MILLION = 1_000_000
_SMALL = 2**31
_LOW_HALF = 0xFFFFFFFF


class Ledger(NamedTuple):
    """All accounts of a market, as arrays; rows of `positions` are ``account * instruments + instrument``."""

    accounts: NDArray[np.int64]
    positions: NDArray[np.int64]
    instruments: NDArray[np.int64]
    policies: NDArray[np.int64]
    stats: NDArray[np.int64]
    fills: NDArray[np.int64]

    TABLES = {"accounts": 8, "positions": 8, "instruments": 16, "policies": 8, "stats": 4}  # noqa: RUF012


@jit_inline
def fee(notional, ppm):
    """Return ``ceil(notional * ppm / 1e6)`` without overflow, money units."""
    if ppm == 0:
        return 0
    whole = notional // _MILLION
    rest = notional - whole * _MILLION
    return whole * ppm - (-(rest * ppm)) // _MILLION


@jit_inline
def unit_cost(instruments, instrument, price):
    """Return the most that one lot bought at a price can cost with fees, money units."""
    notional = price * instruments[instrument, I_MULTIPLIER]
    ppm = max(instruments[instrument, I_MAKER_PPM], instruments[instrument, I_TAKER_PPM])
    return notional + (fee(notional, ppm) if ppm > 0 else 0)


@jit_inline
def _share(cost, part, whole):
    """Return ``floor(cost * part / whole)`` without overflow for lots below 2**31."""
    if part == whole:
        return cost
    if -_SMALL < cost < _SMALL and part < _SMALL:
        return cost * part // whole
    each = cost // whole
    return each * part + ((cost - each * whole) * part) // whole


@jit_inline
def hold(ledger, account, instrument, side, price, quantity):
    """Reserve (or with a negative quantity release) what a resting order may use."""
    position = account * ledger.instruments.shape[0] + instrument
    if side == 0:
        ledger.positions[position, P_OPEN_BUY] += quantity
        ledger.accounts[account, C_RESERVED] += quantity * unit_cost(ledger.instruments, instrument, price)
    else:
        ledger.positions[position, P_OPEN_SELL] += quantity


@jit_inline
def _change_position(positions, row, side, quantity, unit):
    """Book a fill of `quantity` lots at `unit` money units a lot into a position."""
    inventory = positions[row, P_INVENTORY]
    signed = quantity if side == 0 else -quantity
    positions[row, P_INVENTORY] = inventory + signed
    if inventory == 0 or (inventory > 0) == (signed > 0):
        positions[row, P_COST] += signed * unit
        return
    held = abs(inventory)
    closed = min(held, quantity)
    removed = _share(positions[row, P_COST], closed, held)
    sign = 1 if inventory > 0 else -1
    positions[row, P_REALISED] += sign * closed * unit - removed
    positions[row, P_COST] += sign * -(quantity - closed) * unit - removed


@jit_inline
def _book_side(ledger, account, instrument, side, price, quantity, ppm, step, order_id):
    """Book one side of a fill; return the fee."""
    accounts, positions, instruments = ledger.accounts, ledger.positions, ledger.instruments
    row = account * instruments.shape[0] + instrument
    unit = price * instruments[instrument, I_MULTIPLIER]
    paid = fee(unit * quantity, ppm)
    accounts[account, C_CASH] += (-unit * quantity if side == 0 else unit * quantity) - paid
    accounts[account, C_FEES] += paid
    _change_position(positions, row, side, quantity, unit)
    positions[row, P_BOUGHT + side] += quantity
    positions[row, P_FILLS] += 1
    population = accounts[account, C_POPULATION]
    ledger.stats[population, T_FILLS] += 1
    ledger.stats[population, T_VOLUME] += quantity
    log = accounts[account, C_FILL_ROW]
    if log > 0:
        slot = (positions[row, P_FILLS] - 1) % FILL_LOG
        ledger.fills[log * instruments.shape[0] + instrument, slot, 0] = step
        ledger.fills[log * instruments.shape[0] + instrument, slot, 1] = quantity if side == 0 else -quantity
        ledger.fills[log * instruments.shape[0] + instrument, slot, 2] = price
        ledger.fills[log * instruments.shape[0] + instrument, slot, 3] = order_id
    return paid


@jit_inline
def _settle_fill(ledger, events, i, instrument, side, limit_price, is_market, step):
    accounts, instruments = ledger.accounts, ledger.instruments
    taker = events[i, E_ACCOUNTS] & _LOW_HALF
    maker = events[i, E_ACCOUNTS] >> 32
    price = events[i, E_PRICE]
    quantity = events[i, E_QUANTITY]
    if not is_market:
        hold(ledger, taker, instrument, side, limit_price, -quantity)
    hold(ledger, maker, instrument, 1 - side, price, -quantity)
    maker_ppm, taker_ppm = instruments[instrument, I_MAKER_PPM], instruments[instrument, I_TAKER_PPM]
    paid = _book_side(
        ledger, taker, instrument, side, price, quantity, taker_ppm, step, events[i, E_ORDER_ID]
    )
    paid += _book_side(
        ledger, maker, instrument, 1 - side, price, quantity, maker_ppm, step, events[i, E_OTHER_ORDER_ID]
    )
    accounts[accounts.shape[0] - 2, C_CASH] += paid
    accounts[accounts.shape[0] - 2, C_FEES] -= paid
    instruments[instrument, I_LAST_PRICE] = price
    instruments[instrument, I_LAST_QUANTITY] = quantity
    instruments[instrument, I_LAST_SIDE] = side
    instruments[instrument, I_VOLUME] += quantity
    instruments[instrument, I_TRADES] += 1


@jit_inline
def settle(ledger, events, start, stop, old_price, old_quantity, step):
    """Book the events of one message (or of an expiry).

    `old_price` and `old_quantity` are what a replaced order was before; they do not matter otherwise.
    """
    limit_price = 0
    is_market = False
    taker_id = 0
    for i in range(start, stop):
        code = events[i, E_CODE]
        kind = code & 0xFF
        side = (code >> 8) & 0xFF
        instrument = code >> 32
        if kind == _FILL:
            _settle_fill(ledger, events, i, instrument, side, limit_price, is_market, step)
        elif kind == _REJECTED:
            account = events[i, E_ACCOUNTS] & _LOW_HALF
            if account < ledger.accounts.shape[0]:
                ledger.stats[ledger.accounts[account, C_POPULATION], T_REFUSED] += 1
        else:
            account = events[i, E_ACCOUNTS] & _LOW_HALF
            price, quantity = events[i, E_PRICE], events[i, E_QUANTITY]
            if kind == _ACCEPTED or kind == _REPLACED:
                limit_price = price
                is_market = (code & _MARKET) != 0
                taker_id = events[i, E_ORDER_ID]
                if kind == _ACCEPTED:
                    ledger.stats[ledger.accounts[account, C_POPULATION], T_ORDERS] += 1
                else:
                    hold(ledger, account, instrument, side, old_price, -old_quantity)
                if not is_market:
                    hold(ledger, account, instrument, side, price, quantity)
            elif not (is_market and events[i, E_ORDER_ID] == taker_id):
                hold(ledger, account, instrument, side, price, -quantity)
