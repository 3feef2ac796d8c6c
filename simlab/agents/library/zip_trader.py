"""Learn a profit margin from what others shout and pay: the zero-intelligence-plus traders of Cliff.

A trader has a schedule of units, as the zero-intelligence traders do, and a margin mu. It names the price
p = value (1 - mu) to buy its next unit, p = cost (1 + mu) to sell it. After each event it may move the price
towards a target tau, by the Widrow-Hoff rule with momentum::

    G <- gamma G + (1 - gamma) beta (tau - p),    p <- p + G

and keeps the margin that this price means unless it would trade at a loss. The target lies a little above the
price q of the event to raise the price, tau = R q + A with R uniform on [1, 1 + c_r] and A on [0, c_a], or
likewise a little below. A seller (a buyer is its mirror image)

- raises its price after a trade at q, when p <= q: it could have had more;
- lowers it after a trade at q that a seller accepted, when p > q and it has units left: it lost the trade;
- lowers it after an offer at q that nobody accepted, when p >= q and it has units left.

An event is inferred from the best prices and the last trade since the trader last looked, as in the Bristol
Stock Exchange: a new trade is a shout that was accepted, by the aggressor; a best price that has gone or has
been bettered without a trade is a shout that was not. So traders should look often (every step), see few
events between two looks, and let shouts end soon (`lifetime`): a book of resting orders teaches nothing.

At a look a trader takes the best opposite price at once if it is as good as p. Otherwise it names p with the
probability `shout_rate`, and leaves its last order alone if it does not.

Simplifications: an inferred event stands for all since the last look; a shout that does not better the best
price goes unseen. The price moves on a continuous scale; it is rounded to the nearest tick that makes no loss
when it is named. A trader without units learns from trades with the value of its last unit.

References
----------
Cliff (1997), Minimal-intelligence agents for bargaining behaviors in market-based environments, technical
report HPL-97-91, Hewlett-Packard Laboratories, Bristol.
Cliff and Bruten (1997), Zero is not enough: on the lower limit of agent intelligence for continuous double
auction markets, technical report HPL-97-141, Hewlett-Packard Laboratories, Bristol.
"""

from __future__ import annotations

from simlab.agents.compiled import Parameter, cancel_all, compiled_strategy, limit
from simlab.agents.library.quoting import opposite_depth, to_price
from simlab.agents.library.schedules import (
    LIFETIME,
    PERIOD,
    VALUE_STEP,
    last_step,
    unit_value,
    units_traded,
)
from simlab.core.jit import jit
from simlab.core.random import uniform

__all__ = ["moved_margin", "zip_trader"]

_SIDE, _VALUE, _UNITS, _VALUE_STEP, _PERIOD, _LIFETIME, _SHOUT_RATE = range(7)
_MARGIN_0, _BETA, _GAMMA, _C_R, _C_A = range(7, 12)
_MARGIN, _CHANGE, _BEST_BID, _BEST_ASK, _TRADES = range(1, 6)  # memory; 0 counts the units


@jit
def moved_margin(side, worth, margin, change):
    """Return the margin after the price has moved by `change`; the old one if it would trade at a loss.

    `worth` is the value of the unit, or its cost; `side` 0 a buyer, 1 a seller; the margin is a share of
    `worth`, from 0, and below 1 for a buyer.

    Example
    -------
    >>> round(moved_margin(0, 200.0, 0.10, 10.0), 3), moved_margin(0, 200.0, 0.10, 30.0)
    (0.05, 0.1)
    """
    moved = margin - change / worth if side == 0 else margin + change / worth
    return moved if moved > 0.0 and (side == 1 or moved < 1.0) else margin


@jit
def _limit_price(side, worth, margin):
    return worth * (1.0 - margin) if side == 0 else worth * (1.0 + margin)


@jit
def _nearest_tick(view, side, worth, price):
    """Round a price to the nearest tick that is not beyond the value of the unit."""
    rounded = to_price(view, 0, price + 0.5 * view.tick_size)
    worst = to_price(view, side, worth)
    return min(rounded, worst) if side == 0 else max(rounded, worst)


@jit
def _direction(view, me, side, price, active):
    """Return 1 to raise the price, -1 to lower it, 0 to leave it, and the price of the event."""
    better = 1 if side == 1 else -1  # the direction in which this side earns more
    if view.trades != int(me.memory[_TRADES]):
        at = float(view.last_price)
        if better * (at - price) >= 0.0:
            return better, at
        return (-better, at) if active and view.last_side == side else (0, at)
    at = me.memory[_BEST_BID] if side == 0 else me.memory[_BEST_ASK]
    depth = view.bid_depth if side == 0 else view.ask_depth
    best = view.best_bid if side == 0 else view.best_ask
    refused = at > 0.0 and (depth == 0 or best != at)
    return (-better, at) if refused and active and better * (price - at) >= 0.0 else (0, at)


@jit
def _learn(view, me, rng, side, worth, active):
    margin = me.memory[_MARGIN]
    price = _limit_price(side, worth, margin)
    direction, at = _direction(view, me, side, price, active)
    if direction == 0:
        return
    relative = uniform(rng) * me.parameters[_C_R]
    absolute = uniform(rng) * me.parameters[_C_A]
    target = at * (1.0 + direction * relative) + direction * absolute
    gamma = me.parameters[_GAMMA]
    change = gamma * me.memory[_CHANGE] + (1.0 - gamma) * me.parameters[_BETA] * (target - price)
    me.memory[_CHANGE] = change
    me.memory[_MARGIN] = moved_margin(side, worth, margin, change)


@jit
def _remember(view, me):
    me.memory[_BEST_BID] = view.best_bid if view.bid_depth > 0 else 0.0
    me.memory[_BEST_ASK] = view.best_ask if view.ask_depth > 0 else 0.0
    me.memory[_TRADES] = view.trades


@jit
def _shout(view, me, rng, orders, side, price):
    """Take the best opposite price if it is good enough; else name the own price, now and then."""
    best = view.best_ask if side == 0 else view.best_bid
    meets = price >= best if side == 0 else price <= best
    takes = opposite_depth(view, side) > 0 and meets
    if not takes and uniform(rng) >= me.parameters[_SHOUT_RATE]:
        return
    if me.open_orders > 0:
        cancel_all(orders, view)
    until = last_step(view.step, int(me.parameters[_PERIOD]), int(me.parameters[_LIFETIME]))
    limit(orders, view, side, price, view.lot_size, 0, 0, until)


@compiled_strategy(
    "zip",
    "Learns its profit margin from shouts and trades (zero-intelligence plus).",
    (
        Parameter("side", 0, "1", "0 a buyer, 1 a seller.", 0, 1, True),
        Parameter(
            "value",
            10_000,
            "price units",
            "What the first unit is worth to a buyer, or costs a seller.",
            1,
            2e9,
        ),
        Parameter("units", 10, "lot sizes", "Units to trade in a period; then it stops.", 0, 10**6, True),
        VALUE_STEP,
        PERIOD,
        LIFETIME,
        Parameter("shout_rate", 0.1, "1", "Chance of naming its price at a look.", 0.0, 1.0),
        Parameter("margin", 0.2, "1", "Profit margin it starts with, as a share of the value.", 1e-3, 0.999),
        Parameter("beta", 0.3, "1", "Learning rate.", 0.0, 1.0),
        Parameter("gamma", 0.05, "1", "Momentum.", 0.0, 0.999),
        Parameter("c_r", 0.05, "1", "Largest relative distance of a target from the price.", 0.0, 1.0),
        Parameter("c_a", 5, "price units", "Largest absolute distance on top of it.", 0.0, 1e6),
    ),
    source="Cliff (1997), HPL-97-91; Cliff and Bruten (1997), HPL-97-141",
)
def zip_trader(view, me, rng, orders):
    """Learn from what has happened since the last look, then take, name a price, or wait."""
    side = int(me.parameters[_SIDE])
    units = int(me.parameters[_UNITS])
    unit = units_traded(view, me, side, int(me.parameters[_PERIOD]))
    if view.halted:
        return
    active = unit < units
    worth = unit_value(side, max(min(unit, units - 1), 0), me.parameters[_VALUE], me.parameters[_VALUE_STEP])
    worth = max(worth, 1.0)  # a unit that is worth nothing has no margin
    if me.memory[_MARGIN] == 0.0:
        me.memory[_MARGIN] = me.parameters[_MARGIN_0]
        _remember(view, me)
    _learn(view, me, rng, side, worth, active)
    _remember(view, me)
    if active:
        price = _nearest_tick(view, side, worth, _limit_price(side, worth, me.memory[_MARGIN]))
        _shout(view, me, rng, orders, side, price)
