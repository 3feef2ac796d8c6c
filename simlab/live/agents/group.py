"""The agents of a population at work: who is due decides; what is decided is sent, and told with reasons."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.strategy import Calling
from simlab.core.random import stream
from simlab.kernel.decisions import Decisions, Turn, gathered, thinking
from simlab.kernel.spec import SimulationSpec
from simlab.live.agents.account import Account
from simlab.live.agents.floor import Floor
from simlab.live.agents.members import Members
from simlab.live.agents.schedule import Schedule
from simlab.live.agents.troupe import Troupe

__all__ = ["Group", "Report"]

_log = logging.getLogger("simlab.live.agents")

Report = Callable[[Account, Members, dict[str, Any]], Awaitable[None]]
"""Told of a decision: whose, by which connection, and the row of the table `decisions`, with `order_ids`."""


class Group:
    """One population.

    A population that decides as one is asked for nobody else while it thinks; agents that decide alone are
    asked one by one. Who becomes due meanwhile is asked afterwards, once.

    Parameters
    ----------
    spec : SimulationSpec
    p : int
        The population's place in it.
    troupe : Troupe
    members : sequence of Members
        The connections that hold the agents, in their order.
    floor : Floor
    report : callable
    """

    def __init__(
        self,
        spec: SimulationSpec,
        p: int,
        troupe: Troupe,
        members: Sequence[Members],
        floor: Floor,
        report: Report,
    ) -> None:
        self._spec, self._p, self._troupe, self._members, self._floor = spec, p, troupe, members, floor
        self._report = report
        population = spec.populations[p]
        numbers = list(troupe.accounts)
        self._holders = {id(account): it for it in members for account in it.accounts.values()}
        names = [it.name for it in troupe.accounts.values()]
        self._schedule = Schedule(population, names, seed=spec.seed, step=floor.mirror.step)
        self._together = population.strategy.level is Calling.BATCH
        self._waiting: dict[int, set[int]] = {}
        """Accounts that are due, by who decides: all together, 0, or each for itself."""
        self._working: dict[int, asyncio.Task[None]] = {}
        self._numbers = numbers
        self._latency = population.latency
        self._draws = stream(spec.seed, "live latency", population.name)
        self._decisions = Decisions(spec, {})
        self._decisions.sink = self._take_rows
        self._rows: list[dict[str, Any]] = []
        self._step_ended: asyncio.Event = asyncio.Event()

    async def open(self) -> None:
        """Register all agents."""
        for holder in self._members:
            await holder.open()

    async def close(self) -> None:
        """Stop; what rests in the book stays there."""
        tasks = list(self._working.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for holder in self._members:
            await holder.close()

    async def tick(self, step: int) -> None:
        """Let those act who are due at a step."""
        ended, self._step_ended = self._step_ended, asyncio.Event()
        ended.set()
        for holder in self._members:
            await holder.cancel_expired(step)
        for i in self._schedule.due(step):
            self._waiting.setdefault(0 if self._together else i, set()).add(self._numbers[i])
        for who in self._waiting.keys() - self._working.keys():
            task = self._working[who] = asyncio.create_task(self._work(who))
            task.add_done_callback(partial(self._done, who))

    def _done(self, who: int, task: asyncio.Task[None]) -> None:
        del self._working[who]
        if not task.cancelled() and task.exception() is not None:
            name = self._spec.populations[self._p].name
            _log.error("population %s failed", name, exc_info=task.exception())

    async def _work(self, who: int) -> None:
        while who in self._waiting:
            agents = np.array(sorted(self._waiting.pop(who)), np.int64)
            step = self._floor.mirror.step
            turns = await self._troupe.decide(agents)
            await self._carry_out(step, turns)

    async def _carry_out(self, step: int, turns: list[Turn]) -> None:
        """Send what was decided, each agent's when its thinking and its latency are over."""
        messages, agents = gathered(turns), turns[0].agents
        low, high = self._latency.low, self._latency.high
        delays = thinking(turns) + self._draws.integers(low, high + 1, len(agents))
        self._decisions.add(self._p, step, turns)
        self._decisions.flush()
        rows, self._rows = {row["account"]: row for row in self._rows}, []
        sending = [
            self._send(agent, messages[messages["account"] == agent], step + int(delay), rows.get(agent))
            for agent, delay in zip(agents.tolist(), delays.tolist(), strict=True)
        ]
        await asyncio.gather(*sending)

    async def _send(
        self, agent: int, messages: NDArray[np.void], due: int, row: dict[str, Any] | None
    ) -> None:
        while self._floor.mirror.step < due:
            await self._step_ended.wait()
        account = self._troupe.accounts[agent]
        holder = self._holders[id(account)]
        found = await holder.send(account, messages)
        if row is not None and (row["action"] != "hold" or row["reason"] or row["fallback"]):
            await self._report(account, holder, row | {"order_ids": sorted(found.values())})

    def _take_rows(self, columns: dict[str, list[Any]]) -> None:
        names = list(columns)
        self._rows += [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
