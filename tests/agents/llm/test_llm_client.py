"""The real client against an endpoint that misbehaves in every way, and what the cassette makes of it."""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from endpoints import SCHEMA, asked, endpoint, replaying, request, settings

from simlab.agents.llm.client import Client, _retry_after_s
from simlab.agents.llm.exchange import Answer, Request
from simlab.agents.llm.settings import Settings
from simlab.bench.endpoint import BEHAVIOURS

SECRET = "sk-proj-a-very-secret-key-0123"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with endpoint() as base_url:
        yield base_url


FAILURES = {
    "busy": ("rate limited", 2),
    "busy_for_an_hour": ("rate limited", 1),
    "quota": ("quota", 1),
    "broken": ("server error", 2),
    "bad_gateway": ("server error", 2),
    "cut": ("connection", 2),
    "cut_midway": ("connection", 2),
    "stall": ("timeout", 2),
    "stall_midway": ("timeout", 2),
    "malformed_body": ("malformed response", 1),
    "web_page": ("malformed response", 1),
    "no_choices": ("malformed response", 1),
    "refusal": ("refusal", 1),
    "filtered": ("refusal", 1),
    "exhausted": ("tokens exhausted", 1),
    "unknown_model": ("bad request", 1),
    "bad_key": ("refused key", 1),
    "bad_key_in_part": ("refused key", 1),
    "key_refused": ("refusal", 1),
}
"""Kind of failure and calls, with one repetition at most."""
_KEPT = "SELECT request, answer FROM exchanges"
PASSING = {"busy_once", "busy_until", "broken_once", "cut_once"}
"""What is well the second time."""
ANSWERS = set(BEHAVIOURS) - set(FAILURES) - PASSING


@pytest.mark.parametrize("behave", FAILURES)
def test_what_goes_wrong_is_an_answer_with_a_failure_and_replays(
    address: str, tmp_path: Path, behave: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, calls = FAILURES[behave]
    monkeypatch.setenv("THE_KEY", SECRET)
    tape = tmp_path / "tape.sqlite"
    given = settings(address, api_key_env="THE_KEY")
    given["timeout_s"] = 0.4 if kind == "timeout" else 20.0
    [answer] = asked(given | {"cassette": {"mode": "record", "path": str(tape)}}, request(behave))
    assert answer.failure is not None
    assert (answer.failure.kind, answer.calls) == (kind, calls)
    assert len(answer.attempts) == calls - 1
    assert len(answer.failure.detail) <= 300
    monkeypatch.delenv("THE_KEY")
    [again] = asked(replaying(tape), request(behave))
    assert replace(again, cached=0) == answer
    assert again.cached == calls


@pytest.mark.parametrize("behave", [it for it in BEHAVIOURS if "key" in it])
def test_a_key_is_told_to_nobody(
    address: str, tmp_path: Path, behave: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", SECRET)
    tape = tmp_path / "tape.sqlite"
    given = settings(address, api_key_env="THE_KEY", cassette={"mode": "record", "path": str(tape)})
    [answer] = asked(given, request(behave))
    with sqlite3.connect(tape) as kept:
        exchanges = [zlib.decompress(it).decode() for row in kept.execute(_KEPT) for it in row]
    told = "".join([repr(answer), *exchanges, repr(Settings.of(given))]).lower()
    assert "wrong key" in told
    assert SECRET[:8] not in told
    assert SECRET[-6:] not in told
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Client(Settings.of(given), address))


def test_no_endpoint_is_told_the_key_of_another(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    [answer] = asked(settings(address), request("bad_key"))
    assert answer.failure is not None
    assert "wrong key none" in answer.failure.detail


@pytest.mark.parametrize("behave", sorted(PASSING))
def test_what_passes_is_waited_for(address: str, behave: str) -> None:
    [answer] = asked(settings(address), request(behave, text=os.urandom(4).hex()))
    assert answer.failure is None
    assert answer.calls == 2
    [attempt] = answer.attempts
    assert attempt.waited_ms >= 500
    assert attempt.status == {"busy_once": 429, "busy_until": 429, "broken_once": 500}.get(behave)
    assert answer.ms >= attempt.ms + attempt.waited_ms


@pytest.mark.parametrize("behave", sorted(ANSWERS))
def test_what_comes_in_good_form_is_left_to_the_agent(address: str, tmp_path: Path, behave: str) -> None:
    tape = tmp_path / "tape.sqlite"
    [answer] = asked(settings(address, cassette={"mode": "record", "path": str(tape)}), request(behave))
    assert answer.failure is None
    assert answer.text or answer.tool_calls or behave == "empty"
    [again] = asked(replaying(tape), request(behave))
    assert replace(again, cached=0) == answer


def test_tools_are_offered_and_called(address: str) -> None:
    asking = replace(request("tool"), tools=[{"type": "function", "function": {"name": "prices"}}])
    well, malformed = asked(
        settings(address), asking, replace(asking, messages=request("tool_malformed").messages)
    )
    assert [(it.id, it.name, it.arguments) for it in well.tool_calls] == [
        ("call_1", "prices", '{"steps": 5}')
    ]
    assert [it.arguments for it in malformed.tool_calls] == ['{"steps": ']
    assert (well.finish, malformed.failure) == ("tool_calls", None)


def test_tokens_are_estimated_where_nobody_counts_them(address: str) -> None:
    [answer] = asked(settings(address), request("uncounted"))
    assert answer.tokens_out == -(-len(answer.text) // 4)
    assert answer.tokens_in > len(str(request("uncounted").messages)) // 4


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ({}, {"max_tokens": 512}),
        ({"max_tokens": None, "temperature": 0.5, "seed": 7}, {"temperature": 0.5, "seed": 7}),
        (
            {"output": "json_mode", "max_tokens": 9},
            {"max_tokens": 9, "response_format": {"type": "json_object"}},
        ),
        ({"output": "text"}, {"max_tokens": 512}),
    ],
)
def test_only_what_is_set_is_sent(address: str, more: dict[str, Any], body: dict[str, Any]) -> None:
    [answer] = asked(settings(address, **more), request("echo"))
    sent = json.loads(answer.text)
    assert sent.pop("model") == "fake"
    assert sent.pop("messages")[0]["role"] == "user"
    wanted = {"name": "decision", "schema": SCHEMA, "strict": True}
    default = {"response_format": {"type": "json_schema", "json_schema": wanted}}
    assert {name: it for name, it in sent.items() if name != "stream"} == (
        body if "output" in more else body | default
    )


def test_nobody_at_the_address_is_a_failure() -> None:
    [answer] = asked(settings("http://127.0.0.1:9/v1", retries=0), request("hold"))
    assert answer.failure is not None
    assert answer.failure.kind == "connection"


def test_a_proxy_is_not_asked_for_what_is_on_this_machine(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    [answer] = asked(settings(address), request("hold"))
    assert answer.failure is None


@pytest.mark.parametrize(
    ("header", "most_s", "least_s"),
    [
        (None, None, None),
        ("3", 3, 3),
        ("0.5", 0.5, 0.5),
        ("-1", 0, 0),
        ("soon", None, None),
        pytest.param(
            format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), 3600, 3000, id="in an hour"
        ),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0, 0),
    ],
)
def test_retry_after_is_a_number_or_a_date(
    header: str | None, most_s: float | None, least_s: float | None
) -> None:
    found = _retry_after_s({} if header is None else {"retry-after": header})
    if most_s is None:
        assert found is None
    else:
        assert found is not None
        assert least_s <= found <= most_s


def test_those_refused_together_do_not_come_back_together(address: str) -> None:
    waits = {
        it.attempts[0].waited_ms
        for it in asked(settings(address), *(request("broken", text=str(i)) for i in range(8)))
    }
    assert len(waits) > 4
    assert 500 <= min(waits) <= max(waits) <= 750


def test_an_answer_is_the_same_from_text() -> None:
    answer = Answer(text="é\ud800", ms=1.25)
    assert replace(Answer.from_json(answer.to_json(), ""), cached=0) == answer


def test_a_request_written_twice_is_the_same_text() -> None:
    one = Request([{"role": "user", "content": "x"}], {"b": 1, "a": 2}, None, "p/0", "1/0")
    other = Request([{"content": "x", "role": "user"}], {"a": 2, "b": 1}, None, "p/1", "2/0")
    assert one.text({"model": "m"}) == other.text({"model": "m"})
    assert one.text({"model": "m"}) != other.text({"model": "n"})
