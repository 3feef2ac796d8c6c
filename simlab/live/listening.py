"""Listen for one part of a market."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from simlab.errors import ConfigError

__all__ = ["ACCEPTED", "Listening"]

ACCEPTED = 32
"""Connections that are taken in one turn of the loop, and are files already when there are too many."""
_BACKLOG = 1024


class Listening(socket.socket):
    """A bound socket; what goes wrong with it says what to change.

    Parameters
    ----------
    part : str
        Whose section of `live` has the address.
    host : str
    port : int
        0 for any that is free.

    Raises
    ------
    ConfigError
        When the address cannot be had.

    Example
    -------
    >>> with Listening("gateway", "127.0.0.1", 0) as listening:
    ...     listening.address.startswith("127.0.0.1:")
    True
    """

    def __init__(self, part: str, host: str, port: int) -> None:
        self._name = f"live.{part}: cannot listen on {host}:{port}"
        with self._named():
            # The protocol is named: asyncio lets connections write at once (TCP_NODELAY) only where it is.
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
            family, kind, protocol, _, address = min(found)  # of a name's addresses that of IPv4
            super().__init__(family, kind, protocol)
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.bind(address)

    @property
    def address(self) -> str:
        """Where it listens, as `127.0.0.1:8000`."""
        host, port = self.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def listen(self, backlog: int = _BACKLOG, /) -> None:
        """Begin to listen; `backlog` is the loop's, which takes so many at once, and no fewer may wait."""
        with self._named():  # another, that had bound it as well, may be first
            super().listen(max(backlog, _BACKLOG))

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.close()
            raise ConfigError(
                f"{self._name}: {error.strerror}; choose another host or port (0 for any that is free)"
            ) from error
