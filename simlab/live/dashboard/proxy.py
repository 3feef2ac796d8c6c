"""Pass REST calls and WebSocket frames on to the gateway, and its answers back, as they are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

__all__ = ["Proxy"]

CONNECT_S = 5.0
ANSWER_S = 30.0
CONNECTIONS = 100
"""Calls that wait for the gateway at once; more wait for one of these."""
BUFFERED_FRAMES = 16
"""Frames of the gateway that wait for a slow page; then the gateway is not read, and drops the listener."""
GATEWAY_BYTES = 64 * 2**20
"""The longest frame taken from the gateway: a state of many instruments and agents, with room."""

_PASSED = ("content-type", "accept", "last-event-id")
_RETURNED = ("content-type", "content-disposition", "retry-after", "allow", "location")


class Proxy:
    """The way to one gateway.

    Parameters
    ----------
    gateway : str
        Host and port, as `127.0.0.1:8000`.
    token : str or None
        What the gateway asks for.
    """

    def __init__(self, gateway: str, *, token: str | None = None) -> None:
        self._gateway = gateway
        self._headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(
            base_url=f"http://{gateway}",
            headers={**self._headers, "accept-encoding": "identity", "user-agent": "simlab-dashboard"},
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=CONNECTIONS),
            trust_env=False,
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def health(self) -> tuple[int, dict[str, object]]:
        """Return the status and content of the gateway's own health; 502 when it cannot be asked."""
        try:
            answer = await self._client.get("/health", timeout=CONNECT_S)
            return answer.status_code, dict(answer.json())
        except (httpx.HTTPError, ValueError) as error:
            return 502, {
                "status": "unhealthy",
                "gateway": {"status": "unreachable"},
                "detail": self._down(error),
            }

    async def call(self, request: Request) -> Response:
        """Pass one REST call on, and stream its answer."""
        target = request.scope["raw_path"]
        if request.scope["query_string"]:
            target += b"?" + request.scope["query_string"]
        headers = {key: request.headers[key] for key in _PASSED if key in request.headers}
        url = self._client.base_url.copy_with(raw_path=target)
        asked = self._client.build_request(request.method, url, headers=headers, content=await request.body())
        try:
            answer = await self._client.send(asked, stream=True)
        except httpx.HTTPError as error:
            return JSONResponse({"detail": self._down(error)}, 502)
        returned = {key: answer.headers[key] for key in _RETURNED if key in answer.headers}
        return StreamingResponse(
            _chunks(answer), answer.status_code, {**returned, "cache-control": "no-store"}
        )

    async def relay(self, page: WebSocket) -> None:
        """Join a page to the gateway, frame for frame, until one of them leaves.

        Nothing is kept but a few frames: a page that does not read is not read for, so the gateway notices.
        """
        try:
            gateway = await connect(
                f"ws://{self._gateway}/ws",
                additional_headers=self._headers,
                open_timeout=CONNECT_S,
                close_timeout=1,
                max_queue=BUFFERED_FRAMES,
                max_size=GATEWAY_BYTES,
                compression=None,
                proxy=None,
                user_agent_header="simlab-dashboard",
            )
        except InvalidStatus as error:
            detail = error.response.body.decode(errors="replace")[:500] if error.response.body else str(error)
            await page.send_denial_response(JSONResponse({"detail": detail}, error.response.status_code))
            return
        except (OSError, TimeoutError, InvalidHandshake) as error:
            await page.send_denial_response(JSONResponse({"detail": self._down(error)}, 502))
            return
        async with gateway:
            await page.accept()
            await _join(page, gateway)

    def _down(self, error: Exception) -> str:
        return (
            f"the gateway at {self._gateway} does not answer ({type(error).__name__}); the page goes on as"
            " soon as it is back"
        )


async def _chunks(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


async def _join(page: WebSocket, gateway: ClientConnection) -> None:
    ways = {
        asyncio.create_task(_upward(page, gateway)),
        asyncio.create_task(_downward(page, gateway)),
        asyncio.create_task(
            gateway.wait_closed()
        ),  # heard although a way waits for a page that does not read
    }
    try:
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    for way in done:
        way.result()
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the page was first to leave
        await page.close(_code(gateway), gateway.close_reason or "")


async def _upward(page: WebSocket, gateway: ClientConnection) -> None:
    while True:
        frame = await page.receive()
        if frame["type"] == "websocket.disconnect":
            return
        content = frame.get("text")
        try:
            await gateway.send(frame["bytes"] if content is None else content)
        except ConnectionClosed:
            return


async def _downward(page: WebSocket, gateway: ClientConnection) -> None:
    try:
        async for frame in gateway:
            await (page.send_text(frame) if isinstance(frame, str) else page.send_bytes(frame))
    except (ConnectionClosed, WebSocketDisconnect):
        return


def _code(gateway: ClientConnection) -> int:
    """Return a code that a server may send: 1005 and 1006 only say that none came."""
    code = gateway.close_code
    return 1012 if code in (None, 1005, 1006) else code
