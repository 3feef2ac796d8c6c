"""Answer what the observations of strategies written in Python ask: the state, seen by one population."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation
from simlab.agents.compiled import HISTORY_STEPS, mid_ago
from simlab.agents.hosts import CustomerOrders, Fill, RestingOrder
from simlab.core.jit import jit
from simlab.core.random import Role, block, stream, unit
from simlab.core.rows import record_reader, unpacked
from simlab.core.types import MAX_QUANTITY, MESSAGE_WORDS, MessageKind, Reason, Side
from simlab.engine.compiled.hashed import find_id
from simlab.errors import StrategyError
from simlab.kernel.observing import forget_fills, signal_of
from simlab.kernel.sampling import best_levels
from simlab.kernel.spec import SimulationSpec
from simlab.kernel.state import State, find_state
from simlab.market.admission import admit
from simlab.market.ledger import FILL_LOG

__all__ = ["PopulationHost", "forget"]

_DECIDE = np.uint64(Role.DECIDE)
_MARKET = ("best_bid", "best_ask", "bid_depth", "ask_depth", "mid", "last_price", "volume")
_TERMS = {
    "tick_size": "tick_size",
    "lot_size": "lot_size",
    "multiplier": "multiplier",
    "price_low": "band_low",
    "price_high": "band_high",
}
"""What a batch sees of an instrument's terms, by their names in the ledger."""
_NO_LIMIT = 2**62
_read_view = record_reader(State.views.dtype)


@jit
def _past_mid_of(address, instrument, steps):
    return mid_ago(_read_view(find_state(address).views[instrument]), steps)


@jit
def _uniforms(address, agents, out):
    state = find_state(address)
    step = np.uint64(state.clock.step)
    for i in range(agents.shape[0]):
        key = state.agents[agents[i]].key
        for j in range(0, out.shape[1], 2):
            first, second = block(key, _DECIDE, step, np.uint64(j >> 1))
            out[i, j] = unit(first)
            if j + 1 < out.shape[1]:
                out[i, j + 1] = unit(second)


@jit
def _refusal(address, code, order_id, account, price, quantity):
    """Return the reason to refuse a message now; nothing changes, nor does its account's rate."""
    state = find_state(address)
    book, owner = state.book, state.ledger.accounts[account]
    kind, _, _, _, _ = unpacked(code)
    if kind == MessageKind.CANCEL or kind == MessageKind.REPLACE:
        row = find_id(book, order_id)
        if row == 0:
            return Reason.UNKNOWN_ORDER.value
        if book.orders[row].account != account:
            return Reason.NOT_OWNER.value
    has_quantity = kind != MessageKind.CANCEL and kind != MessageKind.CANCEL_ALL
    if has_quantity and (quantity < 1 or quantity > MAX_QUANTITY):
        return Reason.INVALID_QUANTITY.value
    window, sent = owner.window, owner.sent
    reason, _, _ = admit(book, state.ledger, code, order_id, account, price, quantity, state.clock.step)
    owner.window, owner.sent = window, sent
    return reason


@jit
def forget(address, agents, instruments):
    """Begin anew what agents are told of their fills, now that they have looked."""
    state = find_state(address)
    for i in range(agents.shape[0]):
        state.ledger.accounts[agents[i]].last_look = state.clock.step
        for j in range(instruments.shape[0]):
            forget_fills(state.ledger, agents[i], instruments[j])


@jit
def _signals(address, population, agents, instruments, out):
    state = find_state(address)
    for i in range(agents.shape[0]):
        for j in range(instruments.shape[0]):
            out[i, j] = signal_of(state, population, agents[i], instruments[j])


class PopulationHost:
    """The market as the agents of one population see it.

    See `simlab.agents.each.Host` and `simlab.agents.batch.BatchHost`. All that it hands out is a copy, or
    cannot be written to.

    Parameters
    ----------
    spec : SimulationSpec
    state : State
    row : int
        The row of `SimulationSpec.cast` whose strategy looks.
    streams : dict
        The random streams that agents have begun, by account.
    shared : dict
        What all strategies have in common.
    resources : dict
        What the run keeps open for strategies, by key.
    """

    def __init__(
        self,
        spec: SimulationSpec,
        state: State,
        row: int,
        *,
        streams: dict[int, np.random.Generator],
        shared: dict[str, Any],
        resources: dict[Hashable, Any],
    ) -> None:
        self._spec, self._state, self._p, self._streams = spec, state, row, streams
        self.shared, self.resources = shared, resources
        self._given = np.asarray(spec.cast[row].parameters, np.float64)
        self._parameter_names = spec.cast[row].parameter_names
        self._terms: dict[str, NDArray[np.int64]] = {}
        row = state.populations[row]
        at = int(row["instruments_at"])
        self.numbers = state.lists[at : at + int(row["instruments"])].copy()
        self.instruments = {spec.instruments[i].name: int(i) for i in self.numbers}
        self._shown: NDArray[Any] | None = None
        self._views: NDArray[Any] | None = None

    def resource(self, key: Hashable, make: Callable[[], Any]) -> Any:
        if key not in self.resources:
            self.resources[key] = make()
        return self.resources[key]

    def name(self, agent: int) -> str:
        return self._spec.account_name(agent)

    def price_band(self, instrument: int) -> tuple[int, int]:
        terms = self._state.ledger.terms[instrument]
        return int(terms["band_low"]), int(terms["band_high"])

    def mids(self, instrument: int, steps: int) -> NDArray[np.float64]:
        now = int(self._state.clock["step"][0])
        count = min(steps, now, HISTORY_STEPS)
        return self._state.views["mids"][instrument][np.arange(now - count, now) % HISTORY_STEPS]

    def history(self, instrument: int, steps: int) -> NDArray[np.void]:
        if not self._spec.cast[self._p].strategy.needs.history:
            raise StrategyError(
                "observation.history() is kept for strategies that say so: declare this one with"
                " needs=Needs(history=True)"
            )
        now, first = int(self._state.clock["step"][0]), instrument * HISTORY_STEPS
        wanted = np.arange(now - min(steps, now, HISTORY_STEPS), now)
        rows = self._state.history[first + wanted % HISTORY_STEPS]
        return rows[rows["step"] == wanted]

    def available(self, agents: NDArray[np.int64]) -> NDArray[np.int64]:
        ledger = self._state.ledger
        policy = ledger.policies[int(ledger.accounts["population"][agents[0]])] if len(agents) else None
        if policy is None or policy["borrowing"] < 0:
            return np.full(len(agents), _NO_LIMIT)
        money = ledger.accounts["cash"][agents] + policy["borrowing"]
        return money - ledger.accounts["reserved"][agents] if policy["reserve"] else money

    def open_orders(self, agents: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._state.book.owners["orders"][agents].astype(np.int64)

    def refusal(self, message: NDArray[np.void]) -> Reason:
        words = message.reshape(1).view(MESSAGE_WORDS)[0]
        given = (int(words[name]) for name in ("code", "order_id", "account", "price", "quantity"))
        return Reason(_refusal(self._state.address, *given))

    def view(self, instrument: int) -> Any:
        if self._views is not self._state.views:
            self._views = self._state.views
            self._shown = self._views.view()
            self._shown.flags.writeable = False
        return self._shown[instrument]

    def depth(self, instrument: int, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        bids, asks = (
            [level[:2] for level in best_levels(self._state.book, instrument, side, levels)] for side in Side
        )
        return bids, asks

    def past_return(self, instrument: int, steps: int) -> float:
        past = _past_mid_of(self._state.address, instrument, steps)
        return float(self._state.views["mid"][instrument]) / past - 1.0 if past > 0 else 0.0

    def signal(self, agent: int, instrument: int) -> float:
        return float(self._signals_of(np.array([agent]), np.array([instrument]))[0, 0])

    def _signals_of(self, agents: NDArray[np.int64], instruments: NDArray[np.int64]) -> NDArray[np.float64]:
        out = np.zeros((len(agents), len(instruments)))
        _signals(self._state.address, self._p, agents, instruments, out)
        return out

    def _position(self, agent: int, instrument: int) -> Any:
        return self._state.ledger.positions[agent * len(self._state.views) + instrument]

    def inventory(self, agent: int, instrument: int) -> int:
        return int(self._position(agent, instrument)["inventory"])

    def fill_count(self, agent: int, instrument: int) -> int:
        return int(self._position(agent, instrument)["fills"])

    def fills(self, agent: int, instrument: int) -> list[Fill]:
        ledger, count = self._state.ledger, self.fill_count(agent, instrument)
        log = int(ledger.accounts["fill_log"][agent])
        at = (log * len(self._state.views) + instrument) * FILL_LOG
        slots = range(max(0, count - FILL_LOG), count)
        return [Fill(*ledger.fills[at + slot % FILL_LOG].tolist()) for slot in slots]

    def resting(self, agent: int, instrument: int) -> list[RestingOrder]:
        book, found = self._state.book, []
        row = book.owners["head"][agent]
        while row:
            order = book.orders[row]
            side_list = int(book.nodes["side_list"][order["level"]])
            if side_list >> 1 == instrument:
                what = order[["order_id", "price", "quantity"]].tolist()
                found.append(RestingOrder(what[0], Side(side_list & 1), *what[1:]))
            row = order["account_next"]
        return found

    def customer_orders(self, agents: NDArray[np.int64], instruments: NDArray[np.int64]) -> CustomerOrders:
        customers = self._state.ledger.customers
        if not len(customers):
            return CustomerOrders(*(np.zeros((len(agents), len(instruments)), np.int64) for _ in range(4)))
        own = customers[agents[:, None] * len(self._state.views) + instruments[None, :]]
        return CustomerOrders(*(own[name].copy() for name in ("side", "limit", "quantity", "since")))

    def random(self, agent: int) -> np.random.Generator:
        """Return an agent's own stream, made when it is first asked for."""
        if agent not in self._streams:
            self._streams[agent] = stream(self._spec.seed, "python", self._spec.account_name(agent))
        return self._streams[agent]

    def uniform(self, agents: NDArray[np.int64], count: int) -> NDArray[np.float64]:
        out = np.zeros((len(agents), count))
        _uniforms(self._state.address, agents, out)
        return out

    def seen_by(self, agent: int) -> list[int]:
        """Return what `State.seen` holds for an agent, up to its open orders."""
        state, first = self._state, int(self.numbers[0])
        view = state.views[first]
        market = [int(view[n]) for n in ("best_bid", "bid_depth", "best_ask", "ask_depth", "last_price")]
        own = [int(state.ledger.accounts["cash"][agent]), self.inventory(agent, first)]
        step = int(state.clock["step"][0])
        return [step, agent, *market, *own, int(state.book.owners["orders"][agent])]

    def _terms_shown(self) -> dict[str, NDArray[np.int64]]:
        """Return what of the instruments does not change; nobody writes to it."""
        if not self._terms:
            terms = self._state.ledger.terms[self.numbers]
            self._terms = {name: terms[of].copy() for name, of in _TERMS.items()}
        return self._terms

    def seen_by_all(self, agents: NDArray[np.int64], news: tuple[Any, ...]) -> BatchObservation:
        """Return what a batch of agents sees, in arrays of its own."""
        state, numbers = self._state, self.numbers
        index = agents - int(state.populations["first"][self._p])
        own = state.ledger.positions[agents[:, None] * len(state.views) + numbers[None, :]]
        given = self._given
        return BatchObservation(
            self,
            numbers,
            step=int(state.clock["step"][0]),
            agents=agents.copy(),
            index=index,
            cash=state.ledger.accounts["cash"][agents],
            **{name: own[name].copy() for name in ("inventory", "bought", "sold", "fills")},
            signal=self._signals_of(agents, numbers),
            parameters=given[index] if given.size else np.zeros((len(agents), 0)),
            instruments=tuple(self.instruments),
            **{name: state.views[name][numbers] for name in _MARKET},
            **self._terms_shown(),
            halted=state.views["halted"][numbers] != 0,
            parameter_names=self._parameter_names,
            news=news,
        )
