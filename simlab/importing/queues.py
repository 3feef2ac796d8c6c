"""Keep resting orders in their queues, price by price, without any matching."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sortedcontainers import SortedDict

from simlab.core.types import Side

__all__ = ["OrderQueues", "RestingOrder"]


class RestingOrder(NamedTuple):
    """One order of the book; `size` is what remains, lots."""

    side: Side
    price: int
    size: int


class _Level:
    __slots__ = ("depth", "ids")

    def __init__(self) -> None:
        self.depth = 0
        self.ids: dict[int, None] = {}


class OrderQueues:
    """Resting orders by id, and by side, price and place in the queue.

    Attributes
    ----------
    orders : dict of int to RestingOrder
        Read only.

    Example
    -------
    >>> queues = OrderQueues()
    >>> queues.add(7, Side.BUY, price=100, size=5)
    >>> queues.best(Side.BUY), queues.depth(Side.BUY, 100)
    (100, 5)
    """

    def __init__(self) -> None:
        self.orders: dict[int, RestingOrder] = {}
        self._levels: dict[Side, SortedDict] = {Side.BUY: SortedDict(), Side.SELL: SortedDict()}

    def add(self, order_id: int, side: Side, price: int, size: int) -> None:
        """Put an order last at its price. O(log levels), as every change."""
        self.orders[order_id] = RestingOrder(side, price, size)
        level = self._levels[side].get(price)
        if level is None:
            level = self._levels[side][price] = _Level()
        level.ids[order_id] = None
        level.depth += size

    def remove(self, order_id: int) -> RestingOrder:
        """Take an order out and return it."""
        order = self.orders.pop(order_id)
        level = self._levels[order.side][order.price]
        del level.ids[order_id]
        level.depth -= order.size
        if not level.ids:
            del self._levels[order.side][order.price]
        return order

    def resize(self, order_id: int, size: int) -> None:
        """Give an order another size, at least 1; it keeps its place."""
        order = self.orders[order_id]
        self.orders[order_id] = order._replace(size=size)
        self._levels[order.side][order.price].depth += size - order.size

    def reduce(self, order_id: int, by: int) -> int:
        """Take lots from an order, and the order out when none are left; return what is left."""
        left = max(self.orders[order_id].size - by, 0)
        if left:
            self.resize(order_id, left)
        else:
            self.remove(order_id)
        return left

    def clear(self) -> None:
        """Remove all orders."""
        self.orders.clear()
        for levels in self._levels.values():
            levels.clear()

    def best(self, side: Side) -> int | None:
        """Return the best price of a side, or None."""
        levels = self._levels[side]
        if not levels:
            return None
        return levels.keys()[-1 if side == Side.BUY else 0]

    def crossed(self) -> bool:
        """Say whether the best bid is at or above the best ask, as before an auction."""
        bid, ask = self.best(Side.BUY), self.best(Side.SELL)
        return bid is not None and ask is not None and bid >= ask

    def depth(self, side: Side, price: int) -> int:
        """Return the lots at a price."""
        level = self._levels[side].get(price)
        return level.depth if level is not None else 0

    def queue(self, side: Side, price: int) -> list[int]:
        """Return the ids of the orders at a price, first in the queue first."""
        level = self._levels[side].get(price)
        return list(level.ids) if level is not None else []

    def first(self, side: Side, price: int) -> int | None:
        """Return the id of the first order in the queue at a price, or None."""
        level = self._levels[side].get(price)
        return next(iter(level.ids)) if level is not None else None

    def levels(self, side: Side, worst: int | None = None) -> Iterator[tuple[int, int]]:
        """Yield (price, lots) of a side, best first, down to the price `worst`."""
        levels = self._levels[side]
        buys = side == Side.BUY
        bounds = (worst, None) if buys else (None, worst)
        for price in levels.irange(*bounds, reverse=buys):
            yield price, levels[price].depth

    def in_priority(self) -> list[tuple[int, RestingOrder]]:
        """Return all orders, bids before asks, best price first, first in the queue first."""
        return [
            (order_id, self.orders[order_id])
            for side in Side
            for price, _ in self.levels(side)
            for order_id in self.queue(side, price)
        ]
