"""A language model sees, remembers, decides and acts; what it cannot decide goes on to whoever is next."""

from __future__ import annotations

import json
import pickle
import random
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from llm_markets import Scripted, buys, market, says

from simlab.agents.llm import graph
from simlab.agents.llm.agent import LanguageModels
from simlab.agents.llm.memory import Deed, Entry, Memory
from simlab.agents.llm.session import Answer, Failure
from simlab.core.types import EventKind
from simlab.errors import LlmError
from simlab.kernel.simulation import Simulation


class Decisions:
    """A sink that keeps the rows of the table `decisions`."""

    def __init__(self) -> None:
        self.rows_: list[dict[str, Any]] = []

    def events(self, events: np.ndarray) -> None:
        pass

    def rows(self, table: str, columns: dict[str, Any]) -> None:
        if table == "decisions":
            names = list(columns)
            self.rows_ += [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


class Events:
    """A sink that keeps the events."""

    def __init__(self) -> None:
        self.parts: list[Any] = []

    def events(self, events: Any) -> None:
        self.parts.append(events.copy())

    def rows(self, table: str, columns: dict[str, Any]) -> None:
        pass


def run(session: Scripted, **options: Any) -> tuple[Simulation, list[dict[str, Any]]]:
    sink = Decisions()
    made = market(session, sink, **options)
    made.advance()
    made.finish()
    made.audit()
    return made, sink.rows_


def strategy_of(simulation: Simulation) -> LanguageModels:
    row = next(i for i, it in enumerate(simulation.spec.populations) if it.name == "llm")
    return simulation._callbacks._memory.objects[row][0]


def test_an_answer_becomes_orders_and_a_row() -> None:
    session = Scripted(
        lambda request: says("cheap", buys(3, 990), {"action": "cancel_all"}, buys(2, 1010, "sell"))
    )
    simulation, rows = run(session)
    assert len(rows) == len(session.requests) == 2 * 6
    assert {row["action"] for row in rows} == {"buy 3 at 990; cancel all; sell 2 at 1010"}
    first = rows[0]
    assert (first["source"], first["strategy"], first["reason"]) == ("llm", "llm", "cheap")
    assert (first["calls"], first["tokens_in"], first["tokens_out"], first["ms"]) == (1, 100, 20, 50.0)
    summary = next(it for it in simulation.summary()["populations"] if it["population"] == "llm")
    assert summary["decisions"] == {"llm": 12}
    assert summary["refused"] == 0


def test_the_prompt_tells_what_became_of_what_was_done() -> None:
    def script(request: Any) -> str:
        step = int(request.occasion.split("/")[0])
        return says(f"at {step}", *([buys(2), buys(4, 900)] if step == 0 else []))

    session = Scripted(script)
    run(session)
    later = session.prompts()[1]
    assert re.search(
        r"At step 0 you did: buy 2 ACME at the market \(filled 2 of 2 at 10\d\d(\.\d+)?\);", later
    )
    assert "buy 4 ACME at 900 (nothing filled, resting). Reason: at 0" in later
    assert re.search(r"Your open orders: buy 4 at 900 \(id \d+\)\.", later)
    assert "You hold 52 lots" in later
    assert "At step 5 you did: hold. Reason: at 5" in session.prompts()[2]


def test_memory_is_a_window() -> None:
    session = Scripted(lambda request: says())
    simulation, _ = run(session, memory=2)
    assert session.prompts()[-1].count("you did: hold") == 2
    memory = strategy_of(simulation).memories[0]
    assert [entry.step for entry in memory.entries] == [20, 25]


def test_notes_to_itself_are_shown_again_and_bounded() -> None:
    session = Scripted(lambda request: says(note=f"note of {request.occasion.split('/')[0]}"))
    simulation, rows = run(session, notes={"count": 2, "length": 12})
    last = session.prompts()[-1]
    assert "Your note: note of 15\nYour note: note of 20" in last
    assert strategy_of(simulation).memories[1].notes == ["note of 20", "note of 25"]
    assert json.loads(rows[0]["facts"]) == {"note": "note of 0"}


def test_posts_are_read_by_all_who_act_later() -> None:
    session = Scripted(lambda request: says(post=f"{request.asker} at {request.occasion}"))
    simulation, _ = run(session, posts={"read": 3})
    assert "posted" not in session.prompts()[0]
    second = session.prompts()[1]
    assert {"llm/0 posted at step 0: llm/0 at 0/0", "llm/1 posted at step 0: llm/1 at 0/0"} <= set(
        second.split("\n")
    )
    assert session.prompts()[-1].count("posted") == 3
    assert len(simulation._callbacks._memory.shared["feed"]) == 12


def test_an_agent_that_may_not_post_is_told_when_it_does() -> None:
    session = Scripted(lambda request: says(post="hello"))
    _, rows = run(session)
    assert {row["fallback"].split(":")[0] for row in rows} == {"llm invalid answer"}


def test_an_invalid_answer_gets_one_retry_with_all_that_was_wrong() -> None:
    def script(request: Any) -> str:
        if request.occasion.endswith("/0"):
            return says("wrong", buys(0, 2000), buys(10**6, 1000))
        assert request.messages[-2] == {
            "role": "assistant",
            "content": says("wrong", buys(0, 2000), buys(10**6, 1000)),
        }
        return says("right", buys(1, 990))

    session = Scripted(script)
    _, rows = run(session)
    assert {row["action"] for row in rows} == {"buy 1 at 990"}
    assert {(row["calls"], row["tokens_in"], row["ms"]) for row in rows} == {(2, 200, 100.0)}
    told = session.requests[1] if session.requests[1].occasion.endswith("/1") else session.requests[2]
    assert "orders[0].quantity: must be from 1" in told.messages[-1]["content"]
    assert "orders[0].quantity" in json.loads(rows[0]["facts"])["refused"]


def test_a_second_invalid_answer_is_a_fallback() -> None:
    session = Scripted(lambda request: says("dear", buys(1000, 1000)))
    _, rows = run(session)
    assert {row["source"] for row in rows} == {"none"}
    assert {row["action"] for row in rows} == {"hold"}
    assert "llm invalid answer: orders[0]: not enough cash: it can cost 1000000" in rows[0]["fallback"]
    assert "you did not decide: invalid answer, orders[0]" in session.prompts()[1]


def test_a_failure_is_a_fallback_with_what_it_cost() -> None:
    session = Scripted(
        lambda request: Answer(
            failure=Failure("timeout", "no answer within 3 s"), ms=3000.0, request_hash="abc"
        )
    )
    _, rows = run(session)
    assert {row["fallback"] for row in rows} == {"llm timeout: no answer within 3 s"}
    assert rows[0]["ms"] == 3000.0
    assert rows[0]["request"] == "abc"


def test_without_a_model_everything_is_passed_on() -> None:
    _, rows = run(Scripted(lambda request: says()), settings=None)
    assert {row["fallback"].split(":")[0] for row in rows} == {"llm not configured"}


def test_a_spent_budget_ends_the_asking_and_not_the_run() -> None:
    session = Scripted(lambda request: says("", buys(1, 900)), budget=5)
    _, rows = run(session)
    assert len(session.requests) == 5
    sources = [row["source"] for row in rows]
    assert sources == ["llm"] * 5 + ["none"] * 7
    assert rows[-1]["fallback"] == "llm budget: the budget of the run is spent"


def test_the_order_of_arrival_does_not_matter() -> None:
    def play(late: Any) -> tuple[Any, Any]:
        def script(request: Any) -> str:
            step, number = int(request.occasion.split("/")[0]), int(request.asker.split("/")[1])
            return says("", buys(1 + number, None if step % 2 else 980 + number), post=f"{number}")

        simulation, rows = run(Scripted(script, late=late), posts=True, notes=2)
        return simulation.event_log_hash, rows

    shuffled = random.Random(1)
    assert play(lambda request: 0) == play(lambda request: shuffled.randrange(9))


def _by_what_it_is_told(request: Any) -> str:
    content = request.messages[1]["content"]
    return says(f"{len(content)}", buys(1 + len(content) % 3, 990), note="n", post="p")


def test_a_run_goes_on_as_it_would_when_stopped_and_resumed_or_forked() -> None:
    def make() -> Simulation:
        return market(Scripted(_by_what_it_is_told), notes=2, posts=True)

    whole, forked, halted = make(), make(), make()
    whole.advance()
    forked.advance(12)
    fork = forked.fork()
    for it in (fork, forked):
        it.advance()
    halted.advance(12)
    restored = Simulation.restore(halted.spec, pickle.loads(pickle.dumps(halted.capture())))
    restored.advance()
    assert {it.event_log_hash for it in (whole, fork, forked, restored)} == {whole.event_log_hash}


@pytest.mark.parametrize(
    ("thinking", "late"),
    [
        ({"charge": "none"}, {0}),
        ({"charge": "measured", "ms_per_step": 20, "most_steps": 100}, {2}),
        ({"charge": "measured", "ms_per_step": 20, "most_steps": 1}, {1}),
    ],
)
def test_measured_thinking_time_is_latency(thinking: dict[str, Any], late: set[int]) -> None:
    assert set(_late(thinking)) == late


def test_drawn_thinking_time_is_each_agents_own_draw() -> None:
    thinking = {"charge": "drawn", "ms_per_step": 10, "mean_ms": 20, "most_steps": 4}
    drawn = _late(thinking)
    assert len(set(drawn)) > 2
    assert max(drawn) <= 4
    assert drawn == _late(thinking)


def _late(thinking: dict[str, Any]) -> list[int]:
    """Return how many steps late each order comes, which says by its price when it was decided."""
    session = Scripted(lambda request: says("", buys(1, 600 + int(request.occasion.split("/")[0]))))
    sink = Events()
    made = market(session, sink, settings={"model": "m", "thinking": thinking})
    made.advance()
    made.finish()
    events = np.concatenate(sink.parts)
    mine = events[(events["kind"] == EventKind.ACCEPTED) & (abs(events["price"] - 615) <= 15)]
    return (mine["step"] - (mine["price"] - 600)).tolist()


def test_parameters_of_any_name_reach_the_prompt() -> None:
    session = Scripted(lambda request: says())
    run(
        session,
        template="Aversion {{ parameters.risk_aversion | number }}, {{ personality }}",
        personality=["value", "Never sell anything."],
        population={"parameters": {"risk_aversion": {"uniform": [1, 3]}}},
    )
    told = {session.prompts(asker)[0] for asker in ("llm/0", "llm/1")}
    assert len(told) == 2
    assert any(it.endswith("Never sell anything.") for it in told)


def test_ten_thousand_decisions_take_no_more_than_a_hundred() -> None:
    memory = Memory(window=5, notes_kept=3)
    sizes = []
    for k in range(10_000):
        memory.remember(Entry(k, [Deed("buy 1 ACME at 100", order_id=k, quantity=1)], "because"))
        memory.note(f"note {k:06d}")
        if k in (100, 9_999):
            sizes.append(len(pickle.dumps(memory)))
    assert sizes[1] <= sizes[0] + 64


@pytest.fixture(autouse=True)
def _quiet(recwarn: pytest.WarningsRecorder) -> Any:
    yield
    assert not [str(it.message) for it in recwarn if "random" in str(it.message)]


def test_a_missing_package_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    graph._graph.cache_clear()
    monkeypatch.setitem(sys.modules, "langgraph.graph", None)
    with pytest.raises(LlmError, match=r"not installed \(langgraph.graph\); .*simlab\[llm\]"):
        LanguageModels(llm={"model": "m"})


def test_to_import_what_is_needed_draws_from_no_global_generator() -> None:
    code = "import random; from simlab.agents.llm.graph import prepare; before = random.getstate(); prepare()"
    subprocess.run([sys.executable, "-c", f"{code}; assert random.getstate() == before"], check=True)
