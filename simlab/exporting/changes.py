"""Tell from a recording how the book of an instrument changed, order by order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from simlab.core.types import Side
from simlab.importing.queues import OrderQueues
from simlab.recording import Run

__all__ = ["Change", "ChangeKind", "RecordedChanges"]

_MESSAGE_COLUMNS = (
    *("sequence", "step", "event", "order_id", "side", "price", "quantity"),
    *("time_in_force", "market", "priority_kept", "reason"),
)
_TRADE_COLUMNS = ("sequence", "step", "taker_order_id", "maker_order_id", "price", "quantity")
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}

ChangeKind = str
"""``add``, ``reduce``, ``remove`` or ``execute``."""


class Change(NamedTuple):
    """One change of the book, in the order of the event log.

    `place` counts the messages of the step from 0: changes with one step and place come from one message.
    `order` numbers the orders as they come to rest, from 1; a replacement that loses its place is a new one.
    `size` is the lots added, taken away or traded.
    """

    step: int
    place: int
    kind: ChangeKind
    order: int
    side: Side
    price: int
    size: int


@dataclass
class _Incoming:
    """An order that is being matched: what its fills leave comes to rest, if it `rests`."""

    order_id: int
    side: Side
    price: int
    left: int
    rests: bool


class RecordedChanges:
    """Follow the events of one instrument; iterate to get the changes of its book.

    Attributes
    ----------
    book : OrderQueues
        The book after the latest change; ids are those of the recording.

    Example
    -------
    >>> changes = RecordedChanges(simlab.recording.open_run("runs/a"), "ACME")  # doctest: +SKIP
    >>> sum(change.size for change in changes if change.kind == "execute")  # doctest: +SKIP
    """

    def __init__(self, run: Run, instrument: str) -> None:
        self.book = OrderQueues()
        self._run = run
        self._instrument = instrument
        self._incoming: _Incoming | None = None
        self._numbers: dict[int, int] = {}
        self._count = 0
        self._step, self._place = -1, 0

    def __iter__(self) -> Iterator[Change]:
        messages = self._rows("messages", _MESSAGE_COLUMNS)
        trades = self._rows("trades", _TRADE_COLUMNS)
        for row in heapq.merge(messages, trades, key=lambda row: row.sequence):
            if hasattr(row, "maker_order_id"):
                yield self._trade(row)
            else:
                yield from self._message(row)
        yield from self._settle()

    def _rows(self, table: str, columns: tuple[str, ...]) -> Iterator[Any]:
        for frame in self._run.batches(table, columns=columns, instrument=self._instrument, names=False):
            yield from frame.itertuples(index=False)

    def _change(self, kind: ChangeKind, order_id: int, side: Side, price: int, size: int) -> Change:
        return Change(self._step, self._place, kind, self._numbers[order_id], side, price, size)

    def _settle(self) -> Iterator[Change]:
        """Let what is left of the incoming order come to rest."""
        order, self._incoming = self._incoming, None
        if order is not None and order.rests and order.left:
            self.book.add(order.order_id, order.side, order.price, order.left)
            self._count += 1
            self._numbers[order.order_id] = self._count
            yield self._change("add", order.order_id, order.side, order.price, order.left)

    def _trade(self, row: Any) -> Change:
        if self._incoming is not None and self._incoming.order_id == row.taker_order_id:
            self._incoming.left -= row.quantity
        maker = self.book.orders[row.maker_order_id]
        left = self.book.reduce(row.maker_order_id, row.quantity)
        change = self._change("execute", row.maker_order_id, maker.side, maker.price, row.quantity)
        if not left:
            del self._numbers[row.maker_order_id]
        return change

    def _message(self, row: Any) -> Iterator[Change]:
        if row.event == "cancelled" and row.reason != "requested":
            yield from self._ended_in_matching(row)
            return
        yield from self._settle()
        self._place = self._place + 1 if row.step == self._step else 0
        self._step = row.step
        if row.event == "accepted":
            rests = row.time_in_force == "gtc" and not row.market
            self._incoming = _Incoming(row.order_id, _SIDES[row.side], row.price, row.quantity, rests)
        elif row.event == "replaced":
            yield from self._replace(row)
        elif row.event in ("cancelled", "expired"):
            yield self._remove(row.order_id)

    def _ended_in_matching(self, row: Any) -> Iterator[Change]:
        """Remove what self-trade prevention or the kind of order ended while it was matched."""
        if self._incoming is not None and self._incoming.order_id == row.order_id:
            self._incoming = None
        elif row.order_id in self.book.orders:
            yield self._remove(row.order_id)

    def _replace(self, row: Any) -> Iterator[Change]:
        before = self.book.orders[row.order_id]
        if not row.priority_kept:
            yield self._remove(row.order_id)
            self._incoming = _Incoming(row.order_id, before.side, row.price, row.quantity, True)
        elif row.quantity < before.size:
            self.book.resize(row.order_id, row.quantity)
            lots = before.size - row.quantity
            yield self._change("reduce", row.order_id, before.side, before.price, lots)

    def _remove(self, order_id: int) -> Change:
        order = self.book.remove(order_id)
        change = self._change("remove", order_id, *order)
        del self._numbers[order_id]
        return change
