"""A client so light that it measures the market and not itself: its frames are ready, and it counts answers.

It runs in a process of its own, all connections in one loop over `select.epoll`, and looks for the words that
tell messages apart instead of taking frames and JSON apart. Run as
``python -m simlab.bench.live_client WORK`` with the work as JSON; it prints what it measured as JSON.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time
from typing import Any

__all__ = ["run"]

_ANSWER, _PLACED, _BOOK = b'"type":"order_response"', b'"type":"order_placed"', b'"type":"orderbooks"'
_REGISTERED = b'"type":"portfolio_update"'
_DRAIN_S = 10.0
"""How long announcements may still come after the last order before they count as lost."""


def frame(message: dict[str, Any]) -> bytes:
    """Return a client's text frame; a mask of zeros leaves the text as it is.

    Example
    -------
    >>> frame({})
    b'\\x81\\x82\\x00\\x00\\x00\\x00{}'
    """
    data = json.dumps(message).encode()
    if len(data) < 126:
        return b"\x81" + bytes([0x80 | len(data)]) + bytes(4) + data
    return b"\x81" + struct.pack("!BH", 0x80 | 126, len(data)) + bytes(4) + data


class _Connection:
    """One WebSocket, and how often each kind of message came."""

    def __init__(self, host: str, port: int, name: str, first: dict[str, Any] | None, word: bytes) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        self._rest = b""
        self.counts = dict.fromkeys((_ANSWER, _PLACED, _BOOK), 0)
        self.seen: list[tuple[float, int]] = []
        """When how many announcements had come."""
        self.name = name
        self._until(b'"type":"agents_snapshot"')
        if first is not None:
            self.socket.sendall(frame(first))
            self._until(word)
        self.socket.setblocking(False)

    def _until(self, word: bytes) -> None:
        data = b""
        while word not in data:
            part = self.socket.recv(1 << 18)
            if not part:
                raise ConnectionError(f"{self.name}: the gateway closed the connection: {data[:200]!r}")
            data = data[-len(word) :] + part

    def take(self) -> bytes:
        """Read what is there, and count it; a word that was cut in two is counted when its end comes."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError(f"{self.name}: the gateway closed the connection")
        text = self._rest + data
        for word in self.counts:
            self.counts[word] += text.count(word)
        longest = len(_ANSWER) - 1
        self._rest = text[-longest:]
        for word in self.counts:  # what is whole at the end must not be counted again
            at = self._rest.rfind(word)
            if at >= 0:
                self._rest = self._rest[at + len(word) :]
        return data


def _order(side: str) -> bytes:
    return frame({"type": "add_order", "symbol_id": 1, "side": side, "price": 100.0, "quantity": 1})


def run(work: dict[str, Any]) -> dict[str, Any]:
    """Let `senders` send one order at a time each for some seconds, with `listeners` beside them.

    Parameters
    ----------
    work : dict
        ``host``, ``port``, ``senders``, ``listeners``, ``seconds``; with ``every_s`` the first sender
        sends an order so often instead; ``subscribe``, a message that listeners send first.

    Returns
    -------
    dict
        Orders, seconds, round trips and delays of announcements (ms), how many of these came, and lack.
    """
    address = work["host"], work["port"]
    senders = [
        _Connection(*address, f"sender {n}", {"type": "agent_register", "name": f"{n}"}, _REGISTERED)
        for n in range(work["senders"])
    ]
    first = work.get("subscribe")
    listeners = [_Connection(*address, f"listener {n}", first, _BOOK) for n in range(work["listeners"])]
    return _Round(senders, listeners, work).run()


class _Round:
    """One measurement."""

    def __init__(
        self, senders: list[_Connection], listeners: list[_Connection], work: dict[str, Any]
    ) -> None:
        self.senders, self.listeners, self.work = senders, listeners, work
        self.everybody = {it.socket.fileno(): it for it in (*senders, *listeners)}
        self.poll = select.epoll()
        for number in self.everybody:
            self.poll.register(number, select.EPOLLIN)
        self.orders = (_order("buy"), _order("sell"))
        self.sent: list[float] = []
        self.trips: list[float] = []
        self.asked: dict[int, tuple[float, int]] = {}
        """By file number: when the order was sent that is not answered, and how many were before it."""

    def run(self) -> dict[str, Any]:
        began = time.perf_counter()
        self._send_until(began + self.work["seconds"])
        ended = time.perf_counter()
        self._drain(ended + _DRAIN_S)
        counted = self.senders if self.work.get("every_s") is None else []
        told = [it.counts[_PLACED] for it in (*counted, *self.listeners)]
        orders = len(self.sent)
        return {
            "orders": orders,
            "seconds": ended - began,
            "trips_ms": [1000 * it for it in self.trips],
            "delays_ms": self._delays_ms(),
            "spreads_ms": self._spreads_ms(),
            "announcements": sum(told),
            "lost": sum(max(0, orders - it) for it in told),
            "books": [it.counts[_BOOK] for it in self.listeners],
        }

    def _send(self, connection: _Connection, now: float) -> None:
        number = connection.socket.fileno()
        count = self.asked.get(number, (0.0, 0))[1]
        connection.socket.send(self.orders[(count + number) & 1])
        self.asked[number] = now, count + 1
        self.sent.append(now)

    def _send_until(self, end: float) -> None:
        every_s = self.work.get("every_s")
        now = time.perf_counter()
        for connection in self.senders:
            self._send(connection, now)
        open_ = len(self.senders)
        while open_ or (every_s and now < end):
            for number, _ in self.poll.poll(every_s or 1.0):
                connection = self.everybody[number]
                self._take(connection)
                if number in self.asked and connection.counts[_ANSWER] == self.asked[number][1]:
                    now = time.perf_counter()
                    since, count = self.asked[number]
                    if since:
                        self.trips.append(now - since)
                        self.asked[number] = 0.0, count
                        open_ -= 1
                    if now < end and not every_s:
                        self._send(connection, now)
                        open_ += 1
            now = time.perf_counter()
            if every_s and now < end and not open_ and now - self.sent[-1] >= every_s:
                self._send(self.senders[0], now)
                open_ += 1

    def _take(self, connection: _Connection) -> None:
        before = connection.counts[_PLACED], connection.counts[_BOOK]
        connection.take()
        after = connection.counts[_PLACED], connection.counts[_BOOK]
        if after != before:
            connection.seen.append(
                (time.perf_counter(), after[0] if self.work.get("every_s") is None else after[1])
            )

    def _drain(self, end: float) -> None:
        while time.perf_counter() < end:
            lacking = [it for it in self.everybody.values() if it.counts[_PLACED] < len(self.sent)]
            if not lacking or self.work.get("every_s"):
                return
            for number, _ in self.poll.poll(0.1):
                self._take(self.everybody[number])

    def _delays_ms(self) -> list[float]:
        """Return how long after it was sent each order was announced to each listener; one sender only."""
        delays: list[float] = []
        if len(self.senders) == 1 and self.work.get("every_s") is None:
            for listener in self.listeners:
                done = 0
                for when, count in listener.seen:
                    delays += [1000 * (when - sent) for sent in self.sent[done:count]]
                    done = count
        return delays

    def _spreads_ms(self) -> list[float]:
        """Return, for each update of a book, how long after the first listener the last one had it."""
        if self.work.get("every_s") is None or not self.listeners:
            return []
        times: dict[int, list[float]] = {}
        for listener in self.listeners:
            done = 0
            for when, count in listener.seen:
                for update in range(done, count):
                    times.setdefault(update, []).append(when)
                done = count
        return [1000 * (max(it) - min(it)) for it in times.values() if len(it) == len(self.listeners)]


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
