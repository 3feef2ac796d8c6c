"""What both clients know without asking anybody: of an order, of an instrument, of the market."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pandas as pd

from simlab.live.client.picture import OrderRecord, OrderStatus, Picture
from simlab.live.client.tables import book_table, with_time
from simlab.live.told import Instrument

__all__ = ["ClientFace", "InstrumentFace", "OrderFace"]


class OrderFace:
    """What is known of an order."""

    def __init__(self, market: Any, record: OrderRecord) -> None:
        self._market, self._record = market, record

    @property
    def status(self) -> OrderStatus:
        """How it stands: sent, open, partially_filled, filled, cancelled, expired, rejected, not_entered."""
        return self._record.status

    @property
    def is_over(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self._record.status.is_over

    @property
    def filled(self) -> int:
        """Lots that were traded."""
        return self._record.filled

    @property
    def remaining(self) -> int:
        """Lots that may still be traded."""
        return self._record.remaining

    @property
    def quantity(self) -> int:
        """Lots that were asked for."""
        return self._record.quantity

    @property
    def average_price(self) -> float | None:
        """Mean price of what was traded, currency; None before anything was."""
        return self._record.average_price

    @property
    def side(self) -> str:
        """Which way: buy or sell."""
        return self._record.side

    @property
    def limit(self) -> Decimal | None:
        """The limit price, currency; None of a market order."""
        return self._record.limit

    @property
    def ticker(self) -> str:
        """What it trades."""
        return self._record.instrument.ticker

    @property
    def order_id(self) -> int | None:
        """The market's number of it; None before it was answered."""
        return self._record.order_id

    @property
    def client_id(self) -> str:
        """One's own name of it, under which the market enters it at most once."""
        return self._record.client_id

    @property
    def reason(self) -> str:
        """Why it was refused, or has ended, in words; empty where there is nothing to say."""
        return self._record.reason

    def __repr__(self) -> str:
        it = self._record
        price = "at the market" if it.limit is None else f"at {it.limit}"
        filled = f", {it.filled} filled at {it.average_price:g}" if it.filled and it.average_price else ""
        reason = f": {it.reason}" if it.reason else ""
        return f"<{it.side} {it.quantity} {it.instrument.ticker} {price}: {it.status}{filled}{reason}>"


class InstrumentFace:
    """What is known of an instrument."""

    def __init__(self, market: Any, ticker: str) -> None:
        self._market, self.ticker = market, ticker

    @property
    def _picture(self) -> Picture:
        picture: Picture = self._market._picture
        return picture

    @property
    def info(self) -> Instrument:
        """What it is and on which terms it is traded: tick and lot size, first price, description."""
        return self._picture.instrument(self.ticker)

    def _best(self, side: str) -> float | None:
        book = self._picture.books.get(self.info.symbol_id)
        levels = getattr(book, side) if book is not None else ()
        return float(levels[0].price) if levels else None

    @property
    def bid(self) -> float | None:
        """The best price at which somebody buys, currency, or None."""
        return self._best("bids")

    @property
    def ask(self) -> float | None:
        """The best price at which somebody sells, currency, or None."""
        return self._best("asks")

    @property
    def mid(self) -> float | None:
        """The middle between both, or None where one is missing."""
        bid, ask = self.bid, self.ask
        return None if bid is None or ask is None else (bid + ask) / 2

    def book(self, levels: int = 5) -> pd.DataFrame:
        """Return the best levels of the book, best first: bid_quantity, bid, ask, ask_quantity."""
        return book_table(self._picture, self.info, levels)

    def __repr__(self) -> str:
        return f"<{self.ticker}: bid {self.bid}, ask {self.ask}>"


class ClientFace:
    """What both clients know without asking."""

    _picture: Picture

    @property
    def instruments(self) -> list[str]:
        """The tickers of all instruments."""
        return list(self._picture.instruments)

    def __iter__(self) -> Iterator[str]:
        return iter(self.instruments)

    def __len__(self) -> int:
        return len(self._picture.instruments)

    def __contains__(self, ticker: object) -> bool:
        return ticker in self._picture.instruments

    def __bool__(self) -> bool:
        return True  # a market in which nothing is listed yet is a market

    @property
    def news(self) -> pd.DataFrame:
        """The latest news, oldest first."""
        rows = [(it.created_at, it.headline, it.content, it.sentiment) for it in self._picture.news]
        return with_time(pd.DataFrame(rows, columns=["time", "headline", "content", "sentiment"]))

    def book(self, levels: int = 5) -> pd.DataFrame:
        """Return the best levels of all books, best first, with the ticker in the index."""
        tables = {
            it.ticker: book_table(self._picture, it, levels) for it in self._picture.instruments.values()
        }
        return pd.concat(tables, names=["ticker"]) if tables else pd.DataFrame()
