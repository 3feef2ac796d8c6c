"""Be the process that lets agents trade as clients: those of a configuration, and those that are created."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import signal
import time
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np

from simlab.config import ExperimentConfig, build
from simlab.config.live import LiveConfig
from simlab.errors import LiveError, SimlabError
from simlab.kernel.spec import SimulationSpec
from simlab.live import told as tell
from simlab.live.agents.account import Account
from simlab.live.agents.created import spec_of
from simlab.live.agents.deciding import leave, leave_soon
from simlab.live.agents.floor import Floor
from simlab.live.agents.fundamentals import Fundamentals
from simlab.live.agents.group import Group
from simlab.live.agents.members import Members, Tokens
from simlab.live.agents.troupe import Ids, Troupe
from simlab.live.client.session import RefusedError
from simlab.live.settings import hosted_populations, say_ready, settings_of, token_of

__all__ = ["Runner", "run"]

_log = logging.getLogger("simlab.live.agents")
_CREATED_S = 1.0
"""How often an agent that was created acts, at the market's pace."""
_AGAIN_S = 1.0


class Runner:
    """All agents that trade from this process.

    Parameters
    ----------
    config : ExperimentConfig
        What the market was opened with.
    url : str
        The gateway's address.
    run_dir : Path, optional
        The run's folder, in which is kept what proves that the agents are ours.
    """

    def __init__(self, config: ExperimentConfig, url: str, *, run_dir: Path | None = None) -> None:
        self._config, self._settings = config, settings_of(config)
        self._token = token_of(self._settings)
        self._spec: SimulationSpec = build(config)
        names = [it.name for it in self._spec.instruments]
        self._floor = Floor(url, names, token=self._token, created=self._hear_created)
        self._tokens = Tokens(None if run_dir is None else run_dir / "live" / "agents.json")
        self._fundamentals = Fundamentals(self._spec, self._floor.mirror)
        self._ids = Ids(time.time_ns() >> 10)  # beyond those of any process before this one
        self._shared: dict[str, Any] = {}
        self._resources: dict[Hashable, Any] = {}
        self._groups: list[Group] = []
        self._spawned: set[str] = set()
        self._spawning: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connect, and let all agents of the configuration and all known ones that were created begin."""
        await self._floor.open()
        for name in hosted_populations(self._config):
            await self._begin(name)
        await self._resume_created()

    async def close(self) -> None:
        """Stop all."""
        for task in list(self._spawning):
            task.cancel()
        for group in self._groups:
            await group.close()
        await self._floor.close()
        for resource in self._resources.values():
            closing = resource.close() if hasattr(resource, "close") else None
            if inspect.isawaitable(closing):
                await closing

    async def work(self) -> None:
        """Let agents act as the market's clock goes, for ever."""
        step = -1
        while True:
            await self._floor.look_at_clock()
            if self._floor.mirror.step != step:
                step = self._floor.mirror.step
                for group in self._groups:
                    with contextlib.suppress(LiveError):  # its connection is lost; it comes back
                        await group.tick(step)
            await asyncio.sleep(self._floor.pause_s)

    async def _begin(self, name: str) -> None:
        """Let a population of the configuration trade."""
        p = [it.name for it in self._spec.populations].index(name)
        population = self._spec.populations[p]
        first = sum(it.count for it in self._spec.populations[:p])
        accounts = {
            first + i: Account(f"{name}-{i}", f"{name}/{i}", population.account.cash)
            for i in range(population.count)
        }
        wanted = population.instruments or tuple(it.name for it in self._spec.instruments)
        numbers = [i for i, it in enumerate(self._spec.instruments) if it.name in wanted]
        personality = f"{name}: {population.strategy.summary}"
        await self._employ(self._spec, p, accounts, numbers, personality, population.account.cash, anew=True)

    async def _employ(
        self,
        spec: SimulationSpec,
        p: int,
        accounts: dict[int, Account],
        numbers: list[int],
        personality: str,
        capital: int | None,
        *,
        anew: bool,
    ) -> None:
        """Let agents trade from now on."""
        troupe = Troupe(
            spec,
            p,
            self._floor.mirror,
            accounts,
            np.array(numbers, np.int64),
            self._ids,
            signals=self._fundamentals.value,
            shared=self._shared,
            resources=self._resources,
        )
        everybody = list(accounts.values())
        most = self._settings.limits.agents_per_connection
        members = [
            Members(
                everybody[i : i + most],
                self._floor,
                self._tokens,
                personality=personality,
                capital=capital,
                token=self._token,
                anew=anew,
            )
            for i in range(0, len(everybody), most)
        ]
        group = Group(spec, p, troupe, members, self._floor, _report)
        await group.open()
        self._groups.append(group)

    def _hear_created(self, agent: tell.NewAgent) -> None:
        task = asyncio.create_task(self._spawn(agent))
        self._spawning.add(task)
        task.add_done_callback(self._spawning.discard)

    async def _resume_created(self) -> None:
        """Let those trade that were created before this process began, unless they are somebody else's."""
        response = await self._floor.rest.get("/api/agents")
        for it in response.json():
            if it.get("population") is not None:
                continue  # it is inside the market
            made = self._tokens.made(it["agent_id"])
            if made is not None or not it["connected"]:
                words = ("agent_id", "name", "personality", "starting_capital", "created_at")
                given = {key: it[key] for key in words} | (made or {})
                await self._spawn(tell.NewAgent(**given))

    async def _spawn(self, agent: tell.NewAgent) -> None:
        """Let an agent trade that was created; whoever registered as it before keeps it."""
        if agent.agent_id in self._spawned:
            return
        self._spawned.add(agent.agent_id)
        strategy = agent.strategy if isinstance(agent.strategy, str) else None
        parameters = agent.parameters if isinstance(agent.parameters, dict) else None
        pace = self._floor.steps_per_second
        period = max(1, round(_CREATED_S * pace)) if isinstance(pace, int | float) else 10
        try:
            spec = spec_of(
                self._config,
                self._floor.mirror,
                agent_id=agent.agent_id,
                personality=agent.personality,
                strategy=strategy,
                parameters=parameters,
                period=period,
            )
            self._tokens.create(agent.agent_id, {"strategy": strategy, "parameters": parameters})
            account = Account(agent.agent_id, agent.name)
            numbers = sorted(self._floor.mirror.listings)
            await self._employ(spec, 0, {0: account}, numbers, agent.personality, None, anew=False)
        except RefusedError as error:
            _log.info("agent %s is somebody else's: %s", agent.agent_id, error)
        except SimlabError as error:
            _log.warning("agent %s cannot be let trade: %s", agent.agent_id, error)


async def _report(account: Account, holder: Members, row: dict[str, Any]) -> None:
    """Tell the market of a decision."""
    await holder.report(account, row)


def run(config: ExperimentConfig, *, run_dir: Path | None = None) -> None:
    """Let agents trade until SIGINT or SIGTERM; say so in one line once they do.

    Parameters
    ----------
    config : ExperimentConfig
        With the port that the gateway listens on.
    run_dir : Path, optional
        The run's folder.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("httpx", "httpcore", "websockets"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        asyncio.run(_run(Runner(config, _url(settings_of(config)), run_dir=run_dir)))
    finally:
        leave()


def _url(settings: LiveConfig) -> str:
    host, port = settings.gateway.host, settings.gateway.port
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


async def _run(runner: Runner) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()

    def stop(*_: object) -> None:
        loop.call_soon_threadsafe(stopped.set)
        leave_soon()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)  # not the loop's, which a strategy that never awaits would hold up
    stopping = asyncio.create_task(stopped.wait())
    working = asyncio.create_task(_work(runner))
    try:
        await asyncio.wait([stopping, working], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
        await runner.close()


async def _work(runner: Runner) -> None:
    await runner.open()
    say_ready("agents", "")
    await runner.work()
