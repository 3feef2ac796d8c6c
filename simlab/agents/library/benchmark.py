"""Keep an order book busy at a known rate: the agent behind ``simlab bench kernel``.

Every activation sends exactly one message (none while the instrument is halted): about 60% limit orders,
10% market orders and 30% cancels. Limit orders stand 1 to 10 ticks from the mid price, five sixths on
their own side and one sixth across it; sizes are uniform from 1 to 100 lots. Trades and cancels together
remove as much as limit orders add, so the book reaches a steady state.

The agent remembers the ids of its latest eight passive orders and cancels the newest, which most often
still rests; one that does not is rejected as an unknown order. An agent with nothing to cancel, or nobody
to trade with, sends a limit order instead, and one that holds more than `max_orders` cancels them all. A
decision draws four 32-bit words, one block of the random generator.

This is a load, not a model: it has no source.
"""

from __future__ import annotations

from simlab.agents.compiled import Parameter, cancel, cancel_all, compiled_strategy, limit, market
from simlab.agents.library.quoting import MAX_PRICE, opposite_depth
from simlab.agents.strategy import MAX_MEMORY
from simlab.core.jit import jit
from simlab.core.random import integers

__all__ = ["benchmark"]

_LIMITS, _LIMITS_AND_MARKETS = 60, 70
_FARTHEST, _PASSIVE_SIXTHS = 10, 5
_OLDEST = MAX_MEMORY - 1


@jit
def _remember(me, order_id):
    for i in range(_OLDEST, 0, -1):
        me.memory[i] = me.memory[i - 1]
    me.memory[0] = order_id


@jit
def _forget_newest(me):
    """Take the newest id out of memory; 0 if there is none."""
    newest = int(me.memory[0])
    for i in range(_OLDEST):
        me.memory[i] = me.memory[i + 1]
    me.memory[_OLDEST] = 0.0
    return newest


@jit
def _place(view, me, rng, orders, side, quantity):
    place = integers(rng, 0, 6 * _FARTHEST)
    away = (1 + place % _FARTHEST) * view.tick_size
    outside = place // _FARTHEST < _PASSIVE_SIXTHS
    if (side == 0) == outside:
        away = -away
    # A mid price is a whole or half number, so adding a half rounds a sell order's up without a call.
    price = int(view.mid if side == 0 else view.mid + 0.5) + away
    price = min(max(price, view.tick_size), MAX_PRICE - view.tick_size)
    order_id = limit(orders, view, side, price, quantity)
    takes = price >= view.best_ask if side == 0 else price <= view.best_bid
    if not (takes and opposite_depth(view, side) > 0):
        _remember(me, order_id)


@compiled_strategy(
    "benchmark",
    "Sends one limit order, market order or cancel every time, to load the kernel.",
    (
        Parameter("max_size", 100, "lots", "Largest order; sizes are uniform from 1.", 1, 10**6, True),
        Parameter("max_orders", 16, "orders", "Resting orders beyond which it cancels all.", 1, 1000, True),
    ),
)
def benchmark(view, me, rng, orders):
    """Send exactly one message."""
    if view.halted:
        return
    action = integers(rng, 0, 100)
    side = integers(rng, 0, 2)
    quantity = max(integers(rng, 1, int(me.parameters[0]) + 1), view.lot_size)
    if me.open_orders > int(me.parameters[1]):
        cancel_all(orders, view)
        me.memory[:] = 0.0
    elif action >= _LIMITS_AND_MARKETS and me.memory[0] > 0.0 and me.open_orders > 0:
        cancel(orders, _forget_newest(me))
    elif _LIMITS <= action < _LIMITS_AND_MARKETS and opposite_depth(view, side) > 0:
        market(orders, view, side, quantity)
    else:
        _place(view, me, rng, orders, side, quantity)
