"""Keep up with the agents of populations inside the market: the engine is asked, while somebody looks."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from simlab.live.gateway.events import AgentRow
from simlab.live.gateway.hub import AGENTS_S, Hub
from simlab.live.gateway.link import Link
from simlab.live.gateway.market import Market

__all__ = ["InsideAgents"]


class _Answer(msgspec.Struct):
    count: int
    agents: list[AgentRow]


class InsideAgents:
    """What asks for them: once an interval at most, whoever wants to know, and not where there are none.

    Parameters
    ----------
    market : Market
        Where they are kept.
    link : Link
    hub : Hub
        Who is told.
    """

    def __init__(self, market: Market, link: Link, hub: Hub) -> None:
        self._market, self._link, self._hub = market, link, hub
        self._answered: asyncio.Future[None] | None = None
        self._asked_s = 0.0

    def ask(self) -> asyncio.Future[None]:
        """Ask for them, unless an answer is on its way; return what is done when it came."""
        if self._answered is None:
            self._asked_s = time.monotonic()
            self._link.ask({"action": "inside"}, self._take)
            self._answered = asyncio.get_running_loop().create_future()
        return self._answered

    def look(self) -> None:
        """Ask for them if listeners want to know, and what is known is old."""
        if self._old and self._hub.listened("agents"):
            self.ask()

    async def fresh(self) -> None:
        """Wait until those known are at most an interval old, if the engine answers."""
        if self._old:
            await asyncio.shield(self.ask())

    @property
    def _old(self) -> bool:
        return (
            self._link.up and self._market.inside_count > 0 and time.monotonic() - self._asked_s >= AGENTS_S
        )

    def _take(self, line: bytes | None) -> None:
        answered, self._answered = self._answered, None
        if line is not None:
            answer: Any = msgspec.json.decode(line, type=_Answer)
            self._market.take_inside(answer.count, answer.agents)
            self._hub.agents_changed()
        if answered is not None and not answered.done():
            answered.set_result(None)
