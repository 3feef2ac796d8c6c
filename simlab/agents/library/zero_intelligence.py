"""Bid and ask at random, with and without a budget: the zero-intelligence traders of Gode and Sunder.

A trader is a buyer with redemption values or a seller with costs, and trades one unit (one lot size) at a
time, in order, until it has traded `units`. The first unit has the value `value`; each further one is worth
`value_step` less to a buyer, or costs a seller that much more. Every `period` steps all units are available
anew: supply and demand schedules that replenish. Unconstrained (ZI-U), its price is uniform on [`low`,
`high`], even at a loss. Constrained (ZI-C), a buyer's bid is uniform on [`low`, value of the unit] and a
seller's ask on [cost of the unit, `high`]: no trade can lose money. Each activation replaces its resting
order by a new draw; an order ends with its period, and `lifetime` steps after it was sent.

Simplifications: a trade does not clear the book of everybody's quotes (an order stays until its trader acts
again; a short `lifetime` comes near to quotes that are cleared); and a quote need not improve on the best
one to be accepted. Prices are whole ticks. With a latency above zero an order can fill before its cancel
arrives, so that a trader may end one unit over.

References
----------
Gode and Sunder (1993), Allocative efficiency of markets with zero-intelligence traders: market as a
partial substitute for individual rationality, Journal of Political Economy 101(1), 119-137, section III.
"""

from __future__ import annotations

import math

from simlab.agents.compiled import Parameter, cancel_all, compiled_strategy, limit
from simlab.agents.library.quoting import MAX_PRICE
from simlab.agents.library.schedules import (
    LIFETIME,
    PERIOD,
    VALUE_STEP,
    last_step,
    unit_value,
    units_traded,
)
from simlab.core.jit import jit
from simlab.core.random import integers

__all__ = ["zi_constrained", "zi_unconstrained"]

_SIDE, _VALUE, _LOW, _HIGH, _UNITS, _VALUE_STEP, _PERIOD, _LIFETIME = range(8)
_SOURCE = "Gode and Sunder (1993), Journal of Political Economy 101(1), 119-137"
_PARAMETERS = (
    Parameter("side", 0, "1", "0 a buyer, 1 a seller.", 0, 1, True),
    Parameter(
        "value", 10_000, "price units", "What the first unit is worth to a buyer, or costs a seller.", 0, 2e9
    ),
    Parameter("low", 9_000, "price units", "Lowest price it may name.", 1, MAX_PRICE),
    Parameter("high", 11_000, "price units", "Highest price it may name.", 1, MAX_PRICE),
    Parameter("units", 10, "lot sizes", "Units to trade in a period; then it stops.", 0, 10**6, True),
    VALUE_STEP,
    PERIOD,
    LIFETIME,
)


@jit
def _name_price(view, me, rng, orders, unit, low, high):
    """Withdraw the resting order and send one unit at a uniform tick in [low, high], if units are left."""
    if view.halted:
        return
    if me.open_orders > 0:
        cancel_all(orders, view)
    tick = view.tick_size
    first = max(math.ceil(low / tick), 1)
    last = math.floor(high / tick)
    if unit < int(me.parameters[_UNITS]) and first <= last:
        price = integers(rng, first, last + 1) * tick
        until = last_step(view.step, int(me.parameters[_PERIOD]), int(me.parameters[_LIFETIME]))
        limit(orders, view, int(me.parameters[_SIDE]), price, view.lot_size, 0, 0, until)


@compiled_strategy(
    "zi_unconstrained",
    "Names a uniformly random price, even at a loss (ZI-U).",
    _PARAMETERS,
    source=_SOURCE,
)
def zi_unconstrained(view, me, rng, orders):
    """Name a price uniform on [low, high]."""
    unit = units_traded(view, me, int(me.parameters[_SIDE]), int(me.parameters[_PERIOD]))
    _name_price(view, me, rng, orders, unit, me.parameters[_LOW], me.parameters[_HIGH])


@compiled_strategy(
    "zi_constrained",
    "Names a uniformly random price at which it cannot lose (ZI-C).",
    _PARAMETERS,
    source=_SOURCE,
)
def zi_constrained(view, me, rng, orders):
    """Name a price uniform on [low, value of the unit] to buy, on [its cost, high] to sell."""
    side = int(me.parameters[_SIDE])
    unit = units_traded(view, me, side, int(me.parameters[_PERIOD]))
    value = unit_value(side, unit, me.parameters[_VALUE], me.parameters[_VALUE_STEP])
    low = me.parameters[_LOW]
    high = me.parameters[_HIGH]
    if side == 0:
        high = min(high, value)
    else:
        low = max(low, value)
    _name_price(view, me, rng, orders, unit, low, high)
