"""Let the agents of a population decide: in its order of deciding, whatever the levels of its strategies.

As in a kernel, what one strategy passes on is decided by the next; here a strategy that fails has passed its
decision on too, with the error as the reason, so that nobody's mistake stops the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchOrders
from simlab.agents.compiled import MAX_MESSAGES as MOST_COMPILED
from simlab.agents.compiled import ORDERS_DTYPE, decide_once
from simlab.agents.decisions import Asides
from simlab.agents.each import MAX_MESSAGES, Desk
from simlab.agents.strategy import MAX_MEMORY, Calling, Strategy
from simlab.core.jit import address_of
from simlab.core.types import MESSAGE_DTYPE
from simlab.errors import StrategyError
from simlab.kernel.decisions import Turn
from simlab.kernel.spec import SimulationSpec
from simlab.live.agents.account import Account
from simlab.live.agents.deciding import finished
from simlab.live.agents.host import ClientHost
from simlab.live.agents.mirror import Mirror
from simlab.live.playable import require_playable

__all__ = ["Ids", "Troupe"]

_log = logging.getLogger("simlab.live.agents")
_FAILED = "failed"
_MOST_FAILURES = 100
_MOST_TOLD = 1000


class Ids:
    """Give strategies numbers for their orders, no number twice: `first` is the first."""

    def __init__(self, first: int) -> None:
        self._next = first

    def take(self, count: int) -> int:
        """Return the first of `count` numbers."""
        self._next += count
        return self._next - count


class Troupe:
    """The agents of one population.

    Parameters
    ----------
    spec : SimulationSpec
        Of the whole configuration, or one made for the agents alone.
    p : int
        The population's place in `SimulationSpec.populations`.
    mirror : Mirror
    accounts : dict of int to Account
        By the numbers that accounts have in `spec`.
    numbers : array of int64
        The instruments that they trade, by the market's numbers.
    ids : Ids
    signals : callable
        Returns the fundamental value of an instrument, price units.
    shared, resources : dict
        What all strategies of the process have in common.
    """

    def __init__(
        self,
        spec: SimulationSpec,
        p: int,
        mirror: Mirror,
        accounts: Mapping[int, Account],
        numbers: NDArray[np.int64],
        ids: Ids,
        *,
        signals: Callable[[int], float],
        shared: dict[str, Any],
        resources: dict[Hashable, Any],
    ) -> None:
        self.population = spec.populations[p]
        self.first = sum(it.count for it in spec.populations[:p])
        self.accounts, self._mirror, self._ids, self._chain = accounts, mirror, ids, spec.chains[p]
        self._hosts: dict[int, ClientHost] = {}
        self._objects: dict[int, list[Any]] = {}
        self._failures: set[str] = set()
        self._memory: dict[tuple[int, int, int], NDArray[np.float64]] = {}
        for row in self._chain:
            member = spec.cast[row]
            require_playable(member.strategy)
            self._hosts[row] = ClientHost(
                member,
                self.first,
                mirror,
                accounts,
                numbers,
                seed=spec.seed,
                signals=signals,
                shared=shared,
                resources=resources,
            )
            self._objects[row] = _objects_of(member.strategy, member.parameters, member.options)

    async def decide(self, agents: NDArray[np.int64]) -> list[Turn]:
        """Let some agents decide, ``(n,) int64`` accounts; return the turns of all that were asked."""
        marks = {agent: self.accounts[agent].mark() for agent in agents.tolist()}
        turns: list[Turn] = []
        asked = agents
        for row in self._chain:
            turns.append(await self._ask(row, asked))
            asked = turns[-1].agents[turns[-1].passed]
            if not len(asked):
                break
        for agent, mark in marks.items():
            self.accounts[agent].looked(self._mirror.step, mark)
        return turns

    async def _ask(self, row: int, agents: NDArray[np.int64]) -> Turn:
        level = self._hosts[row].population.strategy.level
        if level is Calling.BATCH:
            return await self._ask_together(row, agents)
        if level is Calling.AGENT:
            return await self._ask_each(row, agents)
        return self._ask_compiled(row, agents)

    async def _ask_together(self, row: int, agents: NDArray[np.int64]) -> Turn:
        host, first = self._hosts[row], self._ids.take(len(agents) * MAX_MESSAGES)
        orders = BatchOrders(agents, host.numbers, first)
        try:
            decide = self._objects[row][0].decide
            await finished(decide, host.seen_by_all(agents), orders, who=self.population.name)
            return Turn(row, agents, orders.close(), orders.asides)
        except Exception as error:
            return self._failure(row, agents, error)

    async def _ask_each(self, row: int, agents: NDArray[np.int64]) -> Turn:
        deciding = [self._decide_alone(row, agent) for agent in agents.tolist()]
        turns = await asyncio.gather(*deciding)
        messages = np.concatenate([turn.messages for turn in turns])
        return Turn(row, agents, messages, Asides.joined([turn.asides for turn in turns]))

    async def _decide_alone(self, row: int, agent: int) -> Turn:
        host, agents = self._hosts[row], np.array([agent])
        desk = Desk(host)
        desk.open(host.seen_by(agent), self._ids.take(MAX_MESSAGES), tuple(self._mirror.news))
        try:
            decide, who = self._objects[row][agent - self.first].decide, self.accounts[agent].name
            await finished(decide, desk.observation, desk.orders, who=who)
            asides = desk.asides or Asides()
            return Turn(row, agents, np.frombuffer(bytes(desk.close()), MESSAGE_DTYPE), asides)
        except Exception as error:
            return self._failure(row, agents, error)

    def _ask_compiled(self, row: int, agents: NDArray[np.int64]) -> Turn:
        sent, asides = [np.zeros(0, MESSAGE_DTYPE)], Asides()
        for i, agent in enumerate(agents.tolist()):
            try:
                sent += [self._decide_compiled(row, agent, it) for it in self._hosts[row].numbers.tolist()]
            except Exception as error:
                asides.pass_on((i,), _FAILED, self._told(row, error))
        return Turn(row, agents, np.concatenate(sent), asides)

    def _decide_compiled(self, row: int, agent: int, number: int) -> NDArray[np.void]:
        """Let a compiled strategy decide on one instrument."""
        host = self._hosts[row]
        account, orders = host.shown_to(agent, number), np.recarray(1, ORDERS_DTYPE)
        memory = self._memory.setdefault((row, agent, number), np.zeros(MAX_MEMORY))
        account[0].memory[:] = memory
        orders.view(np.uint8)[:] = 0
        orders[0].next_order_id, orders[0].account = self._ids.take(MOST_COMPILED), agent
        strategy = host.population.strategy
        function = strategy.make(**host.population.options)
        rng = host.stream_of(agent, number, f"/{strategy.name}")
        decide_once(address_of(function), self._mirror.views[number], account, rng, orders)
        memory[:] = account[0].memory
        if orders[0].overflow:
            raise StrategyError(f"more than {MOST_COMPILED} messages in one decision; send fewer")
        return orders["messages"][0, : int(orders[0].count)].view(MESSAGE_DTYPE).copy()

    def _failure(self, row: int, agents: NDArray[np.int64], error: Exception) -> Turn:
        asides = Asides()
        asides.pass_on(range(len(agents)), _FAILED, self._told(row, error))
        return Turn(row, agents, np.zeros(0, MESSAGE_DTYPE), asides)

    def _told(self, row: int, error: Exception) -> str:
        """Say what went wrong; the log has the traceback of the first of a kind."""
        name = self._hosts[row].population.strategy.name
        told = str(error) if isinstance(error, StrategyError) else f"{type(error).__name__}: {error}"
        if told not in self._failures and len(self._failures) < _MOST_FAILURES:
            self._failures.add(told)
            _log.error("population %s: strategy %s failed", self.population.name, name, exc_info=error)
        return told[:_MOST_TOLD]


def _objects_of(strategy: Strategy, parameters: NDArray[np.float64], options: dict[str, Any]) -> list[Any]:
    """Return what decides: one object for all, one for each agent, or none of its own."""
    if strategy.level is Calling.BATCH:
        return [strategy.make(**options)]
    if strategy.level is Calling.AGENT:
        rows = np.asarray(parameters, np.float64).tolist()
        return [strategy.make(**strategy.numbers(row), **options) for row in rows]
    return []
