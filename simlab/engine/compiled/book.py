"""The order book that runs: a thin class over arrays and compiled functions."""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from simlab.core.jit import jit
from simlab.core.rows import Tables, new_rows, opener, part, record, table
from simlab.core.types import EVENT_DTYPE, EVENT_WORDS, MESSAGE_WORDS, SelfTrade, Side
from simlab.engine.arguments import (
    require_count,
    require_depth,
    require_fit,
    require_known,
    require_messages,
    require_out,
    require_policy,
    require_side,
    require_step,
    require_whole,
)
from simlab.engine.compiled.events import DONE, NEED_EVENTS, NEED_LEVELS, NEED_ORDERS
from simlab.engine.compiled.hashed import find_id, find_level
from simlab.engine.compiled.matching import expire, run_messages
from simlab.engine.compiled.tables import (
    Book,
    allocate,
    find_book,
    grow_events,
    grow_levels,
    grow_orders,
)
from simlab.engine.interface import ORDER_DTYPE, Level, state_hash
from simlab.errors import EngineError

__all__ = ["CompiledOrderBook", "grow"]


def grow(book: Book, need: int) -> None:
    """Make room for twice as much of what a book needs."""
    if need == NEED_ORDERS:
        grow_orders(book)
    elif need == NEED_LEVELS:
        grow_levels(book)
    else:
        grow_events(book, 2 * len(book.events) + _FEW)


class _Batch(Tables):
    """Messages for a book, and how many of them have been processed."""

    book = part(Book)
    messages = table(MESSAGE_WORDS)
    progress = record([("done", "i8")])


_find_batch = opener(_Batch)

_FEW = 1024
"""Messages whose events are sooner copied from the book's own memory than given memory of their own."""

_write_message = struct.Struct("<4Bi5q").pack_into
"""Write a message's fields up to its expiry: what is no whole number or does not fit is refused."""


@jit
def _answer(address):
    """Process what is left of a batch; return the number of all its events, or what must grow, negative."""
    batch = _find_batch(address)
    book, progress = batch.book, batch.progress
    if progress.done == 0:
        book.counters.events = 0
    done, need = run_messages(book, batch.messages, progress.done)
    progress.done = done if need != DONE else 0
    return book.counters.events if need == DONE else -need


@jit
def _expire(address, step):
    return expire(find_book(address), step)


@jit
def _find_order(address, order_id):
    return find_id(find_book(address), order_id)


@jit
def _find_level(address, side_list, key):
    return find_level(find_book(address), side_list, key)


@jit
def _fill_orders(address, side_list, out):
    """Write the resting orders of one side in priority order."""
    book = find_book(address)
    n = 0
    level = book.nodes[side_list].floors[0]
    while level != 0:
        row = book.levels[level].head
        while row != 0:
            order = book.orders[row]
            out[n, 2] = order.price
            out[n, 3] = order.quantity
            out[n, 4] = order.order_id
            out[n, 5] = order.account
            out[n, 6] = order.expiry
            n += 1
            row = order.next
        level = book.nodes[level].floors[0]


class CompiledOrderBook:
    """Match orders by price and time at compiled speed; the contract is `simlab.engine.interface`.

    Parameters
    ----------
    instruments : int
        Number of instruments, addressed 0 to ``instruments - 1``.
    accounts : int
        Number of accounts, addressed 0 to ``accounts - 1``.
    self_trade : SelfTrade
        Self-trade policy of every instrument; `set_self_trade` changes one.

    Example
    -------
    >>> from simlab.core.types import MessageKind, Side
    >>> book = CompiledOrderBook(accounts=2)
    >>> _ = book.apply(MessageKind.LIMIT, Side.SELL, price=101, quantity=5, order_id=1, account=0)
    >>> events = book.apply(MessageKind.MARKET, Side.BUY, quantity=3, order_id=2, account=1)
    >>> [int(q) for q in events["quantity"][events["kind"] == 2]], book.best_ask()
    ([3], 101)
    """

    def __init__(
        self, instruments: int = 1, *, accounts: int = 1, self_trade: SelfTrade | int = SelfTrade.OFF
    ) -> None:
        self.instruments = require_count("instruments", instruments)
        self.accounts = require_count("accounts", accounts)
        self._own(allocate(self.instruments, self.accounts))
        self._book.self_trade[:] = require_policy(self_trade)

    def _own(self, book: Book) -> None:
        self._book = book
        self._records = book.events.view(EVENT_DTYPE)
        self._many = _Batch(book=book)
        self._one = _Batch(book=book, messages=new_rows(1, MESSAGE_WORDS))
        self._one_message = memoryview(self._one.messages.view(np.uint8))
        self._one_address = self._one.address

    def __copy__(self) -> Self:
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"instruments": self.instruments, "accounts": self.accounts, "book": self._book}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.instruments, self.accounts = state["instruments"], state["accounts"]
        self._own(state["book"])

    def set_self_trade(self, instrument: int, policy: SelfTrade | int) -> None:
        """Set one instrument's self-trade policy."""
        self._book.self_trade[self._known(instrument)] = require_policy(policy)

    def process(self, messages: NDArray[np.void], *, out: NDArray[np.void] | None = None) -> NDArray[np.void]:
        """Apply ``(n,) MESSAGE_DTYPE`` messages in order; return all their events, ``(m,) EVENT_DTYPE``."""
        require_messages(messages)
        if out is not None:
            return self._answer_into(require_out(out, messages), messages)
        if len(messages) > _FEW:
            return self._answer_into(np.empty(2 * len(messages), EVENT_DTYPE), messages)
        self._answer(messages)
        self._records = self._book.events.view(EVENT_DTYPE)
        return self._events()

    def _answer_into(self, memory: NDArray[np.void], messages: NDArray[np.void]) -> NDArray[np.void]:
        """Let the book write to other memory than its own; return the events."""
        book, own = self._book, self._book.events
        book.events = memory.view(EVENT_WORDS)
        try:
            self._answer(messages)
            return book.events[: book.counters["events"][0]].view(EVENT_DTYPE)
        finally:
            book.events = own

    def _answer(self, messages: NDArray[np.void]) -> None:
        """Write the events of a batch to `events`, which is replaced by more memory when it is full."""
        self._many.messages = np.ascontiguousarray(messages).view(MESSAGE_WORDS)
        try:
            while (count := _answer(self._many.address)) < 0:
                grow(self._book, -count)
        finally:
            self._many.messages = self._one.messages
            self._many.progress["done"] = 0

    def _events(self) -> NDArray[np.void]:
        """Return a copy of the events; as plain words, since a copy of records goes field by field."""
        count = int(self._book.counters["events"][0])
        return self._book.events[:count].view(np.int64).copy().view(EVENT_DTYPE)

    def apply(
        self,
        kind: int,
        side: int = 0,
        price: int = 0,
        quantity: int = 0,
        order_id: int = 0,
        account: int = 0,
        instrument: int = 0,
        time_in_force: int = 0,
        post_only: int = 0,
        expiry: int = 0,
    ) -> NDArray[np.void]:
        """Apply one message; return its events, ``(m,) EVENT_DTYPE``, valid until the next call.

        Raises
        ------
        EngineError
            When a value is no whole number or does not fit its field of `MESSAGE_DTYPE`.
        """
        try:
            _write_message(
                self._one_message, 0, kind, side, time_in_force, post_only, instrument, order_id, account,
                price, quantity, expiry,
            )  # fmt: skip
        except struct.error:
            require_fit(
                kind, side, time_in_force, post_only, instrument, order_id, account, price, quantity, expiry
            )
            raise
        count = _answer(self._one_address)
        while count < 0:
            grow(self._book, -count)
            self._records = self._book.events.view(EVENT_DTYPE)
            count = _answer(self._one_address)
        return self._records[:count]

    def advance(self, step: int) -> NDArray[np.void]:
        """Set the present step; return the EXPIRED events. Raises EngineError when `step` goes back."""
        counters = self._book.counters
        step = require_step(step, int(counters["step"][0]))
        counters["events"] = 0
        while _expire(self._book.address, step) != DONE:
            grow(self._book, NEED_EVENTS)
            self._records = self._book.events.view(EVENT_DTYPE)
        return self._events()

    def best_bid(self, instrument: int = 0) -> int | None:
        """Return the highest buy price, or None. O(1)."""
        return self._best(2 * self._known(instrument))

    def best_ask(self, instrument: int = 0) -> int | None:
        """Return the lowest sell price, or None. O(1)."""
        return self._best(2 * self._known(instrument) + 1)

    def _best(self, side_list: int) -> int | None:
        level = self._book.nodes["floors"][side_list, 0]
        return int(self._book.levels["price"][level]) if level else None

    def snapshot(self, side: Side | int, *, depth: int | None = None, instrument: int = 0) -> list[Level]:
        """Return the best `depth` levels of a side (all of them by default), best first. O(depth)."""
        side_list = 2 * self._known(instrument) + require_side(side)
        require_depth(depth)
        found: list[Level] = []
        for row in self._level_rows(side_list, depth):
            level = self._book.levels[row]
            found.append(Level(int(level["price"]), int(level["depth"]), int(level["orders"])))
        return found

    def _level_rows(self, side_list: int, depth: int | None = None) -> Iterator[int]:
        """Walk over the rows of the levels of a side, best first."""
        floors = self._book.nodes["floors"]
        row = int(floors[side_list, 0])
        while row and depth != 0:
            yield row
            row = int(floors[row, 0])
            depth = None if depth is None else depth - 1

    def orders(self, side: Side | int | None = None, *, instrument: int = 0) -> NDArray[np.void]:
        """Return resting orders in priority order, ``(n,) ORDER_DTYPE``; bids before asks for side None."""
        if side is None:
            return np.concatenate([self.orders(s, instrument=instrument) for s in Side])
        side_list = 2 * self._known(instrument) + require_side(side)
        out = np.zeros((int(self._book.levels["orders"][side_list]), 8), np.int64)
        out[:, 0] = instrument
        out[:, 1] = side
        _fill_orders(self._book.address, side_list, out)
        return out.view(ORDER_DTYPE).reshape(-1)

    def orders_of(self, account: int) -> list[int]:
        """Return the ids of an account's resting orders, oldest first."""
        orders = self._book.orders
        row = self._book.owners["head"][require_known("account", account, self.accounts)]
        found = []
        while row:
            found.append(int(orders["order_id"][row]))
            row = orders["account_next"][row]
        return found

    def queue_position(self, order_id: int) -> int | None:
        """Return how many lots stand before an order at its price, or None. O(orders before it)."""
        book = self._book
        wanted = require_whole("order_id", order_id)
        target = _find_order(book.address, np.int64(wanted)) if 0 < wanted < 2**63 else 0
        if target == 0:
            return None
        row = book.levels["head"][book.orders["level"][target]]
        before = 0
        while row != target:
            before += int(book.orders["quantity"][row])
            row = book.orders["next"][row]
        return before

    def resting_orders(self, instrument: int | None = None) -> int:
        """Return the number of resting orders of one instrument, or of all."""
        if instrument is None:
            return int(self._book.counters["orders"][0])
        first = 2 * self._known(instrument)
        return int(self._book.levels["orders"][first : first + 2].sum())

    def state_hash(self) -> int:
        """Return a 64-bit hash of all resting orders in priority order, the present step and the sequence."""
        counters = self._book.counters[0]
        return state_hash(self, int(counters["step"]), int(counters["sequence"]))

    def check(self) -> None:
        """Raise EngineError at the first broken invariant. O(orders)."""
        for instrument in range(self.instruments):
            for side in Side:
                self._check_side(instrument, side)
            bid, ask = self.best_bid(instrument), self.best_ask(instrument)
            if bid is not None and ask is not None and bid >= ask:
                raise EngineError(f"instrument {instrument} is crossed: bid {bid}, ask {ask}")
        if self.resting_orders() != sum(self.resting_orders(i) for i in range(self.instruments)):
            raise EngineError("the number of resting orders is not the sum over the instruments")

    def _check_side(self, instrument: int, side: Side) -> None:
        book, side_list, last_key = self._book, 2 * instrument + side, None
        where = f"instrument {instrument} {'bid' if side == Side.BUY else 'ask'}"
        for row in self._level_rows(side_list):
            key, price = int(book.nodes["key"][row]), int(book.levels["price"][row])
            if last_key is not None and key <= last_key:
                raise EngineError(f"{where} levels are out of order at {price}")
            if _find_level(book.address, side_list, np.int64(key)) != row:
                raise EngineError(f"{where} level {price} is not in the price table")
            self._check_queue(row, f"{where} level {price}")
            last_key = key

    def _check_queue(self, level: int, where: str) -> None:
        book = self._book
        depth, count, row, last = 0, 0, int(book.levels["head"][level]), 0
        while row:
            order = book.orders[row]
            if _find_order(book.address, order["order_id"]) != row or order["quantity"] < 1:
                raise EngineError(f"{where} holds a broken order {order['order_id']}")
            depth, count, last, row = depth + int(order["quantity"]), count + 1, row, int(order["next"])
        stated = tuple(int(book.levels[name][level]) for name in ("depth", "orders", "tail"))
        if (depth, count, last) != stated or count == 0:
            raise EngineError(
                f"{where} says (depth, orders, tail) {stated}, its queue {(depth, count, last)}"
            )

    def _known(self, instrument: int) -> int:
        return require_known("instrument", instrument, self.instruments)
