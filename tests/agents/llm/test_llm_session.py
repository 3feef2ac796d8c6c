"""A session against an endpoint that misbehaves in every way, and against the cassette it leaves behind."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from endpoints import endpoint

from simlab.agents.llm.session import Answer, Request, Session
from simlab.agents.llm.settings import Settings
from simlab.errors import LlmError, StrategyError

SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string", "maxLength": 100}},
    "required": ["reason"],
}
SECRET = "sk-a-very-secret-key"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with endpoint() as base_url:
        yield base_url


def request(behave: str, asker: str = "p/0", occasion: str = "3/0", text: str = "What do you do?") -> Request:
    content = f"{text}\nbehave: {behave}"
    return Request([{"role": "user", "content": content}], SCHEMA, None, asker, occasion)


def asked(given: dict[str, Any], *requests: Request) -> list[Answer]:
    async def ask() -> list[Answer]:
        session = Session(given)
        try:
            return list(await asyncio.gather(*map(session.ask, requests)))
        finally:
            await session.close()

    return asyncio.run(ask())


def settings(address: str, **more: Any) -> dict[str, Any]:
    return {"model": "fake", "base_url": address, "timeout_s": 2.0, "retries": 1} | more


def test_an_answer_comes_with_its_tokens(address: str) -> None:
    [answer] = asked(settings(address, prices={"fake": {"input": 10, "output": 1000}}), request("hold"))
    assert answer.failure is None
    assert answer.text.startswith('{"reason"')
    assert (answer.tokens_in, answer.tokens_out, answer.calls, answer.cached) == (100, 20, 1, 0)
    assert answer.cost == pytest.approx((100 * 10 + 20 * 1000) / 1e6)


@pytest.mark.parametrize(
    ("behave", "kind", "calls"),
    [
        ("busy", "rate limited", 2),
        ("busy_for_an_hour", "rate limited", 1),
        ("broken", "server error", 2),
        ("cut", "connection", 2),
        ("stall", "timeout", 2),
        ("malformed_body", "malformed response", 1),
        ("no_choices", "malformed response", 1),
        ("refusal", "refusal", 1),
        ("exhausted", "tokens exhausted", 1),
        ("unknown_model", "bad request", 1),
        ("bad_key", "refused key", 1),
    ],
)
def test_what_goes_wrong_is_an_answer_with_a_failure_and_replays(
    address: str, tmp_path: Path, behave: str, kind: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", SECRET)
    tape = tmp_path / "tape.sqlite"
    given = settings(address, timeout_s=0.5, api_key_env="THE_KEY")
    [answer] = asked(given | {"cassette": {"mode": "record", "path": str(tape)}}, request(behave))
    assert answer.failure is not None
    assert (answer.failure.kind, answer.calls) == (kind, calls)
    assert len(answer.attempts) == calls - 1
    assert SECRET not in str(answer)
    assert SECRET.encode() not in tape.read_bytes()
    monkeypatch.delenv("THE_KEY")
    [again] = asked({"model": "fake", "cassette": {"mode": "replay", "path": str(tape)}}, request(behave))
    assert replace(again, cached=0) == answer
    assert again.cached == calls


@pytest.mark.parametrize("behave", ["busy_once", "broken_once", "cut_once"])
def test_what_passes_is_waited_for(address: str, behave: str) -> None:
    [answer] = asked(settings(address), request(behave, text=os.urandom(4).hex()))
    assert answer.failure is None
    assert answer.calls == 2
    assert answer.attempts[0].waited_ms >= 200
    assert answer.ms >= answer.attempts[0].ms + answer.attempts[0].waited_ms


def test_the_order_of_arrival_does_not_matter(tmp_path: Path) -> None:
    tape = tmp_path / "tape.sqlite"
    alike = [request("hold", f"p/{i}", f"{step}/0", "jitter") for i in range(8) for step in range(2)]
    with endpoint(delay_ms=3) as base_url:
        recorded = asked(
            settings(base_url, concurrency=4, cassette={"mode": "record", "path": str(tape)}), *alike
        )
    replayed = asked({"model": "fake", "cassette": {"mode": "replay", "path": str(tape)}}, *reversed(alike))
    assert [replace(it, cached=0) for it in reversed(replayed)] == recorded


def test_a_cassette_is_one_file_and_asks_only_for_what_it_lacks(address: str, tmp_path: Path) -> None:
    tape = tmp_path / "folder" / "tape.sqlite"
    given = settings(address, cassette={"mode": "auto", "path": str(tape)})
    first = asked(given, request("hold"))
    second = asked(given, request("hold"), request("hold", "p/1"))
    assert [it.cached for it in (*first, *second)] == [0, 1, 0]
    assert [it.name for it in tape.parent.iterdir()] == ["tape.sqlite"]
    written = tape.read_bytes()
    asked({"model": "fake", "cassette": {"mode": "replay", "path": str(tape)}}, request("hold", "p/1"))
    assert tape.read_bytes() == written


def test_a_miss_shows_the_nearest_request_and_where_it_differs(address: str, tmp_path: Path) -> None:
    tape = tmp_path / "tape.sqlite"
    kept = [request("hold", f"p/{i}", text=f"price {100 + i}") for i in range(3)]
    asked(settings(address, cassette={"mode": "record", "path": str(tape)}), *kept)
    replay = {"model": "fake", "cassette": {"mode": "replay", "path": str(tape)}}
    with pytest.raises(
        LlmError, match=r"no answer for p/1, step 3, call 0; .*\(p/1, step 3, call 0\) differs"
    ) as error:
        asked(replay, request("hold", "p/1", text="price 777"))
    assert "-user: price 101" in str(error.value)
    assert "+user: price 777" in str(error.value)
    with pytest.raises(LlmError, match="the same, on another occasion"):
        asked(replay, request("hold", "p/1", "9/0", text="price 101"))
    with pytest.raises(LlmError, match=r"-temperature|\+temperature"):
        asked(replay | {"temperature": 0.5}, kept[0])


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (None, "replay", "there is no cassette .* record it"),
        (
            b"no database at all, but long enough to be looked at" * 20,
            "replay",
            "cannot be opened.*another path",
        ),
        (b"no database at all, but long enough to be looked at" * 20, "auto", "cannot be opened"),
    ],
)
def test_a_cassette_that_is_none_is_refused(
    tmp_path: Path, content: bytes | None, mode: str, message: str
) -> None:
    tape = tmp_path / "tape.sqlite"
    if content is not None:
        tape.write_bytes(content)
    with pytest.raises(LlmError, match=message):
        Session({"model": "m", "cassette": {"mode": mode, "path": str(tape)}})


def test_a_cassette_of_a_newer_layout_is_refused(tmp_path: Path) -> None:
    tape = tmp_path / "tape.sqlite"
    with sqlite3.connect(tape) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(LlmError, match="newer simlab"):
        Session({"model": "m", "cassette": {"mode": "auto", "path": str(tape)}})


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LlmError, match="cannot be opened"):
        Session(
            {"model": "m", "cassette": {"mode": "record", "path": str(tmp_path / "file" / "tape.sqlite")}}
        )


def test_what_was_kept_survives_a_kill(address: str, tmp_path: Path) -> None:
    tape = tmp_path / "tape.sqlite"
    code = (
        "import asyncio, os, sys\n"
        "sys.path.insert(0, sys.argv[3])\n"
        "from test_llm_session import Session, request, settings\n"
        "async def go():\n"
        "    session = Session(settings(sys.argv[1], cassette={'mode': 'record', 'path': sys.argv[2]}))\n"
        "    await session.ask(request('hold'))\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(go())\n"
    )
    command = [sys.executable, "-c", code, address, str(tape), str(Path(__file__).parent)]
    assert subprocess.run(command, check=False, timeout=120).returncode == -9
    [answer] = asked({"model": "fake", "cassette": {"mode": "replay", "path": str(tape)}}, request("hold"))
    assert answer.cached == 1


@pytest.mark.parametrize(
    ("budget", "admitted"),
    [({"calls": 5}, [3, 2, 0]), ({"tokens": 361}, [3, 3, 0]), ({"money": 0.5}, [3, 0, 0]), ({}, [3, 3, 3])],
)
def test_a_budget_ends_the_calls(budget: dict[str, Any], admitted: list[int]) -> None:
    session = Session({"model": "m", "budget": budget, "prices": {"m": {"input": 0, "output": 10_000}}})
    shared: dict[str, Any] = {}
    found = []
    for _ in range(3):
        found.append(session.admit(shared, 3))
        answers = [Answer(tokens_in=100, tokens_out=20).priced(0, 10_000)] * found[-1]
        session.spend(shared, answers)
    assert found == admitted
    assert all(isinstance(it, int) for it in shared["llm"].values())


def test_a_budget_of_money_needs_a_price() -> None:
    with pytest.raises(StrategyError, match=r"no price for the model 'm'; add llm\.prices"):
        Settings.of({"model": "m", "budget": {"money": 1.0}})


def test_a_key_is_asked_for_by_name_and_kept_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(LlmError, match="environment variable OPENAI_API_KEY is not set"):
        asked({"model": "m"}, request("hold"))
    with pytest.raises(LlmError, match="environment variable MY_KEY is not set"):
        asked({"model": "m", "api_key_env": "MY_KEY", "base_url": "http://127.0.0.1:9/v1"}, request("hold"))


def test_nobody_at_the_address_is_a_failure() -> None:
    [answer] = asked(settings("http://127.0.0.1:9/v1", retries=0), request("hold"))
    assert answer.failure is not None
    assert answer.failure.kind == "connection"


def test_requests_under_way_are_bounded(tmp_path: Path) -> None:
    with endpoint(delay_ms=20) as base_url:
        most = []

        async def ask() -> None:
            session = Session(settings(base_url, concurrency=3))

            async def one(i: int) -> None:
                await session.ask(request("hold", f"p/{i}"))
                most.append(session._asking)

            await asyncio.gather(*map(one, range(12)))
            await session.close()

        asyncio.run(ask())
    assert max(most) <= 3


def test_replaying_imports_no_client(tmp_path: Path, address: str) -> None:
    tape = tmp_path / "tape.sqlite"
    asked(settings(address, cassette={"mode": "record", "path": str(tape)}), request("hold"))
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from test_llm_session import asked, request\n"
        "asked({'model': 'fake', 'cassette': {'mode': 'replay', 'path': sys.argv[1]}}, request('hold'))\n"
        "print([it for it in ('langchain_openai', 'openai', 'httpx', 'tenacity') if it in sys.modules])\n"
    )
    command = [sys.executable, "-c", code, str(tape), str(Path(__file__).parent)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_a_forks_session_is_another(address: str, tmp_path: Path) -> None:
    given = settings(address, cassette={"mode": "auto", "path": str(tmp_path / "tape.sqlite")})

    async def both() -> list[int]:
        one, other = Session(given), Session(given)
        first = await one.ask(request("hold"))
        second = await other.ask(request("hold"))
        await one.close()
        await other.close()
        return [first.cached, second.cached]

    assert asyncio.run(both()) == [0, 1]
