"""The engine's wire: however bytes come they are the same lines, and a line is a request or is explained."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simlab.live.protocol import ACTIONS, Asked, Failure, LineReader, TooLong, decode, encode, encode_all

REQUESTS = {str(it.__struct_config__.tag): it for it in Asked.__args__}
FIELDS = sorted({name for it in REQUESTS.values() for name in it.__struct_fields__} | {"surplus"})
CODES = {"BAD_JSON", "BAD_REQUEST", "UNKNOWN_ACTION", "LIMIT"}
ORDER_FIELDS = ("id", "price", "qty", "side", "type", "symbol_id", "order_id", "agent_id", "post_only")
WORDS = st.sampled_from(["buy", "limit", "IOC"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS
VALUES = st.recursive(
    SCALARS | st.dictionaries(st.sampled_from(ORDER_FIELDS), SCALARS),
    lambda it: st.lists(it, max_size=3) | st.dictionaries(st.text(), it, max_size=3),
)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8)


def _cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(stream), *(it % (len(stream) + 1) for it in cuts)})
    return [stream[start:stop] for start, stop in pairwise(places)]


@given(
    st.lists(st.binary(max_size=30).map(lambda it: it.replace(b"\n", b"")), max_size=8),
    st.lists(st.integers(0)),
)
def test_lines_are_the_same_however_the_stream_is_cut(lines: list[bytes], cuts: list[int]) -> None:
    most = 20
    reader = LineReader(most)
    found: list[Any] = []
    for part in _cut(b"".join(it + b"\n" for it in lines), cuts):
        found += reader.feed(part)
        assert len(reader) <= most
    assert found == [it if len(it) <= most else TooLong(most) for it in lines if it]
    assert len(reader) == 0


def test_a_line_without_an_end_takes_no_memory() -> None:
    reader = LineReader(1_000)
    found = [it for _ in range(10_000) for it in reader.feed(b"x" * 1_000)]
    assert (found, len(reader)) == ([TooLong(1_000)], 0)
    assert reader.feed(b"\n{}\n") == [b"{}"]


def _hold_to_promise(line: bytes) -> None:
    found = decode(line)
    if isinstance(found, Failure):
        assert found.code in CODES
        assert found.message
        assert json.loads(encode(found))["status"] == "error"
    else:
        assert type(found) in REQUESTS.values()


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda it: it.encode("utf-8", "surrogatepass")))
@example(b"[]")
@example(b"null")
@example(b"\xff\xfe")
@example(b"[" * 60_000)
@example(b'{"action":"ping","x":' + b"[" * 60_000)
@example(b'{"action":["ping"]}')
@example(b'{"action":"add","order":{"side":0,"qty":1e999,"price":1}}')
@example(b'{"action":"add","order":{"side":true,"qty":1,"price":1}}')
def test_any_bytes_are_a_request_or_explained(line: bytes) -> None:
    _hold_to_promise(line)


@given(st.sampled_from(ACTIONS), OBJECTS)
def test_any_object_is_a_request_or_explained(action: str, fields: dict[str, Any]) -> None:
    _hold_to_promise(json.dumps({**fields, "action": action}).encode())


@given(st.sampled_from(ACTIONS), OBJECTS)
def test_a_request_is_the_same_after_it_was_sent(action: str, fields: dict[str, Any]) -> None:
    found = decode(json.dumps({**fields, "action": action}).encode())
    if not isinstance(found, Failure):
        assert encode(decode(encode(found))) == encode(found)


@pytest.mark.parametrize(
    ("line", "code", "field", "client_id"),
    [
        (b'{"action":"add","order":{"id":7,"price":1,"qty":1,"side":"X Z"}}', "BAD_REQUEST", "order.side", 7),
        (
            b'{"action":"add","order":{"id":"a","price":1.5,"qty":1,"side":0}}',
            "BAD_REQUEST",
            "order.price",
            "a",
        ),
        (b'{"action":"add","order":{"price":1,"side":0}}', "BAD_REQUEST", "order.qty", None),
        (b'{"action":"add"}', "BAD_REQUEST", "order", None),
        (b'{"order":{}}', "BAD_REQUEST", "action", None),
        (b'{"action":"ad"}', "UNKNOWN_ACTION", None, None),
        (b"[1]", "BAD_REQUEST", None, None),
        (b"{", "BAD_JSON", None, None),
    ],
)
def test_what_is_wrong_is_named(line: bytes, code: str, field: str | None, client_id: Any) -> None:
    found = json.loads(encode_all([decode(line)]))
    assert (found["code"], found.get("field"), found.get("id")) == (code, field, client_id)


def test_an_action_that_is_misspelt_is_guessed() -> None:
    found = decode(b'{"action":"snapshut"}')
    assert isinstance(found, Failure)
    assert "did you mean 'snapshot'" in found.message


@pytest.mark.parametrize(
    ("line", "field", "said"),
    [
        (b'{"action":"add","order":{"price":1,"qty":1,"side":"up"}}', "order.side", "0, 1, buy, sell"),
        (b'{"action":"add","order":{"price":1,"qty":1,"side":1.5}}', "order.side", "0, 1, buy, sell"),
        (b'{"action":"add","order":{"qty":1,"side":1,"type":"stop"}}', "order.type", "limit, market"),
        (
            b'{"action":"add","order":{"side":0,"time_in_force":"DAY"}}',
            "order.time_in_force",
            "FOK, GTC, IOC",
        ),
        (b'{"action":"subscribe","channels":["news","all"]}', "channels[1]", "agents, book, market, news"),
        (b'{"action":"speed","steps_per_second":"fast"}', "steps_per_second", "max, a number"),
    ],
)
def test_where_few_values_are_right_they_are_said(line: bytes, field: str, said: str) -> None:
    found = decode(line)
    assert isinstance(found, Failure)
    assert found.field == field
    assert f"use one of {said}" in found.message


@pytest.mark.parametrize("bad", ["\n", "\0", "\x1b", "\t", "\x9b", "\u202e", "\u2069", "\u2029"])
@pytest.mark.parametrize(
    ("request_", "path"),
    [
        ({"action": "register"}, "name"),
        ({"action": "register"}, "agent_id"),
        ({"action": "create_agent", "name": "x"}, "personality"),
        ({"action": "add", "order": {"price": 1, "qty": 1, "side": 0}}, "order.id"),
        ({"action": "add", "order": {"price": 1, "qty": 1, "side": 0}}, "order.agent_id"),
        ({"action": "cancel"}, "id"),
        ({"action": "add_instrument", "instrument": {"initial_price": 5}}, "instrument.ticker"),
        (
            {"action": "add_instrument", "instrument": {"ticker": "X", "initial_price": 5}},
            "instrument.industry",
        ),
        ({"action": "publish", "headline": "x"}, "source"),
        ({"action": "publish"}, "headline"),
        ({"action": "decided", "agent_id": "a", "done": "hold"}, "reason"),
    ],
)
def test_a_control_character_is_refused_and_the_field_named(
    request_: dict[str, Any], path: str, bad: str
) -> None:
    *outer, name = path.split(".")
    changed = json.loads(json.dumps(request_))
    (changed[outer[0]] if outer else changed)[name] = f"a{bad}"
    found = decode(json.dumps(changed).encode())
    if bad == "\n" and name in ("headline", "reason"):
        assert not isinstance(found, Failure)
        return
    assert isinstance(found, Failure)
    assert (found.code, found.field) == ("BAD_REQUEST", path)
    assert "regex" not in found.message
