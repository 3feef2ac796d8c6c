"""Put prices and sizes into orders: what the built-in strategies share.

All functions are compiled, take the view, the account and the `orders` of a decision, and never name a
price above `MAX_PRICE`, nor below one tick, or below the price band where that reaches to zero or below.
"""

from __future__ import annotations

import math

from simlab.agents.compiled import cancel, limit, replace
from simlab.core.jit import jit

__all__ = [
    "MAX_PRICE",
    "add_fills",
    "capacity",
    "lowest_price",
    "opposite_depth",
    "quote",
    "quote_both",
    "to_price",
    "touch",
]

MAX_PRICE = 2**31 - 1
"""Highest price that a built-in strategy sends, price units."""

# Filling up a quote adds an order each time; beyond this many it waits, so that all stay visible.
_MOST_QUOTES = 8


@jit
def lowest_price(view):
    """Return the lowest price to name: one tick, or that of a price band that reaches to zero or below."""
    tick = view.tick_size
    return tick if view.price_low > 0 else -(-view.price_low // tick) * tick


@jit
def to_price(view, side, value):
    """Round a float price to a tick: down to buy, up to sell; the lowest price for NaN and what is below."""
    tick, lowest = view.tick_size, lowest_price(view)
    highest = MAX_PRICE // tick * tick
    if not value > lowest:
        return lowest
    if value >= highest:
        return highest
    ticks = math.floor(value / tick) if side == 0 else math.ceil(value / tick)
    return max(int(ticks) * tick, lowest)


@jit
def opposite_depth(view, side):
    """Return the depth at the best price that an order of `side` would trade against, 0 if there is none."""
    return view.ask_depth if side == 0 else view.bid_depth


@jit
def touch(view, side):
    """Return the best price on an order's own side of the book, or the mid price if that side is empty."""
    if side == 0:
        return view.best_bid if view.bid_depth > 0 else to_price(view, 0, view.mid)
    return view.best_ask if view.ask_depth > 0 else to_price(view, 1, view.mid)


@jit
def capacity(me, side, inventory_limit):
    """Return how many lots `side` may still trade before the inventory passes +/- `inventory_limit`."""
    room = inventory_limit - me.inventory if side == 0 else inventory_limit + me.inventory
    return max(room, 0)


@jit
def add_fills(me, side):
    """Add what was filled on `side` since the last look to memory 0; return the sum so far, lots."""
    me.memory[0] += me.bought if side == 0 else me.sold
    return int(me.memory[0])


@jit
def _keep_at_price(orders, view, me, side, price, quantity):
    """Keep resting orders at `price` up to `quantity`, shrink or cancel the rest; return what is missing."""
    for i in range(me.visible_orders):
        if me.order_sides[i] == side and me.order_prices[i] == price:
            resting = me.order_quantities[i]
            if quantity <= 0:
                cancel(orders, me.order_ids[i])
            elif resting > quantity:
                replace(orders, view, side, me.order_ids[i], price, quantity)
            quantity = max(quantity - resting, 0)
    return quantity


@jit
def _move_to_price(orders, view, me, side, price, quantity, post_only):
    """Move one resting order from another price, cancel the others; return what is missing still.

    A replace cannot be post-only, and the place in the queue is lost anyway, so a post-only quote is
    cancelled and left to be sent anew.
    """
    for i in range(me.visible_orders):
        if me.order_sides[i] == side and me.order_prices[i] != price:
            if quantity <= 0 or post_only == 1:
                cancel(orders, me.order_ids[i])
            else:
                replace(orders, view, side, me.order_ids[i], price, quantity)
                quantity = 0
    return quantity


@jit
def quote(orders, view, me, side, price, quantity, post_only=0):
    """Make the agent's resting orders on one side be `quantity` lots at `price`, with few messages.

    Orders already at `price` keep their place in the queue. `quantity` 0 withdraws the side. `price` must
    come from `to_price`. Reads the visible orders, so the strategy must ask for them.
    """
    quantity -= quantity % view.lot_size
    missing = _keep_at_price(orders, view, me, side, price, quantity)
    kept = quantity - missing
    missing = _move_to_price(orders, view, me, side, price, missing, post_only)
    if missing > 0 and (kept == 0 or me.visible_orders < _MOST_QUOTES):
        limit(orders, view, side, price, missing, 0, post_only)


@jit
def _lowest_own_ask(me):
    lowest = MAX_PRICE + 1
    for i in range(me.visible_orders):
        if me.order_sides[i] == 1:
            lowest = min(lowest, me.order_prices[i])
    return lowest


@jit
def quote_both(orders, view, me, bid, ask, size, inventory_limit, post_only):
    """Quote `size` lots at the float prices `bid` and `ask`, less where the inventory limit is near.

    The two are at least one tick apart. The side that makes room moves first, so that the quotes never
    meet each other.
    """
    tick = view.tick_size
    bid_price = to_price(view, 0, bid)
    ask_price = to_price(view, 1, ask)
    if bid_price >= ask_price:
        bid_price = max(ask_price - tick, lowest_price(view))
        ask_price = max(ask_price, bid_price + tick)
    buy = min(size, capacity(me, 0, inventory_limit))
    sell = min(size, capacity(me, 1, inventory_limit))
    ask_first = _lowest_own_ask(me) <= bid_price
    if ask_first:
        quote(orders, view, me, 1, ask_price, sell, post_only)
    quote(orders, view, me, 0, bid_price, buy, post_only)
    if not ask_first:
        quote(orders, view, me, 1, ask_price, sell, post_only)
