"""Tell subscribers what happens: every event of orders and trades, and the latest state of books."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

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

    def has_news(self, step: int) -> bool:
        """Whether there is something to tell that can wait for its interval."""
        if self.changed and "book" in self.channels:
            return True
        return step != self.step and "market" in self.channels

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

    def due_s(self, step: int) -> float | None:
        """Return when the first is to be told books or the step, now that `step` is next; None for never.

        Seconds of the clock by which `Core.tell_books` is called.
        """
        return min((it.subscription.due_s for it in self.subscribers
                    if not it.behind and it.subscription.has_news(step)), default=None)  # fmt: skip

    def tell(self, channel: str, event: dict[str, Any], symbol_id: int | None = None) -> None:
        """Send one event to all who want it."""
        line = encode(event)
        for client in self.subscribers:
            if client.subscription.wants(channel, symbol_id):
                client.lines.append(line)

    def happened(self, changes: Sequence[Change], fills: NDArray[Any], now_s: float) -> None:
        """Tell what happened to orders, and ``(n,) EVENT_DTYPE`` fills, in the order of their sequences."""
        trades = deque(self._trades(fills, now_s))
        for change in changes:
            while trades and trades[0].sequence < change.sequence:
                self._tell_trade(trades.popleft())
            self._tell_change(change, now_s)
        for trade in trades:
            self._tell_trade(trade)

    def _tell_trade(self, trade: Trade) -> None:
        line = encode(trade)
        for client in self.subscribers:
            if client.subscription.wants("trades", trade.symbol_id):
                client.lines.append(line)

    def _tell_change(self, change: Change, now_s: float) -> None:
        """Tell what happened to an order; who owns it is told its session as well."""
        event = self._order_event(change, now_s)
        owners = {it.client: it.number for it in self._registry.owners_of(change.order.account)}
        line = b""
        for client in self.subscribers:
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

    def _trades(self, fills: NDArray[Any], now_s: float) -> Iterator[Trade]:
        agent_of = self._registry.agent_of
        names = ("sequence", "step", "instrument", "price", "quantity", "side", "order_id", "other_order_id",
                 "account", "other_account")  # fmt: skip
        for sequence, step, instrument, price, quantity, side, taker_order, maker_order, taker, maker in zip(
            *(fills[name].tolist() for name in names), strict=True
        ):
            yield Trade(
                "trade", sequence, step, now_s, instrument + 1, price, quantity, side, taker_order,
                maker_order, agent_of(taker), agent_of(maker),
            )  # fmt: skip
