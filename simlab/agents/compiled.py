"""Write a strategy as one function that is compiled: what it sees, how it answers, how it is declared.

A compiled strategy is ``decide(view, me, rng, orders)`` and returns nothing:

- `view`, one `VIEW_DTYPE` record: the market of one instrument, as it is now. Read only.
- `me`, one `ME_DTYPE` record: the agent's own account, its parameters in the order they were declared,
  and eight floats of memory that it may write and finds again.
- `rng`, its own random stream: see `simlab.core.random` (`uniform`, `integers`, `normal`, ...).
- `orders`, where `limit`, `market`, `cancel`, `replace` and `cancel_all` put its messages.

It is called once for each instrument the agent trades, each time the agent is activated.

Example
-------
>>> from simlab.agents.compiled import Parameter, compiled_strategy, limit
>>> @compiled_strategy("joiner", "Joins the best bid.", (Parameter("size", 1, "lots", "Order size."),))
... def joiner(view, me, rng, orders):
...     if view.bid_depth > 0 and me.inventory <= 0:
...         limit(orders, view, 0, view.best_bid, int(me.parameters[0]))
>>> joiner.level
<Level.COMPILED: 'compiled'>
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import from_dtype, types

from simlab.agents.strategy import MAX_MEMORY, MAX_PARAMETERS, Level, Needs, Parameter, Strategy
from simlab.core.jit import jit
from simlab.core.random import RNG_DTYPE
from simlab.core.rows import packed
from simlab.core.types import MESSAGE_WORDS, MessageKind, Side

__all__ = [
    "DEPTH_LEVELS",
    "HISTORY_STEPS",
    "MAX_MESSAGES",
    "ME_DTYPE",
    "ORDERS_DTYPE",
    "VIEW_DTYPE",
    "VISIBLE_ORDERS",
    "Needs",
    "Parameter",
    "cancel",
    "cancel_all",
    "compiled_strategy",
    "limit",
    "market",
    "mid_ago",
    "past_return",
    "replace",
]

DEPTH_LEVELS = 10
"""Levels a side that a view can show."""
HISTORY_STEPS = 1024
"""Steps of mid prices that a view remembers; a power of two."""
VISIBLE_ORDERS = 16
"""Own resting orders that a compiled strategy can see, oldest first."""
MAX_MESSAGES = 32
"""Messages that one decision may send."""

VIEW_DTYPE = np.dtype(
    [
        ("step", "i8"),
        ("instrument", "i8"),
        ("tick_size", "i8"),
        ("lot_size", "i8"),
        ("halted", "i8"),
        ("best_bid", "i8"),
        ("bid_depth", "i8"),
        ("best_ask", "i8"),
        ("ask_depth", "i8"),
        ("mid", "f8"),
        ("last_price", "i8"),
        ("last_quantity", "i8"),
        ("last_side", "i8"),
        ("volume", "i8"),
        ("trades", "i8"),
        ("initial_price", "i8"),
        ("news_step", "i8"),
        ("news_sentiment", "f8"),
        ("bid_levels", "i8"),
        ("ask_levels", "i8"),
        ("bid_prices", "i8", (DEPTH_LEVELS,)),
        ("bid_depths", "i8", (DEPTH_LEVELS,)),
        ("ask_prices", "i8", (DEPTH_LEVELS,)),
        ("ask_depths", "i8", (DEPTH_LEVELS,)),
        ("mids", "f8", (HISTORY_STEPS,)),
    ],
    align=True,
)
"""The market of one instrument.

`bid_depth` 0 says that there is no bid (`best_bid` is then 0); likewise for the ask. `mid` is the last known
mid price (the initial price before there was one). `last_side` is the last trade's aggressor (Side), -1
before any. `volume` and `trades` count from the start. `bid_prices` and the like hold `bid_levels` levels,
best first, if the strategy asked for depth. `news_step` is the step of the latest visible news, -1 for none.
"""

ME_DTYPE = np.dtype(
    [
        ("agent", "i8"),
        ("cash", "i8"),
        ("inventory", "i8"),
        ("open_orders", "i8"),
        ("bought", "i8"),
        ("sold", "i8"),
        ("fills", "i8"),
        ("last_look", "i8"),
        ("signal", "f8"),
        ("visible_orders", "i8"),
        ("parameters", "f8", (MAX_PARAMETERS,)),
        ("memory", "f8", (MAX_MEMORY,)),
        ("order_ids", "i8", (VISIBLE_ORDERS,)),
        ("order_sides", "i8", (VISIBLE_ORDERS,)),
        ("order_prices", "i8", (VISIBLE_ORDERS,)),
        ("order_quantities", "i8", (VISIBLE_ORDERS,)),
    ],
    align=True,
)
"""The agent itself, for the instrument of the view.

`cash` in money units, `inventory` in lots; `open_orders` counts the resting orders in all instruments.
`bought`, `sold` (lots) and `fills` are of this instrument since the agent last looked, at step `last_look`
(-1 the first time). `signal` is its private signal of the fundamental, price units. The order arrays hold
`visible_orders` resting orders in this instrument, oldest first, if the strategy asked for them.
"""

ORDERS_DTYPE = np.dtype(
    [
        ("count", "i8"),
        ("next_order_id", "i8"),
        ("account", "i8"),
        ("overflow", "i8"),
        ("unused", "i8", (4,)),
        ("messages", MESSAGE_WORDS, (MAX_MESSAGES,)),
    ],
    align=True,
)
"""Where a compiled strategy's messages go: how many, the id of the next order, whose they are, and they."""

SIGNATURE = types.void(
    from_dtype(VIEW_DTYPE), from_dtype(ME_DTYPE), from_dtype(RNG_DTYPE), from_dtype(ORDERS_DTYPE)
)

_HISTORY_MASK = HISTORY_STEPS - 1


@jit
def _put(orders, code, order_id, price, quantity, expiry):
    count = orders.count
    if count >= MAX_MESSAGES:
        orders.overflow = 1  # the kernel stops the run for it
        return
    message = orders.messages[count]
    message.code = code
    message.order_id = order_id
    message.account = orders.account
    message.price = price
    message.quantity = quantity
    message.expiry = expiry
    orders.count = count + 1


@jit
def _new_id(orders):
    order_id = orders.next_order_id
    orders.next_order_id = order_id + 1
    return order_id


@jit
def _on_tick(view, side, price):
    tick = view.tick_size
    if tick == 1:
        return price
    return price // tick * tick if side == Side.BUY else -(-price // tick) * tick


@jit
def _in_lots(view, quantity):
    lot = view.lot_size
    return quantity if lot == 1 else quantity - quantity % lot


@jit
def limit(orders, view, side, price, quantity, time_in_force=0, post_only=0, expiry=0):
    """Send a limit order; return its id, or 0 if `quantity` is less than one lot size and nothing was sent.

    `price` (price units, an int) is rounded to a tick away from the market: down to buy, up to sell;
    `quantity` down to a whole number of lot sizes. `expiry` is the last step the order lives, 0 for no end.
    """
    quantity = _in_lots(view, quantity)
    if quantity <= 0:
        return 0
    order_id = _new_id(orders)
    code = packed(MessageKind.LIMIT, side, time_in_force, post_only, view.instrument)
    _put(orders, code, order_id, _on_tick(view, side, price), quantity, expiry)
    return order_id


@jit
def market(orders, view, side, quantity):
    """Send a market order; return its id, or 0 if `quantity` is below one lot size and nothing was sent."""
    quantity = _in_lots(view, quantity)
    if quantity <= 0:
        return 0
    order_id = _new_id(orders)
    _put(orders, packed(MessageKind.MARKET, side, 0, 0, view.instrument), order_id, 0, quantity, 0)
    return order_id


@jit
def cancel(orders, order_id):
    """Cancel one own order."""
    _put(orders, MessageKind.CANCEL.value, order_id, 0, 0, 0)


@jit
def replace(orders, view, side, order_id, price, quantity):
    """Give an own order a new price and remaining quantity; `side`, the order's own, says how to round."""
    code = packed(MessageKind.REPLACE, side, 0, 0, view.instrument)
    quantity = _in_lots(view, quantity)
    _put(orders, code, order_id, _on_tick(view, side, price), quantity, 0)


@jit
def cancel_all(orders, view):
    """Cancel all own orders in the instrument of the view."""
    _put(orders, packed(MessageKind.CANCEL_ALL, 0, 0, 0, view.instrument), 0, 0, 0, 0)


@jit
def mid_ago(view, steps):
    """Return the mid price at the end of the step `steps` steps before this one (1 is the last step).

    At most `HISTORY_STEPS` - 1; further back, or before the first step, it is the oldest mid known.
    """
    back = min(steps, view.step, _HISTORY_MASK)
    if back <= 0:
        return view.mid
    return view.mids[(view.step - back) & _HISTORY_MASK]


@jit
def past_return(view, steps):
    """Return the relative change of the mid price over the last `steps` steps."""
    past = mid_ago(view, steps)
    return view.mid / past - 1.0 if past > 0.0 else 0.0


def compiled_strategy(
    name: str,
    summary: str,
    parameters: tuple[Parameter, ...] = (),
    *,
    needs: Needs | None = None,
    source: str = "",
) -> Callable[[Callable[..., None]], Strategy]:
    """Declare a function as a compiled strategy. It is compiled, or taken from the cache, when first used."""
    if len(parameters) > MAX_PARAMETERS:
        raise ValueError(f"strategy {name!r} has {len(parameters)} parameters; the most is {MAX_PARAMETERS}")

    def declare(function: Callable[..., None]) -> Strategy:
        @cache
        def make(**_: Any) -> Any:
            return jit(function, signature=SIGNATURE, _nrt=True)

        return Strategy(
            name=name,
            level=Level.COMPILED,
            make=make,
            summary=summary,
            parameters=parameters,
            needs=needs or Needs(),
            source=source,
            defined_in=function.__module__,
        )

    return declare
