"""Tell many listeners the same: written once, joined, and flushed every few milliseconds.

Listeners with the same subscription are one audience. An announcement is put down once for each audience that
wants it; a flush joins what waits for an audience and hands every member the same bytes, so the work for a
listener is one write a flush however much was said. What is only of interest in its latest state (books,
agents) is conflated, and trades are gathered, once an interval of the audience.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from websockets.frames import Frame, Opcode

from simlab.live import told
from simlab.live.gateway.events import BookState
from simlab.live.gateway.market import Market
from simlab.live.gateway.metrics import Ring
from simlab.live.messages import CHANNELS, Channel, encode

__all__ = ["AGENTS_S", "Audience", "Hub", "Listener", "Wish", "frame"]

AGENTS_S = 1.0
"""Shortest time between two lists of all agents: they are long."""
_REPEATED_S = 5.0
"""Longest time between two of them, and between two messages with all books, though nothing changed."""
_SHARE = 4.0
"""A flush is followed by at least this many times its own length of other work."""


def frame(data: bytes) -> bytes:
    """Return a message as it stands on the wire, the same for every client.

    Example
    -------
    >>> frame(b"{}")
    b'\\x81\\x02{}'
    """
    return Frame(Opcode.TEXT, data).serialize(mask=False)


class Listener(Protocol):
    """Whoever is told: `write` takes what was joined and drops a listener that does not read."""

    def write(self, data: bytes) -> None: ...


@dataclass(frozen=True)
class Wish:
    """What a listener wants to be told: channels, symbols (None for all), and how often at most."""

    interval_ms: int
    channels: frozenset[Channel] = frozenset(CHANNELS) - {"depth"}
    symbols: frozenset[int] | None = None

    def wants(self, channel: Channel | None, symbol: int | None) -> bool:
        """Whether an announcement on a channel (None: for everybody), about a symbol or none, is for it."""
        if channel is not None and channel not in self.channels:
            return False
        return symbol is None or self.symbols is None or symbol in self.symbols


@dataclass
class Audience:
    """All listeners with one wish, and what waits for them."""

    wish: Wish
    members: set[Listener] = field(default_factory=set)
    waiting: list[bytes] = field(default_factory=list)
    trades: list[bytes] = field(default_factory=list)
    books: set[int] = field(default_factory=set)
    shown: dict[int, BookState] = field(default_factory=dict)
    """The books that subscribers of `depth` have been told of."""
    due_s: float = 0.0
    books_told_s: float = field(default_factory=time.monotonic)
    """When all books were told last."""
    agents: bool = False
    agents_told_s: float = 0.0

    def hand_out(self) -> None:
        """Hand every member what waits."""
        if self.waiting:
            data = b"".join(self.waiting)
            self.waiting.clear()
            for listener in self.members:
                listener.write(data)


class Hub:
    """Everything that is told to more than one.

    Parameters
    ----------
    market : Market
        What the gateway knows.
    flush_ms : float
        How long announcements are gathered for one write.
    later : callable
        Calls a function after so many seconds, as an event loop does.
    latency : Ring
        Takes the time from the first announcement of a flush to the end of the flush.
    """

    def __init__(
        self,
        market: Market,
        flush_ms: float,
        later: Callable[[float, Callable[[], None]], Any],
        latency: Ring,
    ) -> None:
        self.market = market
        self._latency = latency
        self.told = 0
        """Announcements so far."""
        self._flush_after_s = flush_ms / 1000
        self._later = later
        self._audiences: dict[Wish, Audience] = {}
        self._routes: dict[tuple[Channel | None, int | None], list[Audience]] = {}
        self._waiting_since_s: float | None = None
        self._rest_s = 0.0

    def join(self, listener: Listener, wish: Wish) -> None:
        """Let a listener into the audience with its wish."""
        audience = self._audiences.get(wish)
        if audience is None:
            audience = self._audiences[wish] = Audience(wish)
            if "depth" in wish.channels:
                audience.shown = {key: it.book for key, it in self._wanted(wish)}
            self._routes.clear()
        elif "depth" in wish.channels:  # who comes is told the books as they are: so are those who are there
            audience.waiting += self._depth(audience)
            audience.hand_out()
        audience.members.add(listener)

    def leave(self, listener: Listener, wish: Wish) -> None:
        """Let a listener go, and the audience with its last member."""
        audience = self._audiences.get(wish)
        if audience is None:
            return
        audience.members.discard(listener)
        if not audience.members:
            del self._audiences[wish]
            self._routes.clear()

    def greeting(self, wish: Wish) -> list[bytes]:
        """Return what a new listener is told first: instruments, books, news, agents."""
        news = frame(encode(told.NewsHistory(list(self.market.news))))
        return [self.instruments(), self.books(wish), news, self._agents()]

    def books(self, wish: Wish) -> bytes:
        """Return the frame with all books of a wish as they stand."""
        return _orderbooks(it.piece for _, it in self._wanted(wish) if it.row.listed)

    def instruments(self) -> bytes:
        """Return the frame with all instruments."""
        return frame(encode(told.Instruments(self.market.instruments())))

    def announce(self, channel: Channel | None, symbol: int | None, message: told.Told) -> None:
        """Tell all who want it; on no channel everybody."""
        route = self._route(channel, symbol)
        if not route:
            return
        written = frame(encode(message))
        self.told += 1
        for audience in route:
            audience.waiting.append(written)
        self._flush_soon()

    def traded(self, trade: told.Trade) -> None:
        """Gather a trade for the next interval."""
        piece = encode(trade)
        for audience in self._route("trades", trade.symbol_id):
            audience.trades.append(piece)

    def book_changed(self, symbol: int) -> None:
        """Note that a book has another state."""
        for channel in ("orderbooks", "depth"):
            for audience in self._route(channel, symbol):
                audience.books.add(symbol)
        self.agents_changed(only_positions=True)

    def agents_changed(self, *, only_positions: bool = False) -> None:
        """Note that what agents hold, or what it is worth, has changed."""
        if only_positions and not self.market.agents:
            return
        for audience in self._route("agents", None):
            audience.agents = True

    def tick(self, now_s: float) -> None:
        """Tell every audience whose interval is over what has changed in it."""
        pieces: dict[Any, bytes] = {}
        for audience in self._audiences.values():
            if now_s >= audience.due_s:
                audience.due_s = max(audience.due_s + audience.wish.interval_ms / 1000, now_s)
                self._gather(audience, now_s, pieces)

    def flush(self) -> None:
        """Hand out what waits."""
        began_s = time.perf_counter()
        for audience in self._audiences.values():
            audience.hand_out()
        ended_s = time.perf_counter()
        self._rest_s = _SHARE * (ended_s - began_s)
        if self._waiting_since_s is not None:
            self._latency.add(ended_s - self._waiting_since_s)
            self._waiting_since_s = None

    def listened(self, channel: Channel) -> bool:
        """Whether somebody listens to a channel."""
        return bool(self._route(channel, None))

    def _route(self, channel: Channel | None, symbol: int | None) -> list[Audience]:
        key = (channel, symbol)
        route = self._routes.get(key)
        if route is None:
            route = [it for it in self._audiences.values() if it.wish.wants(channel, symbol)]
            self._routes[key] = route
        return route

    def _wanted(self, wish: Wish) -> list[tuple[int, Any]]:
        return [it for it in self.market.listed.items() if wish.symbols is None or it[0] in wish.symbols]

    def _flush_soon(self) -> None:
        if self._waiting_since_s is None:
            self._waiting_since_s = time.perf_counter()
            self._later(max(self._flush_after_s, self._rest_s), self.flush)

    def _gather(self, audience: Audience, now_s: float, pieces: dict[Any, bytes]) -> None:
        waiting, channels = audience.waiting, audience.wish.channels
        if "depth" in channels:
            waiting += self._depth(audience)
        symbols = tuple(sorted(audience.books)) if "orderbooks" in channels else ()
        audience.books.clear()
        if channels & {"orderbooks", "depth"} and now_s - audience.books_told_s >= _REPEATED_S:
            audience.books_told_s = now_s
            symbols = tuple(symbol for symbol, it in self._wanted(audience.wish) if it.row.listed)
        if symbols:
            if symbols not in pieces:
                pieces[symbols] = _orderbooks(self.market.listed[it].piece for it in symbols)
            waiting.append(pieces[symbols])
        if audience.trades:
            waiting.append(frame(b'{"type":"trades","data":[%s]}' % b",".join(audience.trades)))
            audience.trades.clear()
        if "agents" in channels:
            silent_s = now_s - audience.agents_told_s
            if silent_s >= _REPEATED_S or (audience.agents and silent_s >= AGENTS_S):
                if "agents" not in pieces:
                    pieces["agents"] = self._agents()
                waiting.append(pieces["agents"])
                audience.agents, audience.agents_told_s = False, now_s
        if waiting:
            self._flush_soon()

    def _depth(self, audience: Audience) -> list[bytes]:
        """Return how books changed since an audience was told, and all of those that it does not know."""
        found = []
        for symbol in sorted(audience.books):
            listed, before = self.market.listed[symbol], audience.shown.get(symbol)
            audience.shown[symbol] = listed.book
            if before is None:
                found.append(_orderbooks([listed.piece]))
            elif before.sequence < listed.book.sequence:
                found.append(frame(encode(told.Depth(listed.change(before)))))
        return found

    def _agents(self) -> bytes:
        return frame(self.market.agents_snapshot())


def _orderbooks(pieces: Iterable[bytes]) -> bytes:
    return frame(b'{"type":"orderbooks","data":{%s}}' % b",".join(pieces))
