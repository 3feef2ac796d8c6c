"""Ask a language model on behalf of a run: through a cassette, with patience, within a budget.

A session is a run's own, made on use and closed at its end. It raises for what the run got wrong (no key,
nothing on the cassette), never for what a model or a network does: that is an answer with a failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simlab.agents.llm.cassette import Cassette
from simlab.agents.llm.exchange import Answer, Call, Failure, Request
from simlab.agents.llm.settings import LOCAL, Settings

if TYPE_CHECKING:
    from simlab.agents.llm.client import Client
    from simlab.agents.llm.local import LocalServer

__all__ = ["Answer", "Call", "Failure", "Request", "Session"]

_SHARED = "llm"
"""Where in what all strategies share the spent budget stands."""
_MILLION = 1_000_000


class Session:
    """One run's way to one model.

    Parameters
    ----------
    given : mapping
        The section `llm`; see `simlab.agents.llm.settings.Settings.of`.

    Raises
    ------
    LlmError
        When the cassette cannot be used. A missing key or package is noticed when a model is first asked.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.settings = settings = Settings.of(given)
        self._cassette: Cassette | None = None
        if settings.cassette_mode != "off":
            self._cassette = Cassette(Path(str(settings.cassette_path)), settings.cassette_mode)
        self._parameters = settings.parameters()
        self._opening: asyncio.Future[Client] | None = None
        self._closed = False
        self._server: LocalServer | None = None
        # a local model answers one at a time, in the order of asking: what it was asked before matters to it
        self._gate = asyncio.Semaphore(1 if settings.base_url == LOCAL else settings.concurrency)
        self._done = self._cached = self._asking = 0
        self._cost = 0.0

    def status(self) -> str:
        """Say in a few words how much was asked so far."""
        told = f"{self._done:,} calls"
        told += f", {self._cached:,} cached" if self._cached else ""
        told += f", {self._asking} under way" if self._asking else ""
        return told + (f", cost {self._cost:,.4f}" if self._cost else "")

    def admit(self, shared: dict[str, Any], wanted: int) -> int:
        """Return how many of the agents that want to ask may, by what the run has spent.

        It is looked at once for all agents that decide together, so a budget of tokens or money may be
        passed by what they spend; it does not depend on whose answer comes first.
        """
        settings, spent = self.settings, self._spent(shared)
        if settings.budget_tokens is not None and spent["tokens"] >= settings.budget_tokens:
            return 0
        if settings.budget_money is not None and spent["millionths"] >= settings.budget_money * _MILLION:
            return 0
        if settings.budget_calls is None:
            return wanted
        return min(wanted, max(0, settings.budget_calls - spent["calls"]))

    def spend(self, shared: dict[str, Any], answers: Sequence[Answer]) -> None:
        """Book what answers took, in whole numbers; the same whether a cassette answered or not."""
        spent = self._spent(shared)
        for answer in answers:
            spent["calls"] += answer.calls
            spent["tokens"] += answer.tokens_in + answer.tokens_out
            spent["millionths"] += round(answer.cost * _MILLION)

    @staticmethod
    def _spent(shared: dict[str, Any]) -> dict[str, int]:
        spent: dict[str, int] = shared.setdefault(_SHARED, {"calls": 0, "tokens": 0, "millionths": 0})
        return spent

    async def ask(self, request: Request) -> Answer:
        """Return the model's answer, or the cassette's.

        Raises
        ------
        LlmError
            When there is nobody to ask: no key, no package, nothing on the cassette.
        """
        text = request.text(self._parameters)
        answer = self._cassette.find(request, text) if self._cassette is not None else None
        if answer is None:
            answer = await self._asked(request, Request.hash_of(text))
            if self._cassette is not None:
                self._cassette.keep(request, text, answer)
        answer = answer.priced(self.settings.price_input, self.settings.price_output)
        self._done += answer.calls
        self._cached += answer.cached
        self._cost += answer.cost
        return answer

    async def _asked(self, request: Request, hashed: str) -> Answer:
        from simlab.agents.llm.retrying import patiently

        async with self._gate:
            self._asking += 1
            try:
                spread = int(hashed[:4], 16) / 0x10000
                answer = await patiently(await self._client(), request, self.settings.retries, spread)
            finally:
                self._asking -= 1
        return replace(answer, request_hash=hashed)

    async def _client(self) -> Client:
        """Return the client, made when it is first needed; others wait for it meanwhile."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(asyncio.to_thread(self._opened))
        return await asyncio.shield(self._opening)

    def _opened(self) -> Client:
        """Make the client, with a server of a local model before it; this takes seconds."""
        from simlab.agents.llm.client import Client

        address = self.settings.address
        if address == LOCAL:
            from simlab.agents.llm.local import LocalServer

            self._server = LocalServer(self.settings.model)
            address = self._server.base_url
            if self._closed:  # meanwhile, by an interrupt
                self._server.close()
        return Client(self.settings, address)

    async def close(self) -> None:
        """Close connections, the cassette, and the server of a local model.

        Connections of a loop that is gone went with it.
        """
        self._closed = True
        opening, self._opening = self._opening, None
        try:
            if opening is not None and opening.get_loop() is asyncio.get_running_loop():
                [client] = await asyncio.gather(opening, return_exceptions=True)
                if not isinstance(client, BaseException):
                    await client.close()
        finally:
            server, self._server = self._server, None
            if server is not None:
                server.close()
            if self._cassette is not None:
                self._cassette.close()
