"""The engine's wire without I/O: bytes in, requests out; answers and events in, bytes out.

UTF-8, one JSON object a line, answers in the order of the requests. Prices are whole price units, quantities
lots, ``symbol_id`` an instrument's number plus 1. Nothing here knows sockets, accounts or the market.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from simlab.errors import did_you_mean
from simlab.live.fields import LINES, PLAIN, TICKER, choices_of, readable

__all__ = [
    "ACTIONS",
    "CHANNELS",
    "NOTED",
    "Failure",
    "LineReader",
    "Request",
    "answering",
    "decode",
    "decode_all",
    "encode",
    "encode_all",
]

_MOST = 2**62
_MOST_NESTED = 8
_Whole = Annotated[int, Meta(ge=-_MOST, le=_MOST)]
_Count = Annotated[int, Meta(ge=1, le=10_000)]
_Small = Annotated[int, Meta(ge=0, lt=2**31)]
_Text = Annotated[str, Meta(max_length=200, pattern=PLAIN)]
_LongText = Annotated[str, Meta(max_length=10_000, pattern=LINES)]
ClientId = Annotated[int, Meta(ge=-_MOST, le=_MOST)] | Annotated[str, Meta(max_length=64, pattern=PLAIN)]
"""The sender's own id of an order."""
AgentId = Annotated[str, Meta(min_length=1, max_length=80, pattern=PLAIN)]
"""Of an agent inside the market it is its population's name, of 64 characters at most, and a number."""
OrderSide = Literal[0, 1, "buy", "sell"]
Channel = Literal["orders", "trades", "book", "news", "agents", "market"]
CHANNELS: tuple[str, ...] = ("orders", "trades", "book", "news", "agents", "market")


class NewOrder(Struct, gc=False):
    """What `add` enters; a market order has no price."""

    side: OrderSide
    qty: _Whole
    price: _Whole | None = None
    symbol_id: _Whole = 1
    type: Literal["limit", "market"] = "limit"
    id: ClientId | None = None
    time_in_force: Literal["GTC", "IOC", "FOK"] = "GTC"
    post_only: bool = False
    agent_id: AgentId | None = None


class OrderName(Struct, gc=False):
    """Which order is meant: by the engine's `order_id`, or by the `id` of who sent it."""

    order_id: _Whole | None = None
    id: ClientId | None = None
    symbol_id: _Whole | None = None
    agent_id: AgentId | None = None
    price: _Whole | None = None
    qty: _Whole | None = None


class NewInstrument(Struct, gc=False):
    """What `add_instrument` lists; prices in price units."""

    ticker: Annotated[str, Meta(pattern=TICKER, max_length=16)]
    initial_price: _Whole
    tick_size: _Whole = 1
    lot_size: _Whole = 1
    price_unit: Annotated[float, Meta(gt=0, le=1e9)] = 0.01
    price_band: tuple[_Whole, _Whole] | None = None
    description: Annotated[str, Meta(max_length=1000, pattern=PLAIN)] = ""
    industry: Annotated[str, Meta(max_length=100, pattern=PLAIN)] = ""


class Request(Struct, tag_field="action", kw_only=True, gc=False):
    """What every request may carry: the session, of those that share a connection, that asks."""

    session: _Whole = 0


class Add(Request, tag="add", gc=False):
    """Enter an order."""

    order: NewOrder


class _Named(Request, gc=False):
    order: OrderName | None = None
    order_id: _Whole | None = None
    id: ClientId | None = None
    symbol_id: _Whole | None = None
    agent_id: AgentId | None = None
    price: _Whole | None = None
    qty: _Whole | None = None

    @property
    def named(self) -> OrderName:
        """Which order is meant, wherever it is written."""
        if self.order is not None:
            return self.order
        return OrderName(self.order_id, self.id, self.symbol_id, self.agent_id, self.price, self.qty)


class Cancel(_Named, tag="cancel", gc=False):
    """Cancel an order."""


class Replace(_Named, tag="replace", gc=False):
    """Give an order another price or quantity; what is not given stays."""


class CancelAll(Request, tag="cancel_all", gc=False):
    """Cancel all orders of an agent, in one instrument or in all."""

    agent_id: AgentId | None = None
    symbol_id: _Whole | None = None


class Snapshot(Request, tag="snapshot", gc=False):
    """Ask for an instrument's book; `symbol` is its ticker, or another name for `symbol_id`."""

    symbol_id: _Whole = 1
    symbol: _Whole | _Text | None = None
    depth: Annotated[int, Meta(ge=1, le=1000)] = 10


class ListInstruments(Request, tag="list_instruments", gc=False):
    """Ask what is traded."""


class AddInstrument(Request, tag="add_instrument", gc=False):
    """List an instrument."""

    instrument: NewInstrument


class RemoveInstrument(Request, tag="remove_instrument", gc=False):
    """Take an instrument off the market for ever."""

    symbol_id: _Whole


class Register(Request, tag="register", gc=False):
    """Make an agent, or take one over with its token; with `join` nobody loses it, and the token stays."""

    name: _Text = ""
    agent_id: AgentId | None = None
    personality: _Text = ""
    starting_capital: Annotated[int, Meta(ge=0, le=10**17)] | None = None
    session_token: _Text | None = None
    cancel_on_disconnect: bool = False
    join: bool = False


class CreateAgent(Request, tag="create_agent", gc=False):
    """Make an agent that nobody trades for yet."""

    name: _Text
    personality: _Text = ""
    starting_capital: Annotated[int, Meta(ge=0, le=10**17)] | None = None
    strategy: _Text | None = None
    parameters: dict[Annotated[str, Meta(max_length=64, pattern=PLAIN)], Any] | None = None

    def __post_init__(self) -> None:
        """Refuse what the journal could not write, or not read again."""
        if not _can_be_kept(self.parameters, _MOST_NESTED):
            raise ValueError(
                f"parameters have whole numbers from -2^62 to 2^62, in lists at most {_MOST_NESTED} deep"
            )


class Agents(Request, tag="agents", gc=False):
    """Ask for all agents."""


class Inside(Request, tag="inside", gc=False):
    """Ask for the agents of populations that trade inside the market: of very many, those that matter."""


class Account(Request, tag="account", gc=False):
    """Ask for an agent, by default the session's own."""

    agent_id: AgentId | None = None


class Orders(Request, tag="orders", gc=False):
    """Ask for an agent's open orders and the latest that ended."""

    agent_id: AgentId | None = None


class Trades(Request, tag="trades", gc=False):
    """Ask for the latest trades of an instrument or an agent."""

    symbol_id: _Whole | None = None
    agent_id: AgentId | None = None
    limit: _Count = 100


class Decided(Request, tag="decided", gc=False):
    """Tell what an agent of the session's decided and why, for the recording and whoever looks at it."""

    agent_id: AgentId
    done: _LongText
    source: Literal["llm", "ml", "heuristic", "none"] = "heuristic"
    strategy: _Text = ""
    reason: _LongText | None = None
    fallback: _LongText | None = None
    request: _Text | None = None
    calls: _Small | None = None
    tokens_in: _Whole | None = None
    tokens_out: _Whole | None = None
    cost: float | None = None
    ms: float | None = None
    cached: _Small | None = None
    facts: _LongText | None = None
    order_ids: Annotated[list[_Whole], Meta(max_length=1_024)] = []


NOTED = (
    "reason", "fallback", "request", "calls", "tokens_in", "tokens_out", "cost", "ms", "cached", "facts",
)  # fmt: skip
"""What may be told of a decision beside what was done, by the columns of the table `decisions`."""


class Decisions(Request, tag="decisions", gc=False):
    """Ask for the latest decisions of an agent."""

    agent_id: AgentId
    limit: _Count = 100


class Candles(Request, tag="candles", gc=False):
    """Ask for candles of an interval, s."""

    symbol_id: _Whole = 1
    interval: Annotated[int, Meta(ge=1, le=86_400)] = 60
    limit: _Count = 500


class Publish(Request, tag="publish", gc=False):
    """Publish news; `impact`, price units, moves the fundamental value."""

    headline: Annotated[str, Meta(min_length=1, max_length=200, pattern=LINES)]
    content: _LongText = ""
    sentiment: Annotated[float, Meta(ge=-1, le=1)] = 0.0
    impact: Annotated[float, Meta(ge=-1e9, le=1e9)] = 0.0
    symbol_id: _Whole | None = None
    source: _Text = ""
    impact_type: _Text = ""


class News(Request, tag="news", gc=False):
    """Ask for the latest news."""

    limit: _Count = 100


class Pause(Request, tag="pause", gc=False):
    """Let no step begin until `resume` or `step`."""


class Resume(Request, tag="resume", gc=False):
    """Go on after a pause."""


class Step(Request, tag="step", gc=False):
    """Run some steps, and pause."""

    n: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class Speed(Request, tag="speed", gc=False):
    """Set the pace."""

    steps_per_second: Annotated[float, Meta(ge=1e-3, le=1e6)] | Literal["max"]


class Subscribe(Request, tag="subscribe", gc=False):
    """Let the connection carry events beside answers; what is not given means all."""

    channels: list[Channel] | None = None
    interval_ms: Annotated[int, Meta(ge=1, le=60_000)] = 100
    symbol_ids: list[_Whole] | None = None


class CloseSession(Request, tag="close_session", gc=False):
    """End a session of the connection."""


class Metrics(Request, tag="metrics", gc=False):
    """Ask how the engine is doing."""


class Ping(Request, tag="ping", gc=False):
    """Ask for a sign of life."""


class Hello(Request, tag="hello", gc=False):
    """Show the token, where one is asked for."""

    token: _Text


Asked = (
    Add | Cancel | Replace | CancelAll | Snapshot | ListInstruments | AddInstrument | RemoveInstrument
    | Register | CreateAgent | Agents | Inside | Account | Orders | Trades | Candles | Decided | Decisions
    | Publish | News | Pause | Resume | Step | Speed | Subscribe | CloseSession | Metrics | Ping | Hello
)  # fmt: skip
"""Any request."""

ACTIONS: tuple[str, ...] = tuple(str(it.__struct_config__.tag) for it in Asked.__args__)
"""What a request's `action` may be."""


class Failure(Struct, tag_field="status", tag="error", gc=False):
    """An answer that says what is wrong and what to do about it."""

    code: str
    message: str
    field: str | UnsetType = UNSET
    id: ClientId | UnsetType = UNSET
    order_id: int | UnsetType = UNSET


def answering(request: Any, failure: Failure) -> Failure:
    """Return a failure with the sender's own id of the order that a request enters or names."""
    client_id = getattr(getattr(request, "order", None) or request, "id", None)
    if client_id is not None:
        failure.id = client_id
    return failure


class TooLong(NamedTuple):
    """Stand for a line that was longer than a reader takes."""

    most: int


class LineReader:
    """Cut a stream of bytes into lines, however the network cut it; what is too long is left out.

    It never holds more than `most` bytes.

    Parameters
    ----------
    most : int
        Longest line, bytes.

    Example
    -------
    >>> reader = LineReader(most=10)
    >>> reader.feed(b'{"a":1}\\n{"b"'), reader.feed(b":2}\\n")
    ([b'{"a":1}'], [b'{"b":2}'])
    >>> reader.feed(b"x" * 11), reader.feed(b"yy\\n{}\\n")
    ([TooLong(most=10)], [b'{}'])
    """

    __slots__ = ("_most", "_rest", "_skips")

    def __init__(self, most: int) -> None:
        self._most = most
        self._rest = bytearray()
        self._skips = False

    def __len__(self) -> int:
        """Bytes of a line that has not ended."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes | TooLong]:
        """Take what came; return the lines that ended, without their ends and without empty ones."""
        first, *lines = data.split(b"\n")
        if not lines:
            return self._grow(first)
        found: list[bytes | TooLong] = []
        last = lines.pop()
        if self._skips:
            self._skips = False
        elif self._rest:
            self._rest += first
            lines.insert(0, bytes(self._rest))
        else:
            lines.insert(0, first)
        self._rest.clear()
        most = self._most
        for line in lines:
            if len(line) > most:
                found.append(TooLong(most))
            elif line:
                found.append(line)
        return found + self._grow(last)

    def _grow(self, data: bytes) -> list[bytes | TooLong]:
        """Keep the beginning of a line."""
        if self._skips:
            return []
        if len(self._rest) + len(data) > self._most:
            self._rest.clear()
            self._skips = True
            return [TooLong(self._most)]
        self._rest += data
        return []


_CHOICES = {str(it.__struct_config__.tag): choices_of(it) for it in Asked.__args__}
"""What fields may be of which there are few values, by action and path."""
_decoder: msgspec.json.Decoder[Asked] = msgspec.json.Decoder(Asked)
_encoder = msgspec.json.Encoder()
encode_all = _encoder.encode_lines
"""Return answers or events as lines, one after the other."""
_PLACE = re.compile(r" - at (?:`key` in )?`\$\.?(.*)`$")
_MISSING = re.compile(r"missing required field `(\w+)`")
_ITEM = re.compile(r"\[.*?\]")


def encode(message: Any) -> bytes:
    """Return an answer, an event or a request as a line.

    Example
    -------
    >>> encode(Failure("LIMIT", "too much"))
    b'{"status":"error","code":"LIMIT","message":"too much"}\\n'
    """
    return _encoder.encode(message) + b"\n"


def decode(line: bytes | TooLong) -> Asked | Failure:
    """Return the request of a line, or what is wrong with it.

    Example
    -------
    >>> decode(b'{"action": "add", "order": {"id": 7, "price": 10050, "qty": 10, "side": 1}}').order.price
    10050
    >>> decode(b'{"action": "add", "order": {"id": 7, "price": 1, "qty": 10, "side": "X Z"}}').field
    'order.side'
    """
    if isinstance(line, TooLong):
        return Failure("LIMIT", f"a line has at most {line.most} bytes; send less at once")
    try:
        try:
            return _decoder.decode(line)
        except msgspec.ValidationError as error:
            return _explained(msgspec.json.decode(line), str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Failure("BAD_JSON", f"a line is one JSON object in UTF-8: {error}")


def decode_all(lines: Sequence[bytes | TooLong]) -> list[Asked | Failure]:
    """Return the requests of lines, as `decode` does."""
    return [decode(line) for line in lines]


def _can_be_kept(value: Any, deep: int) -> bool:
    """Say whether a value of any form is small and shallow enough to be written down."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return deep > 0 and all(_can_be_kept(it, deep - 1) for it in inner)
    return not isinstance(value, int) or abs(value) <= _MOST


def _explained(given: Any, error: str) -> Failure:
    """Say which field of a request is wrong, and how."""
    if not isinstance(given, dict):
        return Failure("BAD_REQUEST", 'a request is a JSON object, such as {"action": "ping"}')
    place = _PLACE.search(error)
    path, rule = (place[1] if place else ""), (error[: place.start()] if place else error)
    missing = _MISSING.search(error)
    if missing:
        path, rule = ".".join(filter(None, (path, missing[1]))), "it is missing"
    name = given.get("action")
    if path == "action" and isinstance(name, str):
        return Failure(
            "UNKNOWN_ACTION", f"there is no action {name[:40]!r}{did_you_mean(name[:40], ACTIONS)}"
        )
    choices = _CHOICES.get(name, {}).get(_ITEM.sub("", path)) if isinstance(name, str) else None
    remedy = f"; use one of {choices}" if choices else ""
    said = readable(rule)
    message = f"{path or 'the request'}: {said[:1].lower()}{said[1:]}{remedy}"
    failure = Failure("BAD_REQUEST", message, field=path)
    order = given.get("order")
    for holder in (order, given):
        client_id = holder.get("id") if isinstance(holder, dict) else None
        if isinstance(client_id, int | str) and not isinstance(client_id, bool) and failure.id is UNSET:
            failure.id = client_id if not isinstance(client_id, str) else client_id[:64]
    return failure
