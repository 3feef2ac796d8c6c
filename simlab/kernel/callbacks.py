"""Let strategies written in Python observe and act: the bridge between their objects and the state."""

from __future__ import annotations

import copy
import inspect
import pickle
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation, BatchOrders
from simlab.agents.compiled import mid_ago
from simlab.agents.each import Fill, Observation, Orders, RestingOrder
from simlab.agents.registry import source_file
from simlab.agents.strategy import Level
from simlab.core.jit import jit
from simlab.core.random import Role, block, stream, unit
from simlab.core.rows import record_reader
from simlab.core.types import Side
from simlab.errors import SimlabError, StrategyError
from simlab.kernel.observing import forget_fills, signal_of
from simlab.kernel.sampling import best_levels
from simlab.kernel.spec import Population, SimulationSpec
from simlab.kernel.state import State, find_state
from simlab.kernel.waiting import EventLoop
from simlab.market.ledger import FILL_LOG

__all__ = ["MAX_PYTHON_MESSAGES", "Callbacks", "put_messages"]

MAX_PYTHON_MESSAGES = 1024
"""Messages that one decision of a Python agent may send."""

_DECIDE = np.uint64(Role.DECIDE)
_MESSAGE_BYTES = 64
_ROOT = Path(__file__).resolve().parent.parent
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
def _forget(address, agents, instruments):
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


def put_messages(state: State, messages: bytes | bytearray | NDArray[Any]) -> None:
    """Append messages, 64 bytes each, to the outbox; they are delivered when the loop goes on."""
    given = np.frombuffer(messages, np.uint8) if isinstance(messages, bytes | bytearray) else messages
    given = given.view(np.uint8).reshape(-1)
    if not len(given):
        return
    start = int(state.clock["out_count"][0]) + 1
    end = start + len(given) // _MESSAGE_BYTES
    if end > len(state.outbox):
        larger = np.zeros(2 * end, state.outbox.dtype)
        larger[:start] = state.outbox[:start]
        state.outbox = larger
    state.outbox[start:end].view(np.uint8)[:] = given
    state.clock["out_count"] = end - 1


class _Host:
    """What observations of one population ask; see `simlab.agents.each.Host`."""

    def __init__(self, spec: SimulationSpec, state: State, p: int) -> None:
        self._spec, self._state, self._p = spec, state, p
        row = state.populations[p]
        at = int(row["instruments_at"])
        self.numbers = state.lists[at : at + int(row["instruments"])].copy()
        self.instruments = {spec.instruments[i].name: int(i) for i in self.numbers}
        self.streams: dict[int, np.random.Generator] = {}

    def view(self, instrument: int) -> Any:
        return self._state.views[instrument]

    def depth(self, instrument: int, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        bids, asks = (
            [level[:2] for level in best_levels(self._state.book, instrument, side, levels)] for side in Side
        )
        return bids, asks

    def past_return(self, instrument: int, steps: int) -> float:
        past = _past_mid_of(self._state.address, instrument, steps)
        return float(self._state.views["mid"][instrument]) / past - 1.0 if past > 0 else 0.0

    def signal(self, agent: int, instrument: int) -> float:
        return float(self.signals(np.array([agent]), np.array([instrument]))[0, 0])

    def signals(self, agents: NDArray[np.int64], instruments: NDArray[np.int64]) -> NDArray[np.float64]:
        out = np.zeros((len(agents), len(instruments)))
        _signals(self._state.address, self._p, agents, instruments, out)
        return out

    def positions(self, agents: NDArray[np.int64]) -> NDArray[Any]:
        """Return the positions of agents, (agents, instruments)."""
        cells = agents[:, None] * len(self._state.views) + self.numbers[None, :]
        return self._state.ledger.positions[cells]

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

    def random(self, agent: int) -> np.random.Generator:
        """Return an agent's own stream, made when it is first asked for."""
        if agent not in self.streams:
            self.streams[agent] = stream(self._spec.seed, "python", self._spec.account_name(agent))
        return self.streams[agent]

    def uniform(self, agents: NDArray[np.int64], count: int) -> NDArray[np.float64]:
        out = np.zeros((len(agents), count))
        _uniforms(self._state.address, agents, out)
        return out


@dataclass
class _Actor:
    """One agent that decides alone."""

    decide: Callable[[Observation, Orders], Any]
    observation: Observation
    orders: Orders
    p: int


@dataclass
class _Memory:
    """What strategies remember: their objects and random streams, by account or population."""

    agents: dict[int, Any] = field(default_factory=dict)
    batches: dict[int, Any] = field(default_factory=dict)
    streams: dict[int, dict[int, np.random.Generator]] = field(default_factory=dict)


class Callbacks:
    """All strategies of a market that are written in Python.

    Parameters
    ----------
    spec : SimulationSpec
    state : State
        What they observe; their messages go into its outbox.
    memory : optional
        What `remember` returned, to go on from.
    """

    def __init__(self, spec: SimulationSpec, state: State, memory: bytes | None = None) -> None:
        self._spec, self._state = spec, state
        self.news: Sequence[Any] = ()
        """News that can be seen."""
        self._loop = EventLoop()
        self._hosts: dict[int, _Host] = {}
        self._actors: dict[int, _Actor] = {}
        self._answers: dict[int, bytes | bytearray] = {}
        """What agents that decided ahead of their turn have sent."""
        self._memory = _Memory() if memory is None else _unpickled(memory)
        for p, population in enumerate(spec.populations):
            if population.strategy.level in (Level.BATCH, Level.AGENT):
                self._enter(p, population)

    def copy(self, state: State) -> Callbacks:
        """Return strategies that remember the same and observe another state.

        Raises
        ------
        StrategyError
            When an object cannot be copied.
        """
        other = Callbacks.__new__(Callbacks)
        try:
            memory = copy.deepcopy(self._memory)
        except Exception as error:
            raise StrategyError(f"a strategy's object cannot be copied: {_told(error)}") from error
        other.__dict__.update(self.__dict__ | {"_memory": memory, "_state": state, "_loop": EventLoop()})
        other._hosts, other._actors, other._answers = {}, {}, dict(self._answers)
        for p, population in enumerate(self._spec.populations):
            if population.strategy.level in (Level.BATCH, Level.AGENT):
                other._enter(p, population)
        return other

    def remember(self) -> bytes:
        """Return what all strategies remember, to be kept with the state.

        Raises
        ------
        StrategyError
            When an object cannot be pickled.
        """
        try:
            return pickle.dumps(self._memory)
        except Exception as error:
            raise StrategyError(
                f"a strategy's object cannot be saved: {_told(error)}; keep only plain data and what can be"
                " pickled in its attributes"
            ) from error

    def _enter(self, p: int, population: Population) -> None:
        host = self._hosts[p] = _Host(self._spec, self._state, p)
        host.streams = self._memory.streams.setdefault(p, {})
        if population.strategy.level is Level.BATCH:
            if p not in self._memory.batches:
                self._memory.batches[p] = self._make(population, {})
            return
        names = [parameter.name for parameter in population.strategy.parameters]
        first = int(self._state.populations["first"][p])
        observation, orders = Observation(host), Orders(host.instruments)
        for i in range(population.count):
            agent = first + i
            if agent not in self._memory.agents:
                given = np.asarray(population.parameters[i]).tolist() if names else []
                self._memory.agents[agent] = self._make(population, dict(zip(names, given, strict=True)))
            decide = self._memory.agents[agent].decide
            self._actors[agent] = _Actor(decide, observation, orders, p)

    def _make(self, population: Population, values: dict[str, float]) -> Any:
        try:
            return population.strategy.make(**values, **population.options)
        except SimlabError:
            raise
        except Exception as error:
            raise StrategyError(
                f"populations.{population.name}: strategy {population.strategy.name!r} could not be made "
                f"({_told(error)}); see {population.strategy.defined_in}"
            ) from error

    def act(self) -> None:
        """Let the agent whose turn it is decide, and put its messages into the outbox."""
        state = self._state
        seen = state.seen[0].tolist()
        agent, next_id = seen[1], seen[-1]
        if agent in self._answers:
            put_messages(state, self._answers.pop(agent))
            return
        actor = self._actors[agent]
        if state.clock["simultaneous"][0] and inspect.iscoroutinefunction(actor.decide):
            self._decide_ahead(actor.p)
            put_messages(state, self._answers.pop(agent))
            return
        actor.observation.show(seen[:-1], self.news)
        actor.orders.begin(agent, next_id)
        try:
            answer = actor.decide(actor.observation, actor.orders)
        except (Exception, SystemExit) as error:
            raise self._failure(actor.p, agent, error) from error
        if answer is not None:
            self._wait([answer], actor.p, [agent])
        state.clock["next_order_id"] = actor.orders.next_id
        put_messages(state, self._checked(actor, agent))

    def _checked(self, actor: _Actor, agent: int) -> bytearray:
        count = len(actor.orders.messages) // _MESSAGE_BYTES
        if count > MAX_PYTHON_MESSAGES:
            error = OverflowError(f"{count} messages in one decision; the most is {MAX_PYTHON_MESSAGES}")
            raise self._failure(actor.p, agent, error)
        return actor.orders.messages

    def _decide_ahead(self, p: int) -> None:
        """Let all agents of a population that are still to act in this step decide and wait together.

        With simultaneous activation all see the book as it was, so it does not matter when they look. Each
        has a range of order ids of its own, so it does not matter who is done first.
        """
        state, host = self._state, self._hosts[p]
        clock = state.clock[0]
        actors = state.places["actor"][int(clock["cursor"]) - 1 : int(clock["active"])]
        agents = [int(agent) for agent in actors if agent in self._actors and self._actors[agent].p == p]
        next_id, pending, orders = int(clock["next_order_id"]), [], {}
        for agent in agents:
            observation, orders[agent] = Observation(host), Orders(host.instruments)
            observation.show(self._seen(host, agent), self.news)
            orders[agent].begin(agent, next_id)
            next_id += MAX_PYTHON_MESSAGES
            pending.append(self._actors[agent].decide(observation, orders[agent]))
        self._wait(pending, p, agents)
        for agent in agents:
            self._answers[agent] = self._checked(_Actor(None, None, orders[agent], p), agent)  # type: ignore[arg-type]
        state.clock["next_order_id"] = next_id

    def _seen(self, host: _Host, agent: int) -> list[int]:
        """Return what `SEEN` holds for an agent, up to its open orders."""
        state, first = self._state, int(host.numbers[0])
        view = state.views[first]
        market = [int(view[n]) for n in ("best_bid", "bid_depth", "best_ask", "ask_depth", "last_price")]
        own = [int(state.ledger.accounts["cash"][agent]), host.inventory(agent, first)]
        step = int(state.clock["step"][0])
        return [step, agent, *market, *own, int(state.book.owners["orders"][agent])]

    def _wait(self, answers: list[Any], p: int, agents: list[int]) -> None:
        """Wait until all that was returned by ``async def decide`` is done."""
        for answer, agent in zip(answers, agents, strict=True):
            if not inspect.isawaitable(answer):
                error: Exception = TypeError("decide() must return None: send messages through `orders`")
                raise self._failure(p, agent, error)
        for result, agent in zip(self._loop.wait(answers), agents, strict=True):
            if isinstance(result, BaseException):
                raise self._failure(p, agent, result) from result

    def _failure(self, p: int, agent: int, error: BaseException) -> StrategyError:
        population = self._spec.populations[p]
        who = self._spec.account_name(agent) if agent >= 0 else f"population {population.name}"
        step = int(self._state.clock["step"][0])
        return StrategyError(
            f"{who}: strategy {population.strategy.name!r} failed at step {step} "
            f"({_told(error)}){_place(error, source_file(population.strategy))}"
        )

    def act_together(self, p: int) -> None:
        """Let the due agents of a batch population decide, and put their messages into the outbox."""
        state, host = self._state, self._hosts[p]
        first, count = int(state.populations["first"][p]), int(state.populations["due_count"][p])
        agents = state.due[first : first + count].astype(np.int64)
        observation = self._together(p, agents.copy(), first)
        orders = BatchOrders(agents, host.numbers, int(state.clock["next_order_id"][0]))
        try:
            answer = self._memory.batches[p].decide(observation, orders)
        except (Exception, SystemExit) as error:
            raise self._failure(p, -1, error) from error
        if answer is not None:
            self._wait([answer], p, [-1])
        state.clock["next_order_id"] = orders.next_id
        state.clock["activations"] += count
        put_messages(state, orders.messages())
        _forget(state.address, agents, host.numbers)

    def _together(self, p: int, agents: NDArray[np.int64], first: int) -> BatchObservation:
        state, host = self._state, self._hosts[p]
        numbers = host.numbers
        own = host.positions(agents)
        given = np.asarray(self._spec.populations[p].parameters)
        market = ("best_bid", "best_ask", "bid_depth", "ask_depth", "mid", "last_price", "volume")
        return BatchObservation(
            host,
            numbers,
            step=int(state.clock["step"][0]),
            agents=agents,
            index=agents - first,
            cash=state.ledger.accounts["cash"][agents],
            **{name: own[name].copy() for name in ("inventory", "bought", "sold", "fills")},
            signal=host.signals(agents, numbers),
            parameters=given[agents - first] if given.size else np.zeros((len(agents), 0)),
            instruments=tuple(host.instruments),
            **{name: state.views[name][numbers] for name in market},
            news=self.news,
        )


def _unpickled(memory: bytes) -> _Memory:
    try:
        return pickle.loads(memory)
    except Exception as error:
        raise StrategyError(
            f"the strategies' objects cannot be read: {_told(error)}; their files have changed, or come from"
            " elsewhere"
        ) from error


def _told(error: BaseException) -> str:
    """Say an error in one line."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _place(error: BaseException, file: Path | None) -> str:
    """Return the line of a strategy's file in which an error came up, or the innermost line of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if file is not None and Path(frame.filename) == file]
    shown = (own or [frame for frame in frames if not Path(frame.filename).is_relative_to(_ROOT)])[-1:]
    return "".join(f", in {frame.filename}, line {frame.lineno}" for frame in shown)
