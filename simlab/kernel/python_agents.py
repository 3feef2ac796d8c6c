"""Let strategies written in Python observe and act: the bridge between their objects and the arrays."""

from __future__ import annotations

import asyncio
import inspect
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.compiled import mid_ago
from simlab.agents.python import (
    BatchObservation,
    BatchOrders,
    Fill,
    Market,
    Observation,
    Orders,
    RestingOrder,
)
from simlab.agents.strategy import Level
from simlab.core.jit import jit
from simlab.core.random import Role, block, stream, unit
from simlab.core.types import Side
from simlab.engine.compiled.arrays import (
    A_HEAD,
    K_ACCOUNT_NEXT,
    K_LEVEL,
    L_DEPTH,
    L_PRICE,
    O_PRICE,
    O_QUANTITY,
)
from simlab.engine.compiled.tables import L_LIST, O_ID
from simlab.errors import SimlabError, StrategyError
from simlab.kernel import state as s
from simlab.kernel.observing import signal_of
from simlab.kernel.pinned import find_world
from simlab.market import ledger as m
from simlab.market.ledger import C_LAST_LOOK, P_BOUGHT, P_FILLS, P_SOLD

if TYPE_CHECKING:
    from simlab.kernel.simulation import Simulation
    from simlab.kernel.spec import Population

__all__ = ["PythonAgents"]

_DECIDE = np.uint64(Role.DECIDE)
MAX_PYTHON_MESSAGES = 1024
"""Messages that one decision of a Python agent may send."""

_ROW = struct.Struct("=8q")
"""One row of the outbox; to pack it in place takes a third of the time of assigning a tuple to the row."""


@jit
def _past_mid_of(views, instrument, steps):
    return mid_ago(views[instrument], steps)


@jit
def _uniforms(keys, agents, step, out):
    for i in range(agents.shape[0]):
        for j in range(0, out.shape[1], 2):
            first, second = block(keys[agents[i]], _DECIDE, np.uint64(step), np.uint64(j >> 1))
            out[i, j] = unit(first)
            if j + 1 < out.shape[1]:
                out[i, j + 1] = unit(second)


@jit
def _forget(accounts, positions, agents, cells, step):
    """Begin anew what agents are told of their fills, now that they have looked."""
    for i in range(agents.shape[0]):
        accounts[agents[i], C_LAST_LOOK] = step
        for j in range(cells.shape[1]):
            positions[cells[i, j], P_BOUGHT] = 0
            positions[cells[i, j], P_SOLD] = 0
            positions[cells[i, j], P_FILLS] = 0


@jit
def _signals(pinned, population, agents, instruments, out):
    world = find_world(pinned)
    for i in range(agents.shape[0]):
        for j in range(instruments.shape[0]):
            out[i, j] = signal_of(world, population, agents[i], instruments[j])


class _Source:
    """What observations of one population read from: looked up when asked for."""

    def __init__(self, simulation: Simulation, population: int) -> None:
        self._simulation = simulation
        self._population = population
        row = simulation.world.populations[population]
        at = row[s.P_INSTRUMENTS_AT]
        self.numbers = simulation.world.population_lists[at : at + row[s.P_INSTRUMENTS]].copy()
        self.names = {simulation.instruments[i].name: int(i) for i in self.numbers}
        self.views = simulation.views
        self.agent = 0
        self._streams: dict[int, np.random.Generator] = {}
        self._markets = [Market(self, i, name) for name, i in self.names.items()]

    def markets(self) -> list[Market]:
        return self._markets

    def depth(self, instrument: int, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        book = self._simulation.book
        sides: list[list[tuple[int, int]]] = [[], []]
        for side in Side:
            level = book.towers[2 * instrument + side, 0]
            while level and len(sides[side]) < levels:
                sides[side].append((int(book.levels[level, L_PRICE]), int(book.levels[level, L_DEPTH])))
                level = book.towers[level, 0]
        return sides[0], sides[1]

    def past_return(self, instrument: int, steps: int) -> float:
        past = _past_mid_of(self._simulation.views, instrument, steps)
        return float(self.views["mid"][instrument]) / past - 1.0 if past > 0 else 0.0

    def signal(self, instrument: int) -> float:
        out = np.zeros((1, 1))
        agents, instruments = np.array([self.agent]), np.array([instrument])
        _signals(self._simulation.pinned_world, self._population, agents, instruments, out)
        return float(out[0, 0])

    def _position(self, instrument: int) -> NDArray[np.int64]:
        return self._simulation.ledger.positions[self.agent * len(self._simulation.instruments) + instrument]

    def inventory(self, instrument: int) -> int:
        return int(self._position(instrument)[m.P_INVENTORY])

    def fill_count(self, instrument: int) -> int:
        return int(self._position(instrument)[m.P_FILLS])

    def fills(self, instrument: int) -> list[Fill]:
        ledger = self._simulation.ledger
        row = int(ledger.accounts[self.agent, m.C_FILL_ROW]) * len(self._simulation.instruments) + instrument
        count = self.fill_count(instrument)
        slots = range(max(0, count - m.FILL_LOG), count)
        return [Fill(*ledger.fills[row, slot % m.FILL_LOG].tolist()) for slot in slots]

    def resting(self, instrument: int) -> list[RestingOrder]:
        book, found = self._simulation.book, []
        row = book.owners[self.agent, A_HEAD]
        while row:
            side_list = int(book.levels[book.links[row, K_LEVEL], L_LIST])
            if side_list >> 1 == instrument:
                order_id, price, quantity = book.orders[row, [O_ID, O_PRICE, O_QUANTITY]].tolist()
                found.append(RestingOrder(order_id, Side(side_list & 1), price, quantity))
            row = book.links[row, K_ACCOUNT_NEXT]
        return found

    def random(self) -> np.random.Generator:
        """Return the agent's own stream, made when it is first asked for."""
        if self.agent not in self._streams:
            name = self._simulation.agent_name(self.agent)
            self._streams[self.agent] = stream(self._simulation.spec.seed, "python", name)
        return self._streams[self.agent]

    def uniform(self, agents: NDArray[np.int64], step: int, count: int) -> NDArray[np.float64]:
        out = np.zeros((len(agents), count))
        _uniforms(self._simulation.world.keys, agents, step, out)
        return out


class PythonAgents:
    """All Python strategy objects of a simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._sources: dict[int, _Source] = {}
        self._batches: dict[int, Any] = {}
        self._actors: dict[int, tuple[Any, Observation, Orders, _Source, int]] = {}
        for p, population in enumerate(simulation.populations):
            if population.strategy.level is not Level.COMPILED:
                self._add(p, population)

    def _add(self, p: int, population: Population) -> None:
        simulation = self._simulation
        source = self._sources[p] = _Source(simulation, p)
        if population.strategy.level is Level.BATCH:
            self._batches[p] = self._make(population, {})
            return
        observation, orders = Observation(source), Orders(source.names)
        observation.news = simulation.news
        orders._default = int(source.numbers[0])
        names = [parameter.name for parameter in population.strategy.parameters]
        first = int(simulation.world.populations[p, s.P_FIRST])
        for i in range(population.count):
            values = (
                dict(zip(names, np.asarray(population.parameters[i]).tolist(), strict=True)) if names else {}
            )
            decide = self._make(population, values).decide
            self._actors[first + i] = (decide, observation, orders, source, p)

    def _make(self, population: Population, values: dict[str, float]) -> Any:
        try:
            return population.strategy.make(**values, **population.options)
        except SimlabError:
            raise
        except Exception as error:
            raise StrategyError(
                f"populations.{population.name}: strategy {population.strategy.name!r} could not be made "
                f"({type(error).__name__}: {error}); see {population.strategy.defined_in}"
            ) from error

    def act(self) -> None:
        """Let the agent whose turn it is decide, and put its messages into the outbox."""
        simulation = self._simulation
        values = simulation.world.summary.tolist()
        agent = values[1]
        decide, observation, orders, source, p = self._actors[agent]
        source.agent = agent
        observation._values = values
        orders._rows, orders._account, orders._next_id = [], agent, values[-1]
        try:
            answer = decide(observation, orders)
        except Exception as error:
            raise self._failure(p, agent, error) from error
        if answer is not None:
            self._await(answer, p, agent)
        simulation.world.clock[s.T_NEXT_ORDER_ID] = orders._next_id
        rows = orders._rows
        if len(rows) > MAX_PYTHON_MESSAGES:
            error: Exception = OverflowError(
                f"{len(rows)} messages in one decision; the most is {MAX_PYTHON_MESSAGES}"
            )
            raise self._failure(p, agent, error)
        if len(rows) == 1:
            _ROW.pack_into(simulation.world.outbox, _ROW.size, *rows[0])
            simulation.world.clock[s.T_OUT_COUNT] = 1
        elif rows:
            simulation._send(rows)

    def _await(self, answer: Any, p: int, agent: int) -> None:
        """Run an ``async def decide`` to its end."""
        if not inspect.isawaitable(answer):
            error: Exception = TypeError("decide() must return None: send messages through `orders`")
            raise self._failure(p, agent, error)
        try:
            asyncio.run(_wait(answer))
        except Exception as error:
            raise self._failure(p, agent, error) from error

    def _failure(self, p: int, agent: int, error: Exception) -> StrategyError:
        simulation = self._simulation
        population = simulation.populations[p]
        who = simulation.agent_name(agent) if agent >= 0 else f"population {population.name}"
        return StrategyError(
            f"{who}: strategy {population.strategy.name!r} failed at step {simulation.step} "
            f"({type(error).__name__}: {error})"
        )

    def act_together(self, p: int) -> None:
        """Let the due agents of a batch population decide, and put their messages into the outbox."""
        simulation, source = self._simulation, self._sources[p]
        row = simulation.world.populations[p]
        first, count = int(row[s.P_FIRST]), int(row[s.P_DUE_COUNT])
        agents = simulation.world.due[first : first + count].astype(np.int64)
        observation = self._together(p, agents, first)
        orders = BatchOrders()
        orders._agents, orders._numbers = agents, source.numbers
        clock = simulation.world.clock
        orders._next_id = int(clock[s.T_NEXT_ORDER_ID])
        try:
            answer = self._batches[p].decide(observation, orders)
        except Exception as error:
            raise self._failure(p, -1, error) from error
        if answer is not None:
            self._await(answer, p, -1)
        clock[s.T_NEXT_ORDER_ID] = orders._next_id
        clock[s.T_ACTIVATIONS] += count
        simulation._send(orders._rows())
        ledger = simulation.ledger
        _forget(ledger.accounts, ledger.positions, agents, self._cells(agents, source), simulation.step)

    def _cells(self, agents: NDArray[np.int64], source: _Source) -> NDArray[np.int64]:
        return agents[:, None] * len(self._simulation.instruments) + source.numbers[None, :]

    def _together(self, p: int, agents: NDArray[np.int64], first: int) -> BatchObservation:
        simulation, source = self._simulation, self._sources[p]
        numbers = source.numbers
        o = BatchObservation()
        o._source, o.step, o.agents, o.index = source, simulation.step, agents, agents - first
        o.cash = simulation.ledger.accounts[agents, m.C_CASH]
        own = simulation.ledger.positions[self._cells(agents, source)]
        o.inventory, o.bought, o.sold = own[..., m.P_INVENTORY], own[..., m.P_BOUGHT], own[..., m.P_SOLD]
        o.fills = own[..., m.P_FILLS]
        o.signal = np.zeros(own.shape[:2])
        _signals(simulation.pinned_world, p, agents, numbers, o.signal)
        given = np.asarray(simulation.populations[p].parameters)
        o.parameters = given[agents - first] if given.size else np.zeros((len(agents), 0))
        o.instruments = tuple(source.names)
        for name in ("best_bid", "best_ask", "bid_depth", "ask_depth", "mid", "last_price", "volume"):
            setattr(o, name, simulation.views[name][numbers])
        o.news = simulation.news
        return o


async def _wait(answer: Any) -> None:
    await answer
