"""Write a strategy as a plain class, of which every agent has an object of its own.

It has one method, ``decide(self, observation, orders)``: look at the observation, send messages through
`orders`. It may be ``async``. Prices are ints in price units, quantities ints in lots.

Example
-------
>>> from simlab.agents.each import agent_strategy
>>> @agent_strategy("penny_bidder", "Outbids the best bid by one unit.")
... class PennyBidder:
...     def __init__(self, size: int = 1):
...         self.size = size
...     def decide(self, observation, orders):
...         if observation.best_bid is not None:
...             orders.limit("buy", observation.best_bid + 1, self.size)
>>> PennyBidder.strategy.level
<Calling.AGENT: 'agent'>
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from simlab.agents.checking import ORDER_SIDES, TIMES_IN_FORCE, chosen, whole
from simlab.agents.compiled import DEPTH_LEVELS
from simlab.agents.decisions import Asides
from simlab.agents.hosts import CustomerOrder, Fill, Host, RestingOrder
from simlab.agents.strategy import Calling, Decider, Needs, Parameter, Unit, declare_class
from simlab.core.types import MessageKind, Side, TimeInForce
from simlab.errors import StrategyError

__all__ = [
    "MAX_MESSAGES",
    "Desk",
    "Fill",
    "Host",
    "InstrumentView",
    "Needs",
    "Observation",
    "Orders",
    "Parameter",
    "RestingOrder",
    "Unit",
    "agent_strategy",
]

MAX_MESSAGES = 1024
"""Messages that one decision may send."""

_MESSAGE = struct.Struct("<4Bi7q")
"""One message as it lies in memory: it refuses what is no whole number or does not fit."""
_MOST_BYTES = MAX_MESSAGES * _MESSAGE.size
_ALL = object()
"""All instruments at once."""
_ALONE = np.zeros(1, np.int64)
"""The position of an agent that decides alone."""


def _refuse_copy(self: Any) -> Any:
    raise StrategyError(
        f"{type(self).__name__} lives during decide() only and cannot be copied or saved with the strategy;"
        " keep the numbers you need instead"
    )


class InstrumentView:
    """What one agent sees of one instrument, and of itself in it. Valid during `decide` only.

    Nothing in it can be written to, and the lists it returns belong to whoever asked.
    """

    __slots__ = ("_host", "_name", "_number", "_observation")
    __reduce__ = _refuse_copy

    def __init__(self, host: Host, observation: Observation, name: str) -> None:
        self._host = host
        self._observation = observation
        self._name = name
        self._number = host.instruments[name]

    @property
    def _view(self) -> Any:
        return self._host.view(self._number)

    @property
    def _agent(self) -> int:
        return self._observation.agent

    @property
    def name(self) -> str:
        """The instrument's name."""
        return self._name

    @property
    def instrument(self) -> int:
        """The instrument's number, its place among all instruments in the order of their names."""
        return self._number

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
    def price_band(self) -> tuple[int, int]:
        """Lowest and highest price that an order may have, price units."""
        return self._host.price_band(self._number)

    @property
    def halted(self) -> bool:
        """Whether the instrument refuses orders now."""
        return bool(self._view["halted"])

    def depth(self, levels: int = 10) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return ([(price, lots), ...] of bids, the same of asks), best first, at most 10 levels a side."""
        return self._host.depth(self._number, whole(levels, "levels", low=0, high=DEPTH_LEVELS))

    def past_return(self, steps: int) -> float:
        """Return the relative change of the mid price over the last `steps` steps (at most 1023)."""
        return self._host.past_return(self._number, whole(steps, "steps", low=0))

    def mids(self, steps: int) -> NDArray[np.float64]:
        """Return the mid prices at the end of the last `steps` steps (at most 1024), oldest first."""
        return self._host.mids(self._number, whole(steps, "steps", low=0))

    def last_trades(self) -> tuple[int, int, Side | None]:
        """Return (price, lots, aggressor side) of the last trade; the side is None before any."""
        side = int(self._view["last_side"])
        return self.last_price, int(self._view["last_quantity"]), None if side < 0 else Side(side)

    @property
    def signal(self) -> float:
        """The agent's private signal of the fundamental, price units."""
        return self._host.signal(self._agent, self._number)

    @property
    def inventory(self) -> int:
        """Own inventory, lots."""
        return self._host.inventory(self._agent, self._number)

    @property
    def orders(self) -> list[RestingOrder]:
        """Own resting orders in this instrument, oldest first."""
        return self._host.resting(self._agent, self._number)

    @property
    def customer_order(self) -> CustomerOrder | None:
        """What is left to trade for a customer, if there is something."""
        orders = self._host.customer_orders(np.array([self._agent]), np.array([self._number]))
        side, limit_price, quantity, since = (int(it[0, 0]) for it in orders)
        return CustomerOrder(Side(side), limit_price, quantity, since) if quantity > 0 else None

    @property
    def fills(self) -> list[Fill]:
        """Own fills since the last look, oldest first; at most the latest 16 (`fill_count` counts all)."""
        return self._host.fills(self._agent, self._number)

    @property
    def fill_count(self) -> int:
        """Number of own fills since the last look."""
        return self._host.fill_count(self._agent, self._number)


_STEP, _AGENT, _BID, _BID_DEPTH, _ASK, _ASK_DEPTH, _LAST, _CASH, _INVENTORY, _OPEN = range(10)


class Observation:
    """What an agent sees: the time, its cash, and an `InstrumentView` for each instrument.

    The attributes `best_bid`, `best_ask`, `inventory` and so on are those of its first (or only) instrument.
    None of them can be set; a host makes an observation with `Desk`.
    """

    __slots__ = ("_host", "_news", "_values", "_views")
    __reduce__ = _refuse_copy

    def __init__(self, host: Host) -> None:
        self._host = host
        self._values: Sequence[int] = (0,) * 10
        self._news: Sequence[Any] = ()
        self._views = {name: InstrumentView(host, self, name) for name in host.instruments}

    @property
    def news(self) -> Sequence[Any]:
        """News that can be seen, oldest first (the latest 100)."""
        return self._news

    @property
    def random(self) -> np.random.Generator:
        """The agent's own random stream."""
        return self._host.random(self.agent)

    @property
    def name(self) -> str:
        """The agent's name: its population and its number therein."""
        return self._host.name(self.agent)

    @property
    def shared(self) -> dict[str, Any]:
        """Plain data that all strategies of a run have in common; it is saved with the market."""
        return self._host.shared

    def resource(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what `make` returned when the run first asked for `key`: a client, an open file.

        It is not saved with the market. Its ``close()``, which may be asynchronous, is called when the run
        ends.
        """
        return self._host.resource(key, make)

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

    Parameters
    ----------
    instruments : dict
        The numbers of the instruments that may be traded, by name; the first is the default.
    account : int
        Whose messages they are.
    next_id : int
        The id of the next order.

    Example
    -------
    >>> orders = Orders({"ACME": 0}, account=7, next_id=1)
    >>> orders.limit("buy", 100, 5), orders.market("sell", 2), len(orders.messages) // 64
    (1, 2, 2)
    """

    __slots__ = ("_account", "_asides", "_default", "_instruments", "_messages", "_next_id")
    __reduce__ = _refuse_copy

    def __init__(self, instruments: dict[str, int], *, account: int = 0, next_id: int = 1) -> None:
        self._instruments = dict(instruments)
        self._default = next(iter(instruments.values()), 0)
        self._account = account
        self._messages: bytearray | None = bytearray()
        self._asides: Asides | None = None
        self._next_id = next_id

    @property
    def messages(self) -> bytes:
        """What was sent in this decision, 64 bytes a message, as `simlab.core.types.MESSAGE_DTYPE`."""
        return bytes(self._messages or b"")

    @property
    def next_id(self) -> int:
        """The id that the next order gets."""
        return self._next_id

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
        tif = 0
        if time_in_force is not TimeInForce.GTC:
            tif = chosen(TIMES_IN_FORCE, time_in_force, "time_in_force")
        order_id = self._next_id
        self._put(
            MessageKind.LIMIT, side, instrument, order_id, price, quantity, tif, bool(post_only), expiry
        )
        self._next_id = order_id + 1
        return order_id

    def market(self, side: Side | str, quantity: int, *, instrument: str | None = None) -> int:
        """Send a market order and return its id."""
        order_id = self._next_id
        self._put(MessageKind.MARKET, side, instrument, order_id, 0, quantity)
        self._next_id = order_id + 1
        return order_id

    def cancel(self, order_id: int) -> None:
        """Cancel one own order."""
        self._put(MessageKind.CANCEL, 0, None, order_id)

    def replace(self, order_id: int, price: int, quantity: int) -> None:
        """Give an own order a new price and remaining quantity; only a mere decrease keeps its place."""
        self._put(MessageKind.REPLACE, 0, None, order_id, price, quantity)

    def cancel_all(self, *, instrument: str | None = None) -> None:
        """Cancel all own orders, in one instrument or (by default) in all."""
        self._put(MessageKind.CANCEL_ALL, 0, _ALL if instrument is None else instrument, 0)

    def note(self, **facts: Any) -> None:
        """Write facts about this decision into the table `decisions`.

        `reason`, `request` (texts), `calls`, `tokens_in`, `tokens_out` (whole), `cost` (currency), `ms`
        (milliseconds) and `cached` have columns of their own; any other is kept as JSON.
        """
        self._aside().note(_ALONE, {name: [value] for name, value in facts.items()})

    def pass_on(self, kind: str, detail: str = "") -> None:
        """Leave this decision to what the population falls back on, and send nothing.

        `kind` is a short, stable word for counting ("warming up"), `detail` the whole story.
        """
        self._aside().pass_on((0,), kind, detail)

    def think(self, steps: int) -> None:
        """Let what this decision sends leave so many steps later, at most 4,096."""
        self._aside().think(_ALONE, steps)

    def _aside(self) -> Asides:
        if self._messages is None:
            raise StrategyError("the decision is over: say what there is to say before decide() returns")
        if self._asides is None:
            self._asides = Asides()
        return self._asides

    def _put(
        self,
        kind: MessageKind,
        side: Any,
        instrument: Any,
        order_id: int,
        price: int = 0,
        quantity: int = 0,
        time_in_force: int = 0,
        post_only: bool = False,
        expiry: int = 0,
    ) -> None:
        number = self._default
        if instrument is not None:
            number = -1 if instrument is _ALL else chosen(self._instruments, instrument, "instrument")
        try:
            if (
                bool in (order_id.__class__, price.__class__, quantity.__class__, expiry.__class__)
                or len(self._messages) >= _MOST_BYTES  # type: ignore[arg-type]
            ):
                raise TypeError
            self._messages += _MESSAGE.pack(  # type: ignore[operator]
                kind, chosen(ORDER_SIDES, side, "side"), time_in_force, post_only, number, order_id,
                self._account, price, quantity, expiry, 0, 0,
            )  # fmt: skip
        except (struct.error, TypeError):
            raise self._complaint(order_id, price, quantity, expiry) from None

    def _complaint(self, order_id: Any, price: Any, quantity: Any, expiry: Any) -> StrategyError:
        """Say why a message cannot be sent."""
        if self._messages is None:
            return StrategyError("the decision is over: send messages before decide() returns")
        if len(self._messages) >= _MOST_BYTES:
            return StrategyError(f"more than {MAX_MESSAGES} messages in one decision; send fewer")
        given = {"order_id": order_id, "price": price, "quantity": quantity, "expiry": expiry}
        try:
            for name, value in given.items():
                whole(value, name)
        except StrategyError as error:
            return error
        return StrategyError(f"the order cannot be sent: {given}")


class Desk:
    """A host's side of its agents' decisions: what it shows them, and what it takes from them.

    One desk serves one decision at a time. Agents see its `observation` and `orders`, never the desk.

    Parameters
    ----------
    host : Host

    Example
    -------
    ``desk.open(seen, next_id)``, ``strategy.decide(desk.observation, desk.orders)``, ``desk.close()``.
    """

    __slots__ = ("observation", "orders")

    def __init__(self, host: Host) -> None:
        self.observation = Observation(host)
        self.orders = Orders(host.instruments)

    def open(self, seen: Sequence[int], next_id: int, news: Sequence[Any] = ()) -> None:
        """Let a decision begin.

        Parameters
        ----------
        seen : sequence of 10 int
            Step, agent, best bid and its depth, best ask and its depth, last price, cash, inventory, open
            orders; of the first instrument where there are several.
        next_id : int
            The id that the agent's next order gets.
        news : sequence
            The news that can be seen, oldest first.
        """
        observation, orders = self.observation, self.orders
        observation._values, observation._news = seen, news
        orders._account, orders._next_id, orders._messages = seen[_AGENT], next_id, bytearray()
        orders._asides = None

    @property
    def asides(self) -> Asides | None:
        """What the decision said beside its messages, None for nothing."""
        return self.orders._asides

    def close(self) -> bytearray:
        """End the decision; return what was sent, 64 bytes a message. What is sent later is refused."""
        orders = self.orders
        sent, orders._messages = orders._messages, None
        if sent and orders._asides is not None and orders._asides.passed:
            raise StrategyError("the decision was passed on, and messages were sent in it; do one of the two")
        return bytearray() if sent is None else sent


_C = TypeVar("_C", bound=type)


def agent_strategy(
    name: str,
    summary: str | None = None,
    parameters: tuple[Parameter, ...] = (),
    *,
    options: tuple[str, ...] = (),
    source: str = "",
    decider: Decider = Decider.HEURISTIC,
) -> Callable[[_C], _C]:
    """Declare a class as a strategy of which every agent has an object of its own.

    The object is made with the agent's parameters and the population's options as keyword arguments. What the
    constructor takes with a type needs no declaration: numbers are parameters, all else are options; see
    `simlab.agents.arguments`. Without a summary the first line of the class's docstring is taken.
    """
    return declare_class(Calling.AGENT, name, summary, parameters, options, source, decider=decider)
