"""Keep what one agent has and has on order, from what the gateway tells of it, in money and price units.

Strategies know their orders by numbers that they were given when they sent them; the market has numbers of
its own, which come with the answer. Both are kept here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from simlab.agents.hosts import Fill, RestingOrder
from simlab.core.types import NO_EXPIRY, Side

__all__ = ["Account", "SentOrder"]

_MOST_FILLS = 16
"""Fills since the last look that are kept one by one, as in a kernel."""


@dataclass
class SentOrder:
    """One order of an agent that is not known to be over; `number` is what its strategy calls it."""

    number: int
    instrument: int
    side: Side
    price: int
    quantity: int
    expiry: int = NO_EXPIRY
    filled: int = 0
    paid: float = 0.0
    """Lots times price units of all that was filled."""
    order_id: int | None = None
    """The market's number."""
    rests: bool = False
    sequence: int = -1


class Account:
    """What one agent has.

    Example
    -------
    >>> account = Account("mine-0", "mine/0", cash=1_000)
    >>> account.sent(SentOrder(1, 0, Side.BUY, 100, 5))
    >>> account.take_fill(1, filled=2, average_price=99.0, step=7)
    >>> account.fills(0), account.inventory(0)
    ([Fill(step=7, quantity=2, price=99, order_id=1)], 2)
    """

    def __init__(self, agent_id: str, name: str, cash: int = 0) -> None:
        self.agent_id, self.name, self.cash = agent_id, name, cash
        self.positions: dict[int, int] = {}
        """Lots by instrument."""
        self.orders: dict[int, SentOrder] = {}
        """By the number that its strategy knows, oldest first; copied to be gone through, for a strategy may
        look on a thread of its own while an answer comes."""
        self.last_look = -1
        self._fills: dict[int, deque[Fill]] = {}
        self._counts: dict[int, int] = {}
        self._traded: dict[tuple[int, Side], int] = {}

    def inventory(self, instrument: int) -> int:
        """Return the lots held."""
        return self.positions.get(instrument, 0)

    def fills(self, instrument: int) -> list[Fill]:
        """Return the latest fills since the last look, oldest first."""
        return list(self._fills.get(instrument, ()))

    def fill_count(self, instrument: int) -> int:
        """Return the number of fills since the last look."""
        return self._counts.get(instrument, 0)

    def traded(self, instrument: int, side: Side) -> int:
        """Return the lots bought or sold since the last look."""
        return self._traded.get((instrument, side), 0)

    def mark(self) -> dict[int, tuple[int, int, int]]:
        """Return how much has been filled, to be forgotten once the agent has decided: see `looked`."""
        return {
            instrument: (count, self.traded(instrument, Side.BUY), self.traded(instrument, Side.SELL))
            for instrument, count in self._counts.items()
        }

    def looked(self, step: int, mark: dict[int, tuple[int, int, int]]) -> None:
        """Forget the fills of a mark, now that the agent has seen them; those that came since stay new."""
        self.last_look = step
        for instrument, (count, bought, sold) in mark.items():
            left = self._counts[instrument] = self._counts[instrument] - count
            while len(self._fills[instrument]) > left:
                self._fills[instrument].popleft()
            self._traded[instrument, Side.BUY] = self.traded(instrument, Side.BUY) - bought
            self._traded[instrument, Side.SELL] = self.traded(instrument, Side.SELL) - sold

    def resting(self, instrument: int) -> list[RestingOrder]:
        """Return the resting orders in an instrument, oldest first."""
        return [
            RestingOrder(it.number, it.side, it.price, it.quantity - it.filled)
            for it in list(self.orders.values())
            if it.rests and it.instrument == instrument
        ]

    @property
    def open_orders(self) -> int:
        """Number of resting orders in all instruments."""
        return sum(it.rests for it in list(self.orders.values()))

    def reserved(self, multipliers: dict[int, int]) -> int:
        """Return what resting orders to buy would cost, money units, before fees."""
        return sum(
            (it.quantity - it.filled) * it.price * multipliers.get(it.instrument, 1)
            for it in list(self.orders.values())
            if it.rests and it.side is Side.BUY
        )

    def sent(self, order: SentOrder) -> None:
        """Know an order that was sent."""
        self.orders[order.number] = order

    def take_rest(self, number: int, order_id: int) -> None:
        """Take that an order rests, under the market's number."""
        if number in self.orders:
            self.orders[number].order_id, self.orders[number].rests = order_id, True

    def take_fill(self, number: int, *, filled: int, average_price: float | None, step: int) -> None:
        """Take how much of an order has been filled so far, and at which mean price."""
        order = self.orders.get(number)
        if order is None or filled <= order.filled:
            return
        lots = filled - order.filled
        paid = filled * average_price if average_price is not None else order.paid + lots * order.price
        price = round((paid - order.paid) / lots)
        order.filled, order.paid = filled, paid
        signed = lots if order.side is Side.BUY else -lots
        instrument = order.instrument
        fills = self._fills.setdefault(instrument, deque(maxlen=_MOST_FILLS))
        fills.append(Fill(step, signed, price, number))
        self._counts[instrument] = self.fill_count(instrument) + 1
        self._traded[instrument, order.side] = self.traded(instrument, order.side) + lots
        self.positions[instrument] = self.inventory(instrument) + signed

    def take_replaced(self, number: int, *, price: int | None, remaining: int) -> None:
        """Take new terms of an order."""
        order = self.orders.get(number)
        if order is not None:
            order.price = order.price if price is None else price
            order.quantity = order.filled + remaining

    def take_over(self, number: int) -> None:
        """Take that nothing can happen to an order any more."""
        self.orders.pop(number, None)

    def take_portfolio(self, cash: int, positions: dict[int, int]) -> None:
        """Take cash and positions as the market has them."""
        self.cash = cash
        self.positions = dict(positions)
