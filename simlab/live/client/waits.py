"""Write once what takes several waits, as a generator that yields them; block on it, or await it."""

from __future__ import annotations

import asyncio
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any, Generic, TypeVar

__all__ = ["Connect", "Pause", "Receive", "Send", "Steps", "block", "later"]

T = TypeVar("T")
READ_BYTES = 1 << 18


class Wait(ABC, Generic[T]):
    """Something that takes time, to block on or to await."""

    @abstractmethod
    def block(self) -> T:
        """Do it, and let this thread wait."""

    @abstractmethod
    async def later(self) -> T:
        """Do it, and let this task wait."""


class Pause(Wait[None]):
    """Let time pass."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def block(self) -> None:
        time.sleep(self.seconds)

    async def later(self) -> None:
        await asyncio.sleep(self.seconds)


class Connect(Wait[socket.socket]):
    """Open a connection."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._address, self._timeout_s = (host, port), timeout_s

    def block(self) -> socket.socket:
        return socket.create_connection(self._address, timeout=self._timeout_s)

    async def later(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout_s):
            found = await loop.getaddrinfo(*self._address, type=socket.SOCK_STREAM)
            for last, (family, kind, protocol, _, address) in zip(
                range(len(found))[::-1], found, strict=True
            ):
                opened = socket.socket(family, kind, protocol)
                opened.setblocking(False)
                try:
                    await loop.sock_connect(opened, address)
                except BaseException as error:
                    opened.close()
                    if not last or not isinstance(error, OSError):
                        raise
                else:
                    return opened
        raise OSError(f"{self._address[0]} has no address")


class Send(Wait[None]):
    """Send bytes, all of them."""

    def __init__(self, connection: socket.socket, data: bytes, timeout_s: float) -> None:
        self._connection, self._data, self._timeout_s = connection, data, timeout_s

    def block(self) -> None:
        self._connection.settimeout(self._timeout_s)
        self._connection.sendall(self._data)

    async def later(self) -> None:
        self._connection.setblocking(False)
        async with asyncio.timeout(self._timeout_s):
            await asyncio.get_running_loop().sock_sendall(self._connection, self._data)


class Receive(Wait[bytes]):
    """Receive some bytes; none when the other side has closed the connection."""

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self._connection, self._timeout_s = connection, timeout_s

    def block(self) -> bytes:
        self._connection.settimeout(self._timeout_s)
        return self._connection.recv(READ_BYTES)

    async def later(self) -> bytes:
        self._connection.setblocking(False)
        async with asyncio.timeout(self._timeout_s):
            return await asyncio.get_running_loop().sock_recv(self._connection, READ_BYTES)


Steps = Generator[Wait[Any], Any, T]
"""What takes several waits, and comes to something."""


def block(steps: Steps[T]) -> T:
    """Do something, and let this thread wait."""
    go_on, value = steps.send, None
    while True:
        try:
            wait = go_on(value)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            go_on, value = steps.send, wait.block()
        except BaseException as error:
            go_on, value = steps.throw, error


async def later(steps: Steps[T]) -> T:
    """Do something, and let this task wait."""
    go_on, value = steps.send, None
    while True:
        try:
            wait = go_on(value)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            go_on, value = steps.send, await wait.later()
        except BaseException as error:
            go_on, value = steps.throw, error
