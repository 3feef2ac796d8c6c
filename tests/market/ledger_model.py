"""Keep a market's books from its events in the most obvious way: exact fractions, dictionaries, no arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any

from simlab.core.types import FLAG_MARKET, EventKind, Side
from simlab.market.instruments import AccountPolicy, Instrument

FEES = "fees"
"""Key of the account that receives the fees."""


@dataclass
class Position:
    """What one account holds of one instrument; `cost` and `realised` in money units."""

    inventory: int = 0
    cost: int = 0
    realised: int = 0

    def trade(self, lots: int, notional_a_lot: int) -> None:
        """Book `lots` (negative if sold) by the average cost method."""
        if self.inventory * lots >= 0:
            self.cost += lots * notional_a_lot
        else:
            closed = min(abs(lots), abs(self.inventory))
            direction = 1 if self.inventory > 0 else -1
            share = floor(Fraction(self.cost * closed, abs(self.inventory)))
            self.realised += direction * closed * notional_a_lot - share
            self.cost += -direction * (abs(lots) - closed) * notional_a_lot - share
        self.inventory += lots


@dataclass
class Order:
    """One resting order."""

    account: int
    instrument: int
    side: Side
    price: int
    quantity: int


def fee(notional: int, ppm: int) -> int:
    """Return a fee, rounded towards the fee account."""
    return ceil(Fraction(notional * ppm, 10**6))


class LedgerModel:
    """All accounts of a market, brought forward one event at a time."""

    def __init__(self, instruments: Sequence[Instrument], policies: Sequence[AccountPolicy]) -> None:
        self.instruments = instruments
        self.orders: dict[int, Order] = {}
        self.cash: dict[Any, int] = defaultdict(int)
        self.fees: dict[Any, int] = defaultdict(int)
        self.positions: dict[tuple[int, int], Position] = defaultdict(Position)
        names = {item.name: i for i, item in enumerate(instruments)}
        for account, policy in enumerate(policies):
            self.cash[account] = policy.cash
            for name, lots in policy.inventory:
                item = instruments[names[name]]
                cost = lots * item.initial_price * item.multiplier
                self.positions[account, names[name]] = Position(lots, cost)

    def apply(self, event: Any) -> None:
        """Book one event."""
        kind, order_id = EventKind(int(event["kind"])), int(event["order_id"])
        if kind is EventKind.FILL:
            self._fill(event)
        elif kind in (EventKind.CANCELLED, EventKind.EXPIRED):
            gone = self.orders.pop(order_id, None)
            assert gone is None or gone.quantity == event["quantity"]
        elif kind is EventKind.REPLACED or (kind is EventKind.ACCEPTED and not event["flags"] & FLAG_MARKET):
            account, instrument, side, price, quantity = (
                int(event[name]) for name in ("account", "instrument", "side", "price", "quantity")
            )
            self.orders[order_id] = Order(account, instrument, Side(side), price, quantity)

    def _fill(self, event: Any) -> None:
        side, item = Side(int(event["side"])), self.instruments[int(event["instrument"])]
        self._book_side(event, int(event["account"]), side, item.taker_fee_ppm)
        self._book_side(event, int(event["other_account"]), Side(1 - side), item.maker_fee_ppm)
        for order_id in (int(event["order_id"]), int(event["other_order_id"])):
            order = self.orders.get(order_id)
            if order is not None:
                order.quantity -= int(event["quantity"])
                assert order.quantity >= 0
                if order.quantity == 0:
                    del self.orders[order_id]

    def _book_side(self, event: Any, account: int, side: Side, ppm: int) -> None:
        instrument, quantity = int(event["instrument"]), int(event["quantity"])
        unit = int(event["price"]) * self.instruments[instrument].multiplier
        lots = quantity if side is Side.BUY else -quantity
        paid = fee(unit * quantity, ppm)
        self.cash[account] -= lots * unit + paid
        self.fees[account] += paid
        self.cash[FEES] += paid
        self.positions[account, instrument].trade(lots, unit)

    def on_order(self, account: int, instrument: int, side: Side) -> int:
        """Return the lots of an account's resting orders."""
        return sum(
            order.quantity
            for order in self.orders.values()
            if (order.account, order.instrument, order.side) == (account, instrument, side)
        )

    def reserved(self, account: int) -> int:
        """Return what an account's resting buy orders may cost with fees, money units."""
        total = 0
        for order in self.orders.values():
            if order.account == account and order.side is Side.BUY:
                item = self.instruments[order.instrument]
                unit = order.price * item.multiplier
                most = fee(unit, max(0, item.maker_fee_ppm, item.taker_fee_ppm))
                total += order.quantity * (unit + most)
        return total
