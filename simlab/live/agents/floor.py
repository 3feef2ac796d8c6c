"""Keep a mirror up to date with the market of a gateway: what is listed, books, trades, news, the clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from simlab.core.types import Side
from simlab.errors import LiveError
from simlab.live import told as tell
from simlab.live.agents.mirror import Listing, Mirror
from simlab.live.client.session import Session
from simlab.live.messages import Channel, Subscribe
from simlab.processes import NewsItem

__all__ = ["Floor"]

_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_CHANNELS: list[Channel] = ["orderbooks", "trades", "news", "agents"]
_FASTEST_S, _SLOWEST_S = 0.05, 0.5
"""How often the clock is looked at: once a step, within these."""
_LISTED_S = 60.0


class Floor:
    """A market as its gateway tells it, in price units and lots.

    Parameters
    ----------
    url : str
        The gateway's address.
    names : sequence of str
        What strategies call the instruments of the configuration, in the market's order; those that are added
        go by their tickers.
    token : str, optional
        What the market asks of everybody, where it asks for one.
    created : callable
        Told of every agent that is created.

    Attributes
    ----------
    mirror : Mirror
    """

    def __init__(
        self,
        url: str,
        names: Sequence[str],
        *,
        token: str | None,
        created: Callable[[tell.NewAgent], None],
    ) -> None:
        self.mirror, self._names, self._created = Mirror(), names, created
        self.session = Session(url, self._hear, self._greet, token=token)
        self.rest = httpx.AsyncClient(
            base_url=self.session.rest_address, headers=self.session.headers, trust_env=False
        )
        self._told: dict[int, tell.Instrument] = {}
        self._terms: dict[int, Listing] = {}
        self._books: dict[int, tell.Book] = {}
        self._listing: asyncio.Task[None] | None = None
        self._money_unit = 0.01
        self.steps_per_second: float | str = 10.0

    async def open(self) -> None:
        """Connect, and wait until everything that is traded is known, with its terms."""
        await self.session.open()
        if not await self.session.until(self._knows_all, _LISTED_S):
            raise LiveError(f"the gateway at {self.session.rest_address} does not tell what is traded")
        await self.look_at_clock()

    def _knows_all(self) -> bool:
        return bool(self._told) and self._told.keys() <= self._terms.keys()

    async def close(self) -> None:
        """Leave."""
        if self._listing is not None:
            self._listing.cancel()
        await self.session.close()
        await self.rest.aclose()

    async def look_at_clock(self) -> None:
        """Bring the step up to date; nothing happens where the gateway does not answer."""
        with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
            now = (await self.rest.get("/api/time")).json()
            self.steps_per_second = now["steps_per_second"]
            self.mirror.advance(int(now["step"]))

    @property
    def pause_s(self) -> float:
        """How long to wait before the clock is looked at again."""
        pace = self.steps_per_second
        if not isinstance(pace, int | float) or pace <= 0:
            return 2 * _FASTEST_S
        return min(max(1.0 / pace, _FASTEST_S), _SLOWEST_S)

    def units(self, symbol_id: int, price: float) -> int:
        """Return a price in price units."""
        return round(price / self._terms[symbol_id].price_unit)

    def currency(self, number: int, price: int) -> float:
        """Return a price in currency."""
        return float(f"{price * self.mirror.listings[number].price_unit:.12g}")

    def money(self, amount: float) -> int:
        """Return an amount of currency in money units."""
        return round(amount / self._money_unit)

    def amount(self, money: int) -> float:
        """Return money units in currency."""
        return float(f"{money * self._money_unit:.12g}")

    async def _greet(self) -> None:
        await self.session.ask(Subscribe(channels=_CHANNELS), greeting=True)

    def _hear(self, told: tell.Told) -> None:
        if isinstance(told, tell.Orderbooks):
            for book in told.data.values():
                self._books[book.symbol_id] = book
                self._take_book(book)
        elif isinstance(told, tell.Trades):
            for it in told.data:
                if it.symbol_id in self._terms:
                    price, side = self.units(it.symbol_id, it.price), _SIDES[it.aggressor_side]
                    self.mirror.take_trade(it.symbol_id - 1, price, it.quantity, side)
        elif isinstance(told, tell.News):
            self.mirror.take_news(self._news(told.data))
        elif isinstance(told, tell.NewsHistory):
            self.mirror.news.clear()
            self.mirror.news.extend(map(self._news, told.data))
        elif isinstance(told, tell.Instruments):
            self._told = {it.symbol_id: it for it in told.data}
            if self._listing is None or self._listing.done():
                self._listing = asyncio.create_task(self._list())
        elif isinstance(told, tell.AgentCreated):
            self._created(told.data)

    def _take_book(self, book: tell.Book) -> None:
        if book.symbol_id not in self._terms:
            return
        bids, asks = (
            [(self.units(book.symbol_id, it.price), it.quantity) for it in side]
            for side in (book.bids, book.asks)
        )
        self.mirror.take_book(book.symbol_id - 1, bids, asks, halted=book.status == "halted")

    def _news(self, item: tell.NewsItem) -> NewsItem:
        number = -1 if item.instrument_id is None else item.instrument_id - 1
        sentiment = item.sentiment if isinstance(item.sentiment, int | float) else 0.0
        return NewsItem(
            self.mirror.step, number, item.headline, item.content, float(sentiment), source=item.source
        )

    async def _list(self) -> None:
        """Ask for the terms of what is listed and not known yet."""
        while self._told.keys() - self._terms.keys():
            for symbol_id in sorted(self._told.keys() - self._terms.keys()):
                try:
                    answer = await self.rest.get(f"/api/instruments/{symbol_id}/rules")
                    self._take_rules(self._told[symbol_id], answer.json())
                except (httpx.HTTPError, ValueError, KeyError):
                    await asyncio.sleep(_SLOWEST_S)  # the gateway is away, or it was taken off again

    def _take_rules(self, told: tell.Instrument, rules: dict[str, Any]) -> None:
        unit = float(rules["price_unit"])
        low, high = rules["price_band"]
        number = told.symbol_id - 1
        listing = Listing(
            number=number,
            name=self._names[number] if number < len(self._names) else told.ticker,
            initial_price=round(told.initial_price / unit),
            tick_size=round(rules["tick_size"] / unit),
            lot_size=int(rules["lot_size"]),
            multiplier=int(rules["multiplier"]),
            price_unit=unit,
            price_band=(round(low / unit), round(high / unit)),
        )
        if not self._terms:
            self._money_unit = unit
        self._terms[told.symbol_id] = listing
        self.mirror.take_listing(listing)
        if told.symbol_id in self._books:  # it came before the terms did, and may not change for long
            self._take_book(self._books[told.symbol_id])
