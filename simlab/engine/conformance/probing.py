"""Speak to an order book in short commands, and read its events: the vocabulary of the engine's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import MAX_QUANTITY, MESSAGE_DTYPE, EventKind, MessageKind, Reason, TimeInForce
from simlab.engine.interface import OrderBook
from simlab.errors import EngineError

__all__ = [
    "HIGHEST_PRICE",
    "LOWEST_PRICE",
    "answer",
    "cancel",
    "cancel_all",
    "fills",
    "limit",
    "market",
    "raises_engine_error",
    "random_messages",
    "refusal",
    "replace",
    "rows",
]

LOWEST_PRICE, HIGHEST_PRICE = -(2**63), 2**63 - 1


def random_messages(
    count: int, seed: int, *, instruments: int = 2, accounts: int = 3, invalid: bool = True
) -> NDArray[np.void]:
    """Draw messages whose prices lie close together, so that they trade, cancel and collide a lot.

    Parameters
    ----------
    count : int
    seed : int
    instruments, accounts : int
        How many of each the book under test has.
    invalid : bool
        Let about one message in ten hold a value that the book must refuse.

    Returns
    -------
    (count,) MESSAGE_DTYPE

    Example
    -------
    >>> random_messages(3, seed=1).shape
    (3,)
    """
    rng = np.random.default_rng(seed)
    messages = np.zeros(count, MESSAGE_DTYPE)
    messages["kind"] = rng.choice(5, count, p=[0.62, 0.08, 0.15, 0.14, 0.01])
    messages["side"] = rng.integers(0, 2, count)
    messages["time_in_force"] = rng.choice(3, count, p=[0.86, 0.07, 0.07])
    messages["post_only"] = rng.random(count) < 0.05
    messages["instrument"] = rng.integers(0, instruments, count)
    messages["order_id"] = rng.integers(1, 200, count)
    messages["account"] = rng.integers(0, accounts, count)
    messages["price"] = rng.integers(95, 106, count)
    messages["quantity"] = rng.integers(1, 30, count)
    replaces = messages["kind"] == MessageKind.REPLACE
    messages["time_in_force"][replaces] = TimeInForce.GTC
    if invalid:
        _spoil(messages, rng)
    return messages


def _spoil(messages: NDArray[np.void], rng: np.random.Generator) -> None:
    """Put a value at or beyond the edge into one field of about one message in ten."""
    edges: dict[str, list[int]] = {
        "kind": [4, 5, 255],
        "side": [2, 255],
        "time_in_force": [3, 255],
        "post_only": [2, 255],
        "instrument": [-1, -2, 99, 2**31 - 1],
        "order_id": [0, -1, HIGHEST_PRICE],
        "account": [-1, 99, 2**31, HIGHEST_PRICE, LOWEST_PRICE],
        "price": [LOWEST_PRICE, HIGHEST_PRICE, 0, -1],
        "quantity": [0, -1, MAX_QUANTITY, MAX_QUANTITY + 1, HIGHEST_PRICE],
        "expiry": [-1, 1, HIGHEST_PRICE],
    }
    for name, values in edges.items():
        chosen = rng.random(len(messages)) < 0.01
        messages[name][chosen] = rng.choice(np.array(values), int(chosen.sum()))


def rows(events: NDArray[np.void], *names: str) -> list[Any]:
    """Return the named fields of events as plain values: tuples, or scalars for one name."""
    return events[list(names)].tolist() if len(names) > 1 else events[names[0]].tolist()


def raises_engine_error(call: Callable[[], object]) -> bool:
    """Say whether a call raises EngineError."""
    try:
        call()
    except EngineError:
        return True
    return False


def limit(
    book: OrderBook, side: int, price: int, quantity: int, order_id: int, account: int = 0, **options: int
) -> NDArray[np.void]:
    """Apply a limit order; return its events as a copy that outlives the next call."""
    return book.apply(MessageKind.LIMIT, side, price, quantity, order_id, account, **options).copy()


def market(
    book: OrderBook, side: int, quantity: int, order_id: int, account: int = 0, **options: int
) -> NDArray[np.void]:
    """Apply a market order; return its events as a copy that outlives the next call."""
    return book.apply(MessageKind.MARKET, side, 0, quantity, order_id, account, **options).copy()


def cancel(book: OrderBook, order_id: int, account: int = 0) -> NDArray[np.void]:
    """Apply a cancel; return its events as a copy that outlives the next call."""
    return book.apply(MessageKind.CANCEL, order_id=order_id, account=account).copy()


def replace(
    book: OrderBook, order_id: int, price: int, quantity: int, account: int = 0, **options: int
) -> NDArray[np.void]:
    """Apply a replace; return its events as a copy that outlives the next call."""
    return book.apply(
        MessageKind.REPLACE, price=price, quantity=quantity, order_id=order_id, account=account, **options
    ).copy()


def cancel_all(book: OrderBook, account: int = 0, instrument: int = -1) -> NDArray[np.void]:
    """Apply a cancel of everything; return its events as a copy that outlives the next call."""
    return book.apply(MessageKind.CANCEL_ALL, account=account, instrument=instrument).copy()


def fills(events: NDArray[np.void]) -> list[tuple[int, int, int]]:
    """Return (maker's order id, price, quantity) of each fill."""
    return rows(events[events["kind"] == EventKind.FILL], "other_order_id", "price", "quantity")


def answer(events: NDArray[np.void]) -> list[tuple[EventKind, Reason]]:
    """Return (kind, reason) of each event."""
    return [(EventKind(kind), Reason(reason)) for kind, reason in rows(events, "kind", "reason")]


def refusal(events: NDArray[np.void]) -> Reason:
    """Return the reason of the one REJECTED event that `events` must be."""
    assert rows(events, "kind") == [EventKind.REJECTED], answer(events)
    return Reason(int(events["reason"][0]))
