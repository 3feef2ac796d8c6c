"""Hold a connection to the gateway: connect, and again when it is lost, to the same agents, by their tokens.

Answers are put to requests by what both name (a client id, an order, an agent). An answer that was lost with
its connection is a `ConnectionLostError` to whoever waits for it, who knows how to ask again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from simlab.errors import LiveError
from simlab.live import told as tell
from simlab.live.messages import encode
from simlab.live.told import Told, decode_told

__all__ = ["ConnectionLostError", "RefusedError", "Session", "addresses"]

_ENGINE_AWAY = "ENGINE_AWAY"
"""What a gateway says that had no answer from the engine: what was asked may have happened or not."""
_ANSWER_S = 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0
_MOST_BYTES = 64 << 20
"""The largest message of the gateway: all agents of a large market are one."""
_PASSED_OVER = (msgspec.ValidationError,)


class ConnectionLostError(LiveError):
    """Report that the connection went before an answer came: whether the request arrived is not known."""


class RefusedError(LiveError):
    """Report what the gateway refused, with its `code`."""

    def __init__(self, message: str, code: int | str | None = None) -> None:
        super().__init__(message)
        self.code = code


def addresses(url: str) -> tuple[str, str]:
    """Return the address of the WebSocket and of REST from that of the gateway.

    Example
    -------
    >>> addresses("http://127.0.0.1:8000")
    ('ws://127.0.0.1:8000/ws', 'http://127.0.0.1:8000')
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
        raise LiveError(f"{url!r} is not the address of a gateway; it looks like http://127.0.0.1:8000")
    secure = parts.scheme in ("https", "wss")
    base = parts.path.rstrip("/").removesuffix("/ws")
    socket = urlunsplit(("wss" if secure else "ws", parts.netloc, f"{base}/ws", "", ""))
    return socket, urlunsplit(("https" if secure else "http", parts.netloc, base, "", ""))


class _Waiting:
    """Somebody who waits for an answer: of a kind, about something."""

    __slots__ = ("about", "answer", "kind")

    def __init__(self, kind: str, about: Any) -> None:
        self.kind, self.about = kind, about
        self.answer: asyncio.Future[Told] = asyncio.get_running_loop().create_future()


class Session:
    """One connection after the other to a gateway, for one or several agents.

    Parameters
    ----------
    url : str
        The gateway's address.
    hear : callable
        Told of every message that came.
    greet : callable, optional
        Awaited on every new connection before anybody else may send: to register, and to look what was
        missed. What it raises, but for `ConnectionLostError`, ends the session.
    token : str, optional
        What the market asks of everybody, where it asks for one.
    """

    def __init__(
        self,
        url: str,
        hear: Callable[[Told], None],
        greet: Callable[[], Awaitable[None]] | None = None,
        *,
        token: str | None = None,
    ) -> None:
        self.address, self.rest_address = addresses(url)
        self._hear, self._greet, self._token = hear, greet, token
        self._socket: ClientConnection | None = None
        self._ready = asyncio.Event()
        self._over: LiveError | None = None
        self._waiting: list[_Waiting] = []
        self._conditions: list[tuple[Callable[[], Any], asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None
        self.connections = 0
        """How often there was a connection."""

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries where the market asks for a token."""
        return {"Authorization": f"Bearer {self._token}"} if self._token is not None else {}

    @property
    def connected(self) -> bool:
        """Whether requests can be sent now."""
        return self._ready.is_set()

    async def open(self) -> None:
        """Connect.

        Raises
        ------
        LiveError
            When nobody answers there, or the greeting is refused.
        """
        try:
            socket = await self._connected()
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
            raise LiveError(
                f"no market answers at {self.address} ({_told(error)}); start one with: simlab live CONFIG"
            ) from error
        greeted = asyncio.create_task(self._ready.wait())
        self._running = asyncio.create_task(self._run(socket))
        await asyncio.wait([greeted, self._running], return_when=asyncio.FIRST_COMPLETED)
        greeted.cancel()
        if self._over is not None:
            raise self._why_over()

    async def close(self) -> None:
        """Close the connection; there is no other after it."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        self._end(LiveError("the client is closed"))

    async def ask(self, request: Any, *, within_s: float = _ANSWER_S, greeting: bool = False) -> Told:
        """Send a request, once there is a connection, and return its answer.

        Raises
        ------
        ConnectionLostError
            When the connection went meanwhile.
        RefusedError
            When the answer is an error.
        LiveError
            When no answer came in time.
        """
        try:
            async with asyncio.timeout(within_s):
                if not greeting:
                    await self._until_ready()
                answer = await self.post(request)
                try:
                    return await answer
                finally:
                    self._waiting = [it for it in self._waiting if it.answer is not answer]
        except TimeoutError:
            kind = type(request).__struct_config__.tag
            raise LiveError(f"no answer to {kind} from {self.address} within {within_s:g} s") from None

    async def post(self, request: Any) -> asyncio.Future[Told]:
        """Send a request now; what is returned will be its answer, or fail as `ask` does.

        Raises
        ------
        ConnectionLostError
            When there is no connection: nothing was sent.
        """
        waiting = _Waiting(*_awaited(request))
        self._waiting.append(waiting)
        try:
            await self.send(request)
        except BaseException:
            self._waiting = [it for it in self._waiting if it is not waiting]
            raise
        return waiting.answer

    async def send(self, request: Any) -> None:
        """Send now what is not answered.

        Raises
        ------
        ConnectionLostError
            When there is no connection: nothing was sent.
        """
        if self._socket is None:
            raise ConnectionLostError(f"the connection to {self.address} is lost")
        try:
            await self._socket.send(encode(request).decode())
        except ConnectionClosed:
            raise ConnectionLostError(f"the connection to {self.address} was lost") from None

    async def until(self, condition: Callable[[], Any], within_s: float | None = None) -> bool:
        """Wait until a condition holds, looked at after every message; False if it took too long."""
        if condition():
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._conditions.append((condition, future))
        try:
            async with asyncio.timeout(within_s):
                await future
            return True
        except TimeoutError:
            return bool(condition())
        finally:
            self._conditions = [it for it in self._conditions if it[1] is not future]

    async def _until_ready(self) -> None:
        await self._ready.wait()
        if self._over is not None:
            raise self._why_over()

    async def _connected(self) -> ClientConnection:
        return await connect(
            self.address,
            additional_headers=self.headers,
            max_size=_MOST_BYTES,
            compression=None,
            proxy=None,
        )

    async def _run(self, socket: ClientConnection | None) -> None:
        """Serve one connection after the other."""
        pause_s = _FIRST_PAUSE_S
        try:
            while True:
                if socket is None:
                    await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                    with contextlib.suppress(OSError, TimeoutError, InvalidHandshake):
                        socket = await self._connected()
                    continue
                if await self._serve(socket):
                    pause_s = _FIRST_PAUSE_S
                socket = None
        except LiveError as error:
            self._end(error)

    async def _serve(self, socket: ClientConnection) -> bool:
        """Greet and listen until the connection is lost; return whether the greeting was answered."""
        self._socket = socket
        reading = asyncio.create_task(self._read(socket))
        greeting = asyncio.create_task(self._greeted())
        try:
            await asyncio.wait([reading, greeting], return_when=asyncio.FIRST_COMPLETED)
            if not greeting.done():
                return False
            try:
                greeting.result()
            except RefusedError:
                raise
            except LiveError:
                return False  # lost again, or the engine is away, or slow
            self.connections += 1
            self._ready.set()
            await reading
            return True
        finally:
            self._ready.clear()
            self._socket = None
            self._lose()
            for task in (reading, greeting):
                task.cancel()
            await asyncio.gather(reading, greeting, return_exceptions=True)
            await socket.close()

    async def _greeted(self) -> None:
        if self._greet is not None:
            await self._greet()

    async def _read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for frame in socket:
                try:
                    told = decode_told(frame)
                except _PASSED_OVER:
                    continue  # of a gateway that is newer than this client
                self._answer(told)
                self._hear(told)
                for condition, future in self._conditions:
                    if not future.done() and condition():
                        future.set_result(None)

    def _answer(self, told: Told) -> None:
        """Give an answer to whoever waits for it."""
        kinds, about = _answered(told)
        mine = [it for it in self._waiting if it.kind in kinds and not it.answer.done()]
        known = [it for it in about if isinstance(it, str | int)]
        found = next((it for it in mine if it.about in known), None)
        if found is None:  # it is about nothing that has a name yet: answers come in the order of requests
            found = next((it for it in mine if it.about is None or not known), None)
        if found is None:
            return
        self._waiting.remove(found)
        if (away := _engine_away(told)) is not None:
            found.answer.set_exception(ConnectionLostError(away))
        elif isinstance(told, tell.Error):
            found.answer.set_exception(RefusedError(told.message, told.code))
        else:
            found.answer.set_result(told)

    def _lose(self) -> None:
        waiting, self._waiting = self._waiting, []
        for it in waiting:
            if not it.answer.done():
                it.answer.set_exception(ConnectionLostError(f"the connection to {self.address} was lost"))

    def _why_over(self) -> LiveError:
        """Return an error of its own for whoever asks: one that is raised again grows each time."""
        over = self._over
        return RefusedError(str(over), over.code) if isinstance(over, RefusedError) else LiveError(str(over))

    def _end(self, error: LiveError) -> None:
        """Let nobody wait any more."""
        self._over = self._over or error
        self._lose()
        for _, future in self._conditions:
            if not future.done():
                future.set_exception(self._why_over())
        self._ready.set()


_ABOUT = {
    "add_order": "client_id",
    "agent_register": "agent_id",
    "cancel_order": "orderId",
    "get_orders": "agent_id",
    "get_portfolio": "agent_id",
    "replace_order": "orderId",
}
"""What a request and its answer have in common."""


def _awaited(request: Any) -> tuple[str, Any]:
    """Return the kind of a request, and what it is about."""
    kind = type(request).__struct_config__.tag
    return kind, getattr(request, _ABOUT[kind]) if kind in _ABOUT else None


def _answered(told: Told) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Return the kinds of request that a message may answer, and all that it may be about."""
    if isinstance(told, tell.OrderResponse):
        return ("add_order", "replace_order"), (told.data.client_id, told.data.orderId)
    if isinstance(told, tell.CancelResponse):
        return ("cancel_order", "cancel_all"), (told.data.orderId,)
    if isinstance(told, tell.AgentRegistered):
        return ("agent_register",), (told.agent_id,)
    if isinstance(told, tell.Orders):
        return ("get_orders",), (told.agent_id,)
    if isinstance(told, tell.PortfolioUpdate):
        return ("get_portfolio",), (told.agent_id,)
    if isinstance(told, tell.Error) and told.request is not None:
        return (told.request,), (told.agent_id,)
    simple = {tell.Subscribed: "subscribe", tell.Pong: "ping"}.get(type(told))
    return ((simple,) if simple is not None else ()), ()


def _engine_away(told: Told) -> str | None:
    """Return what a message says where the gateway had no answer of the engine, None where it had."""
    if isinstance(told, tell.Error):
        return told.message if told.code == _ENGINE_AWAY else None
    if isinstance(told, tell.OrderResponse | tell.CancelResponse):
        return told.data.message if told.data.reason == _ENGINE_AWAY else None
    return None


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__
