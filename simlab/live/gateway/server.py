"""Put the gateway together and serve it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from collections.abc import Iterator
from functools import partial

import uvicorn

from simlab.errors import ConfigError
from simlab.live.gateway.access import Access
from simlab.live.gateway.feed import Feed
from simlab.live.gateway.guard import Guard
from simlab.live.gateway.hub import Hub
from simlab.live.gateway.link import Link
from simlab.live.gateway.market import Market
from simlab.live.gateway.metrics import Latency
from simlab.live.gateway.rest import application
from simlab.live.gateway.session import Room
from simlab.live.gateway.settings import GatewaySettings
from simlab.live.gateway.socket import Lobby, Socket
from simlab.live.ready import allow_connections, say_ready

__all__ = ["main"]

_SWEEP_S = 5.0
_BACKLOG = 1024


def main(settings: str) -> int:
    """Serve WebSocket and REST until SIGINT or SIGTERM; return the exit code.

    Parameters
    ----------
    settings : str
        As `GatewaySettings.written` wrote them.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    try:
        asyncio.run(_serve(GatewaySettings.read(settings)))
    except ConfigError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


async def _serve(settings: GatewaySettings) -> None:
    loop = asyncio.get_running_loop()
    limits, token = settings.limits, settings.token
    allow_connections(limits.connections)
    listening = _listening(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    market, latency = Market(), Latency()
    link = Link(settings.engine_host, settings.engine_port, token, latency.engine)
    hub = Hub(market, settings.flush_ms, loop.call_later, latency.announce)
    room = Room(market, link, hub, latency, settings.interval_ms)
    feed = Feed(room)
    access = Access(settings, token, port)
    lobby = Lobby(room, access, limits)
    config = uvicorn.Config(
        Guard(application(lobby), access, limits.message_bytes),
        ws=partial(Socket, lobby),  # type: ignore[arg-type]
        http="h11",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=2 * limits.connections,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, partial(setattr, server, "should_exit", True))
    beside = [
        loop.create_task(it)
        for it in (link.run(feed), _ticks(feed, hub, lobby, settings.interval_ms), _ready(feed, host, port))
    ]
    try:
        await server.serve(sockets=[listening])
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Its protocol is named, for asyncio lets connections write at once (TCP_NODELAY) only where it is.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
        return listening
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"live.gateway: cannot listen on {host}:{port}: {error.strerror}; choose another host or port"
            " (0 for any that is free)"
        ) from error


async def _ready(feed: Feed, host: str, port: int) -> None:
    """Say that the gateway works once it does: it listens, and knows the market."""
    await feed.known.wait()
    say_ready("gateway", f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


async def _ticks(feed: Feed, hub: Hub, lobby: Lobby, interval_ms: float) -> None:
    """Tell what is told in intervals, and look after quiet clients."""
    loop = asyncio.get_running_loop()
    swept_s = 0.0
    while True:
        await asyncio.sleep(interval_ms / 1000)
        now_s = time.monotonic()
        feed.ask_accounts()
        hub.tick(now_s)
        if now_s - swept_s > _SWEEP_S:
            swept_s = now_s
            lobby.sweep(loop.time())


class _Server(uvicorn.Server):
    """uvicorn, with the signals left to us: it would send them to itself again when it has stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
