"""A session: settings, budgets, concurrency, the loop that it lives on, and what it needs to be there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from endpoints import asked, asking, endpoint, request, settings

from simlab.agents.llm.agent import LanguageModels
from simlab.agents.llm.session import Answer, Session
from simlab.agents.llm.settings import Settings, check_settings
from simlab.agents.waiting import EventLoop
from simlab.errors import LlmError, StrategyError


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with endpoint() as base_url:
        yield base_url


def test_an_answer_comes_with_its_tokens(address: str) -> None:
    [answer] = asked(settings(address, prices={"fake": {"input": 10, "output": 1000}}), request("hold"))
    assert answer.failure is None
    assert answer.text.startswith('{"reason"')
    assert (answer.tokens_in, answer.tokens_out, answer.calls, answer.cached) == (100, 20, 1, 0)
    assert answer.cost == pytest.approx((100 * 10 + 20 * 1000) / 1e6)


def test_it_works_in_a_loop_that_runs_as_in_a_notebook(address: str) -> None:
    async def cell() -> list[Answer]:
        here = await asking(settings(address), request("hold"))
        apart = EventLoop()  # that of a run, which a notebook starts and waits for
        session = Session(settings(address))
        try:
            there = [apart.wait([session.ask(request("hold"))])[0] for _ in range(2)]
        finally:
            apart.wait([session.close()])
            apart.close()
        return [*here, *there]

    assert [it.failure for it in asyncio.run(cell())] == [None] * 3


def test_an_interrupted_session_is_closed_on_another_loop(address: str) -> None:
    session, first, second = Session(settings(address)), EventLoop(), EventLoop()
    assert first.wait([session.ask(request("hold"))])[0].failure is None
    first.close()
    assert second.wait([session.close()]) == [None]
    second.close()


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


def test_a_replay_spends_what_was_spent(address: str, tmp_path: Path) -> None:
    priced = {"prices": {"fake": {"input": 10, "output": 1000}}}
    requests = [request(it) for it in ("hold", "busy_once", "refusal", "cut")]
    booked: list[Any] = []
    for mode in ("record", "replay"):
        given = settings(address, cassette={"mode": mode, "path": str(tmp_path / "tape.sqlite")}, **priced)
        shared: dict[str, Any] = {}
        Session({"model": "m"}).spend(shared, asked(given, *requests))
        booked.append(shared["llm"])
    assert booked[0] == booked[1]
    assert booked[0]["calls"] == 6
    assert booked[0]["millionths"] == 3 * (100 * 10 + 20 * 1000)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"llm\.model is missing"),
        ({"model": "m", "budget": {"money": 1.0}}, r"add llm\.prices\.m with its input and output"),
        (
            {"model": "m-mini", "budget": {"money": 1.0}, "prices": {"m-minni": {"input": 1, "output": 1}}},
            "did you mean 'm-minni'",
        ),
        ({"model": "m", "cassette": {"mode": "replay"}}, "mode replay needs a path"),
        ({"model": "m", "cassette": {"mode": "repaly", "path": "x"}}, "did you mean 'replay'"),
        ({"model": "m", "modle": "n"}, "llm has no key 'modle'; did you mean 'model'"),
        ({"model": "m", "budget": {"token": 1}}, r"llm\.budget has no key 'token'; did you mean 'tokens'"),
        ({"model": "smolm2", "base_url": "local"}, "no local model 'smolm2'; did you mean 'smollm2'"),
    ],
)
def test_settings_that_cannot_be_run_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        check_settings(given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, r"OPENAI_API_KEY is not set; put the key of https://api\.openai\.com/v1 into it"),
        ({"base_url": "https://api.openai.com/v1/"}, "OPENAI_API_KEY is not set"),
        ({"base_url": "http://127.0.0.1:9/v1", "api_key_env": "MY_KEY"}, "variable MY_KEY is not set"),
    ],
)
def test_a_key_is_asked_for_by_name(
    given: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(LlmError, match=told):
        asked({"model": "m"} | given, request("hold"))


@pytest.mark.parametrize(
    ("cassette", "told"),
    [
        ({}, "variable MY_KEY is not set"),
        ({"mode": "record", "path": "none.sqlite"}, "variable MY_KEY is not set"),
        ({"mode": "replay", "path": "none.sqlite"}, r"there is no cassette none\.sqlite; record it"),
        ({"mode": "auto", "path": "none.sqlite"}, None),
    ],
)
def test_what_a_run_will_lack_is_told_when_it_begins(
    cassette: dict[str, str], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    given = {"model": "m", "api_key_env": "MY_KEY", "cassette": cassette}
    with nullcontext() if told is None else pytest.raises(LlmError, match=told):
        LanguageModels(llm=given)


@pytest.mark.parametrize("key", ["two words", "one\nother", "clé"])
def test_what_cannot_be_sent_is_no_key(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(LlmError, match="variable MY_KEY holds no key") as found:
        Settings.of({"model": "m", "api_key_env": "MY_KEY"}).key()
    assert key not in str(found.value)


def test_requests_under_way_are_bounded() -> None:
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


def test_replaying_imports_no_client(address: str, tmp_path: Path) -> None:
    tape = tmp_path / "tape.sqlite"
    asked(settings(address, cassette={"mode": "record", "path": str(tape)}), request("hold"))
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from endpoints import asked, replaying, request\n"
        "asked(replaying(sys.argv[1]), request('hold'))\n"
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


def test_it_tells_how_far_it_is(address: str) -> None:
    async def told() -> str:
        session = Session(settings(address, prices={"fake": {"input": 10, "output": 1000}}))
        await asyncio.gather(*(session.ask(request("hold", f"p/{i}")) for i in range(3)))
        await session.close()
        return session.status()

    assert asyncio.run(told()) == "3 calls, cost 0.0630"
