"""Put the gateway together and serve it until it is told to stop."""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial

from simlab.errors import ConfigError
from simlab.live.access import Access
from simlab.live.gateway.feed import Feed
from simlab.live.gateway.hub import Hub
from simlab.live.gateway.link import Link
from simlab.live.gateway.market import Market
from simlab.live.gateway.metrics import Latency
from simlab.live.gateway.rest import application
from simlab.live.gateway.session import Room
from simlab.live.gateway.settings import GatewaySettings
from simlab.live.gateway.socket import Lobby, Socket
from simlab.live.guard import Guard
from simlab.live.listening import Listening
from simlab.live.ready import allow_connections
from simlab.live.serving import serve
from simlab.live.spinning import run_spinning

__all__ = ["main"]

_SWEEP_S = 5.0
_CALLS = 128
"""Connections for REST, beside those for WebSocket."""
_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""There is no page here."""


def main(settings: str) -> int:
    """Serve WebSocket and REST until SIGINT or SIGTERM; return the exit code.

    Parameters
    ----------
    settings : str
        As `GatewaySettings.written` wrote them.
    """
    try:
        run_spinning(_serve(GatewaySettings.read(settings)))
    except ConfigError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


async def _serve(settings: GatewaySettings) -> None:
    loop = asyncio.get_running_loop()
    limits, token = settings.limits, settings.token
    connections = limits.connections + _CALLS
    allow_connections(connections)
    listening = Listening("gateway", settings.host, settings.port)
    market, latency = Market(), Latency()
    link = Link(settings.engine_host, settings.engine_port, token, latency.engine)
    hub = Hub(market, settings.flush_ms, loop.call_later, latency.announce)
    room = Room(market, link, hub, latency, settings.interval_ms)
    feed = Feed(room)
    access = Access([settings.host], token)
    lobby = Lobby(room, access, limits)
    app = Guard(application(lobby), access, limits.message_bytes, _POLICY)
    beside = [
        loop.create_task(it) for it in (link.run(feed), _ticks(feed, room, lobby, settings.interval_ms))
    ]
    # Nobody is let in before the market is known, for they are told of it first.
    known, socket = feed.known.wait(), partial(Socket, lobby)
    try:
        await serve("gateway", app, listening, connections=connections, known=known, ws=socket)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


async def _ticks(feed: Feed, room: Room, lobby: Lobby, interval_ms: float) -> None:
    """Tell what is told in intervals, and look after quiet clients."""
    loop = asyncio.get_running_loop()
    swept_s = 0.0
    while True:
        await asyncio.sleep(interval_ms / 1000)
        now_s = time.monotonic()
        feed.ask_accounts()
        room.inside.look()
        room.hub.tick(now_s)
        if now_s - swept_s > _SWEEP_S:
            swept_s = now_s
            lobby.sweep(loop.time())
