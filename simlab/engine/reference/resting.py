"""Keep the reference book's resting orders: levels sorted by price, orders at a price first come first."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from sortedcontainers import SortedDict, SortedList

from simlab.core.types import MAX_QUANTITY, NO_EXPIRY, Side
from simlab.errors import EngineError

__all__ = ["Order", "PriceLevel", "RestingOrders"]


@dataclass(slots=True, eq=False)
class Order:
    """One order; `quantity` is what remains, `age` the sequence number of its acceptance."""

    order_id: int
    account: int
    instrument: int
    side: int
    price: int
    quantity: int
    expiry: int
    age: int


@dataclass(slots=True, eq=False)
class PriceLevel:
    """Orders of one price, first come first; an OrderedDict because a dict's front is slow to empty."""

    orders: OrderedDict[int, Order] = field(default_factory=OrderedDict)
    quantity: int = 0


class RestingOrders:
    """Hold the resting orders of some instruments; find them by price, id, account and expiry.

    Example
    -------
    >>> resting = RestingOrders(instruments=1)
    >>> resting.add(Order(order_id=7, account=0, instrument=0, side=0, price=99, quantity=5, expiry=0, age=0))
    >>> resting.best(0, Side.BUY)
    99
    """

    def __init__(self, instruments: int) -> None:
        self.by_id: dict[int, Order] = {}
        self._by_account: defaultdict[int, dict[int, Order]] = defaultdict(dict)
        self._by_expiry = SortedList()
        self._levels = [(SortedDict(), SortedDict()) for _ in range(instruments)]

    def add(self, order: Order) -> None:
        """Rest an order behind all others of its price. O(log levels)."""
        levels = self._levels[order.instrument][order.side]
        if order.price not in levels:
            levels[order.price] = PriceLevel()
        level = levels[order.price]
        level.orders[order.order_id] = order
        level.quantity += order.quantity
        self.by_id[order.order_id] = order
        self._by_account[order.account][order.order_id] = order
        if order.expiry != NO_EXPIRY:
            self._by_expiry.add((order.expiry, order.order_id))

    def remove(self, order: Order) -> None:
        """Take an order out, and its price level with it when it was the last. O(log levels)."""
        level = self.level_of(order)
        del level.orders[order.order_id]
        level.quantity -= order.quantity
        if not level.orders:
            del self._levels[order.instrument][order.side][order.price]
        del self.by_id[order.order_id]
        del self._by_account[order.account][order.order_id]
        if order.expiry != NO_EXPIRY:
            self._by_expiry.remove((order.expiry, order.order_id))

    def set_quantity(self, order: Order, quantity: int) -> None:
        """Change what remains of an order; it keeps its place."""
        self.level_of(order).quantity += quantity - order.quantity
        order.quantity = quantity

    def set_expiry(self, order: Order, expiry: int) -> None:
        """Change the last step of an order; it keeps its place."""
        if order.expiry != NO_EXPIRY:
            self._by_expiry.remove((order.expiry, order.order_id))
        if expiry != NO_EXPIRY:
            self._by_expiry.add((expiry, order.order_id))
        order.expiry = expiry

    def level_of(self, order: Order) -> PriceLevel:
        """Return the level in which an order rests."""
        return self._levels[order.instrument][order.side][order.price]

    def best(self, instrument: int, side: int) -> int | None:
        """Return the best price of a side, or None."""
        levels = self._levels[instrument][side]
        return levels.peekitem(-1 if side == Side.BUY else 0)[0] if levels else None

    def first(self, instrument: int, side: int) -> Order | None:
        """Return the order of a side that is next to trade, or None."""
        return next(self.orders(instrument, side), None)

    def levels(self, instrument: int, side: int) -> Iterator[tuple[int, PriceLevel]]:
        """Walk over (price, level) of a side, best first."""
        levels = self._levels[instrument][side]
        prices = reversed(levels) if side == Side.BUY else iter(levels)
        return ((price, levels[price]) for price in prices)

    def orders(self, instrument: int, side: int) -> Iterator[Order]:
        """Walk over the orders of a side in priority order."""
        return (order for _, level in self.levels(instrument, side) for order in level.orders.values())

    def oldest_first(self, account: int) -> list[Order]:
        """Return an account's orders in the order in which they were first accepted."""
        return sorted(self._by_account.get(account, {}).values(), key=lambda order: order.age)

    def next_expired(self, step: int) -> Order | None:
        """Return the order with the lowest (expiry, order id) among those that expire before `step`."""
        if self._by_expiry and self._by_expiry[0][0] < step:
            return self.by_id[self._by_expiry[0][1]]
        return None

    def check(self) -> None:
        """Raise EngineError at the first broken invariant."""
        for instrument in range(len(self._levels)):
            for side in Side:
                self._check_side(instrument, side)
            bid, ask = self.best(instrument, Side.BUY), self.best(instrument, Side.SELL)
            if bid is not None and ask is not None and bid >= ask:
                raise EngineError(f"instrument {instrument} is crossed: best bid {bid}, best ask {ask}")
        self._check_indexes()

    def _check_side(self, instrument: int, side: Side) -> None:
        where = f"instrument {instrument}, {side.name} side"
        prices = list(self._levels[instrument][side])
        if any(low >= high for low, high in pairwise(prices)):
            raise EngineError(f"{where}: price levels are not sorted")
        for price, level in self.levels(instrument, side):
            if not level.orders:
                raise EngineError(f"{where}: the level at price {price} is empty")
            total = sum(order.quantity for order in level.orders.values())
            if total != level.quantity:
                raise EngineError(f"{where}: price {price} holds {total} lots but states {level.quantity}")
            for order in level.orders.values():
                self._check_order(order, (instrument, side, price))

    def _check_order(self, order: Order, place: tuple[int, int, int]) -> None:
        if (order.instrument, order.side, order.price) != place:
            raise EngineError(
                f"order {order.order_id} rests at (instrument, side, price) {place}, not its own"
            )
        if not 1 <= order.quantity <= MAX_QUANTITY:
            raise EngineError(
                f"order {order.order_id} rests with {order.quantity} lots; it must be 1 or more"
            )
        if self.by_id.get(order.order_id) is not order:
            raise EngineError(f"order {order.order_id} rests but is not found by its id")

    def _check_indexes(self) -> None:
        resting = {
            order.order_id: order
            for instrument in range(len(self._levels))
            for side in Side
            for order in self.orders(instrument, side)
        }
        of_accounts = {i: (o, account) for account, own in self._by_account.items() for i, o in own.items()}
        expiring = sorted((o.expiry, i) for i, o in resting.items() if o.expiry != NO_EXPIRY)
        if resting.keys() != self.by_id.keys():
            raise EngineError(
                f"the orders {sorted(resting.keys() ^ self.by_id.keys())} are lost or left over"
            )
        if of_accounts != {i: (order, order.account) for i, order in resting.items()}:
            raise EngineError("the orders by account are not the orders that rest")
        if expiring != list(self._by_expiry):
            raise EngineError("the orders by expiry are not the orders that rest and expire")
