"""Bid and ask at random, with and without a budget: the zero-intelligence traders of Gode and Sunder.

A trader trades the units of its customer's order one by one. Unconstrained (ZI-U), its price is uniform on
[`low`, `high`], even at a loss. Constrained (ZI-C), a buyer's bid is uniform on [`low`, value of the unit]
and a seller's ask on [cost of the unit, `high`]: no trade can lose money. Each activation replaces its
resting order by a new draw; an order ends when the customer gives a new one, and `lifetime` steps after it
was sent.

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

from simlab.agents.compiled import Needs, Parameter, cancel_all, compiled_strategy, limit
from simlab.agents.library.quoting import MAX_PRICE
from simlab.agents.library.shouting import LIFETIME
from simlab.core.jit import jit
from simlab.core.random import integers

__all__ = ["zi_constrained", "zi_unconstrained"]

_LOW, _HIGH, _LIFETIME = range(3)
_SOURCE = "Gode and Sunder (1993), Journal of Political Economy 101(1), 119-137"
_PARAMETERS = (
    Parameter("low", 9_000, "price units", "Lowest price it may name.", 1, MAX_PRICE),
    Parameter("high", 11_000, "price units", "Highest price it may name.", 1, MAX_PRICE),
    LIFETIME,
)


@jit
def _name_price(view, me, rng, orders, low, high):
    """Withdraw the resting order and send one unit at a uniform tick in [low, high], if a unit is left."""
    if view.halted:
        return
    if me.open_orders > 0:
        cancel_all(orders, view)
    tick = view.tick_size
    first = max(math.ceil(low / tick), 1)
    last = math.floor(high / tick)
    if me.customer_quantity >= view.lot_size and first <= last:
        price = integers(rng, first, last + 1) * tick
        lifetime = int(me.parameters[_LIFETIME])
        until = view.step + lifetime if lifetime > 0 else 0
        limit(orders, view, me.customer_side, price, view.lot_size, 0, 0, until)


@compiled_strategy(
    "zi_unconstrained",
    "Names a uniformly random price, even at a loss (ZI-U).",
    _PARAMETERS,
    needs=Needs(customers=True),
    source=_SOURCE,
)
def zi_unconstrained(view, me, rng, orders):
    """Name a price uniform on [low, high]."""
    _name_price(view, me, rng, orders, me.parameters[_LOW], me.parameters[_HIGH])


@compiled_strategy(
    "zi_constrained",
    "Names a uniformly random price at which it cannot lose (ZI-C).",
    _PARAMETERS,
    needs=Needs(customers=True),
    source=_SOURCE,
)
def zi_constrained(view, me, rng, orders):
    """Name a price uniform on [low, value of the unit] to buy, on [its cost, high] to sell."""
    low = me.parameters[_LOW]
    high = me.parameters[_HIGH]
    if me.customer_side == 0:
        high = min(high, float(me.customer_limit))
    else:
        low = max(low, float(me.customer_limit))
    _name_price(view, me, rng, orders, low, high)
