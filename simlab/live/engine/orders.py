"""Remember the orders of those who trade from outside, by the market's id and by theirs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from enum import IntEnum
from heapq import nlargest

from msgspec import Struct

__all__ = ["ENDED_SHOWN", "MOST_REMEMBERED", "REMEMBERED_EACH", "End", "Order", "Orders"]

REMEMBERED_EACH = 10_000
"""Orders of one account whose ids are known, the latest; those that rest are known however old they are."""
MOST_REMEMBERED = 500_000
"""The same of all accounts together: beyond, an account that sends an order forgets one of its own."""
ENDED_SHOWN = 100
"""Ended orders of an account that can be asked for, the latest."""


class End(IntEnum):
    """How an order ended, if it did."""

    OPEN = 0
    FILLED = 1
    CANCELLED = 2
    EXPIRED = 3
    REJECTED = 4


class Order(Struct, array_like=True, gc=False):
    """One order from outside: price units, lots; `id` is the sender's own, `quantity` what was asked.

    `cost` is the sum of price times lots over its fills, `fills` what it traded when it came in, `reason` a
    `simlab.core.types.Reason`.
    """

    id: int | str | None
    account: int
    instrument: int
    side: int
    kind: int
    time_in_force: int
    post_only: int
    price: int
    quantity: int
    order_id: int = 0
    sequence: int = 0
    step: int = 0
    filled: int = 0
    cost: int = 0
    remaining: int = 0
    end: End = End.OPEN
    reason: int = 0
    forgotten: bool = False
    fills: list[tuple[int, int]] | None = None
    ended_as: int = 0
    """A number that grows with the orders that end: those with the highest ended last."""

    @property
    def average_price(self) -> float | None:
        """Mean price of its fills, price units; None without one."""
        return self.cost / self.filled if self.filled else None

    @property
    def state(self) -> str:
        """What became of it, as the wire says it."""
        if self.end == End.OPEN:
            return "partially_filled" if self.filled else "resting"
        return _STATES[self.end]


_STATES = {
    End.FILLED: "filled",
    End.CANCELLED: "cancelled",
    End.EXPIRED: "expired",
    End.REJECTED: "rejected",
}


class _Sender:
    """What one account sent."""

    __slots__ = ("by_id", "sent")

    def __init__(self) -> None:
        self.by_id: dict[int | str, Order] = {}
        self.sent: deque[Order] = deque()


class Orders:
    """All orders from outside that are remembered; every call costs O(1).

    Example
    -------
    >>> orders = Orders()
    >>> order = Order("mine", 7, 0, 0, 0, 0, 0, 100, 5, order_id=12, remaining=5)
    >>> orders.enter(order)
    >>> orders.sent(7, "mine") is orders.open[12] is order
    True
    """

    def __init__(self, remembered: Iterable[Order] = ()) -> None:
        self.open: dict[int, Order] = {}
        """Orders that rest, by the market's id."""
        self.ended: dict[int, Order] = {}
        """Orders that are remembered and rest no more, by the market's id."""
        self._senders: dict[int, _Sender] = {}
        self._remembered = 0
        self._ends = 0
        for order in remembered:
            self.enter(order)

    def __iter__(self) -> Iterator[Order]:
        """Yield all orders, of each account in the order in which they came; then those only open."""
        for sender in self._senders.values():
            yield from sender.sent
        yield from (it for it in self.open.values() if it.forgotten)

    def sent(self, account: int, client_id: int | str) -> Order | None:
        """Return the order that an account sent under an id of its own, if it is remembered."""
        sender = self._senders.get(account)
        return None if sender is None else sender.by_id.get(client_id)

    def expect(self, order: Order) -> Order | None:
        """Remember an order by its sender's id before it is entered, or return the one that has the id."""
        if order.id is None:
            return None
        sender = self._senders.get(order.account) or self._new_sender(order.account)
        known = sender.by_id.setdefault(order.id, order)
        return None if known is order else known

    def _new_sender(self, account: int) -> _Sender:
        return self._senders.setdefault(account, _Sender())

    def find(self, order_id: int) -> Order | None:
        """Return an order by the market's id, if it is remembered."""
        return self.open.get(order_id) or self.ended.get(order_id)

    def enter(self, order: Order) -> None:
        """Remember an order that the market has answered, and forget what is too old."""
        self._ends = max(self._ends, order.ended_as)
        (self.ended if order.end else self.open)[order.order_id] = order
        if order.forgotten:
            return
        sender = self._senders.get(order.account) or self._new_sender(order.account)
        if order.id is not None:
            sender.by_id[order.id] = order
        sender.sent.append(order)
        self._remembered += 1
        if len(sender.sent) > REMEMBERED_EACH or (
            self._remembered > MOST_REMEMBERED and len(sender.sent) > 1
        ):
            self._forget(sender)

    def _forget(self, sender: _Sender) -> None:
        order = sender.sent.popleft()
        self._remembered -= 1
        order.forgotten = True
        self.ended.pop(order.order_id, None)
        if order.id is not None and sender.by_id.get(order.id) is order:
            del sender.by_id[order.id]

    def accounts_open(self) -> set[int]:
        """Return the accounts of which orders rest. O(orders that rest)."""
        return {it.account for it in self.open.values()}

    def forget(self, account: int) -> None:
        """Forget what an account sent: it is somebody else's now. Orders that rest are known by their ids."""
        sender = self._senders.pop(account, None)
        while sender is not None and sender.sent:
            self._forget(sender)

    def end(self, order: Order, end: End, reason: int = 0) -> None:
        """Note that an order rests no more."""
        self._ends += 1
        order.end, order.reason, order.ended_as = end, reason, self._ends
        self.open.pop(order.order_id, None)
        if not order.forgotten:
            self.ended[order.order_id] = order

    def of(self, account: int) -> list[Order]:
        """Return an account's open orders and the latest that ended, oldest first. O(orders it sent)."""
        sender = self._senders.get(account)
        sent = sender.sent if sender is not None else ()
        found = [it for it in sent if it.end == End.OPEN]
        found += nlargest(ENDED_SHOWN, (it for it in sent if it.end), key=lambda it: it.ended_as)
        found += [it for it in self.open.values() if it.forgotten and it.account == account]
        return sorted(found, key=lambda it: it.order_id)
