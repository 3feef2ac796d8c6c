"""Keep what a client knows of a market, from what the gateway tells: no socket, no clock.

Prices are decimal currency here, as on the wire; a price that is no multiple of the tick is refused.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from simlab.errors import LiveError, did_you_mean
from simlab.live.told import (
    Book,
    Instrument,
    Instruments,
    News,
    NewsHistory,
    NewsItem,
    Order,
    Orderbooks,
    OrderUpdate,
    PortfolioUpdate,
    Response,
    Told,
    Trade,
    Trades,
    Update,
)

__all__ = ["OrderRecord", "OrderStatus", "Picture", "on_lot", "on_tick"]

_MOST_TRADES = 10_000
_MOST_NEWS = 1_000
_MOST_ENDED = 10_000
"""Orders that have ended and are still known."""
_NOISE = Decimal("1e-6")
"""How far from a multiple of the tick, in ticks, a price may be that was computed in floating point."""


class OrderStatus(StrEnum):
    """How an order stands."""

    SENT = "sent"
    """Not answered yet; when the connection was lost, it is asked for when there is one again."""
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    NOT_ENTERED = "not_entered"
    """The market never had it, and it is too late now."""
    GONE = "gone"
    """It ended while there was no connection, so long ago that the market does not list it any more."""

    @property
    def is_over(self) -> bool:
        """Whether nothing can happen to the order any more."""
        return self in _OVER


_REQUESTED = "REQUESTED"
"""The reason of an order that was cancelled because somebody asked for it, which is none."""
_OVER = (
    OrderStatus.FILLED,
    OrderStatus.CANCELLED,
    OrderStatus.EXPIRED,
    OrderStatus.REJECTED,
    OrderStatus.NOT_ENTERED,
    OrderStatus.GONE,
)
_NAMED = {
    **{it.value: it for it in OrderStatus},
    "resting": OrderStatus.OPEN,
    "accepted": OrderStatus.OPEN,
    "replaced": OrderStatus.OPEN,
    "partial_fill": OrderStatus.PARTIALLY_FILLED,
    "fill": OrderStatus.FILLED,
}
"""What the wire calls a state or an event, and the status that it leads to."""


class OrderRecord:
    """What is known of one own order; `filled` and `quantity` in lots, prices in currency."""

    def __init__(
        self, client_id: str, instrument: Instrument, side: str, quantity: int, limit: Decimal | None
    ) -> None:
        self.client_id, self.instrument, self.side = client_id, instrument, side
        self.quantity, self.limit = quantity, limit
        self.order_id: int | None = None
        self.status = OrderStatus.SENT
        self.filled = 0
        self.average_price: float | None = None
        self.reason = ""
        """Why it was refused or ended, in words."""
        self.given_up = False
        """Whether nobody waits for its answer any more, so that it is not sent again."""
        self._sequence = -1

    @property
    def remaining(self) -> int:
        """Lots that may still be filled."""
        return 0 if self.status.is_over else self.quantity - self.filled

    def take_answer(self, data: Response) -> None:
        """Take what became of `add_order`."""
        if data.status == "error":
            self.status, self.reason = OrderStatus.REJECTED, data.message
            return
        self.order_id = data.orderId
        self._stand(
            data.state if isinstance(data.state, str) else "accepted",
            filled=data.filled if isinstance(data.filled, int) else 0,
            average_price=data.average_price if isinstance(data.average_price, float) else None,
            sequence=data.sequence if isinstance(data.sequence, int) else -1,
        )

    def take_update(self, data: Update) -> None:
        """Take what happened to it."""
        self.order_id = data.orderId
        if data.event == "replaced" and data.sequence >= self._sequence:
            self.quantity = data.filled + data.remaining
            self.limit = Decimal(repr(data.price)) if data.price is not None else self.limit
        reason = data.reason if isinstance(data.reason, str) and data.reason != _REQUESTED else ""
        self._stand(
            data.event,
            filled=data.filled,
            average_price=data.average_price,
            sequence=data.sequence,
            reason=reason,
        )

    def take_replaced(self, *, limit: Decimal | None, quantity: int | None) -> None:
        """Take new terms; `quantity` is what is still to be traded."""
        self.limit = self.limit if limit is None else limit
        self.quantity = self.quantity if quantity is None else self.filled + quantity

    def take_listed(self, data: Order) -> None:
        """Take how it stands in the list of all orders."""
        self.order_id = data.orderId
        self._stand(
            data.status, filled=data.filled, average_price=data.average_price, sequence=self._sequence
        )

    def _stand(
        self, name: str, *, filled: int, average_price: float | None, sequence: int, reason: str = ""
    ) -> None:
        """Take a state; what comes late, and is older than what is known, changes nothing."""
        if self.status.is_over or sequence < self._sequence or filled < self.filled:
            return
        status = _NAMED.get(name, OrderStatus.OPEN)
        if status is OrderStatus.OPEN and filled:
            status = OrderStatus.PARTIALLY_FILLED
        self.status, self.filled, self._sequence = status, filled, sequence
        self.average_price = average_price if average_price is not None else self.average_price
        self.reason = reason or self.reason


class Picture:
    """The market and one's own orders, as far as they were told.

    Example
    -------
    >>> from simlab.live.told import Instrument, Instruments
    >>> picture = Picture()
    >>> acme = Instrument(1, "ACME", "", "", 100.0, 0.0, 0.01, 1)
    >>> picture.take(Instruments([acme]))
    >>> picture.instrument("ACME").symbol_id
    1
    """

    def __init__(self) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.books: dict[int, Book] = {}
        self.trades: deque[Trade] = deque(maxlen=_MOST_TRADES)
        self.news: deque[NewsItem] = deque(maxlen=_MOST_NEWS)
        self.orders: OrderedDict[str, OrderRecord] = OrderedDict()
        """Own orders by client id, oldest first."""
        self.portfolio: PortfolioUpdate | None = None

    def instrument(self, ticker: str) -> Instrument:
        """Return an instrument by its ticker.

        Raises
        ------
        LiveError
            When there is none.
        """
        if ticker not in self.instruments:
            near = did_you_mean(ticker, self.instruments, otherwise="the market has")
            raise LiveError(f"there is no instrument {ticker!r}{near}")
        return self.instruments[ticker]

    def take(self, told: Told) -> None:
        """Take a message of the gateway; what says nothing about the picture is passed over."""
        if isinstance(told, Instruments):
            self.instruments = {it.ticker: it for it in told.data}
        elif isinstance(told, Orderbooks):
            self.books.update((int(symbol), book) for symbol, book in told.data.items())
        elif isinstance(told, Trades):
            self.trades.extend(told.data)
        elif isinstance(told, NewsHistory):
            self.news = deque(told.data, maxlen=_MOST_NEWS)
        elif isinstance(told, News):
            self.news.append(told.data)
        elif isinstance(told, PortfolioUpdate):
            self.portfolio = told
        elif isinstance(told, OrderUpdate):
            record = self.orders.get(str(told.data.client_id))
            if record is not None:
                record.take_update(told.data)

    def take_list(self, listed: Iterable[Order], *, new_connection: bool) -> None:
        """Take a list of one's own orders.

        When it is the first of a connection to which the agent came back, what was sent before, on another
        one, and is not in the list, cannot be entered any more.
        """
        found = {it.client_id: it for it in listed}
        for name, record in self.orders.items():
            if name in found:
                record.take_listed(found[name])
            elif new_connection and record.given_up and record.status is OrderStatus.SENT:
                record.status = OrderStatus.NOT_ENTERED
            elif new_connection and record.order_id is not None and not record.status.is_over:
                record.status = OrderStatus.GONE

    def enter(self, record: OrderRecord) -> None:
        """Know an order of one's own from now on; the oldest that have ended are forgotten in time."""
        self.orders[record.client_id] = record
        if len(self.orders) > _MOST_ENDED:
            over = next((name for name, it in self.orders.items() if it.status.is_over), None)
            if over is not None:
                del self.orders[over]


def on_tick(price: Any, instrument: Instrument) -> Decimal:
    """Return a price as an exact multiple of an instrument's tick.

    Parameters
    ----------
    price : int, float, Decimal or str
        Currency.
    instrument : Instrument

    Raises
    ------
    LiveError
        When it is between two ticks; it names both.

    Example
    -------
    >>> on_tick(0.1 + 0.2, Instrument(1, "ACME", "", "", 100.0, 0.0, 0.05, 1))
    Decimal('0.30')
    """
    tick = Decimal(repr(instrument.tick_size))
    try:
        exact = Decimal(repr(price) if isinstance(price, float) else str(price))
        ticks = exact / tick
        whole = ticks.to_integral_value()
    except InvalidOperation:
        raise LiveError(f"price {price!r} is not a number; give currency, such as 99.5") from None
    if abs(ticks - whole) <= _NOISE:
        return whole * tick
    below = ticks.to_integral_value(rounding="ROUND_FLOOR") * tick
    raise LiveError(
        f"price {price} is not a multiple of the tick of {instrument.ticker}, {tick}; use {below} or"
        f" {below + tick}"
    )


def on_lot(quantity: Any, instrument: Instrument) -> int:
    """Return a quantity as a whole number of lots.

    Raises
    ------
    LiveError
        When it is not positive, not whole, or no multiple of the instrument's lot size.

    Example
    -------
    >>> on_lot(10, Instrument(1, "ACME", "", "", 100.0, 0.0, 0.05, 5))
    10
    """
    lot = instrument.lot_size
    try:
        whole = int(quantity)
        fits = whole == quantity and whole > 0 and not isinstance(quantity, bool)
    except (TypeError, ValueError, OverflowError):
        whole, fits = 0, False
    if not fits:
        raise LiveError(
            f"quantity {quantity!r} is not a whole number above 0, of lots of {instrument.ticker}"
        )
    if whole % lot:
        below = whole // lot * lot
        use = f"{below} or {below + lot}" if below else f"{lot}"
        raise LiveError(
            f"quantity {whole} is not a multiple of the lot size of {instrument.ticker}, {lot}; use {use}"
        )
    return whole
