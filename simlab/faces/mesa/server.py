"""Serve the page of a market on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import socket
import warnings
import webbrowser
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from simlab.config import ExperimentConfig
from simlab.errors import SimlabError

__all__ = ["HOST", "serve"]

HOST = "127.0.0.1"
_PAGE = "simlab.faces.mesa.page"
_ENVIRONMENT = {
    "SOLARA_APP": _PAGE,
    "SOLARA_MODE": "production",
    "SOLARA_ASSETS_PROXY": "true",
    "SOLARA_CHECK_HOOKS": "off",  # of Mesa's components
    "SOLARA_TELEMETRY_MIXPANEL_ENABLE": "false",
    "SOLARA_KERNEL_CULL_TIMEOUT": "1h",
    "SOLARA_KERNEL_MAX_COUNT": "16",
}
"""Solara's settings: scripts come from here, nobody is told of anything, tabs that are gone are forgotten."""

_Scope = MutableMapping[str, Any]
_App = Callable[[_Scope, Any, Any], Awaitable[None]]


def serve(config: ExperimentConfig, *, port: int, browser: bool, say: Callable[[str], None]) -> None:
    """Serve the page of a market on loopback and return after Ctrl-C.

    Parameters
    ----------
    config : ExperimentConfig
    port : int
        Where to listen; 0 takes one that is free.
    browser : bool
        Whether a browser is opened.
    say : callable (str) -> None
        Told the address once the page is there.

    Raises
    ------
    SimlabError
        When a library is missing, or the port is taken.
    """
    os.environ.update(_ENVIRONMENT)
    warnings.filterwarnings("ignore", "Cookies with samesite=none", UserWarning)  # a page in no other page
    try:
        import_module(_PAGE).show(config)
        app = import_module("solara.server.starlette").app
        uvicorn = import_module("uvicorn")
    except ImportError as error:
        raise SimlabError(f'the page needs Solara ({error}): pip install "simlab[mesa]"') from error
    with _listening(port) as listener:
        address = f"http://{HOST}:{listener.getsockname()[1]}"

        class Server(uvicorn.Server):  # type: ignore[misc,name-defined]
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                say(address)
                if browser:
                    webbrowser.open(address)

        settings = uvicorn.Config(
            _own_pages_only(app, address), log_level="warning", access_log=False, timeout_graceful_shutdown=1
        )
        with suppress(KeyboardInterrupt):  # heard, and raised again once everything is closed
            Server(settings).run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise SimlabError(
            f"nothing can listen at {HOST}:{port} ({error}); give another --port, 0 for any that is free"
        ) from error
    return listener


def _own_pages_only(app: _App, address: str) -> _App:
    """Refuse what a page of somebody else asks in this browser: by another name, or from another origin."""
    host = address.removeprefix("http://").encode()

    async def guarded(scope: _Scope, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        strange = headers.get(b"origin", address.encode()) != address.encode()
        if scope["type"] == "lifespan" or (headers.get(b"host") == host and not strange):
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": f"open {address}".encode()})

    return guarded
