"""Trade by hand: `Client` has the names of `AsyncClient`, and an event loop on a thread of its own.

So it works in a notebook, and wherever another loop runs.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import pandas as pd

from simlab.errors import LiveError
from simlab.live.client.known import ClientFace, InstrumentFace, OrderFace
from simlab.live.client.market import AsyncClient, AsyncInstrument, AsyncOrder, Side
from simlab.live.client.tables import Portfolio

__all__ = ["Client", "InstrumentMarket", "Order"]

_T = TypeVar("_T")


class Order(OrderFace):
    """One's own order: how it stands, and what can be done about it."""

    _market: Client

    def wait(self, timeout_s: float | None = None) -> Self:
        """Wait until it is over, or for `timeout_s` seconds; `status` says which."""
        self._market._run(AsyncOrder(self._market._inner, self._record).wait(timeout_s))
        return self

    def cancel(self) -> Self:
        """Take what is left of it out of the book; nothing happens where nothing is left."""
        self._market._run(AsyncOrder(self._market._inner, self._record).cancel())
        return self

    def replace(self, *, limit: Any = None, quantity: int | None = None) -> Self:
        """Give it another price, or another quantity in all that is still to be traded."""
        self._market._run(
            AsyncOrder(self._market._inner, self._record).replace(limit=limit, quantity=quantity)
        )
        return self


class InstrumentMarket(InstrumentFace):
    """One instrument of a market."""

    _market: Client

    def buy(self, quantity: int, *, limit: Any = None, **terms: Any) -> Order:
        """Send an order to buy, and return it when the market has answered.

        Parameters
        ----------
        quantity : int
            Lots.
        limit : number, optional
            The highest price to pay, currency; without it the order takes what is there at any price.
        **terms
            `time_in_force` ("GTC", "IOC", "FOK"), `post_only`, and `timeout_s`, how long to wait for the
            answer.

        Raises
        ------
        LiveError
            When the price is between two ticks or the quantity is not of whole lots; nothing is sent then.
            What the market refuses is an order with status `rejected` and a reason.
        """
        return self._market._enter(self.ticker, "buy", quantity, limit, **terms)

    def sell(self, quantity: int, *, limit: Any = None, **terms: Any) -> Order:
        """Send an order to sell, as `buy` does; `limit` is the lowest price to take."""
        return self._market._enter(self.ticker, "sell", quantity, limit, **terms)

    def trades(self, limit: int = 50) -> pd.DataFrame:
        """Return the latest trades, oldest first: time, ticker, side (of who took), price, quantity."""
        return self._market.trades(limit, ticker=self.ticker)

    def candles(self, interval_s: int = 60, limit: int = 100) -> pd.DataFrame:
        """Return candles, oldest first: time, open, high, low, close, volume."""
        inner = AsyncInstrument(self._market._inner, self.ticker)
        return self._market._run(inner.candles(interval_s, limit))


class Client(ClientFace):
    """A market to trade in by hand.

    It connects at once, and again whenever the connection is lost, as the same agent, so orders and portfolio
    stay one's own. An order whose answer was lost is asked for, and never entered twice.

    Parameters
    ----------
    url : str
        The gateway's address.
    name : str
        What others see.
    agent_id, session_token : str, optional
        Those that another client had (its attributes of these names), to be the same agent again.
    starting_capital : float, optional
        Cash to start with, currency; what the market gives if not given.
    personality : str, optional
        What others read about one.
    token : str, optional
        What the market asks of everybody, where it asks for one.

    Raises
    ------
    LiveError
        When nobody answers there, or the agent is somebody else's.

    Example
    -------
    ::

        market = Client("http://127.0.0.1:8000", name="me")
        order = market["ACME"].buy(10, limit=99.5)
        order.wait(5)
        market.portfolio
    """

    def __init__(self, url: str = "http://127.0.0.1:8000", *, name: str, **registration: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=_serve, args=(self._loop,), name="simlab live client", daemon=True
        )
        self._thread.start()
        self._finish = weakref.finalize(self, _stop_loop, self._loop, self._thread)
        try:
            self._inner: AsyncClient = self._run(_opened(url, name, registration))
        except BaseException:
            self._finish()
            raise
        self._picture = self._inner._picture

    @property
    def name(self) -> str:
        """What others see."""
        return self._inner.name

    @property
    def agent_id(self) -> str | None:
        """The market's name of the agent."""
        return self._inner.agent_id

    @property
    def session_token(self) -> str | None:
        """What proves that the agent is one's own; keep it to be the same agent in another process."""
        return self._inner.session_token

    @property
    def portfolio(self) -> Portfolio:
        """Cash, total value, profit, and a table of positions, in currency, as they are now."""
        return self._run(self._inner.ask_portfolio())

    @property
    def orders(self) -> list[Order]:
        """One's own orders that are not over, oldest first."""
        return [Order(self, it) for it in self._picture.orders.copy().values() if not it.status.is_over]

    def __getitem__(self, ticker: str) -> InstrumentMarket:
        self._picture.instrument(ticker)
        return InstrumentMarket(self, ticker)

    def trades(self, limit: int = 50, *, ticker: str | None = None) -> pd.DataFrame:
        """Return the latest trades of all instruments or one, oldest first."""
        return self._run(self._inner.trades(limit, ticker=ticker))

    def my_trades(self, limit: int = 50) -> pd.DataFrame:
        """Return one's own latest trades, oldest first."""
        return self._run(self._inner.my_trades(limit))

    def cancel_all(self) -> None:
        """Cancel all of one's own orders."""
        self._run(self._inner.cancel_all())

    def until(self, condition: Callable[[], Any], timeout_s: float | None = None) -> bool:
        """Wait until a condition holds, looked at after every message; False if it took too long."""
        return self._run(self._inner.until(condition, timeout_s))

    def close(self) -> None:
        """Leave; orders stay in the book, and the agent can be had again by id and session token."""
        if self._finish.alive:
            self._run(self._inner.close())
            self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._inner)

    def _enter(self, ticker: str, side: Side, quantity: int, limit: Any, **terms: Any) -> Order:
        inner = self._run(self._inner._enter(ticker, side, quantity, limit, **terms))
        return Order(self, inner._record)

    def _run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Let the loop's thread do it, and wait for it; Ctrl-C ends the waiting."""
        if not self._finish.alive:
            coroutine.close()
            raise LiveError("the client is closed; make another")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise


async def _opened(url: str, name: str, registration: dict[str, Any]) -> AsyncClient:
    return await AsyncClient(url, name=name, **registration).open()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, and end what is left in it."""
    asyncio.set_event_loop(loop)
    loop.run_forever()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()


def _stop_loop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    if thread is not threading.current_thread():
        thread.join(timeout=2.0)
