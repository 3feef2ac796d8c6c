"""Ask a language model on behalf of a run: through a cassette, with patience, within a budget.

A session is a run's own, made on use and closed at its end. It raises for what the run got wrong (no key,
nothing on the cassette), never for what a model or a network does: that is an answer with a failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simlab.agents.llm.cassette import Cassette
from simlab.agents.llm.client import Client, TriedInVain
from simlab.agents.llm.exchange import Answer, Attempt, Call, Failure, Request
from simlab.agents.llm.settings import LOCAL, Settings

__all__ = ["Answer", "Call", "Failure", "Request", "Session"]

_SHARED = "llm"
"""Where in what all strategies share the spent budget stands."""
_MILLION = 1_000_000
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0


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
        self._client: Client | None = None
        self._server: Any = None
        self._gate = asyncio.Semaphore(settings.concurrency)
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
            answer = replace(await self._asked(request), request_hash=Request.hash_of(text))
            if self._cassette is not None:
                self._cassette.keep(request, text, answer)
        answer = answer.priced(self.settings.price_input, self.settings.price_output)
        self._done += answer.calls
        self._cached += answer.cached
        self._cost += answer.cost
        return answer

    async def _asked(self, request: Request) -> Answer:
        async with self._gate:
            self._asking += 1
            try:
                return await self._patiently(await self._ready(), request)
            finally:
                self._asking -= 1

    async def _patiently(self, client: Client, request: Request) -> Answer:
        """Ask until there is an answer, or it has been tried often enough."""
        from tenacity import (
            AsyncRetrying,
            RetryCallState,
            RetryError,
            retry_if_exception_type,
            stop_after_attempt,
        )

        attempts: list[Attempt] = []

        def wait_s(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome is not None else None
            asked_s = error.retry_after_s if isinstance(error, TriedInVain) else None
            return min(_LONGEST_WAIT_S, max(asked_s or 0.0, _FIRST_WAIT_S * 2 ** (state.attempt_number - 1)))

        def gives_up(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome is not None else None
            return isinstance(error, TriedInVain) and (error.retry_after_s or 0.0) > _LONGEST_WAIT_S

        def note(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome is not None else None
            if isinstance(error, TriedInVain):
                slept_s = state.next_action.sleep if state.next_action is not None else 0.0
                failure = error.failure
                attempts.append(Attempt(failure.kind, failure.detail, error.ms, round(1000 * slept_s, 3)))

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TriedInVain),
            stop=lambda state: stop_after_attempt(self.settings.retries + 1)(state) or gives_up(state),
            wait=wait_s,
            before_sleep=note,
        )
        try:
            answer: Answer = await retrying(client.ask, request)
        except RetryError as error:
            last = error.last_attempt.exception()
            assert isinstance(last, TriedInVain)
            answer = Answer(ms=last.ms, failure=last.failure)
        waited_ms = sum(it.ms + it.waited_ms for it in attempts)
        return replace(
            answer, ms=round(answer.ms + waited_ms, 3), calls=len(attempts) + 1, attempts=tuple(attempts)
        )

    async def _ready(self) -> Client:
        """Return the client, made when it is first needed; with a server of a local model before it."""
        if self._client is None:
            base_url = self.settings.base_url
            if base_url == LOCAL:
                from simlab.agents.llm.local import LocalServer

                self._server = LocalServer(self.settings.model)
                base_url = self._server.base_url
            self._client = Client(self.settings, base_url)
        return self._client

    async def close(self) -> None:
        """Close connections, the cassette, and the server of a local model."""
        client, self._client = self._client, None
        server, self._server = self._server, None
        try:
            if client is not None:
                await client.close()
        finally:
            if server is not None:
                server.close()
            if self._cassette is not None:
                self._cassette.close()
