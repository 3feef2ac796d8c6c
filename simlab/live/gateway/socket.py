"""Speak WebSocket on uvicorn's sockets: frames by websockets' Sans-I/O layer, in a protocol of our own.

No task and no queue stand between a frame and its handling, and what is written to a client is bytes that may
have been made for many.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from simlab.live import told
from simlab.live.access import Access
from simlab.live.gateway.session import Room, Session
from simlab.live.gateway.settings import Limits

__all__ = ["Lobby", "Socket"]

_LOG = logging.getLogger("simlab.live.gateway")
_QUIET_S = 20.0
"""A client that sent nothing for this long is asked whether it is there."""
_GONE_S = 60.0
"""One that sent nothing for this long, not even an answer to that, is gone."""
_SYSTEM_BYTES = 128 * 1024
"""What the system may hold for a client before it waits in this process."""
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class Lobby:
    """What all sockets share: who may come in, how many, and how much they may send."""

    def __init__(self, room: Room, access: Access, limits: Limits) -> None:
        self.room, self.access, self.limits = room, access, limits
        self.sockets: set[Socket] = set()
        self.dropped = 0
        """Clients dropped since they did not read."""

    def sweep(self, now_s: float) -> None:
        """Ask quiet clients whether they are there, and let those go that are not."""
        for socket in list(self.sockets):
            socket.look_after(now_s)


class Socket(asyncio.Protocol):
    """One WebSocket connection, from the request to upgrade on."""

    def __init__(
        self,
        lobby: Lobby,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._lobby = lobby
        self._connections = server_state.connections
        self._loop = asyncio.get_running_loop()
        self._protocol = ServerProtocol(max_size=lobby.limits.message_bytes, logger=_LOG)
        self._session: Session | None = None
        self._parts: list[bytes] = []
        self._heard_s = self._window_s = self._loop.time()
        self._count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # What the system holds back for a client that does not read counts as well, so it holds little.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(SOL_SOCKET, SO_SNDBUF, min(_SYSTEM_BYTES, self._lobby.limits.listener_bytes))
        self._connections.add(self)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)  # type: ignore[arg-type]
        self._lobby.sockets.discard(self)
        if self._session is not None:
            self._session.close()
            self._session = None

    def eof_received(self) -> None:
        """Close: who sends no more cannot end a WebSocket properly either."""

    def shutdown(self) -> None:
        """Say good-bye, as uvicorn asks when the server stops."""
        if self._session is not None:
            self._protocol.send_close(1012, "the gateway stops")
            self._write_own()
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._heard_s = self._loop.time()
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
            elif isinstance(event, Request):
                self._open(event)
        self._write_own()
        if protocol.parser_exc is not None or protocol.close_expected():
            self._transport.close()
        self._lobby.room.settle()

    def write(self, data: bytes) -> None:
        """Write what was made into frames already; a client that does not read is dropped at the bound."""
        transport = self._transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > self._lobby.limits.listener_bytes:
            self._lobby.dropped += 1
            _LOG.warning("a client does not read and is dropped")
            transport.abort()
            return
        transport.write(data)

    def look_after(self, now_s: float) -> None:
        """Ask whether it is there when it is quiet, and let it go when it was asked in vain."""
        silent_s = now_s - self._heard_s
        if silent_s > _GONE_S:
            self._transport.abort()
        elif silent_s > _QUIET_S and self._session is not None:
            self._protocol.send_ping(b"")
            self._write_own()

    def _open(self, request: Request) -> None:
        path, _, query = request.path.partition("?")
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        limits = self._lobby.limits
        if path != "/ws":
            refusal: tuple[int, str] | None = (404, "WebSocket connections are taken at /ws")
        elif len(self._lobby.sockets) >= limits.connections:
            refusal = (503, f"there are {limits.connections} connections already; try again later")
        else:
            refusal = self._lobby.access.refusal(headers, path, query)
        if refusal is not None:
            status, reason = refusal
            self._protocol.send_response(self._protocol.reject(HTTPStatus(status), reason + "\n"))
            self._write_own()
            self._transport.close()
            return
        response = self._protocol.accept(request)
        self._protocol.send_response(response)
        self._write_own()
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._transport.close()
            return
        self._lobby.sockets.add(self)
        self._session = self._lobby.room.open(self)

    def _take(self, received: Frame) -> None:
        session = self._session
        if session is None:
            return
        if not self._within_rate():
            most = self._lobby.limits.messages_per_second
            session.tell(told.Error(f"more than {most} messages in a second; this was not read", "LIMIT"))
            return
        if received.opcode not in _DATA:
            return
        if received.fin and not self._parts:
            session.receive(bytes(received.data))
            return
        self._parts.append(bytes(received.data))
        if received.fin:
            data = b"".join(self._parts)
            self._parts.clear()
            session.receive(data)

    def _within_rate(self) -> bool:
        if self._heard_s - self._window_s >= 1.0:
            self._window_s, self._count = self._heard_s, 0
        self._count += 1
        return self._count <= self._lobby.limits.messages_per_second

    def _write_own(self) -> None:
        """Write what the protocol has to say itself: handshake, pongs, closing."""
        try:
            own = b"".join(self._protocol.data_to_send())
        except WebSocketException:  # the connection is past writing
            return
        if own:
            self.write(own)
