"""Trade on the imbalance of the book: buy where buyers queue, sell where sellers do.

The imbalance is that of the depth near the best prices, nearer levels counting more::

    rho = (B - A) / (B + A),    B = sum_l w^l (bid depth at level l),    A likewise

From `entry` on the agent takes at the best opposite price, with an immediate-or-cancel order, up to its
inventory limit. A position is closed, in the same way, when the imbalance no longer speaks for it: when it
has fallen below `exit` in the position's direction.

Simplifications: the first paper models how the imbalance moves between regimes, and what then trades, as a
Markov chain, and solves for where to place limit orders; here the same measure triggers market orders, by
thresholds. Weighing levels is an addition, with `levels` 1 it is the papers' imbalance of the best queues.
The agent has no resting orders that could count in what it measures.

References
----------
Cartea, Donnelly and Jaimungal (2018), Enhancing trading strategies with order book signals, Applied
Mathematical Finance 25(1), 1-35 (volume imbalance, and what it says of the next market order and price).
Lipton, Pesavento and Sotiropoulos (2013), Trade arrival dynamics and quote imbalance in a limit order book,
arXiv:1312.0514.
"""

from __future__ import annotations

from simlab.agents.compiled import DEPTH_LEVELS, Needs, Parameter, compiled_strategy, limit
from simlab.agents.library.quoting import capacity
from simlab.core.jit import jit

__all__ = ["imbalance_of", "order_imbalance"]

_LEVELS, _WEIGHT, _ENTRY, _EXIT, _SIZE, _INVENTORY_LIMIT = range(6)
_IOC = 1


@jit
def _weighted_depth(depths, shown, levels, weight):
    total, factor = 0.0, 1.0
    for level in range(min(shown, levels)):
        total += factor * depths[level]
        factor *= weight
    return total


@jit
def imbalance_of(view, levels, weight):
    """Return the imbalance of the best levels, -1 to 1; 0 where a side is empty."""
    bids = _weighted_depth(view.bid_depths, view.bid_levels, levels, weight)
    asks = _weighted_depth(view.ask_depths, view.ask_levels, levels, weight)
    return (bids - asks) / (bids + asks) if bids > 0.0 and asks > 0.0 else 0.0


@compiled_strategy(
    "order_imbalance",
    "Takes in the direction of the book's imbalance, and closes when it is gone.",
    (
        Parameter("levels", 3, "levels", "Levels a side that count.", 1, DEPTH_LEVELS, True),
        Parameter("weight", 0.5, "1", "Weight of a level, as a share of that of the level before.", 0.0, 1.0),
        Parameter("entry", 0.5, "1", "Imbalance from which it trades.", 0.0, 1.0),
        Parameter("exit", 0.0, "1", "Imbalance below which it closes a position.", -1.0, 1.0),
        Parameter("size", 5, "lots", "Order size.", 1, 10**6, True),
        Parameter("inventory_limit", 50, "lots", "Largest inventory, long or short.", 0, 10**9, True),
    ),
    needs=Needs(depth=DEPTH_LEVELS),
    source="Cartea, Donnelly and Jaimungal (2018), Applied Mathematical Finance 25(1), 1-35",
)
def order_imbalance(view, me, rng, orders):
    """Enter with the imbalance, leave without it."""
    if view.halted or view.bid_depth == 0 or view.ask_depth == 0:
        return
    rho = imbalance_of(view, int(me.parameters[_LEVELS]), me.parameters[_WEIGHT])
    size, most = int(me.parameters[_SIZE]), int(me.parameters[_INVENTORY_LIMIT])
    buy = sell = 0
    if rho >= me.parameters[_ENTRY]:
        buy = min(size, capacity(me, 0, most))
    elif rho <= -me.parameters[_ENTRY]:
        sell = min(size, capacity(me, 1, most))
    elif me.inventory > 0 and rho < me.parameters[_EXIT]:
        sell = min(size, me.inventory)
    elif me.inventory < 0 and -rho < me.parameters[_EXIT]:
        buy = min(size, -me.inventory)
    if buy > 0:
        limit(orders, view, 0, view.best_ask, buy, _IOC)
    elif sell > 0:
        limit(orders, view, 1, view.best_bid, sell, _IOC)
