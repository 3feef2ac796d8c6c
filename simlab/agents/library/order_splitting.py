"""Split large hidden orders into small market orders: the origin of long memory in order flow.

Each agent holds a hidden order to buy or to sell, both equally likely, of L slices, where::

    P(L >= n) = n^(-alpha),    n = 1, 2, ...,

up to `max_size` lots. Every time it acts it sends a market order for one slice; when the whole order is
filled it draws a new one. With N such agents, equally likely to act, the signs of market orders have an
autocorrelation that decays as lag^(1 - alpha), long memory for alpha below 2. With `max_size` equal to
`slice` nothing is split, and the signs are independent.

Simplifications: in the paper sizes are continuous, time counts market orders, and in one of its versions
the number of hidden orders fluctuates; here each agent always has one (the fixed-N version). The agent
waits while there is nobody to trade with, and counts its fills, not what it sent: what the book could not
fill is sent again, and with a latency longer than the time between two activations an order gets more
slices than drawn.

References
----------
Lillo, Mike and Farmer (2005), Theory for long memory in supply and demand, Physical Review E 71, 066122,
the model with a fixed number of hidden orders.
"""

from __future__ import annotations

import math

from simlab.agents.compiled import Parameter, compiled_strategy, market
from simlab.agents.library.quoting import opposite_depth
from simlab.core.jit import jit
from simlab.core.numerics import exp
from simlab.core.random import exponential, integers

__all__ = ["order_splitter"]

_ALPHA, _SLICE, _MAX_SIZE = range(3)
_REMAINING, _SIDE = range(2)  # memory


@jit
def _draw_size(me, rng):
    """Draw the size of a hidden order, lots: a Pareto number of slices, not above `max_size`."""
    piece = int(me.parameters[_SLICE])
    most = max(int(me.parameters[_MAX_SIZE]) // piece, 1)
    slices = math.floor(exp(exponential(rng) / me.parameters[_ALPHA]))
    return piece * int(min(slices, float(most)))


@jit
def _count_fills(me):
    """Take what was filled since the last look off the hidden order; return what remains, lots."""
    filled = me.bought if me.memory[_SIDE] == 0.0 else me.sold
    me.memory[_REMAINING] = max(me.memory[_REMAINING] - filled, 0.0)
    return int(me.memory[_REMAINING])


@compiled_strategy(
    "order_splitter",
    "Splits orders of Pareto-distributed size into market orders of one slice.",
    (
        Parameter("alpha", 1.5, "1", "Tail exponent of the order sizes.", 0.1, 10.0),
        Parameter("slice", 1, "lots", "Largest piece sent at once; the smallest order.", 1, 10**6, True),
        Parameter("max_size", 10**6, "lots", "Largest order; `slice` to split nothing.", 1, 10**9, True),
    ),
    source="Lillo, Mike and Farmer (2005), Physical Review E 71, 066122",
)
def order_splitter(view, me, rng, orders):
    """Send the next slice of the hidden order, or the first of a new one."""
    remaining = _count_fills(me)
    if view.halted:
        return
    if remaining < view.lot_size:
        me.memory[_SIDE] = float(integers(rng, 0, 2))
        remaining = max(_draw_size(me, rng), view.lot_size)
        me.memory[_REMAINING] = float(remaining)
    side = int(me.memory[_SIDE])
    if opposite_depth(view, side) > 0:
        market(orders, view, side, min(remaining, max(int(me.parameters[_SLICE]), view.lot_size)))
