"""The order book that runs: a thin class over arrays and compiled functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.core.jit import jit
from simlab.core.shared import share
from simlab.core.types import EVENT_DTYPE, MESSAGE_DTYPE, SelfTrade, Side
from simlab.engine.arguments import require_count, require_depth, require_known, require_policy, require_side
from simlab.engine.compiled.arrays import (
    A_HEAD,
    B_ASKS,
    B_BIDS,
    B_SELF_TRADE,
    K_ACCOUNT,
    K_ACCOUNT_NEXT,
    K_LEVEL,
    K_NEXT,
    L_DEPTH,
    L_HEAD,
    L_ORDERS,
    L_PRICE,
    L_TAIL,
    O_EXPIRY,
    O_PRICE,
    O_QUANTITY,
    S_EVENTS,
    S_ORDERS,
    S_SEQUENCE,
    S_STEP,
    Book,
    allocate,
    grow_events,
    grow_levels,
    grow_orders,
)
from simlab.engine.compiled.matching import (
    DONE,
    NEED_EVENTS,
    NEED_LEVELS,
    NEED_ORDERS,
    expire,
    process,
    room_for,
    run_messages,
)
from simlab.engine.compiled.tables import L_KEY, O_ID, find_id, find_level
from simlab.engine.interface import ORDER_DTYPE, Level, state_hash
from simlab.errors import EngineError

__all__ = ["CompiledOrderBook", "grown"]


def grown(book: Book, need: int) -> Book:
    """Return the book with twice as much of what it needs."""
    if need == NEED_ORDERS:
        return grow_orders(book)
    if need == NEED_LEVELS:
        return grow_levels(book)
    return grow_events(book, 2 * len(book.events))


@jit
def _apply(
    orders, links, levels, towers, ids, level_map, heap, owners, books, state, events,
    code, order_id, account, price, quantity, expiry,
):  # fmt: skip
    book = share(Book(orders, links, levels, towers, ids, level_map, heap, owners, books, state, events))
    order_id, account, price = np.int64(order_id), np.int64(account), np.int64(price)
    room = room_for(book, code & 0xFF, (code >> 8) & 0xFF, code >> 32, account, quantity)
    if room != DONE:
        return -room
    process(book, code, order_id, account, price, np.int64(quantity), np.int64(expiry))
    return state[S_EVENTS]


@jit
def _run(book, messages, start):
    return run_messages(share(book), messages, start)


@jit
def _expire(book, step):
    return expire(share(book), step)


@jit
def _fill_orders(book, first_level, out):
    """Write the resting orders of one side in priority order; return how many."""
    n = 0
    level = first_level
    while level != 0:
        row = np.int64(book.levels[level, L_HEAD])
        while row != 0:
            out[n, 2] = book.orders[row, O_PRICE]
            out[n, 3] = book.orders[row, O_QUANTITY]
            out[n, 4] = book.orders[row, O_ID]
            out[n, 5] = book.links[row, K_ACCOUNT]
            out[n, 6] = book.orders[row, O_EXPIRY]
            n += 1
            row = np.int64(book.links[row, K_NEXT])
        level = np.int64(book.towers[level, 0])
    return n


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
        self._use(allocate(instruments, accounts))
        self._book.books[:, B_SELF_TRADE] = require_policy(self_trade)

    def _use(self, book: Book) -> None:
        self._book = book
        self._records = book.events.view(EVENT_DTYPE).reshape(-1)

    def set_self_trade(self, instrument: int, policy: SelfTrade | int) -> None:
        """Set one instrument's self-trade policy."""
        self._book.books[self._known(instrument), B_SELF_TRADE] = require_policy(policy)

    def process(self, messages: NDArray[np.void]) -> NDArray[np.void]:
        """Apply ``(n,) MESSAGE_DTYPE`` messages in order; return all their events, ``(m,) EVENT_DTYPE``."""
        if not isinstance(messages, np.ndarray) or messages.dtype != MESSAGE_DTYPE or messages.ndim != 1:
            raise EngineError(
                f"messages must be a 1-D array of MESSAGE_DTYPE, not {_described(messages)}; "
                "make one with np.zeros(n, MESSAGE_DTYPE)"
            )
        rows = np.ascontiguousarray(messages).view(np.int64).reshape(-1, 8)
        if len(self._book.events) < 2 * len(rows):
            self._use(grow_events(self._book, 2 * len(rows)))
        self._book.state[S_EVENTS] = 0
        done, need = _run(self._book, rows, 0)
        while need != DONE:
            self._use(grown(self._book, need))
            done, need = _run(self._book, rows, done)
        return self._records[: self._book.state[S_EVENTS]].copy()

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
        """Apply one message; return its events, ``(m,) EVENT_DTYPE``, valid until the next call."""
        code = kind | side << 8 | time_in_force << 16 | post_only << 24 | instrument << 32
        while True:
            self._book.state[S_EVENTS] = 0
            count = _apply(*self._book, code, order_id, account, price, quantity, expiry)
            if count >= 0:
                return self._records[:count]
            self._use(grown(self._book, -count))

    def advance(self, step: int) -> NDArray[np.void]:
        """Set the present step; return the EXPIRED events. Raises EngineError when `step` goes back."""
        if step < self._book.state[S_STEP]:
            raise EngineError(f"step {step} lies before the present step {self._book.state[S_STEP]}")
        self._book.state[S_EVENTS] = 0
        while _expire(self._book, step) != DONE:
            self._use(grown(self._book, NEED_EVENTS))
        return self._records[: self._book.state[S_EVENTS]].copy()

    def best_bid(self, instrument: int = 0) -> int | None:
        """Return the highest buy price, or None. O(1)."""
        return self._best(2 * self._known(instrument))

    def best_ask(self, instrument: int = 0) -> int | None:
        """Return the lowest sell price, or None. O(1)."""
        return self._best(2 * self._known(instrument) + 1)

    def _best(self, side_list: int) -> int | None:
        level = self._book.towers[side_list, 0]
        return int(self._book.levels[level, L_PRICE]) if level else None

    def snapshot(self, side: Side | int, *, depth: int | None = None, instrument: int = 0) -> list[Level]:
        """Return the best `depth` levels of a side (all of them by default), best first. O(depth)."""
        levels, towers = self._book.levels, self._book.towers
        level = towers[2 * self._known(instrument) + require_side(side), 0]
        require_depth(depth)
        found: list[Level] = []
        while level and (depth is None or len(found) < depth):
            row = levels[level]
            found.append(Level(int(row[L_PRICE]), int(row[L_DEPTH]), int(row[L_ORDERS])))
            level = towers[level, 0]
        return found

    def orders(self, side: Side | int | None = None, *, instrument: int = 0) -> NDArray[np.void]:
        """Return resting orders in priority order, ``(n,) ORDER_DTYPE``; bids before asks for side None."""
        if side is None:
            return np.concatenate([self.orders(s, instrument=instrument) for s in Side])
        count = int(self._book.books[self._known(instrument), B_BIDS + require_side(side)])
        out = np.zeros((count, 8), np.int64)
        out[:, 0] = instrument
        out[:, 1] = side
        _fill_orders(self._book, np.int64(self._book.towers[2 * instrument + side, 0]), out)
        return out.view(ORDER_DTYPE).reshape(-1)

    def orders_of(self, account: int) -> list[int]:
        """Return the ids of an account's resting orders, oldest first."""
        found = []
        row = self._book.owners[require_known("account", account, self.accounts), A_HEAD]
        while row:
            found.append(int(self._book.orders[row, O_ID]))
            row = self._book.links[row, K_ACCOUNT_NEXT]
        return found

    def queue_position(self, order_id: int) -> int | None:
        """Return how many lots stand before an order at its price, or None. O(orders before it)."""
        target = find_id(self._book.ids, self._book.orders, order_id)
        if target == 0:
            return None
        row = self._book.levels[self._book.links[target, K_LEVEL], L_HEAD]
        before = 0
        while row != target:
            before += int(self._book.orders[row, O_QUANTITY])
            row = self._book.links[row, K_NEXT]
        return before

    def resting_orders(self, instrument: int | None = None) -> int:
        """Return the number of resting orders of one instrument, or of all."""
        if instrument is None:
            return int(self._book.state[S_ORDERS])
        return int(self._book.books[self._known(instrument), [B_BIDS, B_ASKS]].sum())

    def state_hash(self) -> int:
        """Return a 64-bit hash of all resting orders in priority order, the present step and the sequence."""
        return state_hash(self, int(self._book.state[S_STEP]), int(self._book.state[S_SEQUENCE]))

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
        book, side_list = self._book, 2 * instrument + side
        where = f"instrument {instrument} {'bid' if side == Side.BUY else 'ask'}"
        level, last_key = int(book.towers[side_list, 0]), None
        while level:
            key, price = int(book.levels[level, L_KEY]), int(book.levels[level, L_PRICE])
            if last_key is not None and key <= last_key:
                raise EngineError(f"{where} levels are out of order at {price}")
            if find_level(book.level_map, book.levels, side_list, key) != level:
                raise EngineError(f"{where} level {price} is not in the price table")
            self._check_queue(level, f"{where} level {price}")
            last_key, level = key, int(book.towers[level, 0])

    def _check_queue(self, level: int, where: str) -> None:
        book = self._book
        depth, count, row, last = 0, 0, int(book.levels[level, L_HEAD]), 0
        while row:
            if (
                find_id(book.ids, book.orders, book.orders[row, O_ID]) != row
                or book.orders[row, O_QUANTITY] < 1
            ):
                raise EngineError(f"{where} holds a broken order {book.orders[row, O_ID]}")
            depth, count, last = depth + int(book.orders[row, O_QUANTITY]), count + 1, row
            row = int(book.links[row, K_NEXT])
        stated = tuple(int(x) for x in book.levels[level, [L_DEPTH, L_ORDERS, L_TAIL]])
        if (depth, count, last) != stated or count == 0:
            raise EngineError(
                f"{where} says (depth, orders, tail) {stated}, its queue {(depth, count, last)}"
            )

    def _known(self, instrument: int) -> int:
        return require_known("instrument", instrument, self.instruments)


def _described(value: Any) -> str:
    return f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
