"""Write down the reference book's events one by one and hand them out as arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import EVENT_DTYPE, MESSAGE_DTYPE, EventKind, Reason, Side
from simlab.engine.reference.resting import Order
from simlab.errors import EngineError

__all__ = ["Answers", "Message"]

_INT32 = np.iinfo(np.int32)


class Message(NamedTuple):
    """One message, in the order of the fields of `MESSAGE_DTYPE`."""

    kind: int
    side: int
    time_in_force: int
    post_only: int
    instrument: int
    order_id: int
    account: int
    price: int
    quantity: int
    expiry: int
    step: int = 0
    tag: int = 0

    def require_fit(self) -> None:
        """Raise EngineError when a value does not fit its field of `MESSAGE_DTYPE`."""
        for (name, low, high), value in zip(_FIELD_BOUNDS, self, strict=True):
            if not low <= value <= high:
                raise EngineError(f"{name} {value} does not fit its field of a message; use {low} to {high}")


_FIELD_BOUNDS = tuple(
    (name, int(np.iinfo(MESSAGE_DTYPE[name]).min), int(np.iinfo(MESSAGE_DTYPE[name]).max))
    for name in Message._fields
)


class Answers:
    """Collect events; number them from 0 without a gap and stamp them with the present step.

    Example
    -------
    >>> answers = Answers()
    >>> order = Order(order_id=7, account=0, instrument=0, side=0, price=99, quantity=5, expiry=0, age=0)
    >>> answers.about(order, EventKind.ACCEPTED)
    >>> answers.take()["order_id"].tolist()
    [7]
    """

    def __init__(self) -> None:
        self.step = 0
        self.sequence = 0
        self._events: list[tuple[int, ...]] = []

    def about(self, order: Order, kind: EventKind, *, reason: Reason = Reason.NONE, flags: int = 0) -> None:
        """Say what happened to an order, with its price and what remains of it."""
        code = (kind, order.side, reason, flags, order.instrument)
        self._write(code, order.order_id, order.account, order.price, order.quantity)

    def fill(self, taker: Order, maker: Order, quantity: int) -> None:
        """Say that `quantity` lots traded at the maker's price."""
        code = (EventKind.FILL, taker.side, Reason.NONE, 0, taker.instrument)
        self._write(code, taker.order_id, taker.account, maker.price, quantity, maker)

    def rejected(self, message: Message, reason: Reason) -> None:
        """Refuse a message and repeat what it asked; an account beyond the event's field becomes -1."""
        side = message.side if message.side in (Side.BUY, Side.SELL) else 0
        account = message.account if _INT32.min <= message.account <= _INT32.max else -1
        code = (EventKind.REJECTED, side, reason, 0, message.instrument)
        self._write(code, message.order_id, account, message.price, message.quantity)

    def take(self) -> NDArray[np.void]:
        """Return the events since the last call, ``(m,) EVENT_DTYPE``."""
        events = np.array(self._events, EVENT_DTYPE)
        self._events.clear()
        return events

    def _write(
        self,
        code: tuple[int, ...],
        order_id: int,
        account: int,
        price: int,
        quantity: int,
        maker: Order | None = None,
    ) -> None:
        """Append one event; `code` holds kind, side, reason, flags and instrument."""
        other_account, other_order_id = (0, 0) if maker is None else (maker.account, maker.order_id)
        place = (self.sequence, self.step, order_id, account, other_account)
        self._events.append((*code, *place, price, quantity, other_order_id))
        self.sequence += 1
