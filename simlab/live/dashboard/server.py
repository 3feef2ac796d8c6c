"""Serve the page, and pass what it asks on to the gateway."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from starlette.websockets import WebSocket

from simlab.config.live import LiveConfig, LiveLimitsConfig
from simlab.errors import SimlabError
from simlab.live import serving
from simlab.live.access import Access, is_token
from simlab.live.dashboard.guard import COOKIE, POLICY, PageAccess, cookie_of
from simlab.live.dashboard.proxy import Proxy
from simlab.live.guard import Guard
from simlab.live.listening import Listening
from simlab.live.ready import allow_connections
from simlab.live.settings import token_of

__all__ = ["application", "serve"]

STATIC = Path(__file__).parent / "static"
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def serve(settings: LiveConfig) -> None:
    """Serve the page until SIGINT or SIGTERM; says in a line of JSON on standard output when it works.

    Raises
    ------
    SimlabError
        When Bokeh is not installed.
    ConfigError
        When the address cannot be listened on, or the token's environment variable is not set.
    """
    page, limits = settings.dashboard, settings.limits
    gateway = f"{_reached(settings.gateway.host)}:{settings.gateway.port}"
    allow_connections(2 * limits.connections)  # each page has one to the gateway as well
    asyncio.run(
        _serve(
            Proxy(gateway, token=token_of(settings)),
            Listening("dashboard", page.host, page.port),
            PageAccess([page.host], token_of(settings)),
            limits,
        )
    )


async def _serve(proxy: Proxy, listening: Listening, access: Access, limits: LiveLimitsConfig) -> None:
    app = Guard(application(proxy, access.token), access, limits.message_bytes, POLICY)
    try:
        await serving.serve(
            "dashboard",
            app,
            listening,
            connections=limits.connections,
            ws="websockets-sansio",
            ws_max_size=limits.message_bytes,
            ws_per_message_deflate=False,
        )
    finally:
        await proxy.close()


def _reached(host: str) -> str:
    """Return where a server on this machine is reached that listens on a host."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)


class _Fresh(StaticFiles):
    """Files that a browser asks for again, so that it never mixes two versions of the page."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response


def application(proxy: Proxy, token: str | None = None) -> Starlette:
    """Return the page's server as an ASGI application, whose `Guard` keeps strangers and long bodies out.

    Parameters
    ----------
    proxy : Proxy
        The way to the gateway.
    token : str or None
        What `/login` swaps for a cookie.

    Raises
    ------
    SimlabError
        When Bokeh, whose script draws the charts, is not installed.
    """

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

    return Starlette(
        routes=[
            Route("/", page),
            Route("/health", health),
            Route("/login", login, methods=["POST"]),
            WebSocketRoute("/ws", relay),
            Route("/api/{path:path}", proxy.call, methods=_METHODS),
            Mount("/static", _Fresh(directory=STATIC)),
            Mount("/bokeh", _Fresh(directory=_bokeh())),
        ]
    )


async def _given(request: Request) -> str:
    """Return the token in a body; empty when there is none."""
    try:
        given = json.loads(await request.body())
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
