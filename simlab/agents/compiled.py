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
<Calling.COMPILED: 'compiled'>
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import from_dtype, types

from simlab.agents.inspection import CodeRules, check_code, definition
from simlab.agents.rounding import small_field, whole_or_none, whole_price, whole_quantity
from simlab.agents.strategy import (
    MAX_MEMORY,
    MAX_PARAMETERS,
    Calling,
    Needs,
    Parameter,
    Strategy,
    require_declaration,
)
from simlab.core.jit import call_decide, jit
from simlab.core.random import RNG_DTYPE
from simlab.core.rows import packed
from simlab.core.types import MESSAGE_WORDS, MessageKind, Side
from simlab.errors import StrategyError

__all__ = [
    "DEPTH_LEVELS",
    "HISTORY_STEPS",
    "MAX_MESSAGES",
    "ME_DTYPE",
    "ORDERS_DTYPE",
    "SHOUTS",
    "VIEW_DTYPE",
    "VISIBLE_ORDERS",
    "Needs",
    "Parameter",
    "Shout",
    "cancel",
    "cancel_all",
    "compiled_strategy",
    "decide_once",
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
SHOUTS = 128
"""Latest shouts and trades that a view remembers; a power of two."""
VISIBLE_ORDERS = 16
"""Own resting orders that a compiled strategy can see, oldest first."""
MAX_MESSAGES = 32
"""Messages that one decision may send."""


class Shout(IntEnum):
    """What a view remembers of the market's talk: an order that rests, or a trade."""

    BID = 0
    ASK = 1
    BUY = 2
    """A trade: an ask was accepted by a buyer."""
    SELL = 3
    """A trade: a bid was accepted by a seller."""


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
        ("price_low", "i8"),
        ("news_step", "i8"),
        ("news_sentiment", "f8"),
        ("bid_levels", "i8"),
        ("ask_levels", "i8"),
        ("bid_prices", "i8", (DEPTH_LEVELS,)),
        ("bid_depths", "i8", (DEPTH_LEVELS,)),
        ("ask_prices", "i8", (DEPTH_LEVELS,)),
        ("ask_depths", "i8", (DEPTH_LEVELS,)),
        ("mids", "f8", (HISTORY_STEPS,)),
        ("shouts", "i8"),
        ("shout_kinds", "i8", (SHOUTS,)),
        ("shout_prices", "i8", (SHOUTS,)),
        ("shout_steps", "i8", (SHOUTS,)),
    ],
    align=True,
)
"""The market of one instrument.

`bid_depth` 0 says that there is no bid (`best_bid` is then 0); likewise for the ask. `mid` is the last known
mid price (the initial price before there was one). `price_low` is the lowest price that an order may have.
`last_side` is the last trade's aggressor (Side), -1
before any. `volume` and `trades` count from the start. `bid_prices` and the like hold `bid_levels` levels,
best first, if the strategy asked for depth. `news_step` is the step of the latest visible news, -1 for none.

If somebody in the market asked for them, `shouts` counts all shouts and trades from the start, and number `n`
of them, one of the latest `SHOUTS`, is in the row `n` modulo `SHOUTS` of `shout_kinds` (a `Shout`),
`shout_prices` and `shout_steps`.
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
        ("customer_side", "i8"),
        ("customer_limit", "i8"),
        ("customer_limit_step", "i8"),
        ("customer_quantity", "i8"),
        ("customer_since", "i8"),
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
(-1 the first time). `signal` is its private signal of the fundamental, price units. For its customer it is to
trade `customer_quantity` lots (0 for none) on `customer_side`; the next lot size must not cost more, or bring
less, than `customer_limit` price units, and each further one `customer_limit_step` less, or more; it was told
so at step `customer_since`. The order arrays hold
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

CODE_RULES = CodeRules(
    fields={
        "view": VIEW_DTYPE.names or (),
        "me": ME_DTYPE.names or (),
        "rng": RNG_DTYPE.names or (),
        "orders": ORDERS_DTYPE.names or (),
    },
    sizes={
        name: dtype[name].shape[0]
        for dtype in (VIEW_DTYPE, ME_DTYPE)
        for name in dtype.names or ()
        if dtype[name].shape
    },
    asked_for={
        "signal": "signal",
        **dict.fromkeys(("bid_levels", "ask_levels", "bid_prices", "bid_depths"), "depth"),
        **dict.fromkeys(("ask_prices", "ask_depths"), "depth"),
        **dict.fromkeys(("visible_orders", "order_ids", "order_sides", "order_prices"), "orders"),
        "order_quantities": "orders",
        **dict.fromkeys(("shouts", "shout_kinds", "shout_prices", "shout_steps"), "shouts"),
    },
    written=frozenset({"memory"}),
)
"""What the source of a strategy may do with its arguments."""


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
    price = whole_price(price, side)
    tick = view.tick_size
    if tick == 1:
        return price
    return price // tick * tick if side == Side.BUY else -(-price // tick) * tick


@jit
def _in_lots(view, quantity):
    quantity = whole_quantity(quantity)
    lot = view.lot_size
    return quantity if lot == 1 else quantity - quantity % lot


@jit
def limit(orders, view, side, price, quantity, time_in_force=0, post_only=0, expiry=0):
    """Send a limit order; return its id, or 0 if `quantity` is less than one lot size and nothing was sent.

    `price` (price units) is rounded to a tick away from the market: down to buy, up to sell; `quantity`
    down to a whole number of lot sizes. `expiry` is the last step the order lives, 0 for no end. A number
    that is none (NaN, infinite, beyond 64 bits), or a side that does not exist, is refused by the market.
    """
    quantity = _in_lots(view, quantity)
    if quantity <= 0:
        return 0
    order_id = _new_id(orders)
    side = small_field(side)
    tif, flag = small_field(time_in_force), 1 if post_only else 0
    code = packed(MessageKind.LIMIT, side, tif, flag, view.instrument)
    _put(orders, code, order_id, _on_tick(view, side, price), quantity, whole_or_none(expiry))
    return order_id


@jit
def market(orders, view, side, quantity):
    """Send a market order; return its id, or 0 if `quantity` is below one lot size and nothing was sent."""
    quantity = _in_lots(view, quantity)
    if quantity <= 0:
        return 0
    order_id = _new_id(orders)
    code = packed(MessageKind.MARKET, small_field(side), 0, 0, view.instrument)
    _put(orders, code, order_id, 0, quantity, 0)
    return order_id


@jit
def cancel(orders, order_id):
    """Cancel one own order."""
    _put(orders, MessageKind.CANCEL.value, whole_or_none(order_id), 0, 0, 0)


@jit
def replace(orders, view, side, order_id, price, quantity):
    """Give an own order a new price and remaining quantity; `side`, the order's own, says how to round."""
    side = small_field(side)
    code = packed(MessageKind.REPLACE, side, 0, 0, view.instrument)
    quantity = _in_lots(view, quantity)
    _put(orders, code, whole_or_none(order_id), _on_tick(view, side, price), quantity, 0)


@jit
def cancel_all(orders, view):
    """Cancel all own orders in the instrument of the view."""
    _put(orders, packed(MessageKind.CANCEL_ALL, 0, 0, 0, view.instrument), 0, 0, 0, 0)


@jit
def decide_once(address, views, accounts, rng, orders):
    """Call a compiled strategy, by its address, outside a kernel; the records are arrays of length 1."""
    call_decide(address, views[0], accounts[0], rng[0], orders[0])


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


def _why_not_compiled(function: Callable[..., None], name: str, error: Exception) -> str:
    """Say in a few lines what Numba says in many, and where."""
    file, line = definition(function)
    told = [it.strip(" >") for it in str(error).splitlines() if it.strip()]
    places = re.findall(r'File "(.+?)", line (\d+)', str(error))
    own = [number for place, number in places if place.endswith(Path(file).name)]
    skipped = ("Failed in", "During", "File", "^", "- Resol", "<source", "There are")
    reason = " ".join([it for it in told if not it.startswith(skipped)][:3])[:300]
    return (
        f"strategy {name!r} cannot be compiled: {type(error).__name__}: {reason} ({file}, line"
        f" {own[-1] if own else line}); NUMBA_DISABLE_JIT=1 runs it as plain Python"
    )


def _require_function(function: Any) -> None:
    """Raise StrategyError unless what is decorated is a function of the four arguments."""
    if not inspect.isfunction(function):
        what = "a class" if inspect.isclass(function) else repr(function)
        raise StrategyError(
            f"@compiled_strategy is for a function decide(view, me, rng, orders), not {what}; for a class"
            " there are @agent_strategy and @batch_strategy"
        )
    names = inspect.signature(function)
    if len(names.parameters) != 4:
        raise StrategyError(
            f"a compiled strategy takes (view, me, rng, orders), but def {function.__name__} takes {names}"
        )


def compiled_strategy(
    name: str,
    summary: str | None = None,
    parameters: tuple[Parameter, ...] = (),
    *,
    needs: Needs | None = None,
    source: str = "",
) -> Callable[[Callable[..., None]], Strategy]:
    """Declare a function as a compiled strategy. It is compiled, or taken from the cache, when first used.

    Raises
    ------
    StrategyError
        When a configuration that names it is loaded, or it is first used: if the function reads what `needs`
        does not ask for, writes more than its memory, or uses an index that is out of range, as far as its
        source tells; or if it cannot be compiled.
    """
    require_declaration("compiled_strategy", name, summary, parameters)
    if len(parameters) > MAX_PARAMETERS:
        raise ValueError(f"strategy {name!r} has {len(parameters)} parameters; the most is {MAX_PARAMETERS}")

    def declare(function: Callable[..., None]) -> Strategy:
        _require_function(function)

        @cache  # of a run of a few milliseconds it would be half the time
        def check_once() -> None:
            check_code(function, name, parameters, needs or Needs(), CODE_RULES)

        @cache
        def make(**_: Any) -> Any:
            if not function.__module__.startswith("simlab."):
                check_once()
            try:
                return jit(function, signature=SIGNATURE, _nrt=True)
            except Exception as error:
                raise StrategyError(_why_not_compiled(function, name, error)) from error

        return Strategy(
            name=name,
            level=Calling.COMPILED,
            make=make,
            summary=summary or inspect.cleandoc(function.__doc__ or "").partition("\n")[0],
            parameters=tuple(parameters),
            needs=needs or Needs(),
            source=source,
            defined_in=function.__module__,
            check=lambda **_: check_once(),
            code=function,
        )

    return declare
