"""Traders of the double-auction literature with little or no mind: Giveaway, Shaver, Kaplan's Sniper, PRZI.

All trade the units of a customer's order one by one.

- `giveaway` names its limit price: it leaves all surplus to the other side, but trades whatever can be
  traded.
- `shaver` betters the best price of its side by one tick, never beyond its limit price; where there is none
  it begins at the `lowest` (`highest`) price. It leaves its order alone while that is the best.
- `sniper` waits in the background and takes the best opposite price, if that is within its limit, when it is
  at least as good as any at which the last customer's order could have been traded; or when bid and ask are
  close (within `closeness`), it earns at least `least_profit`, and the price is no worse than the worst of
  that time; or when `patience` steps have gone by since it got the order.
- `przi` names a price at random from a distribution between its limit price and a greedy end, which runs from
  Giveaway (`strategy` -1) through ZI-C (0, uniform) to Shaver (1). At a distance x in [0, 1] from the limit
  price towards the greedy end the density is proportional to ``g(x) = (e^(c x) - 1) / (e^c - 1)`` for a
  strategy s > 0 and to ``1 - g(x)`` for s < 0, with ``c = m tan(pi (s + 1/2))`` within +-`theta_0`; for s > 0
  the greedy end moves from the end of the range to the price of a Shaver.

Simplifications: PRZI's density is continuous and then rounded to ticks, and the range of prices is a
parameter and not guessed. Sniper's time of the last customer's order takes the place of Kaplan's last period.

References
----------
Cliff (2018), An open-source limit-order-book exchange for teaching and research, IEEE SSCI (Giveaway,
Shaver). Rust, Miller and Palmer (1994), Characterizing effective trading strategies, Journal of Economic
Dynamics and Control 18, 61-96 (Kaplan's Sniper). Cliff (2021), Parameterised-response zero-intelligence
traders, arXiv:2103.11341, equations 4 to 8.
"""

from __future__ import annotations

import math

from simlab.agents.compiled import Needs, Parameter, Shout, compiled_strategy
from simlab.agents.library.quoting import MAX_PRICE
from simlab.agents.library.shouting import (
    LIFETIME,
    first_unheard,
    has_unit,
    heard_kind,
    heard_price,
    holds_best,
    nearest_price,
    shout,
    within_limit,
)
from simlab.core.jit import jit
from simlab.core.numerics import exp
from simlab.core.random import uniform

__all__ = ["density_place", "giveaway", "przi", "shaver", "sniper"]

_TRADE = int(Shout.BUY)
_CUSTOMERS = Needs(customers=True)
_BOOK = Needs(orders=True, customers=True)
_LOWEST = Parameter("lowest", 1, "price units", "Lowest price that buyers think of.", 1, MAX_PRICE)
_HIGHEST = Parameter("highest", 20_000, "price units", "Highest price that sellers think of.", 1, MAX_PRICE)


@compiled_strategy(
    "giveaway",
    "Names its customer's limit price (GVWY).",
    (LIFETIME,),
    needs=_CUSTOMERS,
    source="Cliff (2018), IEEE SSCI; Cliff (2021), arXiv:2103.11341",
)
def giveaway(view, me, rng, orders):
    """Name the limit price."""
    if has_unit(view, me):
        price = within_limit(view, me, float(me.customer_limit))
        shout(orders, view, me, price, int(me.parameters[0]))


@jit
def _shaved(view, me, lowest, highest):
    """Return the price that betters the best one of the own side by a tick, before the limit price counts."""
    if me.customer_side == 0:
        return float(view.best_bid + view.tick_size) if view.bid_depth > 0 else lowest
    return float(view.best_ask - view.tick_size) if view.ask_depth > 0 else highest


@compiled_strategy(
    "shaver",
    "Betters the best price of its side by one tick (SHVR).",
    (LIFETIME, _LOWEST, _HIGHEST),
    needs=_BOOK,
    source="Cliff (2018), IEEE SSCI; Cliff (2021), arXiv:2103.11341",
)
def shaver(view, me, rng, orders):
    """Better the best price by a tick, within the limit price."""
    if has_unit(view, me) and not holds_best(view, me):
        price = _shaved(view, me, me.parameters[1], me.parameters[2])
        shout(orders, view, me, within_limit(view, me, price), int(me.parameters[0]))


_CLOSENESS, _LEAST_PROFIT, _PATIENCE = range(3)
_SINCE, _SNIPER_HEARD, _LOW, _HIGH, _LOW_BEFORE, _HIGH_BEFORE = range(6)  # memory; 0 for no price


@jit
def _watch_prices(view, me):
    """Keep the lowest and highest price since the customer's order came, and those of the order before."""
    if me.memory[_SINCE] != me.customer_since + 1.0:
        if me.memory[_SINCE] == 0.0:
            me.memory[_SNIPER_HEARD] = view.shouts
        me.memory[_SINCE] = me.customer_since + 1.0
        me.memory[_LOW_BEFORE] = me.memory[_LOW]
        me.memory[_HIGH_BEFORE] = me.memory[_HIGH]
        me.memory[_LOW] = me.memory[_HIGH] = 0.0
    for number in range(first_unheard(view, me.memory[_SNIPER_HEARD]), view.shouts):
        if heard_kind(view, number) >= _TRADE:
            at = heard_price(view, number)
            me.memory[_LOW] = at if me.memory[_LOW] == 0.0 else min(me.memory[_LOW], at)
            me.memory[_HIGH] = max(me.memory[_HIGH], at)
    me.memory[_SNIPER_HEARD] = view.shouts


@jit
def _jumps(view, me, price):
    """Return whether to take a price that is within the limit."""
    side = me.customer_side
    low, high = me.memory[_LOW_BEFORE], me.memory[_HIGH_BEFORE]
    best, worst = (low, high) if side == 0 else (high, low)
    sign = 1.0 if side == 0 else -1.0
    if best > 0.0 and sign * (best - price) >= 0.0:
        return True
    if view.step - me.customer_since >= me.parameters[_PATIENCE]:
        return True
    if view.bid_depth == 0 or view.ask_depth == 0:
        return False
    close = view.best_ask - view.best_bid <= me.parameters[_CLOSENESS] * view.best_ask
    earned = sign * (me.customer_limit - price) >= me.parameters[_LEAST_PROFIT] * abs(me.customer_limit)
    return close and earned and (worst == 0.0 or sign * (worst - price) >= 0.0)


@compiled_strategy(
    "sniper",
    "Waits for a good offer, a narrow spread or the end, and takes the best price (Kaplan's Sniper).",
    (
        Parameter("closeness", 0.1, "1", "Largest spread, as a share of the best ask.", 0.0, 1.0),
        Parameter("least_profit", 0.02, "1", "Least profit at a narrow spread, as a share.", 0.0, 1.0),
        Parameter("patience", 100, "steps", "Takes what it can get so long after the order.", 0, 1e9, True),
    ),
    needs=Needs(shouts=True, customers=True),
    source="Rust, Miller and Palmer (1994), Journal of Economic Dynamics and Control 18, 61-96",
)
def sniper(view, me, rng, orders):
    """Take the best opposite price when the time has come."""
    if view.halted or me.customer_since < 0:
        return
    _watch_prices(view, me)
    side = me.customer_side
    offered = view.ask_depth > 0 if side == 0 else view.bid_depth > 0
    price = view.best_ask if side == 0 else view.best_bid
    within = price <= me.customer_limit if side == 0 else price >= me.customer_limit
    if has_unit(view, me) and offered and within and _jumps(view, me, price):
        shout(orders, view, me, price, 1)


_STRATEGY, _M, _THETA_0 = range(3)


@jit
def _cumulative(x, c, rising):
    """Return the share of a density proportional to g (or 1 - g, if not `rising`) that lies below `x`."""
    if abs(c) < 1e-3:
        return x * x if rising else x * (2.0 - x)
    scale = exp(c) - 1.0
    area = ((exp(c * x) - 1.0) / c - x) / scale
    whole = 1.0 / c - 1.0 / scale
    return area / whole if rising else (x - area) / (1.0 - whole)


@jit
def _tangent(half_turns):
    """Return the tangent of `half_turns` times pi, by its series: the same to the bit on every machine."""
    x = math.pi * (half_turns - math.floor(half_turns + 0.5))
    sine, cosine, up, down = x, 1.0, x, 1.0
    for k in range(1, 14):
        down *= -x * x / ((2 * k - 1) * (2 * k))
        up *= -x * x / ((2 * k) * (2 * k + 1))
        sine += up
        cosine += down
    return sine / cosine


@jit
def density_place(strategy, m, theta_0, share):
    """Return the place in [0, 1], from limit price to greedy end, below which `share` of the density is.

    Example
    -------
    >>> [round(density_place(s, 4.0, 100.0, 0.5), 2) for s in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    [0.01, 0.29, 0.5, 0.71, 0.99]
    """
    if strategy == 0.0:
        return share
    c = min(max(m * _tangent(strategy + 0.5), -theta_0), theta_0)
    if abs(strategy) == 1.0:
        c = strategy * theta_0
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        if _cumulative(middle, c, strategy > 0.0) < share:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@compiled_strategy(
    "przi",
    "Names random prices, from giving away (-1) through uniform (0) to shaving (1) (PRZI).",
    (
        Parameter("strategy", 0.0, "1", "From Giveaway (-1) through ZI-C (0) to Shaver (1).", -1.0, 1.0),
        Parameter("m", 4.0, "1", "How steeply the density bends as the strategy changes.", 0.01, 100.0),
        Parameter("theta_0", 100.0, "1", "Largest bend of the density.", 1.0, 300.0),
        _LOWEST,
        _HIGHEST,
        LIFETIME,
    ),
    needs=_BOOK,
    source="Cliff (2021), arXiv:2103.11341",
)
def przi(view, me, rng, orders):
    """Name a price at random between the limit price and the greedy end."""
    if not has_unit(view, me):
        return
    strategy, limit = me.parameters[_STRATEGY], float(me.customer_limit)
    lowest, highest = me.parameters[3], me.parameters[4]
    end = lowest if me.customer_side == 0 else highest
    if strategy > 0.0:
        best = view.best_bid if me.customer_side == 0 else view.best_ask
        shaved = float(best) if holds_best(view, me) else _shaved(view, me, lowest, highest)
        end = strategy * shaved + (1.0 - strategy) * end
    greedy = min(end, limit) if me.customer_side == 0 else max(end, limit)
    place = density_place(strategy, me.parameters[_M], me.parameters[_THETA_0], uniform(rng))
    price = nearest_price(view, me, limit + (greedy - limit) * place)
    shout(orders, view, me, price, int(me.parameters[5]))
