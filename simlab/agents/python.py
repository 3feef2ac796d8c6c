"""Write a strategy in plain Python: a class per agent, or one for a whole population with arrays.

Both have one method, ``decide(self, observation, orders)``: look at the observation, send messages through
`orders`. It may be ``async``. Prices are ints in price units, quantities ints in lots.

Example
-------
>>> from simlab.agents.python import Parameter, agent_strategy
>>> size = Parameter("size", 1, "lots", "Order size.")
>>> @agent_strategy("penny_bidder", "Outbids the best bid by one unit.", (size,))
... class PennyBidder:
...     def __init__(self, size):
...         self.size = int(size)
...     def decide(self, observation, orders):
...         if observation.best_bid is not None:
...             orders.limit("buy", observation.best_bid + 1, self.size)
>>> PennyBidder.strategy.level
<Level.AGENT: 'agent'>
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from simlab.agents.batch import BatchObservation, BatchOrders
from simlab.agents.strategy import Level, Needs, Parameter, Strategy
from simlab.core.types import MessageKind, Side, TimeInForce
from simlab.errors import StrategyError

__all__ = [
    "BatchObservation",
    "BatchOrders",
    "Fill",
    "Market",
    "Needs",
    "Observation",
    "Orders",
    "Parameter",
    "RestingOrder",
    "agent_strategy",
    "batch_strategy",
]

_SIDES: dict[Any, int] = {0: 0, 1: 1, "buy": 0, "sell": 1}
_TIMES: dict[Any, int] = {0: 0, 1: 1, 2: 2, "GTC": 0, "IOC": 1, "FOK": 2}
_LIMIT, _MARKET, _CANCEL, _REPLACE, _CANCEL_ALL = (int(kind) for kind in MessageKind)


class Fill(NamedTuple):
    """One own fill: `quantity` lots, positive if bought."""

    step: int
    quantity: int
    price: int
    order_id: int


class RestingOrder(NamedTuple):
    """One own resting order; `quantity` is what remains, lots."""

    order_id: int
    side: Side
    price: int
    quantity: int


class Market:
    """What one agent sees of one instrument, and of itself in it. Valid during `decide` only."""

    def __init__(self, source: Any, instrument: int, name: str) -> None:
        self._source = source
        self._view = source.views[instrument]
        self.instrument = instrument
        self.name = name

    @property
    def best_bid(self) -> int | None:
        """Highest buy price, price units, or None."""
        return int(self._view["best_bid"]) if self._view["bid_depth"] else None

    @property
    def best_ask(self) -> int | None:
        """Lowest sell price, price units, or None."""
        return int(self._view["best_ask"]) if self._view["ask_depth"] else None

    @property
    def bid_depth(self) -> int:
        """Lots at the best bid."""
        return int(self._view["bid_depth"])

    @property
    def ask_depth(self) -> int:
        """Lots at the best ask."""
        return int(self._view["ask_depth"])

    @property
    def mid(self) -> float:
        """Last known mid price, price units."""
        return float(self._view["mid"])

    @property
    def last_price(self) -> int:
        """Price of the last trade, the initial price before any."""
        return int(self._view["last_price"])

    @property
    def volume(self) -> int:
        """Lots traded since the start of the run."""
        return int(self._view["volume"])

    @property
    def tick_size(self) -> int:
        """Price units that an order price must be a multiple of."""
        return int(self._view["tick_size"])

    @property
    def lot_size(self) -> int:
        """Lots that an order quantity must be a multiple of."""
        return int(self._view["lot_size"])

    @property
    def halted(self) -> bool:
        """Whether the instrument refuses orders now."""
        return bool(self._view["halted"])

    def depth(self, levels: int = 10) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return ([(price, lots), ...] of bids, the same of asks), best first, at most 10 levels a side."""
        return self._source.depth(self.instrument, levels)

    def past_return(self, steps: int) -> float:
        """Return the relative change of the mid price over the last `steps` steps (at most 1023)."""
        return self._source.past_return(self.instrument, steps)

    def last_trades(self) -> tuple[int, int, Side | None]:
        """Return (price, lots, aggressor side) of the last trade; the side is None before any."""
        side = int(self._view["last_side"])
        return self.last_price, int(self._view["last_quantity"]), None if side < 0 else Side(side)

    @property
    def signal(self) -> float:
        """The agent's private signal of the fundamental, price units."""
        return self._source.signal(self.instrument)

    @property
    def inventory(self) -> int:
        """Own inventory, lots."""
        return self._source.inventory(self.instrument)

    @property
    def orders(self) -> list[RestingOrder]:
        """Own resting orders in this instrument, oldest first."""
        return self._source.resting(self.instrument)

    @property
    def fills(self) -> list[Fill]:
        """Own fills since the last look, oldest first; at most the latest 16 (`fill_count` counts all)."""
        return self._source.fills(self.instrument)

    @property
    def fill_count(self) -> int:
        """Number of own fills since the last look."""
        return self._source.fill_count(self.instrument)


_STEP, _AGENT, _BID, _BID_DEPTH, _ASK, _ASK_DEPTH, _LAST, _CASH, _INVENTORY, _OPEN = range(10)


class Observation:
    """What an agent sees: the time, its cash, and a `Market` an instrument.

    The attributes `best_bid`, `best_ask`, `inventory` and so on are those of its first (or only) instrument.
    """

    __slots__ = ("_source", "_values", "news")

    def __init__(self, source: Any) -> None:
        self._source = source
        self._values: list[int] = []
        self.news: Sequence[Any] = ()
        """News that can be seen, oldest first (the latest 100)."""

    @property
    def random(self) -> np.random.Generator:
        """The agent's own random stream."""
        return self._source.random()

    @property
    def step(self) -> int:
        """The present step."""
        return self._values[_STEP]

    @property
    def agent(self) -> int:
        """The agent's account number."""
        return self._values[_AGENT]

    @property
    def cash(self) -> int:
        """Own cash, money units."""
        return self._values[_CASH]

    @property
    def best_bid(self) -> int | None:
        """Highest buy price of the first instrument, price units, or None."""
        return self._values[_BID] if self._values[_BID_DEPTH] else None

    @property
    def best_ask(self) -> int | None:
        """Lowest sell price of the first instrument, price units, or None."""
        return self._values[_ASK] if self._values[_ASK_DEPTH] else None

    @property
    def bid_depth(self) -> int:
        """Lots at the best bid of the first instrument."""
        return self._values[_BID_DEPTH]

    @property
    def ask_depth(self) -> int:
        """Lots at the best ask of the first instrument."""
        return self._values[_ASK_DEPTH]

    @property
    def last_price(self) -> int:
        """Price of the last trade in the first instrument."""
        return self._values[_LAST]

    @property
    def inventory(self) -> int:
        """Own inventory of the first instrument, lots."""
        return self._values[_INVENTORY]

    @property
    def open_orders(self) -> int:
        """Number of own resting orders in all instruments."""
        return self._values[_OPEN]

    @property
    def market(self) -> Market:
        """The first instrument's `Market`."""
        return self._source.markets()[0]

    @property
    def markets(self) -> dict[str, Market]:
        """All instruments the agent trades, by name."""
        return {market.name: market for market in self._source.markets()}


class Orders:
    """Where an agent puts its messages. Each order gets an id at once; refusals come as events."""

    __slots__ = ("_account", "_default", "_names", "_next_id", "_rows")

    def __init__(self, names: dict[str, int]) -> None:
        self._names = names
        self._rows: list[tuple[int, ...]] = []
        self._next_id = self._account = self._default = 0

    def limit(
        self,
        side: Side | str,
        price: int,
        quantity: int,
        *,
        instrument: str | None = None,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        post_only: bool = False,
        expiry: int = 0,
    ) -> int:
        """Send a limit order and return its id; `expiry` is the last step it lives, 0 for no end."""
        code = _side(side) << 8 | self._instrument(instrument) << 32
        if time_in_force or post_only:
            code |= _choice(_TIMES, time_in_force, "time_in_force") << 16 | bool(post_only) << 24
        return self._send(code, price, quantity, expiry)

    def market(self, side: Side | str, quantity: int, *, instrument: str | None = None) -> int:
        """Send a market order and return its id."""
        return self._send(_MARKET | _side(side) << 8 | self._instrument(instrument) << 32, 0, quantity, 0)

    def cancel(self, order_id: int) -> None:
        """Cancel one own order."""
        self._rows.append((_CANCEL, _whole(order_id, "order_id"), self._account, 0, 0, 0, 0, 0))

    def replace(self, order_id: int, price: int, quantity: int) -> None:
        """Give an own order a new price and remaining quantity; only a mere decrease keeps its place."""
        self._rows.append(
            (
                _REPLACE,
                _whole(order_id, "order_id"),
                self._account,
                _whole(price, "price"),
                _whole(quantity, "quantity"),
                0,
                0,
                0,
            )
        )

    def cancel_all(self, *, instrument: str | None = None) -> None:
        """Cancel all own orders, in one instrument or (by default) in all."""
        number = -1 if instrument is None else self._instrument(instrument)
        self._rows.append((_CANCEL_ALL | number << 32, 0, self._account, 0, 0, 0, 0, 0))

    def _send(self, code: int, price: int, quantity: int, expiry: int) -> int:
        order_id = self._next_id
        self._next_id = order_id + 1
        if type(price) is not int or type(quantity) is not int:
            price, quantity = _whole(price, "price"), _whole(quantity, "quantity")
        self._rows.append((code, order_id, self._account, price, quantity, expiry, 0, 0))
        return order_id

    def _instrument(self, name: str | None) -> int:
        if name is None:
            return self._default
        return _choice(self._names, name, "instrument")


def _whole(value: Any, name: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise StrategyError(
            f"{name} {value!r} is not a whole number; round it to an int (price units or lots) first"
        ) from None


def _side(side: Any) -> int:
    try:
        return _SIDES[side]
    except (KeyError, TypeError):
        return _choice(_SIDES, side, "side")


def _choice(known: dict[Any, int], value: Any, name: str) -> int:
    try:
        return known[value]
    except (KeyError, TypeError):
        names = ", ".join(repr(key) for key in known if isinstance(key, str))
        raise StrategyError(f"{name} {value!r} is not known; use one of {names}") from None


_C = TypeVar("_C", bound=type)


def _declare(
    level: Level,
    name: str,
    summary: str,
    parameters: tuple[Parameter, ...],
    options: tuple[str, ...],
    source: str,
) -> Callable[[_C], _C]:
    def declare(cls: _C) -> _C:
        if not callable(getattr(cls, "decide", None)):
            raise StrategyError(f"class {cls.__name__} needs a method decide(self, observation, orders)")
        cls.strategy = Strategy(  # type: ignore[attr-defined]
            name=name,
            level=level,
            make=cls,
            summary=summary,
            parameters=parameters,
            needs=Needs(),
            source=source,
            defined_in=cls.__module__,
            options=options,
        )
        return cls

    return declare


def agent_strategy(
    name: str,
    summary: str,
    parameters: tuple[Parameter, ...] = (),
    *,
    options: tuple[str, ...] = (),
    source: str = "",
) -> Callable[[_C], _C]:
    """Declare a class as a strategy of which every agent has an object of its own.

    The object is made with the agent's parameters and the population's options as keyword arguments.
    """
    return _declare(Level.AGENT, name, summary, parameters, options, source)


def batch_strategy(
    name: str,
    summary: str,
    parameters: tuple[Parameter, ...] = (),
    *,
    options: tuple[str, ...] = (),
    source: str = "",
) -> Callable[[_C], _C]:
    """Declare a class as a strategy that decides for all active agents of a population at once.

    One object is made, with the population's options as keyword arguments; the agents' parameters come with
    each observation.
    """
    return _declare(Level.BATCH, name, summary, parameters, options, source)
