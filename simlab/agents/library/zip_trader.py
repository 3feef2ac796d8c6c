"""Learn a profit margin from what others shout and pay: the zero-intelligence-plus traders of Cliff.

A trader trades the units of its customer's order one by one, with a margin mu. It names the price
p = value (1 - mu) to buy its next unit, p = cost (1 + mu) to sell it. After each event it may move the price
towards a target tau, by the Widrow-Hoff rule with momentum::

    G <- gamma G + (1 - gamma) beta (tau - p),    p <- p + G

and keeps the margin that this price means unless it would trade at a loss. The target lies a little above the
price q of the event to raise the price, tau = R q + A with R uniform on [1, 1 + c_r] and A on [0, c_a], or
likewise a little below. A seller (a buyer is its mirror image)

- raises its price after a trade at q, when p <= q: it could have had more;
- lowers it after a trade at q that a seller accepted, when p > q and it has units left: it lost the trade;
- lowers it after an ask at q that nobody accepted at once, when p >= q and it has units left.

It hears every order that came to rest (a shout that nobody accepted at once) and every trade (a shout that
was accepted, by the aggressor) since it last looked, up to the latest 128, in order.

At a look a trader takes the best opposite price at once if it is as good as p. Otherwise it names p with the
probability `shout_rate`, and leaves its last order alone if it does not.

Simplifications: a shout stands in an order book, and may be accepted later; let it end soon (`lifetime`) for
shouts that are gone when nobody accepts. The price moves on a continuous scale; it is rounded to the nearest
tick that makes no loss when it is named. A trader without units learns from trades with the value of its last
unit.

References
----------
Cliff (1997), Minimal-intelligence agents for bargaining behaviors in market-based environments, technical
report HPL-97-91, Hewlett-Packard Laboratories, Bristol.
Cliff and Bruten (1997), Zero is not enough: on the lower limit of agent intelligence for continuous double
auction markets, technical report HPL-97-141, Hewlett-Packard Laboratories, Bristol.
"""

from __future__ import annotations

from simlab.agents.compiled import Needs, Parameter, Shout, compiled_strategy
from simlab.agents.library.shouting import (
    LIFETIME,
    first_unheard,
    has_unit,
    heard_kind,
    heard_price,
    meets,
    nearest_price,
    shout,
)
from simlab.core.jit import jit
from simlab.core.random import uniform

__all__ = ["direction", "moved_margin", "zip_trader"]

_LIFETIME, _SHOUT_RATE, _MARGIN_0, _BETA, _GAMMA, _C_R, _C_A = range(7)
_MARGIN, _CHANGE, _HEARD = range(3)  # memory
_TRADE = int(Shout.BUY)


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
def direction(side, price, kind, at, active):
    """Return 1 to raise the price after an event at the price `at`, -1 to lower it, 0 to leave it.

    `kind` is a `Shout`; `active` says whether there are units left.

    Example
    -------
    >>> direction(1, 100.0, Shout.BUY, 110.0, True), direction(1, 100.0, Shout.ASK, 90.0, True)
    (1, -1)
    """
    better = 1 if side == 1 else -1  # the direction in which this side earns more
    if kind >= _TRADE:
        if better * (at - price) >= 0.0:
            return better
        return -better if active and kind - _TRADE == side else 0
    return -better if active and kind == side and better * (price - at) >= 0.0 else 0


@jit
def _learn(view, me, rng, side, worth, active):
    """Move the margin by all that happened since the last look."""
    gamma = me.parameters[_GAMMA]
    for number in range(first_unheard(view, me.memory[_HEARD]), view.shouts):
        margin, at = me.memory[_MARGIN], heard_price(view, number)
        price = _limit_price(side, worth, margin)
        way = direction(side, price, heard_kind(view, number), at, active)
        if way == 0:
            continue
        relative = uniform(rng) * me.parameters[_C_R]
        absolute = uniform(rng) * me.parameters[_C_A]
        target = at * (1.0 + way * relative) + way * absolute
        change = gamma * me.memory[_CHANGE] + (1.0 - gamma) * me.parameters[_BETA] * (target - price)
        me.memory[_CHANGE] = change
        me.memory[_MARGIN] = moved_margin(side, worth, margin, change)
    me.memory[_HEARD] = view.shouts


@compiled_strategy(
    "zip",
    "Learns its profit margin from shouts and trades (zero-intelligence plus).",
    (
        LIFETIME,
        Parameter("shout_rate", 0.1, "1", "Chance of naming its price at a look.", 0.0, 1.0),
        Parameter("margin", 0.2, "1", "Profit margin it starts with, as a share of the value.", 1e-3, 0.999),
        Parameter("beta", 0.3, "1", "Learning rate.", 0.0, 1.0),
        Parameter("gamma", 0.05, "1", "Momentum.", 0.0, 0.999),
        Parameter("c_r", 0.05, "1", "Largest relative distance of a target from the price.", 0.0, 1.0),
        Parameter("c_a", 5, "price units", "Largest absolute distance on top of it.", 0.0, 1e6),
    ),
    needs=Needs(shouts=True, customers=True),
    source="Cliff (1997), HPL-97-91; Cliff and Bruten (1997), HPL-97-141",
)
def zip_trader(view, me, rng, orders):
    """Learn from what has happened since the last look, then take, name a price, or wait."""
    if view.halted or me.customer_since < 0:
        return
    side, active = me.customer_side, has_unit(view, me)
    worth = max(float(me.customer_limit), 1.0)  # a unit that is worth nothing has no margin
    if me.memory[_MARGIN] == 0.0:
        me.memory[_MARGIN] = me.parameters[_MARGIN_0]
        me.memory[_HEARD] = view.shouts
    _learn(view, me, rng, side, worth, active)
    if active:
        price = nearest_price(view, me, _limit_price(side, worth, me.memory[_MARGIN]))
        if meets(view, side, price) or uniform(rng) < me.parameters[_SHOUT_RATE]:
            shout(orders, view, me, price, int(me.parameters[_LIFETIME]))
