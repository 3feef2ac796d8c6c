"""Name the price of the largest expected profit: the traders of Gjerstad and Dickhaut (GD), GDX and HBL.

All form a belief of how likely a price is to be accepted from the shouts that led to the latest trades
(`simlab.agents.library.belief`).

- `gd` names the price that maximises belief times profit, the profit being the distance to its customer's
  limit price. Where the best price is one that somebody offers, it takes it.
- `gdx` looks ahead: with m units and n more opportunities to name a price, a price p is worth ::

      V(m, n) = max_p  f(p) (s_m(p) + discount V(m - 1, n - 1)) + (1 - f(p)) discount V(m, n - 1)

  with the belief f and the profit s_m of the unit. It is less eager than GD while many opportunities are
  left. The `opportunities` at the time when the customer's order is given run down to one over `horizon`
  steps (0: they stay as they are).
- `hbl` (heuristic belief learning) is GD's belief in an order book where orders stay: a shout counts as
  refused only by its age (in full after `grace` steps), and its price need not better the best one. Until
  `memory` trades have been heard it names its limit price less a random profit of up to `shading`. Without a
  customer it buys or sells at random, one lot size, and takes as its limit price its private signal of the
  fundamental less `holding_cost` times the lots that it would then hold, on average before and after the
  trade.

`gd` and `gdx` better the best price or say nothing; while it is their own they keep it unless a better one is
worth more.

Simplifications: a view remembers the latest 128 shouts and trades, so that a long memory may hold fewer
trades. The best price is sought on six points between each two prices that were named. GDX's opportunities
are given, where Tesauro and Bredin estimate them from the time that is left; `hbl`'s private values are a
linear holding cost in place of drawn ones.

References
----------
Gjerstad and Dickhaut (1998), Price formation in double auctions, Games and Economic Behavior 22(1), 1-29.
Tesauro and Bredin (2002), Strategic sequential bidding in auctions using dynamic programming, AAMAS, 591-598.
Gjerstad (2007), The competitive market paradox, Journal of Economic Dynamics and Control 31(5), 1753-1780.
Wang, Hoang, Vorobeychik and Wellman (2021), Spoofing the limit order book: a strategic agent-based analysis,
Games 12(2), 46, section 3.2 (grace period, first orders as zero-intelligence).
"""

from __future__ import annotations

import numpy as np

from simlab.agents.compiled import Needs, Parameter, cancel_all, compiled_strategy, limit
from simlab.agents.library.belief import CANDIDATES, KNOTS, candidates, history, knots, reach_of
from simlab.agents.library.quoting import MAX_PRICE, capacity, to_price
from simlab.agents.library.shouting import LIFETIME, has_unit, holds_best, nearest_price, shout
from simlab.core.jit import jit
from simlab.core.random import integers, uniform

__all__ = ["best_reach", "gd", "gdx", "hbl", "look_ahead"]

_MEMORY = Parameter("memory", 5, "trades", "Latest trades whose shouts are remembered.", 1, 64, True)
_HIGHEST = Parameter("highest", 20_000, "price units", "Highest price of the market.", 1, MAX_PRICE)
_MOST_UNITS, _MOST_OPPORTUNITIES = 8, 64
_NEEDS = Needs(orders=True, shouts=True, customers=True)


@jit
def best_reach(reaches, chances, count, worth, cap):
    """Return the place of the reach with the largest expected profit, -1 if none has any.

    `worth` is the reach of the limit price; reaches beyond the first must lie below `cap`.

    Example
    -------
    >>> best_reach(np.array([100.0, 110.0, 120.0]), np.array([1.0, 0.8, 0.1]), 3, 90.0, 125.0)
    1
    """
    best, most = -1, 0.0
    for i in range(count):
        expected = chances[i] * (reaches[i] - worth)
        if expected > most and (i == 0 or reaches[i] < cap):
            best, most = i, expected
    return best


@jit
def _value(reaches, chances, count, worth, cap, after_trade, after_none):
    """Return the place of the reach that is worth most, and its worth; -1 for naming none."""
    best, most = -1, after_none
    for i in range(count):
        if reaches[i] <= worth or (i > 0 and reaches[i] >= cap):
            continue
        value = chances[i] * (reaches[i] - worth + after_trade) + (1.0 - chances[i]) * after_none
        if value > most:
            best, most = i, value
    return best, most


@jit
def look_ahead(reaches, chances, count, worth, step, cap, units, opportunities, discount, values):
    """Return the place of the reach that is best with some units and opportunities left, -1 for none.

    The unit after this one is worth `step` less. `values` is ``(units + 1,) float64`` to compute in.

    Example
    -------
    >>> reaches, chances, room = np.array([100.0, 120.0]), np.array([1.0, 0.4]), np.zeros(2)
    >>> [look_ahead(reaches, chances, 2, 90.0, 0.0, 125.0, 1, n, 1.0, room) for n in (1, 2, 5)]
    [1, 1, 1]
    >>> [look_ahead(reaches, np.array([1.0, 0.2]), 2, 90.0, 0.0, 125.0, 1, n, 1.0, room) for n in (1, 2, 5)]
    [0, 1, 1]
    """
    for m in range(units + 1):
        values[m] = 0.0
    chosen = -1
    for _ in range(opportunities):
        for m in range(units, 0, -1):  # values[m - 1] is still of one opportunity less
            own = worth + step * (units - m)
            place, value = _value(
                reaches, chances, count, own, cap, discount * values[m - 1], discount * values[m]
            )
            values[m] = value
            if m == units:
                chosen = place
    return chosen


@jit
def _cap(view, me):
    """Return the reach that a shout must stay below: that of the best price, or just above an own one."""
    own = 0.5 * view.tick_size if holds_best(view, me) else 0.0
    if me.customer_side == 1:
        return float(view.best_ask) + own if view.ask_depth > 0 else 2.0 * MAX_PRICE
    return -float(view.best_bid) + own if view.bid_depth > 0 else 0.0


@jit
def _speak(view, me, orders, place, reach, lifetime):
    """Take the best opposite price (place 0, if there is one), or name a price that betters the best one."""
    side = me.customer_side
    if place < 0:
        return
    price = nearest_price(view, me, reach_of(side, reach))
    if place == 0 and (view.bid_depth if side == 1 else view.ask_depth) > 0:
        shout(orders, view, me, price, lifetime)
        return
    best = view.best_ask if side == 1 else view.best_bid
    if price == best:
        if holds_best(view, me):
            return
        price += -view.tick_size if side == 1 else view.tick_size  # it was rounded away from the market
    worth = reach_of(side, float(me.customer_limit))
    if worth <= reach_of(side, float(price)) < _cap(view, me):
        shout(orders, view, me, price, lifetime)


@jit
def _believed(view, side, memory, highest, grace, reaches, chances, fine_reaches, fine_chances):
    """Fill the reaches to compare and the chances believed; return how many there are."""
    first, _ = history(view, memory)
    count = knots(view, first, side, highest, grace, reaches, chances)
    return candidates(reaches, chances, count, fine_reaches, fine_chances)


@compiled_strategy(
    "gd",
    "Names the price of the largest expected profit, by belief from recent shouts (GD).",
    (LIFETIME, _MEMORY, _HIGHEST),
    needs=_NEEDS,
    source="Gjerstad and Dickhaut (1998), Games and Economic Behavior 22(1), 1-29",
)
def gd(view, me, rng, orders):
    """Maximise belief times profit."""
    if not has_unit(view, me):
        return
    reaches, chances = np.empty(KNOTS), np.empty(KNOTS)
    fine, believed = np.empty(CANDIDATES), np.empty(CANDIDATES)
    side = me.customer_side
    count = _believed(
        view, side, int(me.parameters[1]), me.parameters[2], 0.0, reaches, chances, fine, believed
    )
    worth = reach_of(side, float(me.customer_limit))
    place = best_reach(fine, believed, count, worth, _cap(view, me))
    _speak(view, me, orders, place, fine[max(place, 0)], int(me.parameters[0]))


_DISCOUNT, _OPPORTUNITIES, _HORIZON = range(3, 6)


@jit
def _opportunities_left(view, me):
    """Return how many more prices the trader expects to name for this order, at least one."""
    left = me.parameters[_OPPORTUNITIES]
    horizon = me.parameters[_HORIZON]
    if horizon > 0.0:
        left *= max(0.0, 1.0 - (view.step - me.customer_since) / horizon)
    return min(max(int(left + 0.5), 1), _MOST_OPPORTUNITIES)


@compiled_strategy(
    "gdx",
    "Names the price of the largest expected profit over what is left of its time (GDX).",
    (
        LIFETIME,
        _MEMORY,
        _HIGHEST,
        Parameter("discount", 0.9, "1", "What a later profit counts, an opportunity later.", 0.0, 1.0),
        Parameter("opportunities", 10, "1", "Prices it expects to name for an order.", 1, 64, True),
        Parameter("horizon", 0, "steps", "Over which these run down to one; 0: never.", 0, 1e9, True),
    ),
    needs=_NEEDS,
    source="Tesauro and Bredin (2002), AAMAS, 591-598",
)
def gdx(view, me, rng, orders):
    """Maximise the value of all that is still to be traded."""
    if not has_unit(view, me):
        return
    reaches, chances, values = np.empty(KNOTS), np.empty(KNOTS), np.empty(_MOST_UNITS + 1)
    fine, believed = np.empty(CANDIDATES), np.empty(CANDIDATES)
    side = me.customer_side
    count = _believed(
        view, side, int(me.parameters[1]), me.parameters[2], 0.0, reaches, chances, fine, believed
    )
    place = look_ahead(
        fine,
        believed,
        count,
        reach_of(side, float(me.customer_limit)),
        float(me.customer_limit_step),
        _cap(view, me),
        min(me.customer_quantity // view.lot_size, _MOST_UNITS),
        _opportunities_left(view, me),
        me.parameters[_DISCOUNT],
        values,
    )
    _speak(view, me, orders, place, fine[max(place, 0)], int(me.parameters[0]))


_GRACE, _SHADING, _HOLDING_COST, _LIMIT = range(3, 7)


@jit
def _errand(view, me, rng):
    """Return side and limit price of what to trade, the customer's or by the own signal; side -1: nothing."""
    if me.customer_since >= 0:
        return (me.customer_side if me.customer_quantity >= view.lot_size else -1), float(me.customer_limit)
    side = integers(rng, 0, 2)
    if capacity(me, side, int(me.parameters[_LIMIT])) < view.lot_size:
        return -1, 0.0
    held = me.inventory + (0.5 if side == 0 else -0.5) * view.lot_size
    return side, me.signal - me.parameters[_HOLDING_COST] * held


@compiled_strategy(
    "hbl",
    "Names the price of the largest expected profit in an order book (heuristic belief learning).",
    (
        LIFETIME,
        _MEMORY,
        _HIGHEST,
        Parameter("grace", 10, "steps", "Age from which an order counts as refused.", 0.0, 1e6),
        Parameter("shading", 20, "price units", "Largest profit asked before it believes.", 0.0, 1e6),
        Parameter("holding_cost", 1, "price units per lot", "What each lot held is worth less.", 0.0, 1e6),
        Parameter("inventory_limit", 100, "lots", "Largest inventory, long or short.", 0, 1e9, True),
    ),
    needs=Needs(shouts=True, signal=True),
    source="Gjerstad and Dickhaut (1998); Gjerstad (2007), JEDC 31(5); Wang et al. (2021), Games 12(2), 46",
)
def hbl(view, me, rng, orders):
    """Maximise belief times profit, for a customer or on its own account."""
    if view.halted:
        return
    if me.open_orders > 0:
        cancel_all(orders, view)
    side, limit_price = _errand(view, me, rng)
    if side < 0:
        return
    worth = reach_of(side, limit_price)
    memory = int(me.parameters[1])
    first, found = history(view, memory)
    if found < memory:
        reach = worth + uniform(rng) * me.parameters[_SHADING]
    else:
        reaches, chances = np.empty(KNOTS), np.empty(KNOTS)
        fine, believed = np.empty(CANDIDATES), np.empty(CANDIDATES)
        count = knots(view, first, side, me.parameters[2], me.parameters[_GRACE], reaches, chances)
        count = candidates(reaches, chances, count, fine, believed)
        place = best_reach(fine, believed, count, worth, 2.0 * MAX_PRICE)
        if place < 0:
            return
        reach = fine[place]
    lifetime = int(me.parameters[0])
    price = to_price(view, side, reach_of(side, reach))
    within = price <= limit_price if side == 0 else price >= limit_price
    if within:
        limit(orders, view, side, price, view.lot_size, 0, 0, view.step + lifetime if lifetime > 0 else 0)
