"""Rebuild a book from the recorded changes of it, order by order, without any matching."""

from __future__ import annotations

from typing import NamedTuple

from sortedcontainers import SortedDict

from simlab.core.types import Side
from simlab.errors import RecordingError

__all__ = ["Record", "RecordedBook", "RestingOrder"]


class Record(NamedTuple):
    """One market-by-order record.

    `action` is A add, C cancel, M modify, T trade (the aggressor's side of it), F fill (a resting order's
    side, or the aggressor's own), R clear. Trades and fills do not change the book: the cancels and
    modifies that follow them do. `side` is None where the venue gives none. `price` is in the file's own
    unit, `size` in lots, `last` marks the end of an exchange event.
    """

    number: int
    """Position in the file or files, from 1, for messages."""
    time_ns: int
    action: str
    side: Side | None
    price: int
    size: int
    order_id: int
    last: bool

    def known_side(self) -> Side:
        """Return the side; raise RecordingError where the venue gives none."""
        if self.side is None:
            raise RecordingError(f"record {self.number} ({self.action}) of order {self.order_id} has no side")
        return self.side


class RestingOrder(NamedTuple):
    """One order of the book; `size` is what remains, lots."""

    side: Side
    price: int
    size: int


class RecordedBook:
    """Follow adds, cancels and modifies; keep the queue of every price.

    A modify goes to the back of the queue when it changes the price or raises the size, and keeps its
    place otherwise; a size above what the fills before it left is a raise (an iceberg's next part).
    `unknown` counts the modifies and cancels of orders that were never added.
    """

    def __init__(self) -> None:
        self.orders: dict[int, RestingOrder] = {}
        self.unknown = 0
        self._filled: dict[int, int] = {}
        self._queues: dict[Side, SortedDict] = {Side.BUY: SortedDict(), Side.SELL: SortedDict()}

    def apply(self, record: Record) -> None:
        """Apply one record; no order changes by a trade or a fill."""
        if record.action == "A":
            self._add(record)
        elif record.action == "C":
            self._cancel(record)
        elif record.action == "M":
            self._modify(record)
        elif record.action == "F" and record.order_id in self.orders:
            self._filled[record.order_id] = self._filled.get(record.order_id, 0) + record.size
        elif record.action == "R":
            self.clear()

    def clear(self) -> None:
        """Remove all orders."""
        self.orders.clear()
        self._filled.clear()
        for queues in self._queues.values():
            queues.clear()

    def best(self, side: Side) -> int | None:
        """Return the best price of a side, or None."""
        queues = self._queues[side]
        if not queues:
            return None
        return queues.keys()[-1 if side == Side.BUY else 0]

    def crossed(self) -> bool:
        """Say whether the best bid is at or above the best ask, as before an auction."""
        bid, ask = self.best(Side.BUY), self.best(Side.SELL)
        return bid is not None and ask is not None and bid >= ask

    def in_priority(self) -> list[tuple[int, RestingOrder]]:
        """Return all orders, bids before asks, best price first, first in the queue first."""
        found = []
        for side in Side:
            prices = list(self._queues[side])
            for price in reversed(prices) if side == Side.BUY else prices:
                found += [(order_id, self.orders[order_id]) for order_id in self._queues[side][price]]
        return found

    def _add(self, record: Record) -> None:
        side = record.known_side()
        if record.order_id in self.orders:
            raise RecordingError(
                f"record {record.number} adds order {record.order_id}, which rests already; "
                "give each file once, in order of time"
            )
        self.orders[record.order_id] = RestingOrder(side, record.price, record.size)
        self._queues[side].setdefault(record.price, {})[record.order_id] = None

    def _remove(self, order_id: int) -> RestingOrder:
        order = self.orders.pop(order_id)
        queue = self._queues[order.side][order.price]
        del queue[order_id]
        if not queue:
            del self._queues[order.side][order.price]
        return order

    def _cancel(self, record: Record) -> None:
        order = self.orders.get(record.order_id)
        self._filled.pop(record.order_id, None)
        if order is None:
            self.unknown += 1
        elif record.size < order.size:
            self.orders[record.order_id] = order._replace(size=order.size - record.size)
        else:
            self._remove(record.order_id)

    def _modify(self, record: Record) -> None:
        order = self.orders.get(record.order_id)
        filled = self._filled.pop(record.order_id, 0)
        if order is None:
            self.unknown += 1
            self._add(record)
        elif record.price == order.price and record.size <= order.size - filled:
            self.orders[record.order_id] = order._replace(size=record.size)
        else:
            self._remove(record.order_id)
            self._add(record)
