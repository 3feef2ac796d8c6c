"""Take in what the engine says: everything when the connection stands, then every event."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import msgspec

from simlab.live import told
from simlab.live.gateway import events
from simlab.live.gateway.market import side_of
from simlab.live.gateway.session import Room
from simlab.live.gateway.trading import update_of

__all__ = ["Feed"]

_LOG = logging.getLogger("simlab.live.gateway")
_CHANNELS = ["orders", "trades", "book", "news", "agents", "market"]


class _Instruments(msgspec.Struct):
    instruments: list[events.InstrumentRow]


class _Agents(msgspec.Struct):
    agents: list[events.AgentRow]


class _News(msgspec.Struct):
    news: list[events.NewsRow]


class _Clock(msgspec.Struct):
    step: int = 0
    paused: bool = False
    steps_per_second: float | str = 0.0

    def state(self) -> events.MarketState:
        return events.MarketState(self.step, self.paused, self.steps_per_second)


class _Snapshot(msgspec.Struct):
    symbol_id: int
    sequence: int
    bids: list[tuple[int, int, int]]
    asks: list[tuple[int, int, int]]
    last_price: int | None = None
    halted: bool = False

    def book(self) -> events.BookState:
        return events.BookState(
            self.symbol_id, self.sequence, self.bids, self.asks, time.time(), self.last_price, self.halted
        )


class Feed:
    """The engine's word, to the market as it is known, the hub, and the clients whom it concerns.

    Parameters
    ----------
    room : Room
        What the clients share.
    """

    def __init__(self, room: Room) -> None:
        self.room, self.market, self.hub, self.link = room, room.market, room.hub, room.link
        self.known = asyncio.Event()
        """Set once the market is known, so that whoever connects can be told of it."""

    def up(self) -> None:
        """Ask for everything there is, and for events from now on; take the clients' agents again."""
        asks = self.link.ask
        interval_ms = self.room.interval_ms
        subscribe = {"action": "subscribe", "channels": _CHANNELS, "interval_ms": interval_ms}
        asks(subscribe, lambda line: None)
        asks({"action": "list_instruments"}, self._instruments)
        asks({"action": "agents"}, self._agents)
        asks({"action": "news"}, self._news)
        self.room.reopen()

    def down(self) -> None:
        """Say that the engine went away."""
        if self.known.is_set():
            _LOG.warning("the engine went away; looking for it")

    def _instruments(self, line: bytes | None) -> None:
        if line is None:
            return
        for row in msgspec.json.decode(line, type=_Instruments).instruments:
            self.market.list_instrument(row)
            request = {"action": "snapshot", "symbol_id": row.symbol_id, "depth": 20}
            if row.listed:
                self.link.ask(request, self._snapshot)
        self.link.ask({"action": "metrics"}, self._clock)
        self.hub.announce(None, None, told.Instruments(self.market.instruments()))

    def _snapshot(self, line: bytes | None) -> None:
        if line is not None:
            self._book(msgspec.json.decode(line, type=_Snapshot).book())

    def _clock(self, line: bytes | None) -> None:
        """Take in the clock; with it all that was asked first is known."""
        if line is not None:
            self.market.clock = msgspec.json.decode(line, type=_Clock).state()
            self.known.set()

    def _agents(self, line: bytes | None) -> None:
        if line is not None:
            rows = msgspec.json.decode(line, type=_Agents).agents
            self.market.agents = {row.agent_id or "": row for row in rows}
            self.hub.agents_changed()

    def _news(self, line: bytes | None) -> None:
        if line is not None:
            self.market.news.clear()
            for row in sorted(msgspec.json.decode(line, type=_News).news, key=lambda it: it.created_at):
                self.market.take_news(row)

    def settle(self) -> None:
        """Let answers be written: all that came in one read has been handled."""
        self.room.settle()

    def event(self, line: bytes) -> None:
        """Take in one event."""
        event = events.decode_event(line)
        kind = type(event)
        if kind is events.Traded:
            self._traded(event)
        elif kind is events.BookState:
            self._book(event)
        elif isinstance(event, events.OrderEvent):
            self._order(event)
        else:
            self._rare(event)

    def _order(self, event: events.OrderEvent) -> None:
        listed = self.market.listed.get(event.symbol_id)
        if listed is None:
            return
        if type(event) is events.Accepted:
            market = event.type == "market"
            placed = told.Placed(
                event.agent_id,
                self.market.name_of(event.agent_id),
                event.symbol_id,
                listed.row.ticker,
                "BUY" if side_of(event.side) == "buy" else "SELL",
                "MARKET" if market else "LIMIT",
                None if market or event.price is None else listed.units.currency(event.price),
                event.qty,
                event.timestamp,
            )
            self.hub.announce("orders", event.symbol_id, told.OrderPlaced(placed))
        session = self.room.sessions.get(event.session) if event.session is not None else None
        if session is not None:
            session.tell(told.OrderUpdate(update_of(event, listed)))
            if event.agent_id is None and type(event) is events.Filled:
                session.ask_account()

    def _traded(self, event: events.Traded) -> None:
        listed = self.market.listed.get(event.symbol_id)
        if listed is None:
            return
        listed.last_price = event.price
        trade = told.Trade(
            event.symbol_id,
            listed.units.currency(event.price),
            event.qty,
            "buy" if side_of(event.aggressor_side) == "buy" else "sell",
            event.timestamp,
            event.sequence,
        )
        self.hub.traded(trade)

    def _book(self, book: events.BookState) -> None:
        if self.market.take_book(book) is not None:
            self.hub.book_changed(book.symbol_id)

    def _rare(self, event: Any) -> None:
        match event:
            case events.Published():
                item = self.market.take_news(event.news)
                self.hub.announce("news", item.instrument_id, told.News(item))
            case events.AgentMade():
                self.market.agents[event.agent.agent_id or ""] = event.agent
                self.hub.announce("agents", None, told.AgentCreated(self.market.created(event.agent)))
                self.hub.agents_changed()
            case events.AgentChanged():
                self._agent_changed(event.agent)
            case events.InstrumentChanged():
                self.market.list_instrument(event.instrument)
                self.hub.announce(None, None, told.Instruments(self.market.instruments()))
            case events.MarketState():
                self.market.clock = event

    def _agent_changed(self, row: events.AgentRow) -> None:
        agent_id = row.agent_id or ""
        self.market.agents[agent_id] = row
        self.hub.agents_changed()
        holder = self.room.holders.get(agent_id)
        if holder is not None:
            holder.tell(self.market.portfolio(row))
