"""Other order books on the same streams, so that a speed can be compared with something not made here.

`sortedcontainers` is the plain book that one writes in Python in an afternoon: sorted levels, a queue each,
a dictionary of orders. `bourse` (https://pypi.org/project/bourse) is a book in Rust behind Python. Both take
one call a message; neither has a batch entry that keeps the order of the messages.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from sortedcontainers import SortedDict

from simlab.core.types import MessageKind, Side
from simlab.errors import SimlabError

__all__ = ["PEERS", "Peer", "PlainBook", "make_peer", "missing_peers"]

PEERS = ("sortedcontainers", "bourse")

_LIMIT, _MARKET, _CANCEL = int(MessageKind.LIMIT), int(MessageKind.MARKET), int(MessageKind.CANCEL)
_BUY = int(Side.BUY)
_NO_LIMIT = float("inf")
_MAX_U32 = 2**32 - 1

Call = Sequence[int]
"""Kind, side, price, quantity and order id of one message."""


class Peer(Protocol):
    """What is asked of another book: to run a stream, and to say what came of it."""

    def run(self, calls: Iterable[Call]) -> float:
        """Apply messages, one call each; return the seconds it took."""

    def totals(self) -> dict[str, int | None]:
        """Return trades, volume, notional, resting_orders, best_bid and best_ask."""


def missing_peers() -> list[str]:
    """Return the names of the peers that are not installed."""
    return [name for name in PEERS if find_spec(name) is None]


def make_peer(name: str) -> Peer:
    """Return an empty book of a peer that is installed; `name` is one of `PEERS`."""
    return Bourse() if name == "bourse" else PlainBook()


class PlainBook:
    """A price-time book of sorted dictionaries.

    A side's levels are keyed so that the best comes first: bids by the negative of their price. A level is an
    ordered dictionary of quantities by order id, so that the oldest comes first and any can be removed.

    Example
    -------
    >>> book = PlainBook()
    >>> book.apply(0, 0, 100, 5, 1)
    >>> book.apply(0, 1, 99, 8, 2)
    >>> book.fills, book.totals()["best_ask"]
    ([(100, 5, 1, 2)], 99)
    """

    def __init__(self) -> None:
        self._sides = (SortedDict(), SortedDict())
        self._places: dict[int, tuple[int, int]] = {}
        self.fills: list[tuple[int, int, int, int]] = []
        """Price, quantity, the resting order's id and the incoming one's."""

    def run(self, calls: Iterable[Call]) -> float:
        """Apply messages, one call each; return the seconds it took."""
        apply = self.apply
        begin = time.perf_counter()
        for kind, side, price, quantity, order_id in calls:
            apply(kind, side, price, quantity, order_id)
        return time.perf_counter() - begin

    def apply(self, kind: int, side: int, price: int, quantity: int, order_id: int) -> None:
        """Apply one message."""
        if kind == _CANCEL:
            self._cancel(order_id)
            return
        sign = -1 if side == _BUY else 1
        limit = -sign * price if kind == _LIMIT else _NO_LIMIT
        left = self._match(1 - side, -sign, limit, quantity, order_id)
        if left and kind == _LIMIT:
            levels, key = self._sides[side], sign * price
            level = levels.get(key)
            if level is None:
                level = levels[key] = OrderedDict()
            level[order_id] = left
            self._places[order_id] = side, key

    def totals(self) -> dict[str, int | None]:
        """Return trades, volume, notional, resting_orders, best_bid and best_ask."""
        bids, asks = self._sides
        return {
            "trades": len(self.fills),
            "volume": sum(quantity for _, quantity, _, _ in self.fills),
            "notional": sum(price * quantity for price, quantity, _, _ in self.fills),
            "resting_orders": len(self._places),
            "best_bid": -bids.peekitem(0)[0] if bids else None,
            "best_ask": asks.peekitem(0)[0] if asks else None,
        }

    def _match(self, side: int, sign: int, limit: float, quantity: int, order_id: int) -> int:
        """Trade against a side's levels up to the key `limit`; return what is left of the quantity."""
        levels = self._sides[side]
        while quantity and levels:
            key, level = levels.peekitem(0)
            if key > limit:
                break
            while quantity and level:
                maker, resting = next(iter(level.items()))
                traded = min(quantity, resting)
                quantity -= traded
                self.fills.append((sign * key, traded, maker, order_id))
                if traded == resting:
                    del level[maker], self._places[maker]
                else:
                    level[maker] = resting - traded
            if not level:
                del levels[key]
        return quantity

    def _cancel(self, order_id: int) -> None:
        place = self._places.pop(order_id, None)
        if place is None:
            return
        side, key = place
        level = self._sides[side][key]
        del level[order_id]
        if not level:
            del self._sides[side][key]


class Bourse:
    """The book of bourse.

    It gives every order an id of its own, and keeps those of one price in the order of their times, where two
    of the same time are taken for one: so the time is set before each message.
    """

    def __init__(self) -> None:
        from bourse.core import OrderBook

        self._book = OrderBook(0, 1, True)
        self._ids: dict[int, int] = {}
        self._time = 0

    def run(self, calls: Iterable[Call]) -> float:
        """Apply messages, one call each; return the seconds it took.

        Raises
        ------
        SimlabError
            When a limit price is not one that bourse takes, 1 to 2**32 - 2.
        """
        calls = list(calls)
        for kind, _, price, _, _ in calls:
            if kind == _LIMIT and not 1 <= price < _MAX_U32:
                raise SimlabError(f"bourse takes prices from 1 to 2**32 - 2, and the stream has {price}")
        book, ids, now = self._book, self._ids, self._time
        place, cancel, set_time = book.place_order, book.cancel_order, book.set_time
        begin = time.perf_counter()
        for kind, side, price, quantity, order_id in calls:
            now += 1
            set_time(now)
            if kind == _LIMIT:
                ids[order_id] = place(side == _BUY, quantity, 0, price)
            elif kind == _MARKET:
                place(side == _BUY, quantity, 0)
            else:
                cancel(ids[order_id])
        seconds = time.perf_counter() - begin
        self._time = now
        return seconds

    def totals(self) -> dict[str, int | None]:
        """Return trades, volume, notional, resting_orders, best_bid and best_ask."""
        trades: list[Any] = self._book.get_trades()
        resting = sum(status == 1 for _, status, *_ in self._book.get_orders())
        bid, ask = self._book.bid_ask()
        return {
            "trades": len(trades),
            "volume": sum(trade[3] for trade in trades),
            "notional": sum(trade[2] * trade[3] for trade in trades),
            "resting_orders": resting,
            "best_bid": bid or None,
            "best_ask": ask if ask < _MAX_U32 else None,
        }
