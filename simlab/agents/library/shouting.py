"""Work for a customer in a double auction: what the strategies of that literature share.

A trader has its customer's order (`customer_orders` in the configuration): a side, units of one lot size
each, and a limit price for the next of them. It names one price at a time (shouts), for one unit, in place of
the price that it named before, and hears what others name and pay (``needs=Needs(shouts=True)``).

All functions are compiled.
"""

from __future__ import annotations

from simlab.agents.compiled import SHOUTS, Parameter, cancel_all, limit
from simlab.agents.library.quoting import to_price
from simlab.core.jit import jit

__all__ = [
    "LIFETIME",
    "first_unheard",
    "has_unit",
    "heard_kind",
    "heard_price",
    "holds_best",
    "meets",
    "nearest_price",
    "shout",
    "within_limit",
]

LIFETIME = Parameter(
    "lifetime", 0, "steps", "How long an order outlives its step; 0 until it is replaced.", 0, 10**9, True
)
_MASK = SHOUTS - 1


@jit
def has_unit(view, me):
    """Return whether there is a unit to trade now."""
    return view.halted == 0 and me.customer_quantity >= view.lot_size


@jit
def first_unheard(view, heard):
    """Return the number of the first shout or trade to listen to, after `heard` of them.

    What is too long ago for the view to remember is skipped.
    """
    return max(int(heard), view.shouts - SHOUTS)


@jit
def heard_kind(view, number):
    """Return what a shout or trade was, a `Shout`."""
    return view.shout_kinds[number & _MASK]


@jit
def heard_price(view, number):
    """Return the price that was named or paid, price units."""
    return float(view.shout_prices[number & _MASK])


@jit
def within_limit(view, me, price):
    """Round a float price to a tick, away from the market, and not beyond the customer's limit price."""
    side = me.customer_side
    worst = to_price(view, side, float(me.customer_limit))
    rounded = to_price(view, side, price)
    return min(rounded, worst) if side == 0 else max(rounded, worst)


@jit
def nearest_price(view, me, price):
    """Round a float price to the nearest tick that is not beyond the customer's limit price."""
    side = me.customer_side
    rounded = to_price(view, 0, price + 0.5 * view.tick_size)
    worst = to_price(view, side, float(me.customer_limit))
    return min(rounded, worst) if side == 0 else max(rounded, worst)


@jit
def meets(view, side, price):
    """Return whether an order at `price` would trade at once."""
    if side == 0:
        return view.ask_depth > 0 and price >= view.best_ask
    return view.bid_depth > 0 and price <= view.best_bid


@jit
def holds_best(view, me):
    """Return whether an own order is at the best price of its side; reads the visible orders."""
    best = view.best_bid if me.customer_side == 0 else view.best_ask
    for i in range(me.visible_orders):
        if me.order_sides[i] == me.customer_side and me.order_prices[i] == best:
            return True
    return False


@jit
def shout(orders, view, me, price, lifetime):
    """Name a price, from one of the roundings above, for one unit; what was named before is withdrawn.

    A limit price at which nothing can be bought, below one tick, is kept: then nothing is named.
    """
    if me.open_orders > 0:
        cancel_all(orders, view)
    if me.customer_side == 0 and price > me.customer_limit:
        return
    until = view.step + lifetime if lifetime > 0 else 0
    limit(orders, view, me.customer_side, price, view.lot_size, 0, 0, until)
