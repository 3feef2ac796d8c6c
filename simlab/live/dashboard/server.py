"""Serve the page, and pass what it asks on to the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from starlette.websockets import WebSocket

from simlab.config.live import LiveConfig
from simlab.errors import SimlabError
from simlab.live.dashboard.guard import COOKIE, Guard, cookie_of, is_token
from simlab.live.dashboard.proxy import Proxy
from simlab.live.settings import say_ready, token_of

__all__ = ["application", "serve"]

STATIC = Path(__file__).parent / "static"
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def serve(settings: LiveConfig) -> None:
    """Serve the page until SIGINT or SIGTERM; says in a line of JSON on standard output when it works.

    Raises
    ------
    SimlabError
        When the address cannot be listened on, or Bokeh is not installed.
    ConfigError
        When the token's environment variable is not set.
    """
    host, port = settings.dashboard.host, settings.dashboard.port
    app = application(
        f"{_reached(settings.gateway.host)}:{settings.gateway.port}",
        hosts=(host,),
        token=token_of(settings),
        message_bytes=settings.limits.message_bytes,
    )
    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        ws_max_size=settings.limits.message_bytes,
        ws_per_message_deflate=False,
        limit_concurrency=settings.limits.connections,
        timeout_graceful_shutdown=2,
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
    )
    with _listening(host, port) as listener:
        asyncio.run(_run(_Server(config), listener))


class _Server(uvicorn.Server):
    """A server whose signals are those of this process: uvicorn would raise them again at its end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        assert sockets
        host, port = sockets[0].getsockname()[:2]
        say_ready("dashboard", f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


async def _run(server: _Server, listener: socket.socket) -> None:
    await server.serve(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise SimlabError(
            f"live.dashboard: cannot listen on {host}:{port}: {error.strerror or error}; set"
            " live.dashboard.port to another, or to 0 for any that is free"
        ) from error
    return listener


def _reached(host: str) -> str:
    """Return where a server on this machine is reached that listens on a host."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)


class _Fresh(StaticFiles):
    """Files that a browser asks for again, so that it never mixes two versions of the page."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response


def application(
    gateway: str, *, hosts: tuple[str, ...] = (), token: str | None = None, message_bytes: int = 65_536
) -> Starlette:
    """Return the page's server as an ASGI application.

    Parameters
    ----------
    gateway : str
        Host and port of the gateway, as `127.0.0.1:8000`.
    hosts, token
        Who may ask; see `Guard`.
    message_bytes : int
        The longest body that is passed on.

    Raises
    ------
    SimlabError
        When Bokeh, whose script draws the charts, is not installed.
    """
    proxy = Proxy(gateway, token=token, message_bytes=message_bytes)

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def health(request: Request) -> Response:
        status, content = await proxy.health()
        content["dashboard"] = {"status": "healthy", "pid": os.getpid()}
        return JSONResponse(content, status, headers={"cache-control": "no-store"})

    async def login(request: Request) -> Response:
        if token is None or not is_token(await _given(request), token):
            return JSONResponse({"detail": "this is not the token"}, 401)
        response = JSONResponse({"status": "success"})
        response.set_cookie(COOKIE, cookie_of(token), httponly=True, samesite="strict")
        return response

    async def relay(page: WebSocket) -> None:
        await proxy.relay(page)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await proxy.close()

    return Starlette(
        routes=[
            Route("/", page),
            Route("/health", health),
            Route("/login", login, methods=["POST"]),
            WebSocketRoute("/ws", relay),
            Route("/api/{path:path}", proxy.call, methods=_METHODS),
            Mount("/static", _Fresh(directory=STATIC)),
            Mount("/bokeh", _Fresh(directory=_bokeh())),
        ],
        middleware=[Middleware(Guard, hosts=hosts, token=token)],
        lifespan=lifespan,
    )


async def _given(request: Request) -> str:
    """Return the token in a body of at most a few hundred bytes; empty when there is none."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > 1_000:
            return ""
    try:
        given = json.loads(body)
    except ValueError:
        return ""
    token = given.get("token") if isinstance(given, dict) else None
    return token if isinstance(token, str) else ""


def _bokeh() -> Path:
    found = importlib.util.find_spec("bokeh")  # its folder only: to import it takes half a second
    if found is None or not found.submodule_search_locations:
        raise SimlabError(
            "the dashboard's charts are drawn by Bokeh's script, and Bokeh is not installed; install it with"
            ' pip install "simlab[live]"'
        )
    return Path(found.submodule_search_locations[0]) / "server" / "static" / "js"
