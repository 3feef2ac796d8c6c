"""Trade by hand from asynchronous code: a market, its instruments and one's own orders."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import pandas as pd

from simlab.errors import LiveError
from simlab.live import messages as wire
from simlab.live.client.known import ClientFace, InstrumentFace, OrderFace
from simlab.live.client.picture import OrderRecord, OrderStatus, Picture, on_lot, on_tick
from simlab.live.client.session import ConnectionLostError, RefusedError, Session
from simlab.live.client.tables import Portfolio, candle_table, portfolio_of, trade_table
from simlab.live.told import AgentRegistered, Told

__all__ = ["AsyncClient", "AsyncInstrument", "AsyncOrder", "Side"]

_ANSWER_S = 10.0
_AGAIN_S = 0.2
Side = Literal["buy", "sell"]


class AsyncOrder(OrderFace):
    """One's own order; see `Order`."""

    _market: AsyncClient

    async def wait(self, timeout_s: float | None = None) -> Self:
        """Wait until it is over, or for `timeout_s` seconds; `status` says which."""
        await self._market._session.until(lambda: self.is_over, timeout_s)
        return self

    async def cancel(self) -> Self:
        """Take what is left of it out of the book; nothing happens where nothing is left."""
        await self._market._cancel(self._record)
        return self

    async def replace(self, *, limit: Any = None, quantity: int | None = None) -> Self:
        """Give it another price, or another quantity in all that is still to be traded."""
        await self._market._replace(self._record, limit, quantity)
        return self


class AsyncInstrument(InstrumentFace):
    """One instrument of a market; see `InstrumentMarket`."""

    async def buy(self, quantity: int, *, limit: Any = None, **terms: Any) -> AsyncOrder:
        """Send an order to buy; see `InstrumentMarket.buy`."""
        return await self._market._enter(self.ticker, "buy", quantity, limit, **terms)

    async def sell(self, quantity: int, *, limit: Any = None, **terms: Any) -> AsyncOrder:
        """Send an order to sell; see `InstrumentMarket.buy`."""
        return await self._market._enter(self.ticker, "sell", quantity, limit, **terms)

    async def trades(self, limit: int = 50) -> pd.DataFrame:
        """Return the latest trades, oldest first: time, ticker, side (of who took), price, quantity."""
        return await self._market.trades(limit, ticker=self.ticker)

    async def candles(self, interval_s: int = 60, limit: int = 100) -> pd.DataFrame:
        """Return candles, oldest first: time, open, high, low, close, volume."""
        path = f"/api/instruments/{self.info.symbol_id}/candles"
        rows = await self._market._get(path, interval=interval_s, limit=limit)
        return candle_table(rows)


class AsyncClient(ClientFace):
    """A market to trade in by hand, for asynchronous code; see `Client`, which has the same names.

    Example
    -------
    ::

        async with AsyncClient("http://127.0.0.1:8000", name="me") as market:
            order = await market["ACME"].buy(10, limit=99.5)
            await order.wait(5)
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        name: str,
        agent_id: str | None = None,
        session_token: str | None = None,
        starting_capital: float | None = None,
        personality: str | None = None,
        token: str | None = None,
    ) -> None:
        self.name, self.agent_id, self.session_token = name, agent_id, session_token
        self._capital, self._personality = starting_capital, personality
        self._picture = Picture()
        self._session = Session(url, self._hear, self._greet, token=token)
        self._rest = httpx.AsyncClient(
            base_url=self._session.rest_address, headers=self._session.headers, trust_env=False
        )
        self._prefix, self._sent = uuid.uuid4().hex[:12], 0

    async def open(self) -> Self:
        """Connect and register; `async with` does it."""
        await self._session.open()
        await self._session.until(lambda: self._picture.instruments, _ANSWER_S)
        return self

    async def close(self) -> None:
        """Leave; orders stay in the book, and the agent can be had again by id and session token."""
        await self._session.close()
        await self._rest.aclose()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __getitem__(self, ticker: str) -> AsyncInstrument:
        self._picture.instrument(ticker)
        return AsyncInstrument(self, ticker)

    def __repr__(self) -> str:
        state = "connected" if self._session.connected else "not connected"
        return f"<market at {self._session.rest_address}, {self.name}, {state}>"

    @property
    def orders(self) -> list[AsyncOrder]:
        """One's own orders that are not over, oldest first."""
        return [AsyncOrder(self, it) for it in self._picture.orders.values() if not it.status.is_over]

    @property
    def portfolio(self) -> Portfolio:
        """Cash, total value, profit, and a table of positions, in currency, as it was told last.

        It is told a moment after a fill; `ask_portfolio` asks for it.
        """
        return portfolio_of(self._picture)

    async def ask_portfolio(self) -> Portfolio:
        """Return cash, total value, profit and positions as they are now."""
        await self._session.ask(wire.GetPortfolio(agent_id=self.agent_id))
        return self.portfolio

    async def trades(self, limit: int = 50, *, ticker: str | None = None) -> pd.DataFrame:
        """Return the latest trades of all instruments or one, oldest first."""
        tickers = self.instruments if ticker is None else [ticker]
        paths = [f"/api/instruments/{self._picture.instrument(it).symbol_id}/trades" for it in tickers]
        found = await asyncio.gather(*(self._get(it, limit=limit) for it in paths))
        return trade_table(self._picture, (trade for rows in found for trade in rows)).tail(limit)

    async def my_trades(self, limit: int = 50) -> pd.DataFrame:
        """Return one's own latest trades, oldest first."""
        return trade_table(self._picture, await self._get(f"/api/agents/{self.agent_id}/trades", limit=limit))

    async def cancel_all(self) -> None:
        """Cancel all of one's own orders."""
        while True:
            try:
                answer: Any = await self._session.ask(wire.CancelAll(agent_id=self.agent_id))
            except ConnectionLostError:
                await asyncio.sleep(_AGAIN_S)
                continue
            if answer.data.status == "error":
                raise RefusedError(answer.data.message, answer.data.code)
            return

    async def until(self, condition: Callable[[], Any], timeout_s: float | None = None) -> bool:
        """Wait until a condition holds, looked at after every message; False if it took too long."""
        return await self._session.until(condition, timeout_s)

    def _hear(self, told: Told) -> None:
        self._picture.take(told)
        if isinstance(told, AgentRegistered):
            again = self.agent_id == told.agent_id and self._session.connected
            self.agent_id, self.session_token = told.agent_id, told.session_token
            if again:  # the engine was away, and what it said then was lost
                self._looking = asyncio.create_task(self._look_after_gap())

    async def _greet(self) -> None:
        """Register, the first time for a new agent and then for the same; look what was missed."""
        request = wire.AgentRegister(
            name=self.name,
            agent_id=self.agent_id,
            personality=self._personality,
            starting_capital=self._capital,
            session_token=self.session_token,
        )
        await self._session.ask(request, greeting=True)
        await self._look(greeting=True)

    async def _look_after_gap(self) -> None:
        with contextlib.suppress(LiveError):  # lost again, and looked for again then
            await self._look()

    async def _look(self, *, greeting: bool = False) -> None:
        """Bring one's own orders up to date."""
        listed: Any = await self._session.ask(wire.GetOrders(agent_id=self.agent_id), greeting=greeting)
        self._picture.take_list(listed.data, new_connection=greeting)

    async def _get(self, path: str, **parameters: Any) -> Any:
        try:
            response = await self._rest.get(path, params=parameters)
        except httpx.HTTPError as error:
            raise LiveError(f"{self._session.rest_address}{path} cannot be reached: {error}") from error
        if response.is_error:
            raise LiveError(f"{path}: {_detail(response)}")
        return response.json()

    async def _enter(
        self,
        ticker: str,
        side: Side,
        quantity: int,
        limit: Any,
        *,
        time_in_force: Literal["GTC", "IOC", "FOK"] | None = None,
        post_only: bool = False,
        timeout_s: float = _ANSWER_S,
    ) -> AsyncOrder:
        instrument = self._picture.instrument(ticker)
        price = None if limit is None else on_tick(limit, instrument)
        self._sent += 1
        client_id = f"{self._prefix}-{self._sent}"
        record = OrderRecord(client_id, instrument, side, on_lot(quantity, instrument), price)
        self._picture.enter(record)
        request = wire.AddOrder(
            symbol_id=instrument.symbol_id,
            side=side,
            quantity=record.quantity,
            price=None if price is None else float(price),
            orderType="MARKET" if price is None else "LIMIT",
            agent_id=self.agent_id,
            client_id=client_id,
            time_in_force=time_in_force,
            post_only=post_only,
        )
        await self._answered(record, request, timeout_s)
        return AsyncOrder(self, record)

    async def _answered(self, record: OrderRecord, request: wire.AddOrder, timeout_s: float) -> None:
        """Send an order until it is answered or known, at most once entered; not after `timeout_s`.

        Where an answer was lost the market is asked whether it has the order. It is sent again only where it
        has not, with the same client id, which the market enters once.
        """
        deadline_s = time.monotonic() + timeout_s
        while record.status is OrderStatus.SENT:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                record.given_up = True
                raise LiveError(
                    f"no answer to order {record.client_id} within {timeout_s:g} s: {record.side}"
                    f" {record.quantity} {record.instrument.ticker} may have been entered; `orders` shows it"
                    " when there is a connection again"
                )
            try:
                answer: Any = await self._session.ask(request, within_s=left_s)
            except ConnectionLostError:
                await asyncio.sleep(_AGAIN_S)
            else:
                record.take_answer(answer.data)

    async def _cancel(self, record: OrderRecord) -> None:
        """Cancel an order, again where the answer was lost: to cancel twice does no harm."""
        while not record.status.is_over:
            if record.order_id is None:
                raise LiveError(f"order {record.client_id} was not answered yet; it cannot be cancelled")
            request = wire.CancelOrder(orderId=record.order_id, symbol_id=record.instrument.symbol_id)
            try:
                answer: Any = await self._session.ask(request)
                if answer.data.status == "error":
                    await self._look()  # it was filled, or ended, meanwhile
            except ConnectionLostError:
                await asyncio.sleep(_AGAIN_S)
                continue  # what was cancelled is known after the next greeting
            if answer.data.status == "error" and not record.status.is_over:
                raise RefusedError(answer.data.message, answer.data.code)
            await self._session.until(lambda: record.status.is_over, _ANSWER_S)

    async def _replace(self, record: OrderRecord, limit: Any, quantity: int | None) -> None:
        if record.order_id is None or record.status.is_over:
            raise LiveError(f"order {record.client_id} is {record.status}; it cannot be replaced")
        instrument = record.instrument
        price = None if limit is None else on_tick(limit, instrument)
        request = wire.ReplaceOrder(
            orderId=record.order_id,
            symbol_id=instrument.symbol_id,
            price=None if price is None else float(price),
            quantity=None if quantity is None else on_lot(quantity, instrument),
        )
        answer: Any = await self._session.ask(request)
        if answer.data.status == "error":
            raise RefusedError(answer.data.message, answer.data.code)
        record.take_replaced(limit=price, quantity=quantity)


def _detail(response: httpx.Response) -> str:
    """Return what a refusal over REST says."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {response.status_code}"
