"""Answer requests that only look, for anybody who asks: nothing changes by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

from simlab.config.live import SeatsConfig
from simlab.core.types import Reason
from simlab.errors import did_you_mean
from simlab.live import protocol as ask
from simlab.live.engine.floor import Floor
from simlab.live.engine.reading import (
    Listing,
    agent_view,
    book_view,
    candle_rows,
    holdings,
    inside_view,
    instrument_view,
    order_view,
    rests_view,
    trade_rows,
)
from simlab.live.engine.registry import Agent, Client, Registry, Session
from simlab.live.protocol import Failure

__all__ = ["Inquiries"]


class Inquiries:
    """Where a market can be asked how it is.

    Parameters
    ----------
    floor : Floor
    registry : Registry
    seats : SeatsConfig
    listings : list of Listing
        How its instruments are called; it grows with them.
    """

    def __init__(self, floor: Floor, registry: Registry, seats: SeatsConfig, listings: list[Listing]) -> None:
        self._floor, self._registry, self._seats, self._listings = floor, registry, seats, listings
        self.answers: dict[type, Callable[[Client, Session, Any], dict[str, Any] | Failure]] = {
            ask.Snapshot: self._snapshot,
            ask.ListInstruments: self._list_instruments,
            ask.Agents: self._agents,
            ask.Inside: self._inside,
            ask.Account: self._account,
            ask.Orders: self._orders,
            ask.Trades: self._trades,
            ask.Candles: self._candles,
            ask.News: self._news,
            ask.Decisions: self._decisions,
        }
        """What to do for which request."""

    def number(self, symbol_id: int) -> int | Failure:
        """Return the number of an instrument."""
        count = len(self._listings)
        if 1 <= symbol_id <= count:
            return symbol_id - 1
        return Failure(
            Reason.UNKNOWN_INSTRUMENT.name,
            f"symbol_id {symbol_id} is unknown; they are 1 to {count}",
            field="symbol_id",
        )

    def trader(self, session: Session, agent_id: str | None) -> int | Failure | None:
        """Return the account that somebody may look at: any agent's, by default the session's own."""
        account = self._registry.account_of(agent_id) if agent_id is not None else None
        return account if account is not None else self._registry.account(session, agent_id)

    def _is_inside(self, account: int | None) -> TypeGuard[int]:
        return account is not None and self._registry.inside.id_of(account) is not None

    def _snapshot(self, client: Client, session: Session, it: ask.Snapshot) -> dict[str, Any] | Failure:
        symbol = it.symbol_id if it.symbol is None else it.symbol
        number = self.number(symbol) if isinstance(symbol, int) else self._listed_as(symbol)
        return number if isinstance(number, Failure) else book_view(self._floor.simulation, number, it.depth)

    def _listed_as(self, ticker: str) -> int | Failure:
        tickers = [it.ticker for it in self._listings]
        if ticker in tickers:
            return tickers.index(ticker)
        said = f"symbol {ticker!r} is unknown{did_you_mean(ticker, tickers)}"
        return Failure(Reason.UNKNOWN_INSTRUMENT.name, said, field="symbol")

    def instrument(self, number: int) -> dict[str, Any]:
        """Return what an instrument is and on which terms it trades."""
        return instrument_view(self._floor.simulation, number, self._listings[number])

    def _list_instruments(self, client: Client, session: Session, it: Any) -> dict[str, Any]:
        return {"instruments": [self.instrument(number) for number in range(len(self._listings))]}

    def agent(self, agent: Agent) -> dict[str, Any]:
        """Return an agent with its account."""
        return agent_view(self._floor.simulation, self._registry, agent)

    def _agents(self, client: Client, session: Session, it: Any) -> dict[str, Any]:
        return {"agents": [self.agent(agent) for agent in self._registry.agents.values()]}

    def _inside(self, client: Client, session: Session, it: Any) -> dict[str, Any]:
        inside = self._registry.inside
        rows = inside.shown(self._floor.simulation, self._listings[0].created_at) if inside.count else []
        return {
            "count": inside.count,
            "agents": [it for it in rows if it.agent_id not in self._registry.agents],
        }

    def _account(self, client: Client, session: Session, it: ask.Account) -> dict[str, Any] | Failure:
        account = self.trader(session, it.agent_id)
        if isinstance(account, Failure):
            return account
        agent = self._registry.by_account.get(-1 if account is None else account)
        if agent is not None:
            return self.agent(agent)
        if self._is_inside(account):
            since = self._listings[0].created_at
            return inside_view(self._floor.simulation, self._registry, account, since)
        capital = self._seats.account.cash
        held: dict[str, Any] = {"cash": capital, "positions": {}, "total_value": capital}
        if account is not None:
            held = holdings(self._floor.simulation, account)
        return {"agent_id": None, "account": account, "starting_capital": capital, **held,
                "pnl": held["total_value"] - capital}  # fmt: skip

    def _orders(self, client: Client, session: Session, it: ask.Orders) -> dict[str, Any] | Failure:
        account = self.trader(session, it.agent_id)
        if isinstance(account, Failure):
            return account
        if self._is_inside(account):
            resting = self._floor.simulation.account(account).orders
            return {"orders": [rests_view(order) for order in resting]}
        found = [] if account is None else self._floor.orders.of(account)
        return {"orders": [order_view(order) for order in found]}

    def _trades(self, client: Client, session: Session, it: ask.Trades) -> dict[str, Any] | Failure:
        tape = self._floor.tape
        if it.symbol_id is not None:
            number = self.number(it.symbol_id)
            if isinstance(number, Failure):
                return number
            return {"trades": trade_rows(self._registry, tape.trades_of(number, it.limit))}
        account = self.trader(session, it.agent_id)
        if isinstance(account, Failure):
            return account
        account = -1 if account is None else account
        rows = (tape.trades_inside if self._is_inside(account) else tape.trades_by)(account, it.limit)
        return {"trades": trade_rows(self._registry, rows)}

    def _candles(self, client: Client, session: Session, it: ask.Candles) -> dict[str, Any] | Failure:
        number = self.number(it.symbol_id)
        if isinstance(number, Failure):
            return number
        return {"candles": candle_rows(self._floor.tape, number, it.interval, it.limit)}

    def _news(self, client: Client, session: Session, it: ask.News) -> dict[str, Any]:
        return {"news": self._floor.news.latest(it.limit)}

    def _decisions(self, client: Client, session: Session, it: ask.Decisions) -> dict[str, Any] | Failure:
        account = self.trader(session, it.agent_id)
        if isinstance(account, Failure):
            return account
        account, shelf = account or 0, self._floor.decisions
        latest = shelf.latest_inside if self._is_inside(account) else shelf.latest
        return {"decisions": latest(account, it.limit)}
