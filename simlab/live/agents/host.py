"""Show a market to strategies from a client's side: a `Host` and a `BatchHost` over a mirror and accounts.

Agents go by the numbers of their accounts in the specification that the configuration makes, so that they
have the parameters, the names and the random streams that they have in a run. `refusal` looks at those rules
of `simlab.market.admission` that a client can know; the market has the last word.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation
from simlab.agents.compiled import ME_DTYPE, VISIBLE_ORDERS
from simlab.agents.hosts import CustomerOrders, Fill, RestingOrder
from simlab.core.random import RNG_DTYPE, Role, name_key, normal, reset, stream, uniform
from simlab.core.types import MAX_QUANTITY, MessageKind, Reason, Side
from simlab.kernel.spec import Population
from simlab.live.agents.account import Account
from simlab.live.agents.mirror import Mirror

__all__ = ["ClientHost"]

_NO_LIMIT = 2**62
_MARKET = ("best_bid", "best_ask", "bid_depth", "ask_depth", "mid", "last_price", "volume")
_MAKING = threading.RLock()
"""One at a time makes a resource, which all populations of the process have in common."""
_ORDER = (MessageKind.LIMIT, MessageKind.MARKET, MessageKind.REPLACE)


class ClientHost:
    """The market as the agents of one population see it, with what each of them has.

    Parameters
    ----------
    population : Population
        Whose strategy looks: one of `SimulationSpec.cast`.
    first : int
        The account of its first agent.
    mirror : Mirror
    accounts : mapping of int to Account
        What the agents have.
    numbers : array of int64
        The instruments that they trade.
    seed : int
    signals : callable
        Returns the fundamental value of an instrument, as far as the agents may know it, price units.
    shared, resources : dict
        What all strategies of the process have in common.
    """

    def __init__(
        self,
        population: Population,
        first: int,
        mirror: Mirror,
        accounts: Mapping[int, Account],
        numbers: NDArray[np.int64],
        *,
        seed: int,
        signals: Callable[[int], float],
        shared: dict[str, Any],
        resources: dict[Hashable, Any],
    ) -> None:
        self.population, self.first, self.mirror, self.accounts = population, first, mirror, accounts
        self.numbers = numbers
        self.instruments = {mirror.listings[it].name: it for it in numbers.tolist()}
        self.shared, self._resources = shared, resources
        self._seed, self._signals = seed, signals
        self._streams: dict[int, np.random.Generator] = {}
        self._parameters = np.asarray(population.parameters, np.float64)
        self._rng = np.zeros(1, RNG_DTYPE).view(np.recarray)
        self._drawing = threading.Lock()
        """Agents decide on threads: one at a time draws from the stream that is here."""

    def resource(self, key: Hashable, make: Callable[[], Any]) -> Any:
        with _MAKING:
            if key not in self._resources:
                self._resources[key] = make()
            return self._resources[key]

    def name(self, agent: int) -> str:
        return self.accounts[agent].name

    def view(self, instrument: int) -> Any:
        return self.mirror.view(instrument)

    def price_band(self, instrument: int) -> tuple[int, int]:
        return self.mirror.listings[instrument].price_band

    def depth(self, instrument: int, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        return self.mirror.depth(instrument, levels)

    def past_return(self, instrument: int, steps: int) -> float:
        return self.mirror.past_return(instrument, steps)

    def mids(self, instrument: int, steps: int) -> NDArray[np.float64]:
        return self.mirror.mids(instrument, steps)

    def history(self, instrument: int, steps: int) -> NDArray[np.void]:
        return self.mirror.history(instrument, steps)

    def resting(self, agent: int, instrument: int) -> list[RestingOrder]:
        return self.accounts[agent].resting(instrument)

    def fills(self, agent: int, instrument: int) -> list[Fill]:
        return self.accounts[agent].fills(instrument)

    def fill_count(self, agent: int, instrument: int) -> int:
        return self.accounts[agent].fill_count(instrument)

    def inventory(self, agent: int, instrument: int) -> int:
        return self.accounts[agent].inventory(instrument)

    def customer_orders(self, agents: NDArray[np.int64], instruments: NDArray[np.int64]) -> CustomerOrders:
        """Return none: whoever trades from outside has no customers."""
        return CustomerOrders(*(np.zeros((len(agents), len(instruments)), np.int64) for _ in range(4)))

    def open_orders(self, agents: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([self.accounts[it].open_orders for it in agents.tolist()], np.int64)

    def available(self, agents: NDArray[np.int64]) -> NDArray[np.int64]:
        policy = self.population.account
        if policy.borrowing < 0:
            return np.full(len(agents), _NO_LIMIT)
        multipliers = {number: it.multiplier for number, it in self.mirror.listings.items()}
        return np.array(
            [
                it.cash + policy.borrowing - (it.reserved(multipliers) if policy.reserve else 0)
                for it in (self.accounts[agent] for agent in agents.tolist())
            ],
            np.int64,
        )

    def random(self, agent: int) -> np.random.Generator:
        if agent not in self._streams:
            self._streams[agent] = stream(self._seed, "python", self.name(agent))
        return self._streams[agent]

    def uniform(self, agents: NDArray[np.int64], count: int) -> NDArray[np.float64]:
        rng, out = self._rng[0], np.zeros((len(agents), count))
        step = np.uint64(self.mirror.step)
        for i, agent in enumerate(agents.tolist()):
            with self._drawing:
                reset(rng, name_key(self._seed, "agent", self.name(agent)), Role.DECIDE, step)
                out[i] = [uniform(rng) for _ in range(count)]
        return out

    def stream_of(self, agent: int, instrument: int, salt: str) -> np.recarray[Any, Any]:
        """Return the stream that a compiled strategy draws from in this step, one record of `RNG_DTYPE`."""
        rng = np.zeros(1, RNG_DTYPE).view(np.recarray)
        self._reset(rng, agent, instrument, Role.DECIDE, salt)
        return rng

    def _reset(
        self, rng: np.recarray[Any, Any], agent: int, instrument: int, role: int, salt: str = ""
    ) -> None:
        name = f"{self.name(agent)}/{self.mirror.listings[instrument].name}{salt}"
        reset(rng[0], name_key(self._seed, "agent", name), role, np.uint64(self.mirror.step))

    def signal(self, agent: int, instrument: int) -> float:
        value = self._signals(instrument)
        if self.population.signal_noise > 0.0:
            with self._drawing:
                self._reset(self._rng, agent, instrument, Role.SIGNAL)
                value += self.population.signal_noise * normal(self._rng[0])
        return value

    def refusal(self, message: NDArray[np.void]) -> Reason:
        """Return why the market would refuse a message, as far as a client can know."""
        row = message.reshape(1)[0]
        account, kind = self.accounts[int(row["account"])], MessageKind(int(row["kind"]))
        order = None
        if kind in (MessageKind.CANCEL, MessageKind.REPLACE):
            order = account.orders.get(int(row["order_id"]))
            if order is None:
                return Reason.UNKNOWN_ORDER
        if kind not in _ORDER:
            return Reason.NONE
        number = int(row["instrument"]) if order is None else order.instrument
        price, quantity = int(row["price"]), int(row["quantity"])
        side = Side(int(row["side"])) if order is None else order.side
        return self._refused(account, number, side, None if kind is MessageKind.MARKET else price, quantity)

    def _refused(self, account: Account, number: int, side: Side, price: int | None, quantity: int) -> Reason:
        """Return why the market would refuse a new order; `price` is None at the market."""
        terms, view = self.mirror.listings[number], self.view(number)
        if not 1 <= quantity <= MAX_QUANTITY:
            return Reason.INVALID_QUANTITY
        if view.halted:
            return Reason.MARKET_HALTED
        if quantity % terms.lot_size:
            return Reason.QUANTITY_OFF_LOT
        if price is not None and price % terms.tick_size:
            return Reason.PRICE_OFF_TICK
        if price is not None and not terms.price_band[0] <= price <= terms.price_band[1]:
            return Reason.PRICE_BAND
        policy = self.population.account
        if side is Side.SELL and policy.short_limit >= 0:
            resting = (
                it for it in list(account.orders.values()) if it.instrument == number and it.side is side
            )
            offered = sum(it.quantity - it.filled for it in resting)
            if account.inventory(number) + policy.short_limit < quantity + offered:
                return Reason.SHORT_LIMIT
        if side is Side.BUY and policy.borrowing >= 0:
            cost = quantity * terms.multiplier * (int(view.best_ask) if price is None else price)
            reserved = account.reserved(
                {number: it.multiplier for number, it in self.mirror.listings.items()}
            )
            if account.cash + policy.borrowing - reserved < cost:
                return Reason.FUNDS
        return Reason.NONE

    def seen_by(self, agent: int) -> list[int]:
        """Return what `simlab.agents.each.Desk.open` shows an agent."""
        first, account = int(self.numbers[0]), self.accounts[agent]
        view = self.view(first)
        market = (view.best_bid, view.bid_depth, view.best_ask, view.ask_depth, view.last_price)
        own = (account.cash, account.inventory(first), account.open_orders)
        return [self.mirror.step, agent, *map(int, market), *own]

    def seen_by_all(self, agents: NDArray[np.int64]) -> BatchObservation:
        """Return what some agents see together, in arrays of its own."""
        numbers, listings = self.numbers.tolist(), self.mirror.listings
        accounts = [self.accounts[it] for it in agents.tolist()]
        views, index, given = [self.view(it) for it in numbers], agents - self.first, self._parameters

        def of_each(value: Callable[[Account, int], Any]) -> NDArray[Any]:
            rows = [[value(account, number) for number in numbers] for account in accounts]
            return np.array(rows, np.int64).reshape(len(accounts), len(numbers))

        return BatchObservation(
            self,
            self.numbers,
            step=self.mirror.step,
            agents=agents.copy(),
            index=index,
            cash=np.array([it.cash for it in accounts], np.int64),
            inventory=of_each(Account.inventory),
            bought=of_each(lambda account, number: account.traded(number, Side.BUY)),
            sold=of_each(lambda account, number: account.traded(number, Side.SELL)),
            fills=of_each(Account.fill_count),
            signal=np.array([[self.signal(agent, it) for it in numbers] for agent in agents.tolist()]),
            parameters=given[index] if given.size else np.zeros((len(agents), 0)),
            instruments=tuple(self.instruments),
            **{name: np.array([view[name] for view in views]) for name in _MARKET},
            tick_size=np.array([listings[it].tick_size for it in numbers], np.int64),
            lot_size=np.array([listings[it].lot_size for it in numbers], np.int64),
            multiplier=np.array([listings[it].multiplier for it in numbers], np.int64),
            price_low=np.array([listings[it].price_band[0] for it in numbers], np.int64),
            price_high=np.array([listings[it].price_band[1] for it in numbers], np.int64),
            halted=np.array([bool(view.halted) for view in views]),
            parameter_names=self.population.parameter_names,
            news=tuple(self.mirror.news),
        )

    def shown_to(self, agent: int, instrument: int) -> np.recarray[Any, Any]:
        """Return what a compiled strategy is shown of an agent, one record of `ME_DTYPE`; no memory yet."""
        account, record = self.accounts[agent], np.recarray(1, ME_DTYPE)
        record.view(np.uint8)[:] = 0
        me = record[0]
        me.agent, me.cash, me.inventory = agent, account.cash, account.inventory(instrument)
        me.open_orders, me.last_look = account.open_orders, account.last_look
        me.bought, me.sold = (account.traded(instrument, side) for side in Side)
        me.fills, me.signal = account.fill_count(instrument), self.signal(agent, instrument)
        row = self._parameters[agent - self.first]
        me.parameters[: len(row)] = row
        resting = account.resting(instrument)[:VISIBLE_ORDERS]
        me.visible_orders = len(resting)
        for i, order in enumerate(resting):
            me.order_ids[i], me.order_sides[i] = order.order_id, order.side
            me.order_prices[i], me.order_quantities[i] = order.price, order.quantity
        return record
