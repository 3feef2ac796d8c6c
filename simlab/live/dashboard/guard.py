"""Decide who may speak to the page's server, before anything is read from them."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

__all__ = ["COOKIE", "Guard", "cookie_of", "is_token"]

COOKIE = "simlab"
"""Holds what a browser got for the token: scripts cannot read it, and no other site can send it."""

OPEN = ("/", "/login", "/static/", "/bokeh/")
"""What is shown to everybody, so that a browser can ask for the token: code, no data."""

_HEADERS = {
    # Bokeh's canvases bring <style> elements of their own; nothing else may be inline, least of all scripts.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def cookie_of(token: str) -> str:
    """Return what a browser keeps instead of the token, from which the token cannot be found.

    Example
    -------
    >>> cookie_of("a")[:8] == cookie_of("a")[:8] != cookie_of("b")[:8]
    True
    """
    return hmac.new(token.encode(), b"simlab dashboard", hashlib.sha256).hexdigest()


def is_token(given: str, token: str) -> bool:
    """Whether what was given is the token; how long it takes tells nothing.

    Example
    -------
    >>> is_token("guess", "secret"), is_token("secret", "secret")
    (False, True)
    """
    return hmac.compare_digest(given.encode(), token.encode())


class Guard:
    """Refuse strangers, and put the headers on every answer that keep a browser to this page.

    A request must name a host that a browser cannot be talked into by another's domain (an address,
    `localhost`, or the host that is listened on). Where a browser says which page sent it, that must be this
    one. With a token, everything but the page's own code asks for it.

    Parameters
    ----------
    application : ASGIApp
        What is guarded.
    hosts : iterable of str
        Names, besides addresses and `localhost`, under which this server may be asked.
    token : str or None
        What a caller must know, as `Authorization: Bearer TOKEN` or by the cookie that `/login` sets.
    """

    def __init__(self, application: ASGIApp, *, hosts: Iterable[str] = (), token: str | None = None) -> None:
        self._application = application
        self._hosts = frozenset(hosts) | {"localhost"}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = [(key.encode(), value.encode()) for key, value in _HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._application(scope, receive, send_guarded)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send_guarded).send_denial_response(refusal)
        else:
            await refusal(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host):
            return _refuse(403, "this server is asked under a name that is not its own; use its address")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return _refuse(403, "another site's page asks; open the dashboard at its own address")
        if headers.get("sec-fetch-site") == "cross-site" and scope["path"] != "/":
            return _refuse(403, "another site's page asks; open the dashboard at its own address")
        if self._token is None or _is_open(scope["path"]) or self._knows(scope, headers):
            return None
        return _refuse(401, "a token is asked for: send it as Authorization: Bearer TOKEN")

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._hosts or _is_address(name)

    def _knows(self, scope: Scope, headers: Headers) -> bool:
        assert self._token is not None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return is_token(given.strip(), self._token)
        return is_token(HTTPConnection(scope).cookies.get(COOKIE, ""), cookie_of(self._token))


def _is_open(path: str) -> bool:
    return path in OPEN or any(path.startswith(it) for it in OPEN if len(it) > 1 and it.endswith("/"))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refuse(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status, headers={"connection": "close"})
