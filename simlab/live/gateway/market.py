"""Keep what the gateway knows of the market, and say it in currency.

The engine is the only one who knows; this is its latest word, so that whoever connects is told at once and a
million reads ask the engine nothing. Everything here is bounded: by instruments, agents, and the latest news.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from simlab.live import told
from simlab.live.gateway.events import AgentRow, BookState, InstrumentRow, MarketState, NewsRow
from simlab.live.gateway.units import Units
from simlab.live.messages import encode

__all__ = ["NEWS_KEPT", "Listed", "Market", "side_of"]

_BUY = (0, "buy", "BUY")
NEWS_KEPT = 200
"""Pieces of news that are kept for whoever connects."""


def side_of(side: int | str) -> str:
    """Return buy or sell, as the engine says it in one way or the other."""
    return "buy" if side in _BUY else "sell"


@dataclass
class Listed:
    """One instrument: its terms, its units, and the latest of its book."""

    row: InstrumentRow
    units: Units
    last_price: int
    book: BookState
    piece: bytes
    """Its book as it stands in a message `orderbooks`, with its key."""

    @property
    def mark(self) -> float:
        """The price at which what is held is valued: the mid price, or the last where a side is empty."""
        if self.book.bids and self.book.asks:
            return (self.book.bids[0][0] + self.book.asks[0][0]) / 2
        return self.last_price

    def instrument(self) -> told.Instrument:
        """Return it as clients are told of it."""
        row, units = self.row, self.units
        return told.Instrument(
            row.symbol_id,
            row.ticker,
            row.description,
            row.industry,
            units.currency(row.initial_price),
            row.created_at,
            units.currency(row.tick_size),
            row.lot_size,
        )

    def levels(self, rows: list[tuple[int, int, int]]) -> list[told.Level]:
        """Return one side of a book in currency."""
        currency = self.units.currency
        return [told.Level(currency(price), quantity, orders) for price, quantity, orders in rows]

    def change(self, since: BookState) -> told.DepthChange:
        """Return which levels differ from an earlier state of the book."""
        book = self.book
        return told.DepthChange(
            self.row.symbol_id,
            since.sequence + 1,
            book.sequence,
            self._differing(since.bids, book.bids),
            self._differing(since.asks, book.asks),
        )

    def _differing(
        self, old: list[tuple[int, int, int]], new: list[tuple[int, int, int]]
    ) -> list[tuple[float, int]]:
        before = {price: quantity for price, quantity, _ in old}
        after = {price: quantity for price, quantity, _ in new}
        changed = [it for it in after.items() if before.get(it[0]) != it[1]]
        changed += [(price, 0) for price in before.keys() - after.keys()]
        return [(self.units.currency(price), quantity) for price, quantity in changed]


class Market:
    """The latest word on instruments, books, news, agents and the clock."""

    def __init__(self) -> None:
        self.listed: dict[int, Listed] = {}
        self.agents: dict[str, AgentRow] = {}
        """Those that are somebody's, or can be."""
        self.inside: dict[str, AgentRow] = {}
        """Those of populations inside the market, of very many those that matter."""
        self.inside_count = 0
        """How many there are of them."""
        self._inside_pieces: list[bytes] = []
        self.news: deque[told.NewsItem] = deque(maxlen=NEWS_KEPT)
        self.clock = MarketState()
        self.money = Units(0.01)
        """Money units: one is what one lot costs at a price of one unit, with a multiplier of 1."""

    def list_instrument(self, row: InstrumentRow) -> None:
        """Take in an instrument that is new, or changed."""
        known = self.listed.get(row.symbol_id)
        units = Units(row.price_unit, row.tick_size)
        if not self.listed:
            self.money = Units(row.price_unit)
        if known is not None:
            known.row, known.units = row, units
            return
        empty = BookState(row.symbol_id, 0, [], [])
        self.listed[row.symbol_id] = Listed(row, units, row.initial_price, empty, b"")
        self.take_book(empty)

    def instruments(self) -> list[told.Instrument]:
        """Return what can be traded; what was delisted is kept only to value what is held of it."""
        return [it.instrument() for it in self.listed.values() if it.row.listed]

    def take_book(self, book: BookState) -> Listed | None:
        """Take in the state of a book; None if its instrument is not listed."""
        listed = self.listed.get(book.symbol_id)
        if listed is None:
            return None
        listed.book = book
        if book.last_price is not None:
            listed.last_price = book.last_price
        shown = told.Book(
            "halted" if book.halted else "success",
            book.symbol_id,
            book.sequence,
            time.time(),
            listed.levels(book.bids),
            listed.levels(book.asks),
        )
        listed.piece = b'"%d":%s' % (book.symbol_id, encode(shown))
        return listed

    def take_news(self, row: NewsRow) -> told.NewsItem:
        """Take in a piece of news."""
        item = self.news_item(row)
        self.news.append(item)
        return item

    def news_item(self, row: NewsRow) -> told.NewsItem:
        """Return a piece of news as clients are told of it."""
        return told.NewsItem(
            row.id,
            row.headline,
            row.content,
            row.sentiment,
            row.source or "",
            row.symbol_id,
            row.impact_type,
            row.created_at,
        )

    def name_of(self, agent_id: str | None) -> str:
        """Return how an agent is called; those without one trade as guests."""
        agent = self.agents.get(agent_id) if agent_id is not None else None
        return agent.name if agent is not None else agent_id or "guest"

    def currency(self, money: float) -> float:
        """Return money units in currency, to the unit."""
        return self.money.currency(round(money))

    def take_inside(self, count: int, rows: list[AgentRow]) -> None:
        """Take in the agents inside the market; they are written once, for all who are told of them."""
        self.inside, self.inside_count = {row.agent_id or "": row for row in rows}, count
        self._inside_pieces = [encode(self.agent(row)) for row in rows]

    def everybody(self) -> list[told.Agent]:
        """Return all agents as clients are told of them, at current prices."""
        return [self.agent(row) for row in (*self.agents.values(), *self.inside.values())]

    def agents_snapshot(self) -> bytes:
        """Return the message `agents_snapshot`."""
        pieces = [encode(self.agent(row)) for row in self.agents.values()] + self._inside_pieces
        count = len(self.agents) + self.inside_count
        return b'{"type":"agents_snapshot","data":[%s],"count":%d}' % (b",".join(pieces), count)

    def agent(self, row: AgentRow) -> told.Agent:
        """Return an agent as clients are told of it, at current prices."""
        positions, total_value, pnl = self._worth(row)
        return told.Agent(
            row.agent_id or "",
            row.name,
            row.personality or "",
            self.currency(row.cash),
            positions,
            total_value,
            pnl,
            self.currency(row.starting_capital),
            row.connected,
            row.created_at,
            row.population,
        )

    def portfolio(self, row: AgentRow) -> told.PortfolioUpdate:
        """Return an account as its owner is told of it, at current prices."""
        positions, total_value, pnl = self._worth(row)
        return told.PortfolioUpdate(self.currency(row.cash), positions, total_value, pnl, row.agent_id)

    def created(self, row: AgentRow) -> told.NewAgent:
        """Return an agent as the runner of agents is told of it."""
        return told.NewAgent(
            row.agent_id or "",
            row.name,
            row.personality or "",
            self.currency(row.starting_capital),
            row.created_at,
            row.strategy,
            row.parameters,
        )

    def _worth(self, row: AgentRow) -> tuple[dict[str, told.Position], float, float]:
        """Return positions, total value and profit at current prices, currency."""
        positions: dict[str, told.Position] = {}
        worth = row.cash
        for key, held in row.positions.items():
            listed = self.listed.get(int(key))
            if listed is None:
                continue
            multiplier, units = listed.row.multiplier, listed.units
            value = held.quantity * listed.mark * multiplier
            worth += value
            paid = held.cost / (held.quantity * multiplier) if held.quantity else 0.0
            positions[key] = told.Position(
                int(key),
                held.quantity,
                units.currency(paid),
                units.currency(listed.mark),
                self.currency(value),
                self.currency(value - held.cost) if held.quantity else 0.0,
            )
        return positions, self.currency(worth), self.currency(row.pnl + worth - row.total_value)
