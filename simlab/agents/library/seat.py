"""See and act from a seat as learners do: numbers in, numbers out, in three tasks.

`observe` turns what a strategy is shown into the row of floats that `FEATURES` describes, `act` turns the
numbers of an action into messages, `earn` says what an action brought. The environments of `simlab.faces` and
the strategy ``policy`` share them, so a policy sees in a run what it saw when it learnt. All are compiled,
and take the records of a compiled strategy and a row of `SEAT`.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np

from simlab.agents.compiled import VISIBLE_ORDERS, cancel_all, limit, market, mid_ago
from simlab.agents.library.quoting import MAX_PRICE, capacity, lowest_price, quote, to_price, touch
from simlab.core.jit import jit

__all__ = ["FEATURES", "MOST_NUMBERS", "SEAT", "Task", "act", "begin", "earn", "is_done", "observe"]


class Task(IntEnum):
    """What a learner is to do."""

    TRADING = 0
    MARKET_MAKING = 1
    EXECUTION = 2


FEATURES = (
    ("time_left", "share of the episode", 0.0, 1.0),
    ("inventory", "max_inventory", -math.inf, math.inf),
    ("gain", "ticks on max_inventory lots, since the start", -math.inf, math.inf),
    ("spread", "ticks; 0 while a side is empty", 0.0, math.inf),
    ("imbalance", "(bid - ask) / (bid + ask) of the depths at the best prices", -1.0, 1.0),
    ("bid_depth", "order sizes at the best bid", 0.0, math.inf),
    ("ask_depth", "order sizes at the best ask", 0.0, math.inf),
    ("change_1", "ticks, of the mid price since the end of the step before the last", -math.inf, math.inf),
    ("change_5", "ticks, of the mid price since five steps before that of `change_1`", -math.inf, math.inf),
    ("change_20", "ticks, of the mid price since twenty steps before that", -math.inf, math.inf),
    ("volatility", "ticks, root mean square of the mid's changes in 16 steps", 0.0, math.inf),
    ("bought", "order sizes, since the last turn", 0.0, math.inf),
    ("sold", "order sizes, since the last turn", 0.0, math.inf),
    ("open_buy", "order sizes, of own orders that rest", 0.0, math.inf),
    ("open_sell", "order sizes, of own orders that rest", 0.0, math.inf),
    ("drift", "ticks, of the mid price since the start", -math.inf, math.inf),
    ("remaining", "share of the quantity to execute; 0 in other tasks", 0.0, 1.0),
    ("halted", "1 while the market refuses orders", 0.0, 1.0),
)
"""What a learner sees, in this order: name, unit, lowest and highest value."""

MOST_NUMBERS = 4
"""Numbers of the longest action."""

_VOLATILITY_STEPS = 16

SEAT = np.dtype(
    [
        *(
            (name, "i8")
            for name in ("account", "instrument", "task", "first_step", "last_step", "multiplier")
        ),
        *((name, "i8") for name in ("size", "max_inventory", "max_offset", "side", "quantity")),
        *((name, "i8") for name in ("first_wealth", "first_mid", "first_inventory", "first_cash")),
        *((name, "i8") for name in ("wealth", "mid", "inventory", "cash")),
        ("inventory_penalty", "f8"),
        ("dampening", "f8"),
    ]
)
"""One learner: its task and what it remembers.

The episode lasts from `first_step` to `last_step`. `size`, of an order or a quote, is in lots, `max_offset`
in ticks. `side` and `quantity`, lots, are what is to be executed. The `first_` fields are of the start, the
four without it of the last turn; `wealth` (cash and inventory at the mid price, money units) and `mid` (price
units) are twice what they say, so that they are whole.
"""


@jit
def _twice_mid(view):
    return int(2.0 * view.mid)


@jit
def _ticks(view, seat, twice_money):
    """Return twice an amount of money as ticks on one lot."""
    return 0.5 * twice_money / (view.tick_size * seat.multiplier)


@jit
def begin(view, me, seat):
    """Begin an episode: remember how everything stands."""
    mid = _twice_mid(view)
    seat.first_mid = seat.mid = mid
    seat.first_cash = seat.cash = me.cash
    seat.first_inventory = seat.inventory = me.inventory
    seat.first_wealth = seat.wealth = 2 * me.cash + me.inventory * seat.multiplier * mid


@jit
def _executed(me, seat):
    """Return how much of the quantity to execute was traded, lots."""
    change = me.inventory - seat.first_inventory
    return change if seat.side == 0 else -change


@jit
def _own_orders(me, side):
    lots = 0
    for i in range(me.visible_orders):
        if me.order_sides[i] == side:
            lots += me.order_quantities[i]
    return lots


@jit
def _see_path(view, tick, out):
    """Write down how the mid price moved."""
    last = mid_ago(view, 1)
    out[7] = (last - mid_ago(view, 2)) / tick
    out[8] = (last - mid_ago(view, 6)) / tick
    out[9] = (last - mid_ago(view, 21)) / tick
    squares = 0.0
    for back in range(1, _VOLATILITY_STEPS + 1):
        before = mid_ago(view, back + 1)
        squares += (last - before) * (last - before)
        last = before
    out[10] = math.sqrt(squares / _VOLATILITY_STEPS) / tick


@jit
def observe(view, me, seat, out):
    """Write what a learner sees into ``out``, (18,) float32 or float64, as `FEATURES` has it."""
    tick, size = float(view.tick_size), float(seat.size)
    wealth = 2 * me.cash + me.inventory * seat.multiplier * _twice_mid(view)
    bid, ask = view.bid_depth, view.ask_depth
    out[0] = (seat.last_step - view.step) / max(seat.last_step - seat.first_step, 1)
    out[1] = me.inventory / seat.max_inventory
    out[2] = _ticks(view, seat, wealth - seat.first_wealth) / seat.max_inventory
    out[3] = (view.best_ask - view.best_bid) / tick if bid > 0 and ask > 0 else 0.0
    out[4] = (bid - ask) / max(bid + ask, 1)
    out[5] = bid / size
    out[6] = ask / size
    _see_path(view, tick, out)
    out[11] = me.bought / size
    out[12] = me.sold / size
    out[13] = _own_orders(me, 0) / size
    out[14] = _own_orders(me, 1) / size
    out[15] = 0.5 * (_twice_mid(view) - seat.first_mid) / tick
    remaining = max(seat.quantity - _executed(me, seat), 0) if seat.task == Task.EXECUTION else 0
    out[16] = remaining / max(seat.quantity, 1)
    out[17] = 1.0 if view.halted else 0.0


@jit
def is_done(view, me, seat):
    """Return whether a task came to its end: an execution that is complete, or out of time."""
    return seat.task == Task.EXECUTION and (
        _executed(me, seat) >= seat.quantity or view.step >= seat.last_step
    )


@jit
def _executed_gain(view, me, seat):
    """Return what executing brought beyond the price of the start, ticks on one lot of the quantity."""
    cash, lots = me.cash - seat.cash, me.inventory - seat.inventory
    gain = 2 * cash + lots * seat.multiplier * seat.first_mid
    if view.step >= seat.last_step:
        left = max(seat.quantity - _executed(me, seat), 0)
        signed = left if seat.side == 0 else -left
        gain += signed * seat.multiplier * (seat.first_mid - _twice_mid(view))
    return _ticks(view, seat, gain) / max(seat.quantity, 1)


@jit
def earn(view, me, seat):
    """Return the reward since the last turn, and remember how everything stands."""
    mid = _twice_mid(view)
    wealth = 2 * me.cash + me.inventory * seat.multiplier * mid
    if seat.task == Task.EXECUTION:
        reward = _executed_gain(view, me, seat)
    else:
        carried = seat.inventory * seat.multiplier * (mid - seat.mid)
        reward = _ticks(view, seat, wealth - seat.wealth)
        reward -= seat.dampening * max(_ticks(view, seat, carried), 0.0)
        reward -= seat.inventory_penalty * me.inventory * me.inventory
    seat.mid, seat.wealth, seat.cash, seat.inventory = mid, wealth, me.cash, me.inventory
    return reward


@jit
def _trade(view, me, seat, action, orders):
    what, side = int(action[0]), int(action[1])
    if what == 0:
        return
    if what == 3:
        cancel_all(orders, view)
        return
    room = capacity(me, side, seat.max_inventory) - _own_orders(me, side)
    lots = min(int(action[3] + 1.0) * seat.size, room)
    if what == 2:
        market(orders, view, side, lots)
    elif me.visible_orders < VISIBLE_ORDERS:  # all own orders are to be seen, so that they are counted
        away = int(action[2]) * view.tick_size
        price = touch(view, side) + (away if side == 1 else -away)
        limit(orders, view, side, to_price(view, side, float(price)), lots)


@jit
def _whole(value):
    return math.floor(value + 0.5)


@jit
def _make(view, me, seat, action, orders):
    """Quote both sides; the side that makes room moves first, so that the quotes never meet."""
    tick, reach = view.tick_size, 0.5 * seat.max_offset
    bid = to_price(view, 0, view.mid - (action[0] + 1.0) * reach * tick)
    ask = to_price(view, 1, view.mid + (action[1] + 1.0) * reach * tick)
    if bid >= ask:
        bid = max(ask - tick, lowest_price(view))
        ask = max(ask, bid + tick)
    buy = min(_whole(0.5 * (action[2] + 1.0) * seat.size), capacity(me, 0, seat.max_inventory))
    sell = min(_whole(0.5 * (action[3] + 1.0) * seat.size), capacity(me, 1, seat.max_inventory))
    lowest = MAX_PRICE + 1
    for i in range(me.visible_orders):
        if me.order_sides[i] == 1:
            lowest = min(lowest, me.order_prices[i])
    if lowest <= bid:
        quote(orders, view, me, 1, ask, sell)
    quote(orders, view, me, 0, bid, buy)
    if lowest > bid:
        quote(orders, view, me, 1, ask, sell)


@jit
def _execute(view, me, seat, action, orders, turn_steps):
    remaining = max(seat.quantity - _executed(me, seat), 0)
    side = seat.side
    if view.step + turn_steps >= seat.last_step:
        cancel_all(orders, view)
        market(orders, view, side, remaining)
        return
    lots = _whole(0.5 * (action[0] + 1.0) * remaining)
    nearer = _whole(action[1] * seat.max_offset) * view.tick_size
    price = touch(view, side) + (nearer if side == 0 else -nearer)
    quote(orders, view, me, side, to_price(view, side, float(price)), lots)


@jit
def act(view, me, seat, action, orders, turn_steps):
    """Send the messages of an action, ``(4,) float64``; the next turn is `turn_steps` later."""
    if view.halted:
        return
    if seat.task == Task.TRADING:
        _trade(view, me, seat, action, orders)
    elif seat.task == Task.MARKET_MAKING:
        _make(view, me, seat, action, orders)
    else:
        _execute(view, me, seat, action, orders, turn_steps)
