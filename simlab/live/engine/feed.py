"""Tell subscribers what happens: every event of orders and trades, and the latest state of books."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from msgspec import UNSET, Struct, UnsetType
from numpy.typing import NDArray

from simlab.core.types import EventKind, MessageKind, Reason
from simlab.live.engine.floor import Change
from simlab.live.engine.registry import Client, Registry
from simlab.live.protocol import CHANNELS, Subscribe, encode

__all__ = ["DEPTH_SHOWN", "PRINTS_AT_ONCE", "Feed", "Subscription"]

DEPTH_SHOWN = 20
"""Levels a side of a book that is pushed."""
PRINTS_AT_ONCE = 1_000
"""Trades among populations that are told at once; of more, the latest."""
_NAMES = {int(kind): kind.name.lower() for kind in EventKind}


class OrderEvent(Struct, gc=False):
    """What happened to an order from outside: prices in price units, lots."""

    event: str
    sequence: int
    step: int
    timestamp: float
    symbol_id: int
    order_id: int
    id: int | str | None
    agent_id: str | None
    side: int
    type: str
    price: int
    qty: int
    filled: int
    remaining: int
    average_price: float | None
    reason: str | UnsetType = UNSET
    session: int | UnsetType = UNSET


class Trade(Struct, gc=False):
    """One trade: price in price units, lots."""

    event: str
    sequence: int
    step: int
    timestamp: float
    symbol_id: int
    price: int
    qty: int
    aggressor_side: int
    taker_order_id: int
    maker_order_id: int
    taker_agent: str | None
    maker_agent: str | None


class Subscription:
    """What a connection wants to hear, and when it is told the state of books next."""

    __slots__ = ("changed", "channels", "due_s", "interval_s", "step", "symbols")

    def __init__(self, request: Subscribe) -> None:
        self.channels = frozenset(CHANNELS if request.channels is None else request.channels)
        self.symbols = None if request.symbol_ids is None else frozenset(request.symbol_ids)
        self.interval_s = request.interval_ms / 1000
        self.due_s = 0.0
        self.changed: set[int] = set()
        """Instruments whose books changed since they were told."""
        self.step = -1

    def wants(self, channel: str, symbol_id: int | None = None) -> bool:
        """Whether an event is for this connection."""
        if channel not in self.channels:
            return False
        return symbol_id is None or self.symbols is None or symbol_id in self.symbols


class Feed:
    """All subscribers of the market."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.subscribers: list[Client] = []

    def subscribe(self, client: Client, request: Subscribe, instruments: Iterable[int]) -> None:
        """Let a connection carry events; it is told all books that it asks for at once."""
        client.subscription = Subscription(request)
        client.subscription.changed.update(instruments)
        if client not in self.subscribers:
            self.subscribers.append(client)

    def leave(self, client: Client) -> None:
        """Forget a connection."""
        if client.subscription is not None:
            self.subscribers.remove(client)
            client.subscription = None

    def wanted(self, channel: str) -> bool:
        """Whether somebody listens to a channel."""
        return any(it.subscription.wants(channel) for it in self.subscribers)

    def tell(self, channel: str, event: dict[str, Any], symbol_id: int | None = None) -> None:
        """Send one event to all who want it."""
        line = encode(event)
        for client in self.subscribers:
            if client.subscription.wants(channel, symbol_id):
                client.lines.append(line)

    def orders(self, changes: Iterable[Change], now_s: float) -> None:
        """Tell what happened to orders; who owns one is told its session as well."""
        listeners = [it for it in self.subscribers if "orders" in it.subscription.channels]
        for change in changes:
            event = self._order_event(change, now_s)
            owners = {it.client: it.number for it in self._registry.owners_of(change.order.account)}
            line = b""
            for client in listeners:
                if not client.subscription.wants("orders", event.symbol_id):
                    continue
                if client in owners:
                    event.session = owners[client]
                    client.lines.append(encode(event))
                    event.session = UNSET
                    continue
                line = line or encode(event)
                client.lines.append(line)

    def _order_event(self, change: Change, now_s: float) -> OrderEvent:
        order = change.order
        return OrderEvent(
            event=_NAMES[change.kind],
            sequence=change.sequence,
            step=change.step,
            timestamp=now_s,
            symbol_id=order.instrument + 1,
            order_id=order.order_id,
            id=order.id,
            agent_id=self._registry.agent_of(order.account),
            side=order.side,
            type="market" if order.kind == MessageKind.MARKET else "limit",
            price=change.price,
            qty=change.quantity,
            filled=change.filled,
            remaining=change.remaining,
            average_price=change.average_price,
            reason=Reason(change.reason).name if change.reason else UNSET,
        )

    def trades(self, fills: NDArray[Any], now_s: float) -> None:
        """Tell ``(n,) EVENT_DTYPE`` fills."""
        listeners = [it for it in self.subscribers if "trades" in it.subscription.channels]
        if not listeners or not len(fills):
            return
        agent_of = self._registry.agent_of
        for number in np.unique(fills["instrument"]).tolist():
            rows = fills[fills["instrument"] == number]
            lines = b"".join(
                encode(
                    Trade(
                        "trade", row[5], row[6], now_s, number + 1, row[10], row[11], row[1], row[7], row[12],
                        agent_of(row[8]), agent_of(row[9]),
                    )
                )
                for row in rows.tolist()
            )  # fmt: skip
            for client in listeners:
                if client.subscription.wants("trades", number + 1):
                    client.lines.append(lines)
