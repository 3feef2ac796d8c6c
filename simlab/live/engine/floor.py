"""The market with what is remembered of it: enter messages, run steps, and note what both do to orders.

Nothing here knows clients. A market that goes on from its journal comes by here as well, through the same
calls, so that it remembers the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from simlab.core.types import EVENT_DTYPE, MESSAGE_DTYPE, EventKind, MessageKind, Reason, pack
from simlab.kernel.simulation import Simulation
from simlab.kernel.state import Seat
from simlab.live.engine.decisions import DecisionShelf
from simlab.live.engine.news import NewsShelf
from simlab.live.engine.orders import End, Order, Orders
from simlab.live.engine.tape import Tape

__all__ = ["Change", "Floor", "Intent", "Sink"]

_ACCEPTED, _REJECTED, _FILL, _CANCELLED, _REPLACED = (int(it) for it in list(EventKind)[:5])
_REQUESTED, _MARKET = int(Reason.REQUESTED), int(MessageKind.MARKET)
_Word = tuple[int, ...]
"""An event as its words: see `EVENT_WORDS`."""


class Sink(Protocol):
    """Where the market's events go on to: a recording."""

    def events(self, events: NDArray[Any]) -> None:
        """Take events."""

    def rows(self, table: str, columns: Mapping[str, Any]) -> None:
        """Take rows of a table."""


class Change(Struct, gc=False):
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


class Intent(Struct, gc=False):
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


class Result(Struct, gc=False):
    """What became of an intent: a `Reason` if the market refused it, else what it did at once.

    What later messages of a batch do to its order is not in it.
    """

    reason: int
    quantity: int
    filled: int
    remaining: int
    cost: int
    sequence: int
    step: int
    end: int
    fills: Sequence[tuple[int, int]]


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
        self._no_fills = np.zeros(0, EVENT_DTYPE)
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
        if table == "decisions" and not self._outside[columns["account"][0]]:
            self.decisions.note(columns, self.now_s)
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
            self._follow(events[mine], ())

    def enter(self, intents: Sequence[Intent]) -> list[Result]:
        """Deliver messages in one call; return what became of each, in order."""
        words: list[int] = []
        for it in intents:
            order = it.order
            code = pack(it.kind, order.side, order.time_in_force, order.post_only, order.instrument)
            words += (code, order.order_id, order.account, it.price, it.quantity, 0, 0, 0)
        return self.deliver(np.array(words, np.int64).view(MESSAGE_DTYPE), intents)

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
        results, traded = self._follow(events, intents)
        if traded:
            self._print(events[events["kind"] == _FILL])
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
        if not self.prints:
            return Prints(self._no_fills, 0)
        rows = self.prints[0] if len(self.prints) == 1 else np.concatenate(self.prints)
        self.prints.clear()
        if len(rows) <= most:
            return Prints(rows, 0)
        kept = self._outside[rows["account"]] | self._outside[rows["other_account"]]
        kept[-most:] = True
        return Prints(rows[kept], int(len(rows) - kept.sum()))

    def flush(self) -> None:
        """Hear what has not been heard yet; quotes are for the recording alone, and go there now and then."""
        self.simulation.flush(quotes=False)

    def _follow(self, events: NDArray[Any], intents: Sequence[Intent]) -> tuple[list[Result], bool]:
        """Do to orders what events say; return what became of each intent, and whether something traded."""
        open_, coming, results, traded = self.orders.open, iter(intents), list[Result](), False
        intent: Intent | None = None
        first: _Word = ()
        fills: list[tuple[int, int]] = []
        words = events.view(np.int64).reshape(-1, EVENT_DTYPE.itemsize // 8).T.tolist()
        for word in zip(*words, strict=True):
            kind = word[0] & 0xFF
            if kind == _FILL:
                traded = True
                if intent is not None and intent.order.order_id == word[3]:
                    fills.append((word[5], word[6]))
                for each in (word[3], word[7]):
                    order = open_.get(each)
                    if order is not None:
                        self._fill(order, word)
                continue
            if kind != _CANCELLED or (word[0] >> 16) & 0xFF == _REQUESTED:
                if intent is not None:
                    results.append(_result(intent, first, fills))
                    fills = []
                intent, first = next(coming, None), word
                self.touched.add(word[0] >> 32)
            if kind == _ACCEPTED:
                if intent is not None:
                    self._accept(intent.order, word)
            elif kind == _REJECTED:
                if intent is not None and intent.kind <= _MARKET:
                    self._reject(intent.order, word)
            else:
                order = open_.get(word[3])
                if order is not None:
                    self._change(order, kind, word)
        if intent is not None:
            results.append(_result(intent, first, fills))
        return results, traded

    def _accept(self, order: Order, word: _Word) -> None:
        order.sequence, order.step, order.order_id = word[1], word[2], word[3]
        order.remaining = order.quantity
        self.orders.enter(order)
        if self.watched:
            self._tell(_ACCEPTED, order, word)

    def _reject(self, order: Order, word: _Word) -> None:
        order.sequence, order.step, order.order_id = word[1], word[2], word[3]
        order.end, order.reason = End.REJECTED, (word[0] >> 16) & 0xFF
        self.orders.enter(order)
        if self.watched:
            self._tell(_REJECTED, order, word)

    def _fill(self, order: Order, word: _Word) -> None:
        price, quantity = word[5], word[6]
        order.filled += quantity
        order.cost += price * quantity
        order.remaining -= quantity
        if order.remaining == 0:
            self.orders.end(order, End.FILLED)
        if self.watched:
            self._tell(_FILL, order, word)

    def _change(self, order: Order, kind: int, word: _Word) -> None:
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

    def _tell(self, kind: int, order: Order, word: _Word) -> None:
        code, sequence, step, _, _, price, quantity, _ = word
        self.changes.append(
            Change(
                kind, order, price, quantity, order.filled, order.remaining, order.average_price, sequence,
                step, (code >> 16) & 0xFF,
            )
        )  # fmt: skip


def _result(intent: Intent, first: _Word, fills: list[tuple[int, int]]) -> Result:
    order, code = intent.order, first[0]
    if fills and intent.kind <= _MARKET:
        order.fills = fills
    refused = (code >> 16) & 0xFF if code & 0xFF == _REJECTED else 0
    return Result(
        refused, first[6], order.filled, order.remaining, order.cost, first[1], first[2], order.end, fills
    )
