"""Serve HTTP and WebSocket with uvicorn: so many connections, which ask in time, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Iterator
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from simlab.live.listening import ACCEPTED, Listening
from simlab.live.ready import say_ready

__all__ = ["serve"]

_HEAD_S = 10.0
"""How long a connection may be open, or open again, before all of a request's head has come."""

_TOLD = 64
"""Connections beyond the bound that are told so."""


async def serve(
    part: str,
    app: Any,
    listening: Listening,
    *,
    connections: int,
    known: Awaitable[Any] | None = None,
    **options: Any,
) -> None:
    """Serve until SIGINT or SIGTERM, and say so once it works.

    Parameters
    ----------
    part : str
        Who serves.
    app : ASGI application
    listening : Listening
    connections : int
        How many there may be at once; a few beyond are told so when they ask, others are closed.
    known : awaitable, optional
        What is waited for before anybody is let in.
    **options
        What else `uvicorn.Config` is told.
    """
    config = uvicorn.Config(
        app,
        http=partial(_Connection, connections + _TOLD),  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=connections,
        backlog=ACCEPTED,
        timeout_graceful_shutdown=2,
        **options,
    )
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    server, loop = _Server(config), asyncio.get_running_loop()
    serving = loop.create_task(server.open(part, listening, known))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop, serving)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


class _Server(uvicorn.Server):
    """uvicorn, with the signals left to us: it would send them to itself again when it has stopped."""

    async def open(self, part: str, listening: Listening, known: Awaitable[Any] | None) -> None:
        if known is not None:
            await known
        listening.listen()
        say_ready(part, listening.address)
        await self.serve(sockets=[listening])

    def stop(self, serving: asyncio.Task[None]) -> None:
        """End in good order if somebody may be there, and at once if the door was not open yet."""
        self.should_exit = True
        if not self.started:
            serving.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Connection(H11Protocol):
    """uvicorn's, which waits for a request for ever, and of which there may be any number."""

    def __init__(self, most: int, **options: Any) -> None:
        super().__init__(**options)
        self._most = most

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._looking = self.loop.call_later(_HEAD_S, self._look, None)
        if len(self.connections) > self._most:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._looking.cancel()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._looking.cancel()
        super().handle_websocket_upgrade(event)

    def _look(self, before: object) -> None:
        """Close if nothing was asked since the last look, however many bytes came."""
        cycle = self.cycle
        waits = cycle is None or cycle.response_complete
        if waits and cycle is before:
            self.transport.close()
        else:
            self._looking = self.loop.call_later(_HEAD_S, self._look, cycle if waits else self)
