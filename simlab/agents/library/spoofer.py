"""Spoof, for research on how to detect it: show orders that are not meant to trade, to move others' quotes.

The agent rests a genuine order of `size` lots at the best price of its side, and in each cycle of `cycle`
steps shows, for the first `hold` steps, `layers` large orders of `layer_size` lots on the other side, one
tick apart, the first `distance` ticks behind the best price. They pretend that the price is about to move
towards the genuine order. When the market comes within `retreat` ticks of one of them all are cancelled at
once, so that they hardly ever trade; after `hold` steps they go too. What was filled on the genuine side is
kept; when the inventory limit is reached all orders are withdrawn and the sides change, so that it sells high
what it has bought low.

The truth is in the recording: the layers, which must never take, are post-only, and the genuine orders are
not. ``messages.query("event == 'accepted' and post_only")`` has the ids of the layers of a spoofer's account.
With `layers` 0 the same trader spoofs nobody: the control for an experiment.

Simplifications: the first source's spoofer shows one large order, one tick behind the best price, moves it
along with the price so that it does not trade, and has no genuine order. Spoofing is against the law in most
markets; here there are none to be disturbed.

References
----------
Wang and Wellman (2017), Spoofing the limit order book: an agent-based model, AAMAS 2017, 651-659.
Cartea, Jaimungal and Wang (2020), Spoofing and price manipulation in order-driven markets, Applied
Mathematical Finance 27(1-2), 67-98 (spoof orders on one side to trade on the other).
"""

from __future__ import annotations

from simlab.agents.compiled import Needs, Parameter, cancel, cancel_all, compiled_strategy, limit
from simlab.agents.library.quoting import capacity, lowest_price, quote, to_price, touch
from simlab.core.jit import jit

__all__ = ["spoofer"]

_SIDE, _SIZE, _LAYERS, _LAYER_SIZE, _DISTANCE, _RETREAT, _CYCLE, _HOLD, _INVENTORY_LIMIT = range(9)
_TURNED = 0  # memory: 1 while the sides are the other way round


@jit
def _layers(me, side):
    """Return how many orders rest on a side, and the price of the one nearest to the market; 0 for none."""
    count, nearest = 0, 0
    for i in range(me.visible_orders):
        if me.order_sides[i] == side:
            price = me.order_prices[i]
            better = price > nearest if side == 0 else price < nearest
            nearest = price if count == 0 or better else nearest
            count += 1
    return count, nearest


@jit
def _withdraw(orders, me, side):
    for i in range(me.visible_orders):
        if me.order_sides[i] == side:
            cancel(orders, me.order_ids[i])


@jit
def _show_layers(view, me, orders, side):
    """Show orders behind the best price of a side, unless they would be the best themselves."""
    depth = view.bid_depth if side == 0 else view.ask_depth
    if depth == 0:
        return
    away = -view.tick_size if side == 0 else view.tick_size
    for i in range(int(me.parameters[_LAYERS])):
        price = touch(view, side) + away * (int(me.parameters[_DISTANCE]) + i)
        if price >= lowest_price(view):
            quantity = int(me.parameters[_LAYER_SIZE])
            limit(orders, view, side, to_price(view, side, float(price)), quantity, 0, 1)


@compiled_strategy(
    "spoofer",
    "Shows orders that it cancels before they trade, against its genuine order (for detection research).",
    (
        Parameter("side", 0, "1", "Side of its genuine orders at first: 0 to buy, 1 to sell.", 0, 1, True),
        Parameter("size", 5, "lots", "Size of its genuine order.", 1, 10**6, True),
        Parameter("layers", 3, "orders", "Orders that it shows; 0 to be honest.", 0, 8, True),
        Parameter("layer_size", 100, "lots", "Size of each.", 1, 10**6, True),
        Parameter("distance", 1, "ticks", "Of the first one from the best price.", 1, 1000, True),
        Parameter("retreat", 0, "ticks", "From the market at which all are cancelled.", 0, 1000, True),
        Parameter("cycle", 20, "steps", "From one show to the next.", 1, 10**6, True),
        Parameter("hold", 10, "steps", "How long a show lasts.", 1, 10**6, True),
        Parameter("inventory_limit", 100, "lots", "Inventory at which the sides change.", 0, 10**9, True),
    ),
    needs=Needs(orders=True),
    source="Wang and Wellman (2017), Spoofing the limit order book, AAMAS 2017, 651-659",
)
def spoofer(view, me, rng, orders):
    """Rest a genuine order; show layers on the other side, and take them away in time."""
    if view.halted:
        return
    genuine = int(me.parameters[_SIDE]) ^ int(me.memory[_TURNED])
    if capacity(me, genuine, int(me.parameters[_INVENTORY_LIMIT])) == 0:
        me.memory[_TURNED] = 1.0 - me.memory[_TURNED]
        cancel_all(orders, view)
        return
    other = 1 - genuine
    count, nearest = _layers(me, other)
    phase = view.step % int(me.parameters[_CYCLE])
    best = touch(view, other)
    gap = (best - nearest if other == 0 else nearest - best) // view.tick_size
    if count > 0 and (phase >= int(me.parameters[_HOLD]) or gap <= int(me.parameters[_RETREAT])):
        _withdraw(orders, me, other)
    elif count == 0 and phase < int(me.parameters[_HOLD]):
        _show_layers(view, me, orders, other)
    wanted = min(int(me.parameters[_SIZE]), capacity(me, genuine, int(me.parameters[_INVENTORY_LIMIT])))
    quote(orders, view, me, genuine, touch(view, genuine), wanted)
