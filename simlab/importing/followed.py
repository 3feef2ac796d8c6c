"""A market that follows a recording: what rests is known, and whatever changes it is a message.

A recording that shows only some levels of the book tells of an order only while the order is in view. So it
speaks of orders that it never submitted (they came into view when better ones went), and does not say which
were cancelled or made smaller out of view. `FollowedMarket` keeps the book that the messages so far make, and
sends the messages that bring it to what the recording shows.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from simlab.core.types import MessageKind, Side, TimeInForce
from simlab.errors import RecordingError
from simlab.importing.lobster_files import Row, RowType
from simlab.importing.queues import OrderQueues, RestingOrder
from simlab.importing.table import Fill, Message

__all__ = ["CORRECTED", "ENTERED", "GONE", "MOVED", "SHRUNK", "UNNAMED", "FollowedMarket"]

ENTERED = "order entered without a row, or later than its row"
UNNAMED = "order entered for lots of a level that the file never names"
GONE = "order cancelled that must have been gone by then"
SHRUNK = "order made smaller that must have shrunk by then"
MOVED = "order put behind one that traded before it"
CORRECTED = "level changed in view without a message"


class _Late(NamedTuple):
    """An order that the recording speaks of while it is not in the book."""

    side: Side
    price: int
    size: int


class FollowedMarket:
    """The book that the messages so far make.

    Parameters
    ----------
    rows : sequence of Row
        The whole recording: what it will take from an order says how large the order is at least. None where
        every order is submitted and every end of one is told.
    levels_shown : bool
        Whether `set_level` will be told what the recording shows. Otherwise an order that no row speaks of
        any more, and that stands before one that trades, is taken to be gone.
    highest_id : int
        The highest order id, where `rows` do not say it.

    Attributes
    ----------
    book : OrderQueues
    messages : list of Message
    fills : list of Fill
    adjustments : Counter
        What was sent beyond the rows, by reason.
    never_submitted : int
        Orders that rows speak of and none submits.
    """

    def __init__(self, rows: Sequence[Row], *, levels_shown: bool, highest_id: int = 0) -> None:
        self._levels_shown = levels_shown
        self.book = OrderQueues()
        self.messages: list[Message] = []
        self.fills: list[Fill] = []
        self.adjustments: Counter[str] = Counter()
        self._late: dict[int, _Late] = {}
        self._taken: dict[int, list[int]] = {}
        self._survey(rows)
        self.never_submitted = len(self._late)
        self._arrivals = sorted(self._late, reverse=True)
        self._waiting: dict[Side, list[tuple[int, int]]] = {side: [] for side in Side}
        self._at_price: dict[tuple[Side, int], list[int]] = {}
        for order_id in self._arrivals:
            self._note(order_id)
        self._ahead: dict[int, int] = {}
        self._guessed: set[int] = set()
        self._fresh = max((row.order_id for row in rows), default=highest_id)
        self._to_submit = [row.order_id for row in reversed(rows) if row.type is RowType.SUBMIT]
        self._event, self._time_ns = 0, 0

    def _survey(self, rows: Sequence[Row]) -> None:
        """Find what the rows take from each order, and which orders no row submits before."""
        for row in rows:
            if row.type is RowType.SUBMIT:
                self._taken.setdefault(row.order_id, []).append(0)
            elif row.type.of_the_book:
                if row.order_id not in self._taken:
                    self._taken[row.order_id] = [0]
                    self._late[row.order_id] = _Late(row.side, row.price, 0)
                self._taken[row.order_id][-1] += row.size
        for order_id, late in self._late.items():
            self._late[order_id] = late._replace(size=self._taken[order_id].pop(0))

    @property
    def next_submitted(self) -> int:
        """The id of the next order that a row submits: orders with lower ids were sent before."""
        return self._to_submit[-1] if self._to_submit else self._fresh + 1

    def begin(self, event_index: int, time_ns: int) -> None:
        """Send what follows as of this event."""
        self._event, self._time_ns = event_index, time_ns

    def apply(self, rows: Sequence[Row]) -> None:
        """Do what one row, or the executions of one aggressor, tell."""
        if rows[0].type is RowType.EXECUTE:
            self._execute(rows)
        elif rows[0].type is RowType.SUBMIT:
            self._submit(rows[0])
        elif rows[0].type.of_the_book:
            self._withdraw(rows[0])

    def knows(self, row: Row) -> bool:
        """Whether the order of a row rests, or is submitted by the row."""
        return row.type is RowType.SUBMIT or row.order_id in self.book.orders

    # orders that the file never submits

    def arrive(self, before: int) -> None:
        """Let the late orders with ids below `before` enter, but for those that would trade."""
        while self._arrivals and self._arrivals[-1] < before:
            self._wait(self._arrivals.pop())
        for side in Side:
            waiting = self._waiting[side]
            while waiting:
                order_id = waiting[0][1]
                if order_id in self._late:
                    if self.crosses(side, self._late[order_id].price):
                        break
                    self._enter(order_id)
                heapq.heappop(waiting)

    def hold(self, row: Row) -> None:
        """Keep an order back that would trade, though the recording saw it come to rest."""
        self._late[row.order_id] = _Late(row.side, row.price, row.size)
        self._note(row.order_id)
        self._wait(row.order_id)

    def held(self, order_id: int) -> RestingOrder | None:
        """Return an order that is kept back, or None."""
        late = self._late.get(order_id)
        return RestingOrder(*late) if late is not None else None

    def let_go(self, order_id: int) -> None:
        """Forget an order that is kept back."""
        late = self._late.pop(order_id)
        self._at_price[late.side, late.price].remove(order_id)

    def crosses(self, side: Side, price: int) -> bool:
        """Say whether an order would trade."""
        best = self.book.best(Side(1 - side))
        return best is not None and (best <= price if side == Side.BUY else best >= price)

    def _wait(self, order_id: int) -> None:
        late = self._late.get(order_id)
        if late is not None:
            key = late.price if late.side == Side.BUY else -late.price
            heapq.heappush(self._waiting[late.side], (key, order_id))

    def _note(self, order_id: int) -> None:
        late = self._late[order_id]
        insort(self._at_price.setdefault((late.side, late.price), []), order_id)

    def _enter(self, order_id: int) -> None:
        side, price, size = self._late[order_id]
        self.let_go(order_id)
        self._make_way(side, price)
        self._add(order_id, side, price, size)
        self._ahead[order_id] = size
        self._guessed.add(order_id)
        self.adjustments[ENTERED] += 1

    def _require(self, row: Row) -> None:
        """See to it that the order of a row rests."""
        if row.order_id in self.book.orders:
            return
        late = self._late.get(row.order_id)
        if late is None:
            raise _damaged(row, f"order {row.order_id} has nothing left")
        if self._levels_shown:
            self._shrink(late.side, late.price, late.size, unnamed_only=True)
        self._enter(row.order_id)

    # rows

    def _submit(self, row: Row) -> None:
        if row.order_id in self.book.orders:
            raise RecordingError(f"line {row.line}: order {row.order_id} is submitted and rests already")
        if self._to_submit:
            self._to_submit.pop()
        self._make_way(row.side, row.price, for_good=False)
        self._add(row.order_id, row.side, row.price, row.size)
        lives = self._taken.get(row.order_id)
        self._ahead[row.order_id] = lives.pop(0) if lives else row.size

    def _withdraw(self, row: Row) -> None:
        self._require(row)
        left = self._checked(row)
        whole = row.type is RowType.DELETE
        if not whole and not left and row.order_id not in self._guessed:
            raise _damaged(row, f"{self._described(row)} must leave some of it (type 2)")
        if whole and left:
            self.adjustments[SHRUNK] += 1
        self._ahead[row.order_id] -= row.size
        self._reduce(row.order_id, row.size + left if whole else row.size)

    def _execute(self, rows: Sequence[Row]) -> None:
        taken: list[Fill] = []
        for row in rows:
            self._require(row)
            again = bool(taken) and taken[-1].order_id == row.order_id  # two aggressors that came at one time
            if again or self._blocked(row.order_id):
                self._take(row.side, taken)
                taken = []
                self._unblock(row.order_id)
            self._checked(row)
            price = self.book.orders[row.order_id].price
            taken.append(Fill(self._time_ns, self._event, row.order_id, price, row.size))
            self._ahead[row.order_id] -= row.size
            self.book.reduce(row.order_id, row.size)
            self._forget(row.order_id)
        self._take(rows[0].side, taken)

    def _take(self, resting: Side, taken: list[Fill]) -> None:
        """Send the aggressor that trades what was taken."""
        if taken:
            prices = [fill.price for fill in taken]
            worst = max(prices) if resting == Side.SELL else min(prices)
            lots = sum(fill.quantity for fill in taken)
            self._send(MessageKind.LIMIT, Side(1 - resting), worst, lots, self._new_id(), TimeInForce.IOC)
            self.fills += taken

    def _checked(self, row: Row) -> int:
        """Return what a row leaves of its order; raise when it takes more than there is."""
        order = self.book.orders[row.order_id]
        if row.size > order.size or row.side != order.side:
            raise _damaged(row, f"{self._described(row)} must not exceed it")
        return order.size - row.size

    def _described(self, row: Row) -> str:
        order = self.book.orders[row.order_id]
        side = order.side.name.lower()
        return f"size {row.size} of order {row.order_id}, a {side} order with {order.size} left,"

    # the place of orders

    def _make_way(self, side: Side, price: int, *, for_good: bool = True) -> None:
        """Cancel what an order that the recording saw come to rest would trade with."""
        while self.crosses(side, price):
            other = Side(1 - side)
            best = self.book.best(other)
            assert best is not None
            for order_id in self.book.queue(other, best):
                self._drop(order_id, for_good=for_good)

    def _blocked(self, order_id: int) -> bool:
        order = self.book.orders[order_id]
        return (
            self.book.best(order.side) != order.price or self.book.first(order.side, order.price) != order_id
        )

    def _unblock(self, order_id: int) -> None:
        """Bring an order that is about to trade to the front of its side."""
        side, price, _ = self.book.orders[order_id]
        while (best := self.book.best(side)) != price:
            assert best is not None
            for other in self.book.queue(side, best):
                self._drop(other)
        for other in self.book.queue(side, price):
            if other == order_id:
                return
            if not self._levels_shown and not self._ahead[other]:
                self._drop(other)
                continue
            order = self.book.remove(other)
            self._send(MessageKind.CANCEL, side, 0, 0, other)
            self._add(other, *order)
            self.adjustments[MOVED] += 1

    # levels, where the recording shows them

    def set_level(self, side: Side, price: int, lots: int) -> None:
        """Bring the lots at a price to what is shown, by the orders most likely to have come or gone."""
        missing = lots - self.book.depth(side, price)
        if missing < 0:
            self._shrink(side, price, -missing)
            return
        for order_id in list(self._at_price.get((side, price), ())) if missing else ():
            size = self._late[order_id].size
            if order_id < self.next_submitted and size <= missing:
                self._enter(order_id)
                missing -= size
        if missing:
            order_id = self._new_id()
            self._make_way(side, price)
            self._add(order_id, side, price, missing)
            self._ahead[order_id] = 0
            self.adjustments[UNNAMED] += 1

    def _shrink(self, side: Side, price: int, lots: int, *, unnamed_only: bool = False) -> None:
        """Take lots from a level: first orders that no row will ask for, then what is spare of others."""
        queue = self.book.queue(side, price)[::-1]
        for order_id in sorted(queue, key=lambda order_id: self._ahead[order_id] > 0):
            spare = self.book.orders[order_id].size - self._ahead[order_id]
            if lots and spare and not (unnamed_only and self._ahead[order_id]):
                taken = min(spare, lots)
                lots -= taken
                left = self._reduce(order_id, taken)
                self.adjustments[SHRUNK if left else GONE] += 1
        for order_id in queue if not unnamed_only else ():
            if lots > 0 and order_id in self.book.orders:
                lots -= self.book.orders[order_id].size
                self._drop(order_id)
        if lots < 0:
            self.set_level(side, price, self.book.depth(side, price) - lots)

    # changes of the book, each with its message

    def _add(self, order_id: int, side: Side, price: int, size: int) -> None:
        self.book.add(order_id, side, price, size)
        self._send(MessageKind.LIMIT, side, price, size, order_id)

    def _reduce(self, order_id: int, by: int) -> int:
        side, price, _ = self.book.orders[order_id]
        left = self.book.reduce(order_id, by)
        if left:
            self._send(MessageKind.REPLACE, side, price, left, order_id)
        else:
            self._send(MessageKind.CANCEL, side, 0, 0, order_id)
            self._forget(order_id)
        return left

    def _drop(self, order_id: int, *, for_good: bool = True) -> None:
        """Cancel an order; it is late again when rows will speak of it, and comes back before if it may."""
        order = self.book.orders[order_id]
        ahead = self._ahead[order_id]
        self._reduce(order_id, order.size)
        self.adjustments[GONE] += 1
        if ahead > 0:
            self._late[order_id] = _Late(order.side, order.price, ahead)
            self._note(order_id)
            if not for_good:
                self._wait(order_id)

    def _forget(self, order_id: int) -> None:
        if order_id not in self.book.orders:
            del self._ahead[order_id]
            self._guessed.discard(order_id)

    def _new_id(self) -> int:
        self._fresh += 1
        return self._fresh

    def _send(
        self,
        kind: MessageKind,
        side: Side,
        price: int,
        quantity: int,
        order_id: int,
        time_in_force: TimeInForce = TimeInForce.GTC,
    ) -> None:
        row = (int(kind), int(side), int(time_in_force), price, quantity, order_id)
        self.messages.append(Message(self._time_ns, self._event, *row))


def _damaged(row: Row, what: str) -> RecordingError:
    return RecordingError(f"line {row.line}: {what}; the file is damaged or not in order")
