"""Bid and ask at random, with and without a budget: the zero-intelligence traders of Gode and Sunder.

A trader is a buyer with a redemption value or a seller with a cost, and trades one unit (one lot size) at
a time until it has traded `units`. Unconstrained (ZI-U), its price is uniform on [`low`, `high`], even at
a loss. Constrained (ZI-C), a buyer's bid is uniform on [`low`, `value`] and a seller's ask on [`value`,
`high`]: no trade can lose money. Each activation replaces its resting order by a new draw.

Simplifications: all units of a trader have the same value (in the paper each unit has its own); a trade
does not clear the book of everybody's quotes; and a quote need not improve on the best one to be accepted.
Prices are whole ticks. With a latency above zero an order can fill before its cancel arrives, so that a
trader may end one unit over.

References
----------
Gode and Sunder (1993), Allocative efficiency of markets with zero-intelligence traders: market as a
partial substitute for individual rationality, Journal of Political Economy 101(1), 119-137, section III.
"""

from __future__ import annotations

import math

from simlab.agents.compiled import Parameter, cancel_all, compiled_strategy, limit
from simlab.agents.library.quoting import MAX_PRICE, add_fills
from simlab.core.jit import jit
from simlab.core.random import integers

__all__ = ["zi_constrained", "zi_unconstrained"]

_SIDE, _VALUE, _LOW, _HIGH, _UNITS = range(5)
_SOURCE = "Gode and Sunder (1993), Journal of Political Economy 101(1), 119-137"
_PARAMETERS = (
    Parameter("side", 0, "1", "0 a buyer, 1 a seller.", 0, 1, True),
    Parameter("value", 10_000, "price units", "What a unit is worth to a buyer, or costs a seller.", 0, 2e9),
    Parameter("low", 9_000, "price units", "Lowest price it may name.", 1, MAX_PRICE),
    Parameter("high", 11_000, "price units", "Highest price it may name.", 1, MAX_PRICE),
    Parameter("units", 10, "lot sizes", "Units to trade; then it stops.", 0, 10**6, True),
)


@jit
def _name_price(view, me, rng, orders, low, high):
    """Withdraw the resting order and send one unit at a uniform tick in [low, high], if units are left."""
    side = int(me.parameters[_SIDE])
    remaining = int(me.parameters[_UNITS]) * view.lot_size - add_fills(me, side)
    if view.halted:
        return
    if me.open_orders > 0:
        cancel_all(orders, view)
    tick = view.tick_size
    first = max(math.ceil(low / tick), 1)
    last = math.floor(high / tick)
    if remaining > 0 and first <= last:
        limit(orders, view, side, integers(rng, first, last + 1) * tick, view.lot_size)


@compiled_strategy(
    "zi_unconstrained",
    "Names a uniformly random price, even at a loss (ZI-U).",
    _PARAMETERS,
    source=_SOURCE,
)
def zi_unconstrained(view, me, rng, orders):
    """Name a price uniform on [low, high]."""
    _name_price(view, me, rng, orders, me.parameters[_LOW], me.parameters[_HIGH])


@compiled_strategy(
    "zi_constrained",
    "Names a uniformly random price at which it cannot lose (ZI-C).",
    _PARAMETERS,
    source=_SOURCE,
)
def zi_constrained(view, me, rng, orders):
    """Name a price uniform on [low, value] to buy, on [value, high] to sell."""
    low = me.parameters[_LOW]
    high = me.parameters[_HIGH]
    if me.parameters[_SIDE] == 0.0:
        high = min(high, me.parameters[_VALUE])
    else:
        low = max(low, me.parameters[_VALUE])
    _name_price(view, me, rng, orders, low, high)
