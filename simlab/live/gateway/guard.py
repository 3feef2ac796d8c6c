"""Stand before the REST interface: who may come in, and how much may be sent."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from simlab.live.gateway.access import Access

__all__ = ["Guard"]

_Message = dict[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class Guard:
    """An ASGI middleware: refuse before anything is read, and bodies above the bound while they are.

    Parameters
    ----------
    app
        The application behind it.
    access : Access
        Who may come in.
    body_bytes : int
        Longest body.
    """

    def __init__(self, app: Any, access: Access, body_bytes: int) -> None:
        self.app, self.access, self.body_bytes = app, access, body_bytes

    async def __call__(self, scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self.access.refusal(headers, scope["query_string"].decode("latin-1"))
        if refusal is None:
            body = await self._body(receive)
            if body is not None:
                await self.app(scope, _Once(body, receive), send)
                return
            refusal = (413, f"a body has at most {self.body_bytes} bytes; send less at once")
        await _refuse(send, *refusal)

    async def _body(self, receive: _Receive) -> bytes | None:
        """Return the body, or None if it is too long."""
        parts, length = [], 0
        while True:
            message = await receive()
            parts.append(message.get("body", b""))
            length += len(parts[-1])
            if length > self.body_bytes:
                return None
            if not message.get("more_body", False):
                return b"".join(parts)


class _Once:
    """Hand on a body that has been read."""

    def __init__(self, body: bytes, receive: _Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> _Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def _refuse(send: _Send, status: int, reason: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"detail": reason}).encode()})
