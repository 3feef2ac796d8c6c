"""Hold the one connection to the engine: requests out, answers and events in, and again after it broke."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from simlab.errors import SimlabError
from simlab.live.gateway.metrics import Ring
from simlab.live.protocol import LineReader

__all__ = ["Answered", "EngineAwayError", "Link", "RefusedError"]

Answered = Callable[[bytes | None], None]
"""Told the engine's answer, a line; None if the connection broke before it came."""

_LOG = logging.getLogger("simlab.live.gateway")
_MOST_WAITING = 50_000
"""Requests of all clients together that may wait for an answer at once."""
_LONGEST_LINE = 2**26
"""Bytes of the longest line that is taken from the engine."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 2.0
_PING_S = 1.0
_SILENT_S = 5.0
"""Without a line for this long the engine does not answer, though the connection stands."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class EngineAwayError(SimlabError):
    """Report that the engine cannot be asked now; `sent` tells whether the request may have reached it."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__(
            "the engine went away before it answered, so this may or may not have happened; ask again with"
            " the same client_id, or look at what is there"
            if sent
            else "the engine does not answer now, nothing was done; it is looked for, try again in a second"
        )
        self.sent = sent


class RefusedError(SimlabError):
    """Report what the engine refused, with its code."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


class _Wire(asyncio.Protocol):
    """One connection: lines out in one write a turn of the loop, lines in one after the other."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.lost = asyncio.get_running_loop().create_future()
        self._reader = LineReader(_LONGEST_LINE)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.link.receive(self._reader.feed(data))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(exc)


class Heard(Protocol):
    """Whoever takes in what the engine says unasked."""

    def event(self, line: bytes) -> None:
        """Take in one event."""

    def settle(self) -> None:
        """All lines of one read have been handled."""

    def up(self) -> None:
        """The connection stands."""

    def down(self) -> None:
        """The connection broke, and all who waited were told."""


class Link:
    """The engine, as the gateway sees it.

    Parameters
    ----------
    host, port
        Where the engine listens.
    token : str or None
        What it asks for, when it listens beyond loopback.
    latency : Ring
        Takes the time from every request to its answer.
    """

    def __init__(self, host: str, port: int, token: str | None, latency: Ring) -> None:
        self._address = (host, port)
        self._token = token
        self._latency = latency
        self._heard: Heard | None = None
        self._loop = asyncio.get_running_loop()
        self._wire: _Wire | None = None
        self._waiting: deque[tuple[Answered, float]] = deque()
        self._lines: list[bytes] = []
        self._heard_s = 0.0
        self.pid: int | None = None
        self.reconnects = 0

    @property
    def up(self) -> bool:
        """Whether the engine can be asked."""
        return self._wire is not None

    @property
    def answers(self) -> bool:
        """Whether it can be asked and has been heard lately."""
        return self.up and time.monotonic() - self._heard_s < _SILENT_S

    def forward(self, request: dict[str, Any], answered: Answered) -> None:
        """Send a client's request, as `ask` does, if not too many wait already.

        Raises
        ------
        EngineAwayError
        RefusedError
            When too many wait.
        """
        if len(self._waiting) >= _MOST_WAITING:
            raise RefusedError("QUEUE_FULL", f"{_MOST_WAITING} requests wait for the engine; try again later")
        self.ask(request, answered)

    def ask(self, request: dict[str, Any], answered: Answered) -> None:
        """Send a request of the gateway's own, however many wait; `answered` is called once, later.

        Raises
        ------
        EngineAwayError
            When there is no connection, so nothing was sent.
        """
        if self._wire is None:
            raise EngineAwayError(sent=False)
        self._lines.append(_encode(request))
        if not self._waiting:  # nobody else is asking: at once
            self._write()
        elif len(self._lines) == 1:
            self._loop.call_soon(self._write)
        self._waiting.append((answered, time.perf_counter()))

    async def request(self, action: str, **fields: Any) -> dict[str, Any]:
        """Ask for a client and wait for the answer.

        Raises
        ------
        EngineAwayError
            When there is no connection, or it broke.
        RefusedError
            When the answer is an error.
        """
        future: asyncio.Future[bytes | None] = self._loop.create_future()

        def answered(line: bytes | None) -> None:
            if not future.done():
                future.set_result(line)

        given = {name: value for name, value in fields.items() if value is not None}
        self.forward({"action": action, **given}, answered)
        line = await future
        if line is None:
            raise EngineAwayError(sent=True)
        answer = _decode(line)
        if answer["status"] != "success":
            raise RefusedError(answer["code"], answer["message"], answer.get("field"))
        return answer

    def receive(self, lines: list[Any]) -> None:
        """Hand on what came in one read: events, and answers to whoever waits longest."""
        self._heard_s = time.monotonic()
        heard = self._heard
        assert heard is not None
        for line in lines:
            try:
                if line.startswith(b'{"event"'):
                    heard.event(line)
                else:
                    answered, sent_s = self._waiting.popleft()
                    answered(line)
                    self._latency.add(time.perf_counter() - sent_s)
            except Exception:  # one line that cannot be handled must not take the others' answers with it
                _LOG.exception("a line of the engine could not be handled: %.200r", line)
        heard.settle()

    async def run(self, heard: Heard) -> None:
        """Keep the connection until cancelled: open it, and again with growing waits when it breaks."""
        self._heard = heard
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                _, wire = await self._loop.create_connection(lambda: _Wire(self), *self._address)
            except OSError:
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                continue
            wait_s = _FIRST_WAIT_S
            try:
                await self._hold(wire, heard)
            finally:
                wire.transport.abort()

    async def _hold(self, wire: _Wire, heard: Heard) -> None:
        self._wire = wire
        self._heard_s = time.monotonic()
        if self._token is not None:
            self.ask({"action": "hello", "token": self._token}, lambda line: None)
        heard.up()
        pinging = self._loop.create_task(self._ping())
        try:
            await wire.lost
        finally:
            pinging.cancel()
        self._down(heard)

    async def _ping(self) -> None:
        while True:
            self.ask({"action": "ping"}, self._pinged)
            await asyncio.sleep(_PING_S)

    def _pinged(self, line: bytes | None) -> None:
        if line is not None:
            self.pid = _decode(line).get("pid", self.pid)

    def _down(self, heard: Heard) -> None:
        self._wire = None
        self.reconnects += 1
        self._lines.clear()
        waiting, self._waiting = self._waiting, deque()
        for answered, _ in waiting:
            answered(None)
        heard.down()
        heard.settle()

    def _write(self) -> None:
        if self._wire is not None and self._lines:
            self._lines.append(b"")
            self._wire.transport.write(b"\n".join(self._lines))
            self._lines.clear()
