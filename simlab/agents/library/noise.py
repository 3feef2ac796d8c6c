"""Trade without a view on the price: random limit orders, market orders and cancels.

Each time it acts, the agent picks one of three actions, buys or sells with equal probability, and draws
the size uniformly. A limit order stands a geometric number of ticks outside the mid price. Someone has to
be wrong, or in need of cash, for a market to exist; here it is this trader.

Simplifications: in the sources order flow is a Poisson process for the whole market, limit prices are
uniform over an interval, and each resting order is cancelled at a constant rate. Here each agent acts when
the kernel activates it, prices are geometric around the mid, the cancelled order is a random one of the
agent's own, and an agent that holds `max_orders` cancels instead of adding another. A market order that
would find nobody is sent as a limit order.

References
----------
Daniels, Farmer, Gillemot, Iori and Smith (2003), Quantitative model of price diffusion and market
formation based on trading as a mechanistic random process, Physical Review Letters 90, 108102.
Farmer, Patelli and Zovko (2005), The predictive power of zero intelligence in financial markets,
Proceedings of the National Academy of Sciences 102(6), section "Continuous double auction".
"""

from __future__ import annotations

import math

from simlab.agents.compiled import VISIBLE_ORDERS, Needs, Parameter, cancel, compiled_strategy, limit, market
from simlab.agents.library.quoting import opposite_depth, to_price
from simlab.core.jit import jit
from simlab.core.numerics import log
from simlab.core.random import exponential, integers, uniform

__all__ = ["noise"]

_LIMIT_SHARE, _MARKET_SHARE, _CANCEL_SHARE, _OFFSET, _MAX_SIZE, _MAX_ORDERS = range(6)
_NO_OFFSET = 1e-9


@jit
def _geometric(rng, mean):
    if mean < _NO_OFFSET:
        return 0
    return int(min(exponential(rng) / log((1.0 + mean) / mean), 1e6))


@jit
def _cancel_random(me, rng, orders):
    if me.visible_orders > 0:
        cancel(orders, me.order_ids[integers(rng, 0, me.visible_orders)])


@jit
def _place(view, me, rng, orders, side, quantity):
    away = _geometric(rng, me.parameters[_OFFSET]) * view.tick_size
    mid = math.floor(view.mid) - away if side == 0 else math.ceil(view.mid) + away
    limit(orders, view, side, to_price(view, side, float(mid)), quantity)


@compiled_strategy(
    "noise",
    "Random limit orders around the mid price, market orders, and cancels of its own orders.",
    (
        Parameter("limit_share", 0.50, "1", "Weight of limit orders among the actions.", 0.0, 1.0),
        Parameter("market_share", 0.15, "1", "Weight of market orders among the actions.", 0.0, 1.0),
        Parameter("cancel_share", 0.35, "1", "Weight of cancels among the actions.", 0.0, 1.0),
        Parameter("offset", 5.0, "ticks", "Mean distance of a limit order from the mid price.", 0.0, 1e4),
        Parameter("max_size", 10, "lots", "Largest order; sizes are uniform from 1.", 1, 10**6, True),
        Parameter("max_orders", 10, "orders", "Resting orders it holds at most.", 1, VISIBLE_ORDERS, True),
    ),
    needs=Needs(orders=True),
    source="Daniels, Farmer, Gillemot, Iori and Smith (2003), Physical Review Letters 90, 108102",
)
def noise(view, me, rng, orders):
    """Send one limit order, one market order or one cancel at random."""
    limits = me.parameters[_LIMIT_SHARE]
    markets = me.parameters[_MARKET_SHARE]
    total = limits + markets + me.parameters[_CANCEL_SHARE]
    if view.halted or total <= 0.0:
        return
    action = uniform(rng) * total
    side = integers(rng, 0, 2)
    quantity = max(integers(rng, 1, int(me.parameters[_MAX_SIZE]) + 1), view.lot_size)
    if limits <= action < limits + markets and opposite_depth(view, side) > 0:
        market(orders, view, side, quantity)
    elif action >= limits + markets or me.visible_orders >= int(me.parameters[_MAX_ORDERS]):
        _cancel_random(me, rng, orders)
    else:
        _place(view, me, rng, orders, side, quantity)
