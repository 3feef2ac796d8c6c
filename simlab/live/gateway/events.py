"""Read the engine's events, in price units, lots and money units, as they stand on its wire."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

__all__ = [
    "AccountAnswer",
    "AgentChanged",
    "AgentMade",
    "AgentRow",
    "BookState",
    "InstrumentChanged",
    "InstrumentRow",
    "MarketState",
    "NewsRow",
    "OrderEvent",
    "PositionRow",
    "Published",
    "Traded",
    "decode_event",
]


class OrderEvent(Struct, tag_field="event", gc=False):
    """What happened to one order from outside."""

    order_id: int
    symbol_id: int
    sequence: int = 0
    timestamp: float = 0.0
    id: int | str | None = None
    agent_id: str | None = None
    session: int | None = None
    side: str | int = "buy"
    type: str = "limit"
    price: int | None = None
    qty: int = 0
    filled: int = 0
    remaining: int = 0
    average_price: float | None = None
    reason: str | None = None


class Accepted(OrderEvent, tag="accepted", gc=False):
    """It entered the market."""


class Rejected(OrderEvent, tag="rejected", gc=False):
    """It was refused after it had been taken."""


class Filled(OrderEvent, tag="fill", gc=False):
    """It traded."""


class OrderCancelled(OrderEvent, tag="cancelled", gc=False):
    """It was taken out."""


class Replaced(OrderEvent, tag="replaced", gc=False):
    """Its terms changed."""


class Expired(OrderEvent, tag="expired", gc=False):
    """Its time was over."""


class Traded(Struct, tag_field="event", tag="trade", gc=False):
    """One trade, of whomever."""

    symbol_id: int
    price: int
    qty: int
    aggressor_side: str | int
    sequence: int = 0
    timestamp: float = 0.0


class BookState(Struct, tag_field="event", tag="book"):
    """The best levels of a book."""

    symbol_id: int
    sequence: int
    bids: list[tuple[int, int, int]]
    asks: list[tuple[int, int, int]]
    last_price: int | None = None
    halted: bool = False


class NewsRow(Struct):
    """One piece of news."""

    id: int
    headline: str
    content: str = ""
    sentiment: float | str | None = None
    impact: float | None = None
    symbol_id: int | None = None
    source: str | None = None
    impact_type: str | None = None
    created_at: float = 0.0


class Published(Struct, tag_field="event", tag="news"):
    """News came out."""

    news: NewsRow


class PositionRow(Struct, gc=False):
    """What an account holds of one instrument."""

    quantity: int
    cost: float = 0


class AgentRow(Struct):
    """An agent, or an account."""

    agent_id: str | None = None
    name: str = ""
    personality: str | None = None
    starting_capital: float = 0
    cash: float = 0
    positions: dict[str, PositionRow] = {}
    pnl: float = 0
    total_value: float = 0
    connected: bool = False
    created_at: float = 0.0
    strategy: str | None = None
    parameters: Any = None
    population: str | None = None
    """Of an agent inside the market; None for all others."""


class AccountAnswer(AgentRow):
    """The engine's answer about an account."""

    status: str = ""
    code: str = ""
    message: str = ""


class AgentMade(Struct, tag_field="event", tag="agent_created"):
    """Somebody asked for an agent."""

    agent: AgentRow


class AgentChanged(Struct, tag_field="event", tag="agent_changed"):
    """An agent's account, or who holds it, changed."""

    agent: AgentRow


class InstrumentRow(Struct):
    """What is traded, on which terms."""

    symbol_id: int
    ticker: str
    initial_price: int
    description: str = ""
    industry: str = ""
    tick_size: int = 1
    lot_size: int = 1
    price_unit: float = 0.01
    price_band: tuple[int, int] = (1, 2**31 - 1)
    multiplier: int = 1
    created_at: float = 0.0
    listed: bool = True


class InstrumentChanged(Struct, tag_field="event", tag="instrument"):
    """An instrument came or went."""

    instrument: InstrumentRow


class MarketState(Struct, tag_field="event", tag="market"):
    """Where the market stands, and whether it goes on."""

    step: int = 0
    paused: bool = False
    steps_per_second: float | str = 0.0


Event = (
    Accepted
    | Rejected
    | Filled
    | OrderCancelled
    | Replaced
    | Expired
    | Traded
    | BookState
    | Published
    | AgentMade
    | AgentChanged
    | InstrumentChanged
    | MarketState
)
_DECODER: Any = msgspec.json.Decoder(Event)


def decode_event(line: bytes) -> Any:
    """Read one event.

    Example
    -------
    >>> decode_event(b'{"event": "trade", "symbol_id": 1, "price": 9, "qty": 3, "aggressor_side": 0}').qty
    3
    """
    return _DECODER.decode(line)
