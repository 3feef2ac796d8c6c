"""The messages of the WebSocket wire: whatever comes is a message or is explained."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simlab.live import messages, told
from simlab.live.messages import BadMessageError, decode, encode

TYPES = {str(it.__struct_config__.tag): it for it in get_args(messages.Request)}
FIELDS = sorted({name for it in TYPES.values() for name in it.__struct_fields__} | {"type", "surplus"})
WORDS = st.sampled_from(["buy", "LIMIT", "GTC", "depth"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS
VALUES = st.recursive(
    SCALARS, lambda it: st.lists(it, max_size=3) | st.dictionaries(st.text(), it, max_size=3)
)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8)
CONTROLS = ["\n", "\0", "\x1b", "\t", "\x7f", "\x85", "\u202e", "\u2066", "\u200f", "\u2028"]


def _hold_to_promise(frame: bytes) -> None:
    """Decode, and look at both outcomes."""
    wrong = None
    try:
        assert type(decode(frame)) in TYPES.values()
    except BadMessageError as error:
        wrong = error
    if wrong is not None:
        assert (wrong.request == "add_order") == isinstance(wrong.code, int)
        encode(told.Error(str(wrong), wrong.code, wrong.field, wrong.request))
        encode([wrong.client_id, wrong.order_id])


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda it: it.encode("utf-8", "surrogatepass")))
@example(b"[]")
@example(b"\xff\xfe")
@example(b"[" * 100_000)
@example(b'{"type":"ping","x":' + b"[" * 100_000)
@example(b'{"type":"add_order","quantity":1e999}')
def test_any_bytes_are_a_message_or_explained(frame: bytes) -> None:
    _hold_to_promise(frame)


@given(st.sampled_from(sorted(TYPES)), OBJECTS)
def test_any_object_is_a_message_or_explained(kind: str, given_fields: dict[str, Any]) -> None:
    _hold_to_promise(json.dumps({**given_fields, "type": kind}).encode())


@given(OBJECTS, st.integers(0, 300))
def test_a_message_that_is_cut_off_is_none(given_fields: dict[str, Any], cut: int) -> None:
    frame = json.dumps({"type": "ping", **given_fields}).encode()
    if cut < len(frame):
        with pytest.raises(BadMessageError) as caught:
            decode(frame[:cut])
        assert caught.value.code in {"BAD_JSON", "BAD_REQUEST", "UNKNOWN_TYPE"}


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"orderType": "X"}, 1000, "orderType"),
        ({"side": "Z"}, 1001, "side"),
        ({"side": None}, 1001, "side"),
        ({"price": "100"}, 1002, "price"),
        ({"price": [1]}, 1002, "price"),
        ({"quantity": "10"}, 1003, "quantity"),
        ({"quantity": None}, 1003, "quantity"),
        ({"symbol_id": "ACME"}, 1004, "symbol_id"),
        ({"client_id": "x" * 65}, 1004, "client_id"),
    ],
)
def test_an_order_is_refused_by_code(change: dict[str, Any], code: int, field: str) -> None:
    order = {"type": "add_order", "symbol_id": 1, "side": "buy", "price": 1.5, "quantity": 2}
    with pytest.raises(BadMessageError) as caught:
        decode(json.dumps(order | change).encode())
    assert (caught.value.code, caught.value.field) == (code, field)
    assert "quantity" in str(caught.value)  # the fields that it may have


@pytest.mark.parametrize("missing", ["symbol_id", "side", "quantity"])
def test_an_order_that_lacks_something_says_what(missing: str) -> None:
    order = {"type": "add_order", "symbol_id": 1, "side": "buy", "quantity": 2, "client_id": "mine"}
    del order[missing]
    with pytest.raises(BadMessageError) as caught:
        decode(json.dumps(order).encode())
    assert (caught.value.field, caught.value.client_id) == (missing, "mine")


def test_an_unknown_type_is_told_the_nearest() -> None:
    with pytest.raises(BadMessageError, match="did you mean 'add_order'"):
        decode(b'{"type": "ad_order"}')


def _examples() -> list[Any]:
    """One message of every type that is told, from its own JSON schema's point of view: filled by types."""
    return [_filled(it) for it in get_args(told.Told)]


def _filled(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = msgspec.structs.fields(kind)
        return kind(**{it.name: _filled(it.type) for it in hints})
    for plain, value in {int: 7, float: 100.05, str: "text", bool: True}.items():
        if kind is plain:
            return value
    arguments = get_args(kind)
    origin = getattr(kind, "__origin__", None)
    if origin is list:
        return [_filled(arguments[0])]
    if origin is dict:
        return {"1": _filled(arguments[1])}
    if origin is tuple:
        return tuple(_filled(it) for it in arguments)
    if arguments:  # a union or a literal: its first
        first = arguments[0]
        return _filled(first) if isinstance(first, type) or get_args(first) else first
    return None


@pytest.mark.parametrize("message", _examples(), ids=lambda it: type(it).__name__)
def test_what_is_told_is_read_back(message: Any) -> None:
    assert told.decode_told(encode(message)) == message


TABLE = {
    "instruments": "symbol_id, ticker, description, industry, initial_price, created_at",
    "depth": "symbol_id, first_sequence, last_sequence, bids, asks",
    "order_response": "status, order_id, orderId, message",
    "cancel_response": "status, message",
    "order_placed": "agent_id, agent_name, symbol_id, ticker, side, order_type, price, quantity, timestamp",
    "order_update": (
        "orderId, client_id, agent_id, symbol_id, event, price, quantity, filled, remaining, average_price,"
        " sequence"
    ),
    "orders": "orderId, client_id, symbol_id, side, price, quantity, filled, status",
    "trades": "symbol_id, price, quantity, aggressor_side, timestamp",
    "news": "id, headline, content, sentiment, source, instrument_id, impact_type, created_at",
    "agent_created": "agent_id, name, personality, starting_capital, created_at",
    "agents_snapshot": "agent_id, name, personality, cash, positions, total_value, pnl, starting_capital",
}


@pytest.mark.parametrize("kind", sorted(TABLE))
def test_what_is_told_has_the_fields_of_the_protocol(kind: str) -> None:
    message = next(it for it in _examples() if it.__struct_config__.tag == kind)
    written = json.loads(encode(message))
    assert written["type"] == kind
    data = written["data"][0] if isinstance(written["data"], list) else written["data"]
    names = TABLE[kind].split(", ")
    assert [name for name in data if name in names] == names


AGENT = ["agent_id", "name", "personality", "cash", "positions", "total_value", "pnl", "starting_capital"]
POSITION = ["instrument_id", "quantity", "avg_price", "current_price", "market_value", "unrealized_pnl"]
BOOK = ["status", "symbol_id", "sequence", "timestamp", "bids", "asks"]


@pytest.mark.parametrize(
    ("kind", "path", "names"),
    [
        ("agent_registered", [], ["agent_id", "session_token", "agent"]),
        ("agent_registered", ["agent"], AGENT),
        ("portfolio_update", [], ["cash", "positions", "total_value", "pnl"]),
        ("portfolio_update", ["positions", "1"], POSITION),
        ("orderbooks", ["data", "1"], BOOK),
        ("orderbooks", ["data", "1", "asks", 0], ["price", "quantity", "orders"]),
        ("news_history", ["data", 0], TABLE["news"].split(", ")),
        ("error", [], ["message", "code", "field"]),
        ("pong", [], ["type"]),
    ],
)
def test_what_is_told_has_the_nesting_of_the_protocol(kind: str, path: list[Any], names: list[str]) -> None:
    message = next(it for it in _examples() if it.__struct_config__.tag == kind)
    found = json.loads(encode(message))
    for step in path:
        found = found[step]
    assert [name for name in found if name in names] == names


@pytest.mark.parametrize(
    ("frame", "choices"),
    [
        (
            '{"type": "add_order", "symbol_id": 1, "side": "Z", "quantity": 1}',
            "use one of BUY, SELL, buy, sell",
        ),
        (
            '{"type": "subscribe", "channels": ["all"]}',
            "use one of agents, depth, news, orderbooks",
        ),
    ],
)
def test_where_few_texts_are_right_they_are_said(frame: str, choices: str) -> None:
    with pytest.raises(BadMessageError, match=choices):
        decode(frame.encode())


@pytest.mark.parametrize("bad", CONTROLS)
@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"type": "agent_register", "name": "x"}, "name"),
        ({"type": "agent_register", "name": "x"}, "agent_id"),
        ({"type": "agent_register", "name": "x"}, "personality"),
        ({"type": "add_order", "symbol_id": 1, "side": "buy", "quantity": 1}, "client_id"),
        ({"type": "add_order", "symbol_id": 1, "side": "buy", "quantity": 1}, "agent_id"),
        ({"type": "get_orders"}, "agent_id"),
        ({"type": "decision", "agent_id": "a", "action": "hold"}, "strategy"),
        ({"type": "decision", "agent_id": "a", "action": "hold"}, "reason"),
    ],
)
def test_a_control_character_is_refused_and_the_field_named(
    message: dict[str, Any], field: str, bad: str
) -> None:
    frame = json.dumps(message | {field: f"a{bad}"}).encode()
    if (bad, field) == ("\n", "reason"):
        assert decode(frame)
        return
    with pytest.raises(BadMessageError, match=f"control character.*{field}") as caught:
        decode(frame)
    assert caught.value.field == field


def test_a_field_of_few_values_says_them_whatever_was_sent() -> None:
    frame = b'{"type": "add_order", "symbol_id": 1, "side": "buy", "quantity": 1, "orderType": null}'
    with pytest.raises(BadMessageError, match="use one of LIMIT, MARKET, limit, market"):
        decode(frame)
