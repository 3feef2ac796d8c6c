"""The market with what is remembered of it: enter messages, run steps, and note what both do to orders.

Nothing here knows clients. A market that goes on from its journal comes by here as well, through the same
calls, so that it remembers the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import EVENT_DTYPE, MESSAGE_DTYPE, MESSAGE_WORDS, EventKind, MessageKind, Reason, pack
from simlab.kernel.simulation import Simulation
from simlab.kernel.state import Seat
from simlab.live.engine.decisions import DecisionShelf
from simlab.live.engine.news import NewsShelf
from simlab.live.engine.orders import End, Order, Orders
from simlab.live.engine.tape import Tape

__all__ = ["Change", "Floor", "Intent", "Sink", "message_of"]

_ACCEPTED, _REJECTED, _FILL, _CANCELLED, _REPLACED = (int(it) for it in list(EventKind)[:5])
_REQUESTED = int(Reason.REQUESTED)
_WORDS = len(MESSAGE_WORDS.names or ())


class Sink(Protocol):
    """Where the market's events go on to: a recording."""

    def events(self, events: NDArray[Any]) -> None:
        """Take events."""

    def rows(self, table: str, columns: Mapping[str, Any]) -> None:
        """Take rows of a table."""


class Change(NamedTuple):
    """What an event did to an order from outside, as it was when it did."""

    kind: int
    """An `EventKind`."""
    order: Order
    price: int
    quantity: int
    filled: int
    remaining: int
    average_price: float | None
    sequence: int
    step: int
    reason: int


class Intent(NamedTuple):
    """One message to the market: a new order, or what is asked of one that rests."""

    kind: int
    """A `MessageKind`."""
    order: Order
    price: int
    quantity: int


class Prints(NamedTuple):
    """Trades to be told, and how many there were before them that are not."""

    rows: NDArray[Any]
    left_out: int


class Result(NamedTuple):
    """What became of an intent: a `Reason` if the market refused it, else what it did at once.

    `order` is as it was then: what later messages of a batch do to it is not in `filled` and `remaining`.
    """

    reason: int
    order: Order
    quantity: int
    filled: int
    remaining: int
    cost: int
    sequence: int
    step: int
    end: int
    fills: Sequence[tuple[int, int]]


def message_of(intent: Intent) -> tuple[int, ...]:
    """Return the words of a message."""
    kind, order, price, quantity = intent
    code = pack(kind, order.side, order.time_in_force, order.post_only, order.instrument)
    return (code, order.order_id, order.account, price, quantity, 0, 0, 0)


class Floor:
    """One running market and what is remembered of it.

    Parameters
    ----------
    orders : Orders
    tape : Tape
    news : NewsShelf
    sink : Sink, optional
        Where events and samples go on to.
    """

    def __init__(self, orders: Orders, tape: Tape, news: NewsShelf, sink: Sink | None = None) -> None:
        self.orders, self.tape, self.news = orders, tape, news
        self.decisions = DecisionShelf()
        self._sink = sink
        self.now_s = 0.0
        """The time that is written beside what happens now, s since 1970."""
        self.changes: list[Change] = []
        """What happened to orders from outside since somebody looked, while `watched`."""
        self.watched = False
        self.prints: list[NDArray[Any]] = []
        """Trades since somebody looked, while `prints_watched`."""
        self.prints_watched = False
        self.entered = 0
        """Orders from outside that reached the market."""
        self.touched: set[int] = set()
        """Instruments in which something happened since somebody looked."""
        self._seen = 0
        self._waiting: list[NDArray[Any]] | None = None

    def open(self, simulation: Simulation) -> None:
        """Begin to follow a market whose sink this is."""
        self.simulation = simulation
        self._seen = int(simulation.state.book.counters["sequence"][0])
        seats = simulation.state.seats != Seat.NONE
        self._outside = np.zeros(len(simulation.state.ledger.accounts), np.bool_)
        self._outside[: len(seats)] = seats

    def events(self, events: NDArray[Any]) -> None:
        """Take events from the market; those that an answer told already are passed on only."""
        if self._sink is not None:
            self._sink.events(events)
        if not len(events):
            return
        fresh = events[max(0, self._seen - int(events["sequence"][0])) :]
        if self._waiting is not None:
            self._waiting.append(fresh.copy())
        else:
            self._hear(fresh)

    def rows(self, table: str, columns: Mapping[str, Any]) -> None:
        """Pass rows of a table on."""
        if table == "news":
            self.news.take(columns, self.now_s)
        if self._sink is not None:
            self._sink.rows(table, columns)

    def _hear(self, events: NDArray[Any]) -> None:
        """Note what happened in steps, or by what nobody waits for an answer to."""
        if not len(events):
            return
        self._seen = int(events["sequence"][-1]) + 1
        self.touched.update(np.unique(events["instrument"]).tolist())
        fills = events[events["kind"] == _FILL]
        if len(fills):
            self._print(fills)
        mine = self._outside[events["account"]]
        mine |= (events["kind"] == _FILL) & self._outside[events["other_account"]]
        if mine.any():
            for _ in self._follow(events[mine], iter(())):
                pass

    def enter(self, intents: Sequence[Intent]) -> list[Result]:
        """Deliver messages in one call; return what became of each, in order."""
        words = np.array([message_of(it) for it in intents], np.int64)
        return self.deliver(words.reshape(-1, _WORDS).view(MESSAGE_DTYPE).reshape(-1), intents)

    def deliver(self, messages: NDArray[Any], intents: Sequence[Intent]) -> list[Result]:
        """The same of messages that are made already."""
        self._waiting = []
        try:
            events = self.simulation.submit(messages)
            if len(events) and int(events["sequence"][0]) != self._seen and not self._waiting:
                self.simulation.flush()
        finally:
            waiting, self._waiting = self._waiting, None
        for part in waiting:  # what a step's boundary brought before them, such as orders that expired
            self._hear(part[part["sequence"] < events["sequence"][0]] if len(events) else part)
        if not len(events):
            return []
        self._seen = int(events["sequence"][-1]) + 1
        self.entered += len(intents)
        results = list(self._follow(events, iter(intents)))
        fills = events[events["kind"] == _FILL] if self._traded else events[:0]
        if len(fills):
            self._print(fills)
        return results

    def cancel_all(self, account: int, instrument: int) -> int:
        """Cancel all orders of an account, in an instrument or (-1) in all; return how many."""
        code = pack(int(MessageKind.CANCEL_ALL), 0, 0, 0, instrument)
        words = np.array([code, 0, account, 0, 0, 0, 0, 0], np.int64)
        before = len(self.orders.open)
        self.deliver(words.view(MESSAGE_DTYPE), ())
        return before - len(self.orders.open)

    def _print(self, fills: NDArray[Any]) -> None:
        self.tape.take(fills, self._outside, self.now_s)
        if self.prints_watched:
            self.prints.append(fills)

    def take_prints(self, most: int) -> Prints:
        """Return trades since this was called last: all from outside, of others the latest."""
        rows = np.concatenate(self.prints)
        self.prints.clear()
        if len(rows) <= most:
            return Prints(rows, 0)
        kept = self._outside[rows["account"]] | self._outside[rows["other_account"]]
        kept[-most:] = True
        return Prints(rows[kept], int(len(rows) - kept.sum()))

    def flush(self) -> None:
        """Hear what has not been heard yet."""
        self.simulation.flush()

    def _follow(self, events: NDArray[Any], intents: Iterator[Intent]) -> Iterator[Result]:
        """Do to orders what events say; yield what became of each intent."""
        self._traded = False
        words = events.view(np.int64).reshape(-1, EVENT_DTYPE.itemsize // 8).tolist()
        intent: Intent | None = None
        head: list[int] = []
        fills: list[tuple[int, int]] = []
        for word in words:
            code, _, _, order_id, _, price, quantity, other = word
            kind = code & 0xFF
            reason = (code >> 16) & 0xFF
            if kind == _FILL:
                self._traded = True
                if intent is not None and intent.order.order_id == order_id:
                    fills.append((price, quantity))
                for each in (order_id, other):
                    order = self.orders.open.get(each)
                    if order is not None:
                        self._fill(order, word)
                continue
            if kind != _CANCELLED or reason == _REQUESTED:
                if intent is not None:
                    yield _result(intent, head, fills)
                    fills = []
                intent, head = next(intents, None), word
                self.touched.add(code >> 32)
            if kind == _ACCEPTED and intent is not None:
                self._accept(intent.order, word)
            elif kind == _REJECTED:
                if intent is not None and intent.kind <= MessageKind.MARKET:
                    self._reject(intent.order, word)
            else:
                order = self.orders.open.get(order_id)
                if order is not None:
                    self._change(order, kind, word)
        if intent is not None:
            yield _result(intent, head, fills)

    def _accept(self, order: Order, word: list[int]) -> None:
        order.sequence, order.step, order.order_id = word[1], word[2], word[3]
        order.remaining = order.quantity
        self.orders.enter(order)
        if self.watched:
            self._tell(_ACCEPTED, order, word)

    def _reject(self, order: Order, word: list[int]) -> None:
        order.sequence, order.step, order.order_id = word[1], word[2], word[3]
        order.end, order.reason = End.REJECTED, (word[0] >> 16) & 0xFF
        self.orders.enter(order)
        if self.watched:
            self._tell(_REJECTED, order, word)

    def _fill(self, order: Order, word: list[int]) -> None:
        price, quantity = word[5], word[6]
        order.filled += quantity
        order.cost += price * quantity
        order.remaining -= quantity
        if order.remaining == 0:
            self.orders.end(order, End.FILLED)
        if self.watched:
            self._tell(_FILL, order, word)

    def _change(self, order: Order, kind: int, word: list[int]) -> None:
        """Replace, cancel or expire an order that rests, or what is left of one that came in."""
        if kind == _REPLACED:
            order.price, order.remaining = word[5], word[6]
            order.quantity = order.filled + order.remaining
        else:
            order.remaining = 0
            how = End.CANCELLED if kind == _CANCELLED else End.EXPIRED
            self.orders.end(order, how, (word[0] >> 16) & 0xFF)
        if self.watched:
            self._tell(kind, order, word)

    def _tell(self, kind: int, order: Order, word: list[int]) -> None:
        code, sequence, step, _, _, price, quantity, _ = word
        self.changes.append(
            Change(
                kind, order, price, quantity, order.filled, order.remaining, order.average_price, sequence,
                step, (code >> 16) & 0xFF,
            )
        )  # fmt: skip


def _result(intent: Intent, head: list[int], fills: Sequence[tuple[int, int]]) -> Result:
    order, code = intent.order, head[0]
    if fills and intent.kind <= MessageKind.MARKET:
        order.fills = list(fills)
    refused = (code >> 16) & 0xFF if code & 0xFF == _REJECTED else 0
    return Result(
        refused, order, head[6], order.filled, order.remaining, order.cost, head[1], head[2], order.end, fills
    )
