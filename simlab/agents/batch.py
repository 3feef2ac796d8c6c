"""Write a strategy for a whole population: one call for all agents that act in a step, arrays in, arrays out.

A class with one method, ``decide(self, observation, orders)``, which may be ``async``.

Example
-------
>>> import numpy as np
>>> from simlab.agents.batch import batch_strategy
>>> @batch_strategy("herd", "Everybody buys one lot.")
... class Herd:
...     def decide(self, observation, orders):
...         orders.market(np.arange(len(observation.agents)), 0, 1)
>>> Herd.strategy.level
<Calling.BATCH: 'batch'>
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simlab.agents.checking import (
    ORDER_SIDES,
    TIMES_IN_FORCE,
    as_array,
    chosen,
    chosen_array,
    fitting,
    whole,
    whole_array,
)
from simlab.agents.compiled import DEPTH_LEVELS
from simlab.agents.decisions import Asides
from simlab.agents.hosts import BatchHost, CustomerOrders, Fill, RestingOrder
from simlab.agents.strategy import Calling, Decider, Needs, Parameter, Unit, declare_class
from simlab.core.types import MESSAGE_DTYPE, MessageKind, Reason
from simlab.errors import StrategyError, did_you_mean

__all__ = [
    "BatchHost",
    "BatchObservation",
    "BatchOrders",
    "Needs",
    "Parameter",
    "Unit",
    "batch_strategy",
]


_MOST_DRAWS = 1 << 16
"""Draws that one agent may ask for at once."""


class BatchObservation:
    """What the agents of a population that are active in this step see, as arrays.

    Attributes
    ----------
    step : int
    agents : (n,) int64
        Account numbers, in the order of the places the agents drew; messages arrive in that order.
    index : (n,) int64
        The agents' numbers within the population, from 0.
    cash : (n,) int64, money units
    inventory : (n, m) int64, lots
    bought, sold, fills : (n, m) int64
        Since each agent last looked: lots, lots, number of fills.
    signal : (n, m) float64, price units
    parameters : (n, k) float64
    instruments : tuple of m names
    best_bid, best_ask : (m,) int64, price units, 0 where the depth is 0
    bid_depth, ask_depth : (m,) int64, lots
    mid : (m,) float64, price units
    last_price, volume : (m,) int64
    halted : (m,) bool
    tick_size, lot_size, multiplier : (m,) int64, price units, lots, money units
    price_low, price_high : (m,) int64, price units
        The lowest and highest price that an order may have.
    parameter_names : tuple of k names
    news : the latest 100 news that can be seen, oldest first

    Nothing in it can be changed, and the arrays are copies of its own.
    """

    step: int
    agents: NDArray[np.int64]
    index: NDArray[np.int64]
    cash: NDArray[np.int64]
    inventory: NDArray[np.int64]
    bought: NDArray[np.int64]
    sold: NDArray[np.int64]
    fills: NDArray[np.int64]
    signal: NDArray[np.float64]
    parameters: NDArray[np.float64]
    instruments: tuple[str, ...]
    best_bid: NDArray[np.int64]
    best_ask: NDArray[np.int64]
    bid_depth: NDArray[np.int64]
    ask_depth: NDArray[np.int64]
    mid: NDArray[np.float64]
    last_price: NDArray[np.int64]
    volume: NDArray[np.int64]
    halted: NDArray[np.bool_]
    tick_size: NDArray[np.int64]
    lot_size: NDArray[np.int64]
    multiplier: NDArray[np.int64]
    price_low: NDArray[np.int64]
    price_high: NDArray[np.int64]
    parameter_names: tuple[str, ...]
    news: Sequence[Any]

    def __init__(self, host: BatchHost, numbers: NDArray[np.int64], **fields: Any) -> None:
        """Take the attributes as `fields`; `numbers` are those by which the host knows `instruments`.

        The arrays become the observation's own: none may be a view of what its host keeps.
        """
        shown = self.__dict__
        shown["_host"], shown["_numbers"] = host, numbers.copy()
        shown["_agents"] = fields["agents"].copy()
        for name, value in fields.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            shown[name] = value

    def __setattr__(self, name: str, value: Any) -> None:
        raise StrategyError(f"an observation cannot be changed: {name!r} was assigned to; change a copy")

    def __delattr__(self, name: str) -> None:
        raise StrategyError(f"an observation cannot be changed: {name!r} was deleted")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_host"}

    def __getattr__(self, name: str) -> Any:
        if name == "_host":
            raise StrategyError("a copy of an observation has its values, but cannot ask the market any more")
        raise AttributeError(f"an observation has no {name!r}{did_you_mean(name, self._names())}")

    def _names(self) -> list[str]:
        return [name for name in dir(self) if not name.startswith("_")]

    @property
    def names(self) -> tuple[str, ...]:
        """The agents' names: their population and their numbers therein."""
        return tuple(self._host.name(agent) for agent in self._agents.tolist())

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The numbers of the instruments, by which news name what they are about: (m,) int64."""
        return self._numbers.copy()

    @property
    def available(self) -> NDArray[np.int64]:
        """What each agent could spend now: (n,) int64, money units, 2^62 where that has no limit.

        Its cash and what it may borrow, less what its resting orders reserve.
        """
        return self._host.available(self._agents)

    @property
    def open_orders(self) -> NDArray[np.int64]:
        """Number of each agent's resting orders, in all instruments: (n,) int64."""
        return self._host.open_orders(self._agents)

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

    def resting(self, i: int, instrument: int = 0) -> list[RestingOrder]:
        """Return the resting orders of the agent at position `i` in one of the instruments, oldest first."""
        return self._host.resting(self._agent(i), self._number(instrument))

    @property
    def customer_orders(self) -> CustomerOrders:
        """What each agent is to trade for a customer: side, limit price, lots left, since; (n, m)."""
        return self._host.customer_orders(self._agents, self._numbers)

    def own_fills(self, i: int, instrument: int = 0) -> list[Fill]:
        """Return the latest 16 fills of the agent at position `i` since it last looked, oldest first.

        They are kept for a strategy that is declared with ``needs=Needs(fills=True)``.
        """
        return self._host.fills(self._agent(i), self._number(instrument))

    def mids(self, steps: int, instrument: int = 0) -> NDArray[np.float64]:
        """Return the mid prices at the end of the last `steps` steps (at most 1024), oldest first."""
        return self._host.mids(self._number(instrument), whole(steps, "steps", low=0))

    def history(self, steps: int, instrument: int = 0) -> NDArray[np.void]:
        """Return the market at the end of the last `steps` steps (at most 1024), oldest first.

        Rows are of `simlab.agents.history.HISTORY_DTYPE`. They are kept for a strategy that is declared with
        ``needs=Needs(history=True)``, and fewer than asked for while there are no more.
        """
        return self._host.history(self._number(instrument), whole(steps, "steps", low=0))

    def refusal(
        self,
        i: int,
        kind: MessageKind,
        *,
        side: int | str = 0,
        price: int = 0,
        quantity: int = 0,
        order_id: int = 0,
        instrument: int = 0,
        time_in_force: int | str = 0,
        post_only: bool = False,
    ) -> Reason:
        """Return why the market's rules would refuse a message of the agent at position `i` now.

        NONE if they would not. Nothing is sent or changed; every message is looked at on its own.
        """
        message = np.zeros((), MESSAGE_DTYPE)
        message["kind"], message["account"] = kind, self._agent(i)
        message["side"] = chosen(ORDER_SIDES, side, "side")
        message["time_in_force"] = chosen(TIMES_IN_FORCE, time_in_force, "time_in_force")
        message["post_only"], message["instrument"] = post_only, self._number(instrument)
        for name, value in (("price", price), ("quantity", quantity), ("order_id", order_id)):
            message[name] = whole(value, name)
        return self._host.refusal(message)

    def _agent(self, i: int) -> int:
        return int(self._agents[whole(i, "i, a position in `agents`,", low=0, high=len(self._agents) - 1)])

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Draw ``(n, count)`` floats in [0, 1), `count` at most 65,536.

        Each agent draws from its own stream of this step, whoever else is active.
        """
        return self._host.uniform(self._agents, whole(count, "count", low=0, high=_MOST_DRAWS))

    def depth(
        self, instrument: int = 0, levels: int = DEPTH_LEVELS
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return ([(price, lots), ...] of bids, the same of asks) of one of the instruments, best first."""
        return self._host.depth(self._number(instrument), whole(levels, "levels", low=0, high=DEPTH_LEVELS))

    def past_return(self, steps: int, instrument: int = 0) -> float:
        """Return the relative change of the mid price over the last `steps` steps (at most 1023)."""
        return self._host.past_return(self._number(instrument), whole(steps, "steps", low=0))

    def _number(self, instrument: int) -> int:
        place = whole(
            instrument, "instrument, a position in `instruments`,", low=0, high=len(self._numbers) - 1
        )
        return int(self._numbers[place])


class BatchOrders:
    """Where a population puts its messages, as arrays.

    `who` holds positions in the observation's arrays (0 to n-1), or is a mask over them; the other arguments
    are arrays with an element for each, or single values. Messages arrive in the order of `who`'s agents,
    each agent's in the order sent.

    Parameters
    ----------
    agents : (n,) int64
        The accounts that may be spoken for.
    numbers : (m,) int64
        The numbers of the instruments that may be traded.
    next_id : int
        The id that the next order gets.
    """

    def __init__(self, agents: NDArray[np.int64], numbers: NDArray[np.int64], next_id: int) -> None:
        self._agents, self._numbers = agents.copy(), numbers.copy()
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.void]]] = []
        self._next_id = next_id
        self._open = True
        self.asides = Asides()
        """What is said beside the messages; for hosts."""

    @property
    def next_id(self) -> int:
        """The id that the next order gets."""
        return self._next_id

    def limit(
        self,
        who: ArrayLike,
        side: ArrayLike,
        price: ArrayLike,
        quantity: ArrayLike,
        *,
        instrument: ArrayLike = 0,
        time_in_force: ArrayLike = 0,
        post_only: ArrayLike = 0,
        expiry: ArrayLike = 0,
    ) -> NDArray[np.int64]:
        """Send limit orders; return their ids.

        `side` is 0 or "buy", 1 or "sell", or an array of Booleans that says who sells; `instrument` is a
        position in the observation's `instruments`.
        """
        positions = self._positions(who)
        ids = self._new_ids(len(positions))
        self._put(
            positions,
            kind=MessageKind.LIMIT,
            side=side,
            price=price,
            quantity=quantity,
            order_id=ids,
            instrument=instrument,
            time_in_force=time_in_force,
            post_only=post_only,
            expiry=expiry,
        )
        return ids

    def market(
        self, who: ArrayLike, side: ArrayLike, quantity: ArrayLike, *, instrument: ArrayLike = 0
    ) -> NDArray[np.int64]:
        """Send market orders; return their ids."""
        positions = self._positions(who)
        ids = self._new_ids(len(positions))
        self._put(
            positions,
            kind=MessageKind.MARKET,
            side=side,
            quantity=quantity,
            order_id=ids,
            instrument=instrument,
        )
        return ids

    def cancel(self, who: ArrayLike, order_id: ArrayLike) -> None:
        """Cancel own orders by id."""
        self._put(self._positions(who), kind=MessageKind.CANCEL, order_id=order_id)

    def replace(self, who: ArrayLike, order_id: ArrayLike, price: ArrayLike, quantity: ArrayLike) -> None:
        """Give own orders new prices and remaining quantities."""
        self._put(
            self._positions(who), kind=MessageKind.REPLACE, order_id=order_id, price=price, quantity=quantity
        )

    def cancel_all(self, who: ArrayLike) -> None:
        """Cancel all own orders in all instruments."""
        self._put(self._positions(who), kind=MessageKind.CANCEL_ALL, instrument=None)

    def send(
        self,
        who: ArrayLike,
        kind: ArrayLike,
        side: ArrayLike,
        price: ArrayLike,
        quantity: ArrayLike,
        order_id: ArrayLike,
        *,
        instrument: ArrayLike = 0,
        time_in_force: ArrayLike = 0,
    ) -> NDArray[np.int64]:
        """Send messages of different kinds in the order given; return the order id of each.

        `kind` is a `simlab.core.types.MessageKind`. `order_id` names the order to cancel or replace: its id,
        or ``-1 - i`` for the order that row i of this same call sends. New orders get an id whatever it says.
        """
        positions = self._positions(who)
        count = len(positions)
        kinds = fitting(_CODES["kind"](kind, "kind"), count, "kind")
        kinds = np.broadcast_to(kinds, count)
        ids = fitting(whole_array(order_id, "order_id"), count, "order_id")
        ids = np.broadcast_to(ids, count).copy()
        new = kinds <= MessageKind.MARKET
        ids[new] = self._new_ids(int(np.count_nonzero(new)))
        sent_here = np.flatnonzero(ids < 0)
        rows = -1 - ids[sent_here]
        late = (rows >= sent_here) | ~new[np.minimum(rows, count - 1)]
        if np.any(late):
            row = int(rows[late][0])
            raise StrategyError(
                f"order_id {-1 - row} names row {row}, but no earlier row {row} sends an order"
            )
        ids[sent_here] = ids[rows]
        self._put(
            positions,
            kind=kinds,
            side=side,
            price=price,
            quantity=quantity,
            order_id=ids,
            instrument=instrument,
            time_in_force=time_in_force,
        )
        return ids

    def note(self, who: ArrayLike, **facts: Any) -> None:
        """Write facts about the decisions of some agents into the table `decisions`.

        Each fact is a single value, or a list or array with one for each of `who`, None where there is none.
        `reason`, `request` (texts), `calls`, `tokens_in`, `tokens_out` (whole), `cost` (currency), `ms`
        (milliseconds) and `cached` have columns of their own; any other is kept as JSON.
        """
        self.asides.note(self._positions(who), facts)

    def pass_on(self, who: ArrayLike, kind: str, detail: str = "") -> None:
        """Leave the decisions of some agents to what the population falls back on, and send nothing for them.

        `kind` is a short, stable word for counting ("warming up"), `detail` the whole story.
        """
        self.asides.pass_on(self._positions(who), kind, detail)

    def think(self, who: ArrayLike, steps: ArrayLike) -> None:
        """Let what some agents send in this decision leave so many steps later, at most 4,096."""
        self.asides.think(self._positions(who), steps)

    def messages(self) -> NDArray[np.void]:
        """Return all messages, ``(k,) MESSAGE_DTYPE``, in the order of the agents' places; for hosts."""
        if not self._parts:
            return np.zeros(0, MESSAGE_DTYPE)
        positions = np.concatenate([part[0] for part in self._parts])
        rows = np.concatenate([part[1].view(np.int64).reshape(-1, 8) for part in self._parts])
        if len(self._parts) > 1 or np.any(positions[1:] < positions[:-1]):
            rows = rows[np.argsort(positions, kind="stable")]
        return rows.reshape(-1).view(MESSAGE_DTYPE)

    def _new_ids(self, count: int) -> NDArray[np.int64]:
        ids = np.arange(self._next_id, self._next_id + count, dtype=np.int64)
        self._next_id += count
        return ids

    def close(self) -> NDArray[np.void]:
        """End the decision and return all messages; what is sent later is refused. For hosts."""
        self._open = False
        passed = self.asides.passed
        if passed and any(position in passed for part in self._parts for position in part[0].tolist()):
            raise StrategyError("a decision was passed on, and messages were sent in it; do one of the two")
        return self.messages()

    def _positions(self, who: ArrayLike) -> NDArray[np.int64]:
        if not self._open:
            raise StrategyError("the decision is over: send messages before decide() returns")
        count, given = len(self._agents), np.atleast_1d(as_array(who, "who"))
        mask = given.dtype == np.bool_
        if given.ndim != 1 or (mask and len(given) != count):
            raise StrategyError(
                f"who has shape {given.shape}; give positions in the observation's arrays, or a mask of"
                f" {count}"
            )
        if mask:
            return np.flatnonzero(given)
        given = whole_array(given, "who")
        if given.size and not 0 <= given.min() <= given.max() < count:
            wrong = given[(given < 0) | (given >= count)][0]
            use = f"use 0 to {count - 1}" if count else "nobody acts in this step"
            raise StrategyError(
                f"who {wrong} is out of range; {use} (positions in the observation's arrays, not accounts)"
            )
        return given

    def _put(self, positions: NDArray[np.int64], *, instrument: ArrayLike | None = 0, **fields: Any) -> None:
        messages = np.zeros(len(positions), MESSAGE_DTYPE)
        for name, given in fields.items():
            values = _CODES[name](given, name) if name in _CODES else whole_array(given, name)
            messages[name] = fitting(values, len(positions), name)
        messages["account"] = self._agents[positions]
        if instrument is None:
            messages["instrument"] = -1
        else:
            chosen = whole_array(instrument, "instrument", low=0, high=len(self._numbers) - 1)
            messages["instrument"] = fitting(self._numbers[chosen], len(positions), "instrument")
        self._parts.append((positions, messages))


_CODES: dict[str, Callable[[ArrayLike, str], NDArray[np.int64]]] = {
    "kind": partial(whole_array, low=0, high=max(MessageKind)),
    "side": partial(chosen_array, ORDER_SIDES, high=1, flag=True),
    "time_in_force": partial(chosen_array, TIMES_IN_FORCE, high=2),
    "post_only": partial(chosen_array, {}, high=1, flag=True),
}
"""How the small fields are checked; an array of Booleans says who sells, and whose orders are post-only."""


_C = TypeVar("_C", bound=type)


def batch_strategy(
    name: str,
    summary: str | None = None,
    parameters: tuple[Parameter, ...] = (),
    *,
    options: tuple[str, ...] = (),
    source: str = "",
    needs: Needs | None = None,
    decider: Decider = Decider.HEURISTIC,
    open_parameters: bool = False,
) -> Callable[[_C], _C]:
    """Declare a class as a strategy that decides for all active agents of a population at once.

    One object is made, with the population's options as keyword arguments, which are all arguments of the
    constructor, numbers too; the agents' parameters are declared here and come with each observation. With
    `open_parameters` a population may give parameters of any name. Without a summary the first line of the
    class's docstring is taken.
    """
    return declare_class(
        Calling.BATCH,
        name,
        summary,
        parameters,
        options,
        source,
        needs=needs,
        decider=decider,
        open_parameters=open_parameters,
    )
