"""Stand before an ASGI application: who may come in, how much may be sent, what a browser is told with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from simlab.live.access import Access, Refusal

__all__ = ["Guard"]

_Message = dict[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]

_BODY_S = 10.0
"""How long a body may take to come."""
_PASSED_OVER_BYTES = 32 * 2**20
"""What is read of a body beyond the bound, and forgotten, so that its sender comes to read the refusal."""
_CLOSE = b"connection", b"close"
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


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
    policy : str
        The Content-Security-Policy of every answer.
    """

    def __init__(self, app: Any, access: Access, body_bytes: int, policy: str) -> None:
        self.app, self.access, self.body_bytes = app, access, body_bytes
        self._headers = [*_HEADERS, (b"content-security-policy", policy.encode())]

    async def __call__(self, scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
        kinds = {"http": "http.response", "websocket": "websocket.http.response"}
        kind = kinds[scope["type"]]

        async def send_guarded(message: _Message) -> None:
            if message["type"] == f"{kind}.start":
                message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self.access.refusal(headers, scope["path"], scope["query_string"].decode("latin-1"))
        if refusal is None and scope["type"] == "http":
            found = await self._body(receive)
            if found is None:
                return
            if isinstance(found, bytes):
                receive = _once(found, receive)
            else:
                refusal = found
        if refusal is None:
            await self.app(scope, receive, send_guarded)
        else:
            await _refuse(kind, send_guarded, *refusal)

    async def _body(self, receive: _Receive) -> bytes | Refusal | None:
        """Return the body, or why it is refused, or None if its sender is gone before its end."""
        parts, length, more = list[bytes](), 0, True
        try:
            async with asyncio.timeout(_BODY_S):
                while more and length <= _PASSED_OVER_BYTES:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    part, more = message.get("body", b""), message.get("more_body", False)
                    length += len(part)
                    if length <= self.body_bytes:
                        parts.append(part)
        except TimeoutError:
            if length <= self.body_bytes:
                return 408, f"the body did not come within {_BODY_S:g} s; send it at once"
        if length > self.body_bytes:
            return 413, f"a body has at most {self.body_bytes} bytes; send less at once"
        return b"".join(parts)


def _once(body: bytes, receive: _Receive) -> _Receive:
    """Hand on a body that has been read, and what comes after it."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> _Message:
        return waiting.pop() if waiting else await receive()

    return received


async def _refuse(kind: str, send: _Send, status: int, reason: str) -> None:
    headers: Iterable[tuple[bytes, bytes]] = [(b"content-type", b"application/json"), _CLOSE]
    if status == 401:
        headers = [*headers, (b"www-authenticate", b"Bearer")]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": json.dumps({"detail": reason}).encode()})
