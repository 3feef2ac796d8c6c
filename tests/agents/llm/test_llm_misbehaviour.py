"""Whatever an endpoint does, a run goes on, says what happened, and can be repeated without it."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from endpoints import endpoint
from llm_markets import MARKET

import simlab
from simlab.config import build, load
from simlab.core.hashing import hash_text
from simlab.kernel.simulation import Simulation

KINDS = {
    "busy": "rate limited",
    "busy_for_an_hour": "rate limited",
    "broken": "server error",
    "cut": "connection",
    "stall": "timeout",
    "malformed_body": "malformed response",
    "no_choices": "malformed response",
    "malformed_json": "invalid answer",
    "refusal": "refusal",
    "exhausted": "tokens exhausted",
    "wrong_types": "invalid answer",
    "absurd": "invalid answer",
    "french": "invalid answer",
    "unknown_model": "bad request",
    "bad_key": "refused key",
}
"""What an endpoint does, and what it counts as."""
DECIDE = ("hold", "fenced", "busy_once", "broken_once", "cut_once", "market_buy")
"""What comes to a decision in the end."""


def config(
    address: str, cassette: Path | None = None, mode: str = "record", **changes: Any
) -> dict[str, Any]:
    """Return a market with a population for each way to behave."""
    model = {
        "strategy": "llm",
        "activation": {"period": 4},
        "account": {"cash": 100_000, "inventory": 50},
        "fallback": [{"strategy": "noise"}],
    }
    others = {name: it for name, it in MARKET["populations"].items() if name != "llm"}
    asked = {name: model | {"options": {"instructions": f"behave: {name}"}} for name in (*KINDS, *DECIDE)}
    kept = {"cassette": {"mode": mode, "path": str(cassette)}} if cassette is not None else {}
    return MARKET | {
        "steps": 5,
        "llm": {"model": "fake", "base_url": address, "timeout_s": 0.3, "retries": 1} | kept,
        "populations": others | asked | changes,
    }


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[simlab.Run, dict[str, Any]]:
    """A run in which everything goes wrong, and a configuration that replays it when the endpoint is gone."""
    folder = tmp_path_factory.mktemp("misbehaviour")
    with endpoint() as address:
        run = simlab.run(config(address, folder / "cassette.sqlite"), out=folder)
    assert isinstance(run, simlab.Run)
    return run, config(address, folder / "cassette.sqlite", "replay")


def decisions_of(run: simlab.Run, name: str) -> pd.DataFrame:
    table = run.decisions()
    return table[table["account"].astype(str) == f"{name}/0"]


@pytest.mark.parametrize(("behaviour", "kind"), KINDS.items())
def test_each_misbehaviour_is_a_counted_fallback_with_its_reason(
    recorded: Any, behaviour: str, kind: str
) -> None:
    run, _ = recorded
    rows = decisions_of(run, behaviour)
    assert list(rows["step"]) == [0, 4]
    assert set(rows["source"]) == {"heuristic"}
    assert set(rows["strategy"]) == {"noise"}
    assert rows["fallback"].str.startswith(f"llm {kind}: ").all()
    summary = next(it for it in run.manifest["populations"] if it["population"] == behaviour)
    assert summary["decisions"] == {"heuristic": 2}
    assert summary["fallbacks"] == {f"llm {kind}": 2}


@pytest.mark.parametrize("behaviour", DECIDE)
def test_what_is_mended_by_asking_again_is_decided_by_the_model(recorded: Any, behaviour: str) -> None:
    run, _ = recorded
    rows = decisions_of(run, behaviour)
    assert set(rows["source"]) == {"llm"}
    assert rows["fallback"].isna().all()
    assert (rows["calls"] == (2 if behaviour.endswith("_once") else 1)).all()
    assert set(rows["action"]) == {"buy 1 at market" if behaviour == "market_buy" else "hold"}


def test_a_replay_has_the_same_hash_and_decisions_without_an_endpoint(recorded: Any, tmp_path: Path) -> None:
    run, replay = recorded
    again = simlab.run(replay, out=tmp_path)
    assert again.manifest["event_log_hash"] == run.manifest["event_log_hash"]
    first, second = run.decisions(), again.decisions()
    assert (second["cached"].dropna() == second["calls"].dropna()).all()
    pd.testing.assert_frame_equal(first.drop(columns="cached"), second.drop(columns="cached"))


def test_a_replay_that_is_stopped_resumed_and_forked_is_still_the_same(recorded: Any) -> None:
    run, replay = recorded
    spec = build(load(replay))
    halted = Simulation(spec)
    halted.advance(3)
    state = pickle.loads(pickle.dumps(halted.capture()))
    resumed, fork = Simulation.restore(build(load(replay)), state), halted.fork()
    for market in (halted, fork, resumed):
        market.advance()
        market.finish()
    hashes = {hash_text(it.event_log_hash) for it in (halted, fork, resumed)}
    assert hashes == {run.manifest["event_log_hash"]}


def test_a_run_can_be_made_where_an_event_loop_runs_already(recorded: Any) -> None:
    run, replay = recorded

    async def cell() -> Any:
        return simlab.run(replay, record=False)

    assert asyncio.run(cell()).event_log_hash == run.manifest["event_log_hash"]


def test_the_order_in_which_an_endpoint_answers_does_not_matter() -> None:
    def hash_at(address: str, delay: str) -> str:
        many = {
            "strategy": "llm",
            "count": 12,
            "activation": {"period": 3},
            "account": {"cash": 100_000},
            "options": {"instructions": f"{delay}\nbehave: market_buy", "posts": True},
        }
        return simlab.run(config(address, many=many, **NOBODY), record=False).event_log_hash

    with endpoint() as at_once, endpoint(delay_ms=10) as shuffled:
        assert hash_at(at_once, "jitter") == hash_at(shuffled, "jitter")


NOBODY = {name: {"strategy": "noise", "count": 0, "account": {"cash": 1}} for name in (*KINDS, *DECIDE)}
"""In place of the populations that misbehave."""
