"""Tell subscribers what happens: every event of orders and trades, and the latest state of books."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from msgspec import UNSET, Struct, UnsetType
from numpy.typing import NDArray

from simlab.core.types import EVENT_DTYPE, EventKind, MessageKind, Reason
from simlab.live.engine.floor import Change
from simlab.live.engine.registry import Client, Registry, Session
from simlab.live.protocol import CHANNELS, Subscribe, encode, encode_all

__all__ = ["DEPTH_SHOWN", "PRINTS_AT_ONCE", "Feed", "Subscription"]

DEPTH_SHOWN = 20
"""Levels a side of a book that is pushed."""
PRINTS_AT_ONCE = 1_000
"""Trades among populations that are told at once; of more, the latest."""
_NAMES = {int(kind): kind.name.lower() for kind in EventKind}
_REASONS = {int(reason): reason.name for reason in Reason}
_MARKET = int(MessageKind.MARKET)
_sequence_of = attrgetter("sequence")


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

    @property
    def wish(self) -> tuple[frozenset[str], frozenset[int] | None]:
        """What two connections have in common that are told the same."""
        return self.channels, self.symbols

    def heard(self, told: list[OrderEvent | Trade]) -> list[OrderEvent | Trade]:
        """Return those events that are for this connection."""
        if self.symbols is None and "orders" in self.channels and "trades" in self.channels:
            return told
        return [it for it in told if self.wants("trades" if type(it) is Trade else "orders", it.symbol_id)]

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
        owned: list[tuple[OrderEvent, Sequence[Session]]] = []
        told: list[OrderEvent | Trade] = []
        for change in changes:
            event, owners = self._order_event(change, now_s)
            told.append(event)
            if owners:
                owned.append((event, owners))
        if len(fills):
            told += self._trades(fills, now_s)
            told.sort(key=_sequence_of)  # it is stable: what a trade did to orders stands before it
        said: dict[tuple[frozenset[str], frozenset[int] | None], bytes] = {}
        for client in self.subscribers:
            marked = _mark(owned, client)
            wish = client.subscription.wish
            lines = None if marked else said.get(wish)
            if lines is None:
                lines = encode_all(client.subscription.heard(told))
                for event in marked:
                    event.session = UNSET
                if not marked:
                    said[wish] = lines
            if lines:
                client.lines.append(lines)

    def _order_event(self, change: Change, now_s: float) -> tuple[OrderEvent, Sequence[Session]]:
        """Return what is told of an order, and the sessions that own it."""
        order = change.order
        event = OrderEvent(
            _NAMES[change.kind], change.sequence, change.step, now_s, order.instrument + 1, order.order_id,
            order.id, self._registry.agent_of(order.account), order.side,
            "market" if order.kind == _MARKET else "limit", change.price, change.quantity, change.filled,
            change.remaining, change.average_price, _REASONS[change.reason] if change.reason else UNSET,
        )  # fmt: skip
        return event, self._registry.owners_of(order.account)

    def _trades(self, fills: NDArray[Any], now_s: float) -> Iterator[Trade]:
        agent_of = self._registry.agent_of
        accounts = zip(fills["account"].tolist(), fills["other_account"].tolist(), strict=True)
        words = fills.view(np.int64).reshape(-1, EVENT_DTYPE.itemsize // 8).tolist()
        for (code, sequence, step, taker_order, _, price, quantity, maker_order), (taker, maker) in zip(
            words, accounts, strict=True
        ):
            yield Trade(
                "trade", sequence, step, now_s, (code >> 32) + 1, price, quantity, (code >> 8) & 0xFF,
                taker_order, maker_order, agent_of(taker), agent_of(maker),
            )  # fmt: skip


def _mark(owned: Sequence[tuple[OrderEvent, Sequence[Session]]], client: Client) -> list[OrderEvent]:
    """Name its sessions in the events of orders that are a connection's own; return these."""
    marked = []
    for event, owners in owned:
        for session in owners:
            if session.client is client:
                event.session = session.number
                marked.append(event)
    return marked
