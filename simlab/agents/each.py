"""Write a strategy as a plain class, of which every agent has an object of its own.

It has one method, ``decide(self, observation, orders)``: look at the observation, send messages through
`orders`. It may be ``async``. Prices are ints in price units, quantities ints in lots.

Example
-------
>>> from simlab.agents.each import Parameter, agent_strategy
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

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from simlab.agents.checking import ORDER_SIDES, TIMES_IN_FORCE, chosen, whole
from simlab.agents.strategy import Level, Needs, Parameter, declare_class
from simlab.core.types import MessageKind, Side, TimeInForce
from simlab.errors import StrategyError

__all__ = [
    "Fill",
    "Host",
    "InstrumentView",
    "Needs",
    "Observation",
    "Orders",
    "Parameter",
    "RestingOrder",
    "agent_strategy",
]

_MESSAGE = struct.Struct("<4Bi7q")
"""One message as it lies in memory: it refuses what is no whole number or does not fit."""


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


class Host(Protocol):
    """Whoever shows a market to agents: observations ask it when they are asked.

    A kernel is one; so is any client that lets a strategy trade elsewhere. Instruments go by number.
    """

    instruments: dict[str, int]
    """The instruments that the agent trades, by name."""

    def view(self, instrument: int) -> Any:
        """Return the fields of `simlab.agents.compiled.VIEW_DTYPE` by name, as they are now."""

    def depth(self, instrument: int, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return ([(price, lots), ...] of bids, the same of asks), best first."""

    def past_return(self, instrument: int, steps: int) -> float:
        """Return the relative change of the mid price over the last `steps` steps."""

    def signal(self, agent: int, instrument: int) -> float:
        """Return an agent's private signal of the fundamental, price units."""

    def inventory(self, agent: int, instrument: int) -> int:
        """Return an agent's inventory, lots."""

    def resting(self, agent: int, instrument: int) -> list[RestingOrder]:
        """Return an agent's resting orders, oldest first."""

    def fills(self, agent: int, instrument: int) -> list[Fill]:
        """Return an agent's latest fills since it last looked, oldest first."""

    def fill_count(self, agent: int, instrument: int) -> int:
        """Return the number of an agent's fills since it last looked."""

    def random(self, agent: int) -> np.random.Generator:
        """Return an agent's own random stream."""


class InstrumentView:
    """What one agent sees of one instrument, and of itself in it. Valid during `decide` only."""

    def __init__(self, host: Host, observation: Observation, name: str) -> None:
        self._host = host
        self._observation = observation
        self.instrument = host.instruments[name]
        self.name = name

    @property
    def _view(self) -> Any:
        return self._host.view(self.instrument)

    @property
    def _agent(self) -> int:
        return self._observation.agent

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
        return self._host.depth(self.instrument, min(levels, 10))

    def past_return(self, steps: int) -> float:
        """Return the relative change of the mid price over the last `steps` steps (at most 1023)."""
        return self._host.past_return(self.instrument, whole(steps, "steps"))

    def last_trades(self) -> tuple[int, int, Side | None]:
        """Return (price, lots, aggressor side) of the last trade; the side is None before any."""
        side = int(self._view["last_side"])
        return self.last_price, int(self._view["last_quantity"]), None if side < 0 else Side(side)

    @property
    def signal(self) -> float:
        """The agent's private signal of the fundamental, price units."""
        return self._host.signal(self._agent, self.instrument)

    @property
    def inventory(self) -> int:
        """Own inventory, lots."""
        return self._host.inventory(self._agent, self.instrument)

    @property
    def orders(self) -> list[RestingOrder]:
        """Own resting orders in this instrument, oldest first."""
        return self._host.resting(self._agent, self.instrument)

    @property
    def fills(self) -> list[Fill]:
        """Own fills since the last look, oldest first; at most the latest 16 (`fill_count` counts all)."""
        return self._host.fills(self._agent, self.instrument)

    @property
    def fill_count(self) -> int:
        """Number of own fills since the last look."""
        return self._host.fill_count(self._agent, self.instrument)


_STEP, _AGENT, _BID, _BID_DEPTH, _ASK, _ASK_DEPTH, _LAST, _CASH, _INVENTORY, _OPEN = range(10)


class Observation:
    """What an agent sees: the time, its cash, and an `InstrumentView` for each instrument.

    The attributes `best_bid`, `best_ask`, `inventory` and so on are those of its first (or only) instrument.
    A host makes one and calls `show` before each decision.
    """

    __slots__ = ("_host", "_values", "_views", "news")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._values: Sequence[int] = ()
        self._views = {name: InstrumentView(host, self, name) for name in host.instruments}
        self.news: Sequence[Any] = ()
        """News that can be seen, oldest first (the latest 100)."""

    def show(self, values: Sequence[int], news: Sequence[Any] = ()) -> None:
        """Let a decision begin; for hosts.

        Parameters
        ----------
        values : sequence of 10 int
            Step, agent, best bid and its depth, best ask and its depth, last price, cash, inventory, open
            orders. news : sequence As in `news`.
        """
        self._values = values
        self.news = news

    @property
    def random(self) -> np.random.Generator:
        """The agent's own random stream."""
        return self._host.random(self.agent)

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
    def market(self) -> InstrumentView:
        """The first instrument."""
        return next(iter(self._views.values()))

    @property
    def markets(self) -> dict[str, InstrumentView]:
        """All instruments the agent trades, by name."""
        return dict(self._views)


class Orders:
    """Where an agent puts its messages. Each order gets an id at once; refusals come as events.

    A host calls `begin` before each decision and takes what was sent from `messages`.

    Example
    -------
    >>> orders = Orders({"ACME": 0})
    >>> orders.begin(account=7, next_id=1)
    >>> orders.limit("buy", 100, 5), orders.market("sell", 2), len(orders.messages) // 64
    (1, 2, 2)
    """

    __slots__ = ("_account", "_default", "_instruments", "messages", "next_id")

    def __init__(self, instruments: dict[str, int]) -> None:
        self._instruments = instruments
        self._default = next(iter(instruments.values()), 0)
        self._account = 0
        self.messages = bytearray()
        """What was sent in this decision, 64 bytes a message, as `simlab.core.types.MESSAGE_DTYPE`."""
        self.next_id = 1
        """The id that the next order gets."""

    def begin(self, account: int, next_id: int) -> None:
        """Let a decision of an account begin, whose first order gets the id `next_id`; for hosts."""
        self._account, self.next_id = account, next_id
        self.messages = bytearray()

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
        tif = chosen(TIMES_IN_FORCE, time_in_force, "time_in_force") if time_in_force else 0
        order_id = self.next_id
        self._put(
            MessageKind.LIMIT, side, instrument, order_id, price, quantity, tif, bool(post_only), expiry
        )
        self.next_id = order_id + 1
        return order_id

    def market(self, side: Side | str, quantity: int, *, instrument: str | None = None) -> int:
        """Send a market order and return its id."""
        order_id = self.next_id
        self._put(MessageKind.MARKET, side, instrument, order_id, 0, quantity)
        self.next_id = order_id + 1
        return order_id

    def cancel(self, order_id: int) -> None:
        """Cancel one own order."""
        self._put(MessageKind.CANCEL, 0, None, order_id)

    def replace(self, order_id: int, price: int, quantity: int) -> None:
        """Give an own order a new price and remaining quantity; only a mere decrease keeps its place."""
        self._put(MessageKind.REPLACE, 0, None, order_id, price, quantity)

    def cancel_all(self, *, instrument: str | None = None) -> None:
        """Cancel all own orders, in one instrument or (by default) in all."""
        number = -1 if instrument is None else chosen(self._instruments, instrument, "instrument")
        self.messages += _MESSAGE.pack(
            MessageKind.CANCEL_ALL, 0, 0, 0, number, 0, self._account, 0, 0, 0, 0, 0
        )

    def _put(
        self,
        kind: MessageKind,
        side: Any,
        instrument: str | None,
        order_id: int,
        price: int = 0,
        quantity: int = 0,
        time_in_force: int = 0,
        post_only: bool = False,
        expiry: int = 0,
    ) -> None:
        number = self._default if instrument is None else chosen(self._instruments, instrument, "instrument")
        try:
            self.messages += _MESSAGE.pack(
                kind, chosen(ORDER_SIDES, side, "side"), time_in_force, post_only, number, order_id,
                self._account, price, quantity, expiry, 0, 0,
            )  # fmt: skip
        except struct.error:
            given = {"order_id": order_id, "price": price, "quantity": quantity, "expiry": expiry}
            for name, value in given.items():
                whole(value, name)
            raise StrategyError(f"the order cannot be sent: {given}") from None


_C = TypeVar("_C", bound=type)


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
    return declare_class(Level.AGENT, name, summary, parameters, options, source)
