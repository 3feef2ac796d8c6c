"""Bid by an estimate of equilibrium and one's own aggressiveness: the AA traders of Vytelingum.

A trader estimates the equilibrium price p* from the latest trades, with weights that fall by `decay` from one
to the one before, and has a target price tau that follows from p*, its customer's limit price, and its
aggressiveness r in [-1, 1]: at r = 0 it asks p* (or its limit price, where that cannot make a profit at p*),
at 1 its limit price, at -1 the most that can be had. In between, with ``g(r, theta) = (e^(r theta) - 1) /
(e^theta - 1)``, a buyer with the limit l has

- l > p* (intra-marginal): tau = p* + (l - p*) g(r, theta) for r >= 0, p* (1 - g(-r, theta')) for r < 0;
- l <= p* (extra-marginal): tau = l for r >= 0, l (1 - g(-r, theta)) for r < 0;

a seller is its mirror image, with the distance to `highest` in the place of the distance to 0; theta' makes
the slope the same on both sides of r = 0.

It learns twice. After every trade at q a buyer becomes less aggressive if tau >= q, more if not; after a bid
b that is not accepted at once it becomes more aggressive if tau <= b (a seller likewise)::

    r <- r + beta_1 (delta - r),    delta = (1 +- lambda_r) r_q +- lambda_a

where r_q is the aggressiveness that would have named q. And after every trade theta, which says how fast the
target changes with r, moves towards what suits the volatility alpha = sqrt(mean (p - p*)^2) / p* of the
latest `window` trades::

    theta <- theta + beta_2 (theta* - theta),
    theta* = (theta_max - theta_min) (1 - a e^(gamma (a - 1))) + theta_min,    a = (alpha - min) / (max - min)

When it acts, a buyer takes the best ask if that is at most tau. Otherwise it names a price above the best
bid, by the share 1 / eta of the distance to tau; before the first trade, of the distance to the limit price
or a little above the best ask. It names nothing that does not better the best price. Prices being whole
ticks, tau is rounded to the nearest, and what is named to the next one towards it; otherwise nobody would
close the last tick between bid and ask.

Simplifications: the aggressiveness starts at a random place in [-0.3, 0], theta in [-5, 0], as in the Bristol
Stock Exchange's implementations; an order stays when its trader does not act.

References
----------
Vytelingum (2006), The structure and behaviour of the continuous double auction, PhD thesis, University of
Southampton, chapter 5.
Vytelingum, Cliff and Jennings (2008), Strategic bidding in continuous double auctions, Artificial
Intelligence 172(14), 1700-1729, section 4.
"""

from __future__ import annotations

import math

from simlab.agents.compiled import Needs, Parameter, Shout, compiled_strategy
from simlab.agents.library.quoting import MAX_PRICE, to_price
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
from simlab.core.numerics import exp, log
from simlab.core.random import uniform

__all__ = ["adaptive_aggressive", "aggressiveness", "moved_theta", "target"]

_LIFETIME, _ETA, _WINDOW, _DECAY, _LAMBDA_R, _LAMBDA_A, _BETA_1, _BETA_2 = range(8)
_GAMMA, _THETA_MIN, _THETA_MAX, _HIGHEST = range(8, 12)
_R, _THETA, _PRICE, _ALPHA_MIN, _ALPHA_MAX, _HEARD, _AWAKE = range(7)  # memory
_TRADE = int(Shout.BUY)
_SMALL = 1e-6
_STEEPEST = 60.0


@jit
def _grown(r, theta):
    """Return (e^(r theta) - 1) / (e^theta - 1): from 0 at r = 0 to 1 at r = 1."""
    if abs(theta) < _SMALL:
        return r
    return (exp(r * theta) - 1.0) / (exp(theta) - 1.0)


@jit
def _degree(share, theta):
    """Return the r at which `_grown` is `share`, a number in [0, 1]."""
    if abs(theta) < _SMALL:
        return share
    return (
        log(max(1.0 + share * (exp(theta) - 1.0), exp(theta))) / theta
        if theta < 0.0
        else (log(1.0 + share * (exp(theta) - 1.0)) / theta)
    )


@jit
def _slope(theta):
    return 1.0 if abs(theta) < _SMALL else theta / (exp(theta) - 1.0)


@jit
def _matching(theta, ratio):
    """Return theta' with the slope ``ratio * slope(theta)`` at r = 0; the slope falls as theta rises."""
    wanted = ratio * _slope(theta)
    low, high = -_STEEPEST, _STEEPEST
    for _ in range(50):
        middle = 0.5 * (low + high)
        if _slope(middle) > wanted:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@jit
def _sides(side, worth, price, highest):
    """Return where the target is at r = 0, and how far it is from there to r = 1 and to r = -1."""
    room = price if side == 0 else highest - price
    gain = worth - price if side == 0 else price - worth
    if gain <= 0.0:  # extra-marginal
        return worth, 0.0, max(worth if side == 0 else highest - worth, 0.0)
    return price, gain, max(room, 0.0)


@jit
def target(side, worth, price, theta, r, highest):
    """Return the target price of a buyer (side 0) or seller with the limit price `worth`.

    Parameters
    ----------
    side : int
    worth, price, highest : float, price units
        Limit price, estimated equilibrium price, highest price of the market.
    theta, r : float

    Example
    -------
    >>> [round(target(0, 150.0, 100.0, -2.0, r, 200.0), 1) for r in (-1.0, 0.0, 0.5, 1.0)]
    [0.0, 100.0, 136.6, 150.0]
    >>> target(1, 120.0, 100.0, -2.0, 0.5, 200.0), target(1, 50.0, 100.0, -2.0, 1.0, 200.0)
    (120.0, 50.0)
    """
    start, gain, room = _sides(side, worth, price, highest)
    greedy = -1.0 if side == 0 else 1.0
    if r >= 0.0:
        return start - greedy * gain * _grown(r, theta)
    steep = _matching(theta, gain / room) if gain > 0.0 and room > 0.0 else theta
    return start + greedy * room * _grown(-r, steep)


@jit
def aggressiveness(side, worth, price, theta, named, highest):
    """Return the r at which the target would be `named`, between -1 and 1: the inverse of `target`.

    Example
    -------
    >>> round(aggressiveness(0, 150.0, 100.0, -2.0, target(0, 150.0, 100.0, -2.0, -0.4, 200.0), 200.0), 6)
    -0.4
    """
    start, gain, room = _sides(side, worth, price, highest)
    further = start - named if side == 0 else named - start  # on the greedy side
    if further > 0.0:
        if room <= 0.0:
            return -1.0
        steep = _matching(theta, gain / room) if gain > 0.0 else theta
        return -_degree(min(further / room, 1.0), steep)
    if gain <= 0.0:
        return 0.0 if further == 0.0 else 1.0
    return _degree(min(-further / gain, 1.0), theta)


@jit
def moved_theta(theta, volatility, beta_2, gamma, lowest, highest):
    """Return theta after a trade; `volatility` is alpha on a scale from its least (0) to its most (1).

    Example
    -------
    >>> moved_theta(-4.0, 0.0, 0.5, 2.0, -8.0, 2.0), moved_theta(-4.0, 1.0, 0.5, 2.0, -8.0, 2.0)
    (-1.0, -6.0)
    """
    wanted = (highest - lowest) * (1.0 - volatility * exp(gamma * (volatility - 1.0))) + lowest
    return theta + beta_2 * (wanted - theta)


@jit
def _look_back(view, number, window, decay):
    """Return the weighted mean price of the trades up to `number`, and their alpha around it."""
    oldest = max(view.shouts - len(view.shout_kinds), 0)
    mean, weights, weight, found = 0.0, 0.0, 1.0, 0
    n = number
    while n >= oldest and found < window:
        if heard_kind(view, n) >= _TRADE:
            mean += weight * heard_price(view, n)
            weights += weight
            weight *= decay
            found += 1
        n -= 1
    mean /= weights
    squares, first = 0.0, n
    for i in range(first + 1, number + 1):
        if heard_kind(view, i) >= _TRADE:
            squares += (heard_price(view, i) - mean) ** 2
    return mean, math.sqrt(squares / found) / max(mean, 1.0)


@jit
def _judge_market(view, me, number):
    """Estimate the equilibrium price anew after a trade, and move theta."""
    window, decay = int(me.parameters[_WINDOW]), me.parameters[_DECAY]
    price, alpha = _look_back(view, number, window, decay)
    first = me.memory[_PRICE] == 0.0
    me.memory[_PRICE] = price
    me.memory[_ALPHA_MIN] = alpha if first else min(me.memory[_ALPHA_MIN], alpha)
    me.memory[_ALPHA_MAX] = alpha if first else max(me.memory[_ALPHA_MAX], alpha)
    spread = me.memory[_ALPHA_MAX] - me.memory[_ALPHA_MIN]
    if spread > 0.0:
        volatility = (alpha - me.memory[_ALPHA_MIN]) / spread
        me.memory[_THETA] = moved_theta(
            me.memory[_THETA],
            volatility,
            me.parameters[_BETA_2],
            me.parameters[_GAMMA],
            min(me.parameters[_THETA_MIN], me.parameters[_THETA_MAX]),
            me.parameters[_THETA_MAX],
        )


@jit
def _aim(me):
    """Return the present target price."""
    worth, price = float(me.customer_limit), me.memory[_PRICE]
    return target(me.customer_side, worth, price, me.memory[_THETA], me.memory[_R], me.parameters[_HIGHEST])


@jit
def _way(side, aim, kind, at):
    """Return 1 to become more aggressive after an event at the price `at`, -1 to become less, 0 to stay."""
    ahead = aim - at if side == 0 else at - aim  # by how much the target betters the event
    if kind >= _TRADE:
        return -1 if ahead >= 0.0 else 1
    return 1 if kind == side and ahead <= 0.0 else 0


@jit
def _learn(view, me):
    """Learn from all shouts and trades since the last look, in order."""
    worth, highest = float(me.customer_limit), me.parameters[_HIGHEST]
    for number in range(first_unheard(view, me.memory[_HEARD]), view.shouts):
        kind, at = heard_kind(view, number), heard_price(view, number)
        if kind >= _TRADE:
            _judge_market(view, me, number)
        price = me.memory[_PRICE]
        if price == 0.0:
            continue
        way = _way(me.customer_side, _aim(me), kind, at)
        if way != 0:
            named = aggressiveness(me.customer_side, worth, price, me.memory[_THETA], at, highest)
            wanted = (1.0 + way * me.parameters[_LAMBDA_R]) * named + way * me.parameters[_LAMBDA_A]
            r = me.memory[_R] + me.parameters[_BETA_1] * (wanted - me.memory[_R])
            me.memory[_R] = min(max(r, -1.0), 1.0)
    me.memory[_HEARD] = view.shouts


@jit
def _goal(view, me, known):
    """Return the price to come to: the target, or before the first trade what the other side asks."""
    side, worth = me.customer_side, float(me.customer_limit)
    relative, absolute = me.parameters[_LAMBDA_R], me.parameters[_LAMBDA_A]
    if known:
        return _aim(me)
    if side == 0:
        ask = float(view.best_ask) if view.ask_depth > 0 else me.parameters[_HIGHEST]
        return min(worth, (1.0 + relative) * ask + absolute)
    bid = float(view.best_bid) if view.bid_depth > 0 else 0.0
    return max(worth, (1.0 - relative) * bid - absolute)


@jit
def _nearer(view, side, goal, eta, highest):
    """Return the price a share of the way from the own side's best to the goal, or the next tick."""
    if side == 0:
        best = float(view.best_bid) if view.bid_depth > 0 else 0.0
        return min(float(to_price(view, 1, best + (goal - best) / eta)), float(goal))
    best = float(view.best_ask) if view.ask_depth > 0 else highest
    return max(float(to_price(view, 0, best - (best - goal) / eta)), float(goal))


@jit
def _bid_or_ask(view, me, orders):
    """Take the best opposite price if it meets the goal; else better the own side's best price."""
    side, known = me.customer_side, me.memory[_PRICE] > 0.0
    lifetime = int(me.parameters[_LIFETIME])
    goal = nearest_price(view, me, _goal(view, me, known))
    if known and meets(view, side, goal):
        shout(orders, view, me, goal, lifetime)
        return
    price = int(_nearer(view, side, goal, me.parameters[_ETA], me.parameters[_HIGHEST]))
    betters_bid = view.bid_depth == 0 or price > view.best_bid
    betters_ask = view.ask_depth == 0 or price < view.best_ask
    if betters_bid if side == 0 else betters_ask:
        shout(orders, view, me, price, lifetime)


@compiled_strategy(
    "adaptive_aggressive",
    "Estimates the equilibrium price and learns how aggressive to be around it (AA).",
    (
        LIFETIME,
        Parameter("eta", 3.0, "1", "Steps in which a price would reach the target.", 1.0, 1e3),
        Parameter("window", 5, "trades", "Latest trades that tell the equilibrium price.", 1, 64, True),
        Parameter("decay", 0.9, "1", "Weight of a trade over that of the one after it.", 0.01, 1.0),
        Parameter("lambda_r", 0.02, "1", "Relative step of the aggressiveness.", 0.0, 1.0),
        Parameter("lambda_a", 0.01, "1", "Absolute step of the aggressiveness.", 0.0, 1.0),
        Parameter("beta_1", 0.4, "1", "Learning rate of the aggressiveness.", 0.0, 1.0),
        Parameter("beta_2", 0.4, "1", "Learning rate of theta.", 0.0, 1.0),
        Parameter("gamma", 2.0, "1", "How theta depends on volatility.", 0.0, 10.0),
        Parameter("theta_min", -8.0, "1", "Theta where prices vary most.", -20.0, 20.0),
        Parameter("theta_max", 2.0, "1", "Theta where they vary least.", -20.0, 20.0),
        Parameter("highest", 20_000, "price units", "Highest price of the market.", 1, MAX_PRICE),
    ),
    needs=Needs(shouts=True, customers=True),
    source="Vytelingum (2006), PhD thesis, University of Southampton; Vytelingum, Cliff and Jennings (2008),"
    " Artificial Intelligence 172(14), 1700-1729",
)
def adaptive_aggressive(view, me, rng, orders):
    """Learn from what has happened since the last look, then take, name a price, or wait."""
    if view.halted or me.customer_since < 0:
        return
    if me.memory[_AWAKE] == 0.0:
        me.memory[_AWAKE] = 1.0
        me.memory[_R] = -0.3 * uniform(rng)
        me.memory[_THETA] = -5.0 * uniform(rng)
        me.memory[_HEARD] = view.shouts
    _learn(view, me)
    if has_unit(view, me):
        _bid_or_ask(view, me, orders)
