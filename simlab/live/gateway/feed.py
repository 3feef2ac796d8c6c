"""Take in what the engine says: everything when the connection stands, then every event."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from simlab.live import told
from simlab.live.gateway import events
from simlab.live.gateway.market import NEWS_KEPT, side_of
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
        self._traded_agents: set[str] = set()
        self._traded_guests: set[int] = set()

    def up(self) -> None:
        """Ask for everything there is, and for events from now on; take the clients' agents again."""
        interval_ms = self.room.interval_ms
        subscribe = {"action": "subscribe", "channels": _CHANNELS, "interval_ms": interval_ms}
        self.link.ask(subscribe, self._clock)
        self.link.ask({"action": "list_instruments"}, self._instruments)
        self.link.ask({"action": "agents"}, self._agents)
        self.link.ask({"action": "news", "limit": NEWS_KEPT}, self._news)
        self.room.reopen()

    def down(self) -> None:
        """Say that the engine went away."""
        if self.known.is_set():
            _LOG.warning("the engine went away; looking for it")

    def _clock(self, line: bytes | None) -> None:
        if line is not None:
            self.market.clock = msgspec.json.decode(line, type=events.MarketState)

    def _instruments(self, line: bytes | None) -> None:
        if line is None:
            return
        for row in msgspec.json.decode(line, type=_Instruments).instruments:
            self.market.list_instrument(row)
            self.link.ask({"action": "snapshot", "symbol_id": row.symbol_id, "depth": 20}, self._snapshot)
        self.room.inside.ask()  # behind the books, at whose prices they are told
        self.link.ask({"action": "ping"}, self._all_known)
        self.hub.announce(None, None, told.Instruments(self.market.instruments()))

    def _snapshot(self, line: bytes | None) -> None:
        if line is not None:
            self._book(msgspec.json.decode(line, type=events.BookState))

    def _all_known(self, line: bytes | None) -> None:
        """Note that all that was asked before has been answered."""
        if line is not None:
            self.known.set()

    def _agents(self, line: bytes | None) -> None:
        if line is not None:
            rows = msgspec.json.decode(line, type=_Agents).agents
            self.market.agents = {row.agent_id or "": row for row in rows}
            self.hub.agents_changed()

    def _news(self, line: bytes | None) -> None:
        if line is not None:
            self.market.news.clear()
            for row in sorted(msgspec.json.decode(line, type=_News).news, key=lambda it: it.id):
                self.market.take_news(row)

    def ask_accounts(self) -> None:
        """Ask for the accounts that traded since this was called last, once each."""
        if not self.link.up:
            return
        for agent_id in self._traded_agents:
            self.link.ask({"action": "account", "agent_id": agent_id}, self._account)
        self._traded_agents.clear()
        for number in self._traded_guests:
            session = self.room.sessions.get(number)
            if session is not None:
                session.ask_account()
        self._traded_guests.clear()

    def _account(self, line: bytes | None) -> None:
        row = None if line is None else msgspec.json.decode(line, type=events.AccountAnswer)
        if row is None or row.agent_id is None:
            return
        self._agent_changed(row)
        holder = self.room.holders.get(row.agent_id)
        if holder is not None:
            holder.tell(self.market.portfolio(row))

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
        if type(event) is events.Filled:
            if event.agent_id is not None:
                self._traded_agents.add(event.agent_id)
            elif event.session is not None:
                self._traded_guests.add(event.session)

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
        self.market.agents[row.agent_id or ""] = row
        self.hub.agents_changed()
