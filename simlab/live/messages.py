"""Say what a client may send the gateway over WebSocket: every message as a struct, without I/O.

`decode` reads one, `encode` writes one; what a client is told is in `simlab.live.told`. Prices are decimal
currency, quantities whole numbers. Fields beyond those here are passed over, so clients may send more.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from simlab.errors import SimlabError, did_you_mean
from simlab.live.fields import LINES, PLAIN, choices_of, readable

__all__ = [
    "CHANNELS",
    "AddOrder",
    "AgentRegister",
    "BadMessageError",
    "CancelAll",
    "CancelOrder",
    "Channel",
    "Decision",
    "GetOrders",
    "GetPortfolio",
    "OrderCode",
    "Ping",
    "ReplaceOrder",
    "Request",
    "Subscribe",
    "decode",
    "encode",
]

Channel = Literal["orderbooks", "depth", "trades", "news", "agents", "orders"]
CHANNELS: tuple[Channel, ...] = ("orderbooks", "depth", "trades", "news", "agents", "orders")

Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=PLAIN)]
AgentId = Annotated[str, Meta(min_length=1, max_length=80, pattern=PLAIN)]
ClientId = Id | Annotated[int, Meta(ge=0, le=2**63 - 1)]
Text = Annotated[str, Meta(max_length=200, pattern=PLAIN)]
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
LongText = Annotated[str, Meta(max_length=10_000, pattern=LINES)]
Count = Annotated[int, Meta(ge=0, lt=2**31)]
Symbol = Annotated[int, Meta(ge=1, lt=2**31)]
Money = Annotated[float, Meta(ge=0.0, le=2.0**53)]


class OrderCode:
    """Why an order was refused, as numbers on the wire."""

    ORDER_TYPE = 1000
    SIDE = 1001
    PRICE = 1002
    QUANTITY = 1003
    REJECTED = 1004
    NOT_YOURS = 1005
    QUEUE_FULL = 1006


class _Request(Struct, tag_field="type", frozen=True, gc=False):
    """What a client may send."""


class AgentRegister(_Request, tag="agent_register", frozen=True):
    """Take an account under a name, or with a token the agent that one has already."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=PLAIN)]
    agent_id: AgentId | None = None
    personality: Text | None = None
    starting_capital: Money | None = None
    session_token: Text | None = None
    cancel_on_disconnect: bool = False


class AddOrder(_Request, tag="add_order", frozen=True):
    """Enter an order; `client_id` makes it safe to ask again."""

    symbol_id: Symbol
    side: Literal["buy", "sell", "BUY", "SELL"]
    quantity: int | float
    price: float | None = None
    orderType: Literal["LIMIT", "MARKET", "limit", "market"] = "LIMIT"  # noqa: N815 (as on the wire)
    agent_id: AgentId | None = None
    client_id: ClientId | None = None
    time_in_force: Literal["GTC", "IOC", "FOK", "gtc", "ioc", "fok"] | None = None
    post_only: bool = False


class CancelOrder(_Request, tag="cancel_order", frozen=True):
    """Take an order out of the book."""

    orderId: Number  # noqa: N815
    symbol_id: Symbol | None = None


class ReplaceOrder(_Request, tag="replace_order", frozen=True):
    """Change price or quantity of an order."""

    orderId: Number  # noqa: N815
    symbol_id: Symbol
    price: float | None = None
    quantity: int | float | None = None


class CancelAll(_Request, tag="cancel_all", frozen=True):
    """Take all orders of an agent out, of one instrument or of all."""

    agent_id: AgentId | None = None
    symbol_id: Symbol | None = None


class GetPortfolio(_Request, tag="get_portfolio", frozen=True):
    """Ask for cash and positions; without an agent those of one's own account."""

    agent_id: AgentId | None = None


class GetOrders(_Request, tag="get_orders", frozen=True):
    """Ask for the orders of an agent; without one those of one's own account."""

    agent_id: AgentId | None = None


class Decision(_Request, tag="decision", frozen=True):
    """Tell what an agent of one's own decided, and why, to whoever looks at it; it is not answered."""

    agent_id: AgentId
    action: LongText
    source: Literal["llm", "ml", "heuristic", "none"] = "heuristic"
    strategy: Text = ""
    reason: LongText | None = None
    fallback: LongText | None = None
    request: Text | None = None
    calls: Count | None = None
    tokens_in: Number | None = None
    tokens_out: Number | None = None
    cost: float | None = None
    ms: float | None = None
    cached: Count | None = None
    facts: LongText | None = None
    order_ids: Annotated[list[Number], Meta(max_length=1_024)] = []


class Subscribe(_Request, tag="subscribe", frozen=True):
    """Choose what to be told, and how often at most what is told in intervals."""

    channels: Annotated[list[Channel], Meta(max_length=20)]
    symbol_ids: Annotated[list[Symbol], Meta(max_length=1000)] | None = None
    interval_ms: Annotated[int, Meta(ge=1, le=60_000)] | None = None


class Ping(_Request, tag="ping", frozen=True):
    """Ask whether anybody is there."""


Request = (
    AgentRegister
    | AddOrder
    | CancelOrder
    | ReplaceOrder
    | CancelAll
    | GetPortfolio
    | GetOrders
    | Decision
    | Subscribe
    | Ping
)


class BadMessageError(SimlabError):
    """Report what is not one of the protocol's messages.

    `code` is a number where an order is refused (`OrderCode`), else a name; `field` is the one at fault and
    `request` the type of the message, as far as they are known.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | str,
        field: str | None = None,
        request: str | None = None,
        reason: str = "BAD_REQUEST",
        client_id: str | int | None = None,
        order_id: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.request = request
        self.reason = reason
        self.client_id = client_id
        self.order_id = order_id


class _Head(Struct):
    type: str
    client_id: Any = None


_REQUESTS: Any = msgspec.json.Decoder(Request)
_HEAD = msgspec.json.Decoder(_Head)
_FIELDS: dict[str, tuple[str, ...]] = {
    str(it.__struct_config__.tag): it.__struct_fields__ for it in get_args(Request)
}
_CHOICES = {str(it.__struct_config__.tag): choices_of(it) for it in get_args(Request)}
"""What fields may be of which there are few values, by message and field."""
_CODES = {
    "orderType": OrderCode.ORDER_TYPE,
    "side": OrderCode.SIDE,
    "price": OrderCode.PRICE,
    "quantity": OrderCode.QUANTITY,
}
_AT_FAULT = re.compile(r"missing required field `(\w+)`|at `\$\.(\w+)")

encode = msgspec.json.Encoder().encode
"""Write a message as UTF-8 JSON."""


def decode(frame: bytes) -> Request:
    """Read what a client sent.

    Raises
    ------
    BadMessageError
        With what is wrong, where, and what would be right; about an order it has the order's code.

    Example
    -------
    >>> decode(b'{"type": "cancel_order", "symbol_id": 1, "orderId": 7}').orderId
    7
    >>> try:
    ...     decode(b'{"type": "add_order", "symbol_id": 1, "side": "up", "quantity": 5}')
    ... except BadMessageError as wrong:
    ...     print(wrong.code, wrong.field)
    1001 side
    """
    try:
        return _REQUESTS.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _explained(frame, error) from None


def _explained(frame: bytes, error: Exception) -> BadMessageError:
    """Say what is wrong with a message that could not be read."""
    if not isinstance(error, msgspec.ValidationError):
        what = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        return BadMessageError(f"the message is not JSON in UTF-8: {what}", code="BAD_JSON")
    try:
        head = _HEAD.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return BadMessageError(
            'a message is an object with the field "type", a text; the types are ' + ", ".join(_FIELDS),
            code="BAD_REQUEST",
            field="type",
        )
    if head.type not in _FIELDS:
        near = did_you_mean(head.type[:100], _FIELDS, otherwise="the types are")
        message = f"there is no message of type {head.type[:100]!r}{near}"
        return BadMessageError(message, code="UNKNOWN_TYPE", field="type")
    found = _AT_FAULT.search(str(error))
    field = next(filter(None, found.groups()), None) if found else None
    code: int | str = "BAD_REQUEST"
    if head.type == "add_order":
        code = _CODES.get(field or "", OrderCode.REJECTED)
    known = head.client_id if isinstance(head.client_id, str | int) else None
    fields = ", ".join(it for it in _FIELDS[head.type])
    choices = _CHOICES[head.type].get(field or "")
    remedy = f"; use one of {choices}" if choices else ""
    message = f"{head.type}: {readable(str(error))}{remedy}; its fields are {fields}"
    return BadMessageError(message, code=code, field=field, request=head.type, client_id=known)
