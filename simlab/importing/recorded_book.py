"""Rebuild a book from the recorded changes of it, order by order, without any matching."""

from __future__ import annotations

from typing import NamedTuple

from simlab.core.types import Side
from simlab.errors import RecordingError
from simlab.importing.queues import OrderQueues, RestingOrder

__all__ = ["Record", "RecordedBook", "RestingOrder"]


class Record(NamedTuple):
    """One market-by-order record.

    `action` is A add, C cancel, M modify, T trade (the aggressor's side of it), F fill (a resting order's
    side, or the aggressor's own), R clear, N nothing. Trades and fills do not change the book: the cancels
    and modifies that follow them do. `side` is None where the venue gives none. `price` is in the file's own
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


class RecordedBook(OrderQueues):
    """Follow adds, cancels and modifies; keep the queue of every price.

    A modify goes to the back of the queue when it changes the price or raises the size, and keeps its
    place otherwise; a size above what the fills before it left is a raise (an iceberg's next part).
    `unknown` counts the modifies and cancels of orders that were never added.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unknown = 0
        self._filled: dict[int, int] = {}

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
        super().clear()
        self._filled.clear()

    def _add(self, record: Record) -> None:
        if record.order_id in self.orders:
            raise RecordingError(
                f"record {record.number} adds order {record.order_id}, which rests already; "
                "give each file once, in order of time"
            )
        self.add(record.order_id, record.known_side(), record.price, record.size)

    def _cancel(self, record: Record) -> None:
        self._filled.pop(record.order_id, None)
        if record.order_id not in self.orders:
            self.unknown += 1
        else:
            self.reduce(record.order_id, record.size)

    def _modify(self, record: Record) -> None:
        order = self.orders.get(record.order_id)
        filled = self._filled.pop(record.order_id, 0)
        if order is None:
            self.unknown += 1
            self._add(record)
        elif record.price == order.price and 0 < record.size <= order.size - filled:
            self.resize(record.order_id, record.size)
        else:
            self.remove(record.order_id)
            self._add(record)
