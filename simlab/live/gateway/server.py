"""Put the gateway together and serve it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial

import uvicorn

from simlab.config.live import LiveConfig
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
from simlab.live.gateway.socket import Lobby, Socket
from simlab.live.settings import say_ready, token_of

__all__ = ["serve"]

_SWEEP_S = 5.0
_BACKLOG = 1024


def serve(settings: LiveConfig) -> None:
    """Serve WebSocket and REST until SIGINT or SIGTERM; say so in one line once it works.

    Parameters
    ----------
    settings : LiveConfig
        The section `live`, with the port that the engine listens on.

    Raises
    ------
    ConfigError
        When the address cannot be listened on.
    """
    asyncio.run(_serve(settings, token_of(settings)))


async def _serve(settings: LiveConfig, token: str | None) -> None:
    loop = asyncio.get_running_loop()
    gateway, limits = settings.gateway, settings.limits
    listening = _listening(gateway.host, gateway.port)
    host, port = listening.getsockname()[:2]
    market, latency = Market(), Latency()
    link = Link(settings.engine.host, settings.engine.port, token, latency.engine)
    hub = Hub(market, gateway.flush_ms, loop.call_later, latency.announce)
    room = Room(market, link, hub, latency, gateway.interval_ms)
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
        for it in (link.run(feed), _ticks(hub, lobby, gateway.interval_ms), _ready(feed, host, port))
    ]
    try:
        await server.serve(sockets=[listening])
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"live.gateway: cannot listen on {host}:{port}: {error.strerror}; choose another host or port"
            " (0 for any that is free)"
        ) from error


async def _ready(feed: Feed, host: str, port: int) -> None:
    """Say that the gateway works once it does: it listens, and knows the market."""
    await feed.known.wait()
    say_ready("gateway", f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


async def _ticks(hub: Hub, lobby: Lobby, interval_ms: float) -> None:
    """Tell what is told in intervals, and look after quiet clients."""
    loop = asyncio.get_running_loop()
    swept_s = 0.0
    while True:
        await asyncio.sleep(interval_ms / 1000)
        now_s = time.monotonic()
        hub.tick(now_s)
        if now_s - swept_s > _SWEEP_S:
            swept_s = now_s
            lobby.sweep(loop.time())


class _Server(uvicorn.Server):
    """uvicorn, with the signals left to us: it would send them to itself again when it has stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
