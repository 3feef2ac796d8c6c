"""Show a market as tables: books, trades, candles, a portfolio."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

from simlab.errors import LiveError
from simlab.live.client.picture import Picture
from simlab.live.told import Instrument

__all__ = ["Portfolio", "book_table", "candle_table", "portfolio_of", "trade_table", "with_time"]


class Portfolio(NamedTuple):
    """What an agent has, in currency; `positions` has a row an instrument."""

    cash: float
    total_value: float
    pnl: float
    positions: pd.DataFrame


def with_time(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the column `time`, seconds since 1970, into times."""
    table["time"] = pd.to_datetime(table["time"], unit="s", utc=True)
    return table


def book_table(picture: Picture, instrument: Instrument, levels: int) -> pd.DataFrame:
    book = picture.books.get(instrument.symbol_id)
    bids, asks = (getattr(book, side)[:levels] if book is not None else [] for side in ("bids", "asks"))
    columns = {
        "bid_quantity": [it.quantity for it in bids],
        "bid": [it.price for it in bids],
        "ask": [it.price for it in asks],
        "ask_quantity": [it.quantity for it in asks],
    }
    table = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    return table.rename_axis("level").astype(
        {"bid_quantity": "Int64", "bid": "Float64", "ask": "Float64", "ask_quantity": "Int64"}
    )


def trade_table(picture: Picture, rows: Iterable[Any]) -> pd.DataFrame:
    tickers = {it.symbol_id: it.ticker for it in picture.instruments.values()}
    made = [
        (it["timestamp"], tickers.get(it["symbol_id"], it["symbol_id"]), it["aggressor_side"], it["price"],
         it["quantity"])
        for it in rows
    ]  # fmt: skip
    table = with_time(pd.DataFrame(made, columns=["time", "ticker", "side", "price", "quantity"]))
    return table.sort_values("time", kind="stable", ignore_index=True)


def candle_table(rows: Iterable[Any]) -> pd.DataFrame:
    """Return candles, oldest first: time, open, high, low, close, volume."""
    names = ["timestamp", "open", "high", "low", "close", "volume"]
    made = pd.DataFrame([[it[name] for name in names] for it in rows], columns=["time", *names[1:]])
    return with_time(made)


def portfolio_of(picture: Picture) -> Portfolio:
    told = picture.portfolio
    if told is None:
        raise LiveError("the market has not told the portfolio yet")
    tickers = {it.symbol_id: it.ticker for it in picture.instruments.values()}
    rows = {
        tickers.get(it.instrument_id, str(it.instrument_id)): (
            it.quantity, it.avg_price, it.current_price, it.market_value, it.unrealized_pnl,
        )
        for it in told.positions.values()
    }  # fmt: skip
    columns = ["quantity", "avg_price", "current_price", "market_value", "unrealized_pnl"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("ticker")
    return Portfolio(told.cash, told.total_value, told.pnl, table)
