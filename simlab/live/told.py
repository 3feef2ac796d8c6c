"""Say what the gateway tells a client over WebSocket: every message as a struct, without I/O.

Prices and money are decimal currency, quantities whole numbers, times seconds since 1970 (UTC).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from simlab.live.messages import Channel

__all__ = [
    "Agent",
    "AgentCreated",
    "AgentRegistered",
    "AgentsSnapshot",
    "Book",
    "CancelResponse",
    "Cancelled",
    "Decision",
    "Depth",
    "DepthChange",
    "Error",
    "Instrument",
    "Instruments",
    "Level",
    "NewAgent",
    "News",
    "NewsHistory",
    "NewsItem",
    "Order",
    "OrderPlaced",
    "OrderResponse",
    "OrderUpdate",
    "Orderbooks",
    "Orders",
    "Placed",
    "Pong",
    "PortfolioUpdate",
    "Position",
    "Response",
    "Subscribed",
    "Told",
    "Trade",
    "Trades",
    "Update",
    "decode_told",
]


class Instrument(Struct, frozen=True):
    """What is traded, for people, and on which terms."""

    symbol_id: int
    ticker: str
    description: str
    industry: str
    initial_price: float
    created_at: float
    tick_size: float
    lot_size: int


class Level(Struct, frozen=True, gc=False):
    """What rests at one price."""

    price: float
    quantity: int
    orders: int


class Book(Struct, frozen=True):
    """The best levels of both sides, best first."""

    status: str
    symbol_id: int
    sequence: int
    timestamp: float
    bids: list[Level]
    asks: list[Level]


class DepthChange(Struct, frozen=True):
    """Levels that changed between two states of a book, as price and quantity; quantity 0 is gone."""

    symbol_id: int
    first_sequence: int
    last_sequence: int
    bids: list[tuple[float, int]]
    asks: list[tuple[float, int]]


class NewsItem(Struct, frozen=True):
    """One piece of news."""

    id: int
    headline: str
    content: str
    sentiment: float | str | None
    source: str
    instrument_id: int | None
    impact_type: str | None
    created_at: float


class Position(Struct, frozen=True):
    """What is held of one instrument, and what it is worth, currency."""

    instrument_id: int
    quantity: int
    avg_price: float
    current_price: float
    market_value: float
    unrealized_pnl: float


class Agent(Struct, frozen=True):
    """Who trades, with what; money in currency. `population` is that of an agent inside the market."""

    agent_id: str
    name: str
    personality: str
    cash: float
    positions: dict[str, Position]
    total_value: float
    pnl: float
    starting_capital: float
    connected: bool
    created_at: float
    population: str | None = None


class NewAgent(Struct, frozen=True):
    """An agent that was created and waits for whoever lets it trade."""

    agent_id: str
    name: str
    personality: str
    starting_capital: float
    created_at: float
    strategy: str | UnsetType | None = UNSET
    parameters: Any = UNSET


class Response(Struct, frozen=True, omit_defaults=True):
    """What became of an order; of a refusal also `code`, the engine's `reason` and the `field` at fault."""

    status: Literal["success", "error"]
    order_id: int | None
    orderId: int | None  # noqa: N815
    message: str
    client_id: str | int | UnsetType | None = UNSET
    state: str | UnsetType = UNSET
    filled: int | UnsetType = UNSET
    remaining: int | UnsetType = UNSET
    average_price: float | UnsetType | None = UNSET
    sequence: int | UnsetType = UNSET
    duplicate: bool | UnsetType = UNSET
    code: int | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    field: str | UnsetType = UNSET


class Cancelled(Struct, frozen=True, omit_defaults=True):
    """What became of `cancel_order` or `cancel_all`."""

    status: Literal["success", "error"]
    message: str
    orderId: int | UnsetType = UNSET  # noqa: N815
    cancelled: int | UnsetType = UNSET
    price: float | UnsetType = UNSET
    remaining: int | UnsetType = UNSET
    code: int | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    field: str | UnsetType = UNSET


class Placed(Struct, frozen=True, gc=False):
    """An order that was accepted, as all are told of it."""

    agent_id: str | None
    agent_name: str
    symbol_id: int
    ticker: str
    side: Literal["BUY", "SELL"]
    order_type: Literal["LIMIT", "MARKET"]
    price: float | None
    quantity: int
    timestamp: float


class Update(Struct, frozen=True, gc=False, omit_defaults=True):
    """What happened to an order, as its own agent is told of it."""

    orderId: int  # noqa: N815
    client_id: str | int | None
    agent_id: str | None
    symbol_id: int
    event: Literal["accepted", "partial_fill", "fill", "cancelled", "replaced", "expired", "rejected"]
    price: float | None
    quantity: int
    filled: int
    remaining: int
    average_price: float | None
    sequence: int
    reason: str | UnsetType = UNSET


class Order(Struct, frozen=True, gc=False):
    """One order of an agent."""

    orderId: int  # noqa: N815
    client_id: str | int | None
    symbol_id: int
    side: str
    price: float | None
    quantity: int
    filled: int
    status: str
    average_price: float | None = None


class Decision(Struct, frozen=True, gc=False):
    """What an agent decided at a step, and why."""

    step: int
    timestamp: float
    source: str
    strategy: str
    action: str
    reason: str | None
    fallback: str | None
    order_ids: list[int]


class Trade(Struct, frozen=True, gc=False):
    """One trade."""

    symbol_id: int
    price: float
    quantity: int
    aggressor_side: Literal["buy", "sell"]
    timestamp: float
    sequence: int


class _Told(Struct, tag_field="type", frozen=True):
    """What a client is told."""


class Instruments(_Told, tag="instruments", frozen=True):
    """All instruments: on connecting, and when they change."""

    data: list[Instrument]


class Orderbooks(_Told, tag="orderbooks", frozen=True):
    """Books by symbol: all on connecting, then those that changed, at intervals."""

    data: dict[str, Book]


class Depth(_Told, tag="depth", frozen=True):
    """Changes of a book since the last message about it."""

    data: DepthChange


class NewsHistory(_Told, tag="news_history", frozen=True):
    """The latest news, oldest first: on connecting."""

    data: list[NewsItem]


class AgentsSnapshot(_Told, tag="agents_snapshot", frozen=True):
    """All agents: on connecting, periodically and after fills; of very many, those that matter of `count`."""

    data: list[Agent]
    count: int = 0


class AgentRegistered(_Told, tag="agent_registered", frozen=True):
    """The answer to `agent_register`; whoever shows the token later has the agent again."""

    agent_id: str
    session_token: str
    agent: Agent
    resumed: bool = False


class PortfolioUpdate(_Told, tag="portfolio_update", frozen=True):
    """A portfolio: after registering, after fills, and on request."""

    cash: float
    positions: dict[str, Position]
    total_value: float
    pnl: float
    agent_id: str | None = None


class OrderResponse(_Told, tag="order_response", frozen=True):
    """The one answer to every `add_order` and `replace_order`."""

    data: Response


class CancelResponse(_Told, tag="cancel_response", frozen=True):
    """The answer to `cancel_order` and `cancel_all`."""

    data: Cancelled


class OrderPlaced(_Told, tag="order_placed", frozen=True):
    """An accepted order, told to all."""

    data: Placed


class OrderUpdate(_Told, tag="order_update", frozen=True):
    """What happened to an order, told to its own agent."""

    data: Update


class Orders(_Told, tag="orders", frozen=True):
    """The answer to `get_orders`."""

    data: list[Order]
    agent_id: str | None = None


class Trades(_Told, tag="trades", frozen=True):
    """All trades of an interval."""

    data: list[Trade]


class News(_Told, tag="news", frozen=True):
    """One piece of news, when it is published."""

    data: NewsItem


class AgentCreated(_Told, tag="agent_created", frozen=True):
    """An agent was created over REST."""

    data: NewAgent


class Subscribed(_Told, tag="subscribed", frozen=True):
    """The answer to `subscribe`: what is told from now on."""

    channels: list[Channel]
    symbol_ids: list[int] | None
    interval_ms: int


class Pong(_Told, tag="pong", frozen=True):
    """The answer to `ping`."""


class Error(_Told, tag="error", frozen=True, omit_defaults=True):
    """A message that cannot be understood, or a request that cannot be met; the connection stays open."""

    message: str
    code: int | str
    field: str | None = None
    request: str | None = None
    agent_id: str | None = None


Told = (
    Instruments
    | Orderbooks
    | Depth
    | NewsHistory
    | AgentsSnapshot
    | AgentRegistered
    | PortfolioUpdate
    | OrderResponse
    | CancelResponse
    | OrderPlaced
    | OrderUpdate
    | Orders
    | Trades
    | News
    | AgentCreated
    | Subscribed
    | Pong
    | Error
)


_TOLD: Any = msgspec.json.Decoder(Told)


def decode_told(frame: bytes | str) -> Told:
    """Read what a client is told; fields that are new since this was written are passed over.

    Example
    -------
    >>> decode_told(b'{"type": "pong"}')
    Pong()
    """
    return _TOLD.decode(frame)
