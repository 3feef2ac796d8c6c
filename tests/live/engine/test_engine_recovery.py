"""A market that was killed goes on where it was: book, balances, tokens, ids, pace; and it is replayed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from engine_process import MARKET, Engine, Line, engine_of

import simlab
from simlab.runner.replay import replay_run

BUSY: dict[str, Any] = MARKET | {
    "populations": {"noise": {"strategy": "noise", "count": 20, "account": {"cash": 10_000_000}}}
}
BUSY["populations"]["noise"]["account"]["inventory"] = 1_000


def _trade(line: Line, draws: random.Random, orders: int, first: int) -> list[dict[str, Any]]:
    """Send orders in one piece; return their answers."""
    line.send(
        *(
            {
                "action": "add",
                "order": {
                    "id": first + n,
                    "side": draws.randrange(2),
                    "price": 10_000 + 5 * draws.randrange(-9, 10),
                    "qty": draws.randrange(1, 9),
                },
                "session": draws.randrange(3),
            }
            for n in range(orders)
        )
    )
    return [line.answer() for _ in range(orders)]


def _state(line: Line) -> dict[str, Any]:
    """Return all that must be the same after a restart."""
    metrics = line.ask("metrics")
    return {
        "book": line.ask("snapshot", depth=1000),
        "agents": [it | {"connected": None} for it in line.ask("agents")["agents"]],
        "orders": [line.ask("orders", agent_id=name)["orders"] for name in ("a0", "a1", "a2")],
        "trades": line.ask("trades", symbol_id=1, limit=1000),
        "own trades": line.ask("trades", agent_id="a1"),
        "candles": line.ask("candles", interval=1),
        "news": line.ask("news"),
        "instruments": line.ask("list_instruments"),
        **{name: metrics[name] for name in ("step", "paused", "event_log_hash", "total_trades",
                                            "total_volume", "total_orders")},
    }  # fmt: skip


def _fill(line: Line) -> tuple[list[str], list[dict[str, Any]]]:
    """Register three agents in sessions, trade, list an instrument and publish; return tokens and answers."""
    draws, tokens = random.Random(3), []
    for n in range(3):
        answer = line.ask("register", agent_id=f"a{n}", name=f"Agent {n}", session=n)
        tokens.append(answer["session_token"])
    answers = _trade(line, draws, 300, 0)
    line.ask("add_instrument", instrument={"ticker": "LATE", "initial_price": 500})
    line.ask("add", order={"symbol_id": 2, "side": 0, "price": 490, "qty": 1, "id": "late"}, session=1)
    line.ask("publish", headline="Up", sentiment=0.5, impact_type="earnings")
    line.ask("step", n=5)
    line.until(5)
    return tokens, answers + _trade(line, draws, 50, 300)


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint_s", [3600.0, 0.001])
def test_a_killed_market_goes_on(tmp_path: Path, checkpoint_s: float) -> None:
    market = BUSY | {"live": MARKET["live"] | {"journal": {"checkpoint_s": checkpoint_s}}}
    with engine_of(tmp_path, market, "--set", "live.steps_per_second=max") as engine:
        with engine.line() as line:
            line.ask("pause")
            tokens, answers = _fill(line)
            if checkpoint_s < 1:
                _wait_for_checkpoint(engine, line)
            before = _state(line)
        engine.kill()
    with engine_of(tmp_path, market, "--run-dir", str(engine.run_dir)) as engine, engine.line() as line:
        assert _state(line) == before
        for n, token in enumerate(tokens):
            assert line.ask("register", agent_id=f"a{n}", session_token=token, session=n)["resumed"]
        _same_again(line, [it for it in answers if it["status"] == "success"][-1])
        resting = line.ask("orders", agent_id="a0")["orders"]
        number = max(it["order_id"] for it in resting)
        assert line.add(0, 9_000, 1, session=0, id="new")["order_id"] > number
        engine.kill()
    with engine_of(tmp_path, market, "--run-dir", str(engine.run_dir)) as engine, engine.line() as line:
        latest = line.ask("register", agent_id="a0", session_token=tokens[0])["session_token"]
        assert line.ask("register", agent_id="a0", session_token=latest)["resumed"]
        assert line.ask("register", agent_id="a0", session_token=tokens[0])["code"] == "BAD_TOKEN"
        line.ask("speed", steps_per_second=1000)
        line.ask("resume")
        line.until(300)
        line.ask("pause")
        told = line.ask("metrics")["event_log_hash"]
        assert engine.stop() == 0
    run = simlab.open(engine.run_dir)
    assert run.finished
    assert run.manifest["event_log_hash"] == told
    assert len(run.trades()) == run.manifest["trades"]
    again = replay_run(engine.run_dir)
    assert (again.event_log_hash, again.step, again.trades) == (told, run.reached, run.manifest["trades"])


def _wait_for_checkpoint(engine: Engine, line: Line) -> None:
    while not list((engine.run_dir / "live" / "checkpoints").glob("*.checkpoint")):
        line.ask("ping")


def _same_again(line: Line, answer: dict[str, Any]) -> None:
    """Ask an order again by the id it was sent under: it is known, and entered once."""
    for session in range(3):
        rows = line.ask("orders", session=session)["orders"]
        if any(it["id"] == answer["id"] and it["order_id"] == answer["order_id"] for it in rows):
            again = line.add(0, 5, 1, id=answer["id"], session=session)
            assert again["duplicate"]
            assert again["order_id"] == answer["order_id"]
            return
    raise AssertionError("the order is not known any more")


def test_the_same_order_is_not_entered_again_after_a_kill(tmp_path: Path) -> None:
    with engine_of(tmp_path, MARKET) as engine:
        with engine.line() as line:
            token = line.ask("register", agent_id="me")["session_token"]
            first = line.add(0, 9_000, 1, id="once")
        engine.kill()
    with engine_of(tmp_path, MARKET, "--run-dir", str(engine.run_dir)) as engine, engine.line() as line:
        line.ask("register", agent_id="me", session_token=token)
        again = line.add(0, 9_000, 1, id="once")
        assert (again["order_id"], again["duplicate"]) == (first["order_id"], True)
        assert line.ask("snapshot")["bids"] == [[9_000, 1, 1]]


def test_a_session_without_outsiders_is_the_run_of_the_same_file(tmp_path: Path) -> None:
    market = BUSY | {"steps": 200}
    with engine_of(tmp_path, market, "--set", "live.steps_per_second=max") as engine, engine.line() as line:
        line.until(200)
        refused = line.add(0, 9_000, 1, id=1)
        assert (refused["code"], refused["id"]) == ("SESSION_OVER", 1)
        assert simlab.open(engine.run_dir).finished
        live = line.ask("metrics")["event_log_hash"]
    batch = simlab.run(engine.run_dir / "config.yaml", record=False)
    assert batch.event_log_hash == live == replay_run(engine.run_dir).event_log_hash


def test_a_journal_that_tells_another_story_is_refused(tmp_path: Path) -> None:
    with engine_of(tmp_path, MARKET) as engine, engine.line() as line:
        line.ask("pause")
        line.add(0, 9_000, 1)
        assert engine.stop() == 0
    manifest = engine.run_dir / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"event_log_hash": "', '"event_log_hash": "0', 1))
    assert not replay_run(engine.run_dir).same


def test_a_market_is_stopped_between_two_steps_however_long_one_takes(tmp_path: Path) -> None:
    crowd = {
        "noise": {"strategy": "noise", "count": 50_000, "account": {"cash": 10_000_000, "inventory": 100}}
    }
    with engine_of(tmp_path, MARKET | {"populations": crowd}, "--set", "live.steps_per_second=max") as engine:
        with engine.line() as line:
            line.until(2)
            assert line.add(0, 5_000, 1)["status"] == "success"
            assert line.ask("metrics")["latency_ms"]["step_slice"]["p50"] > 0
        assert engine.stop() == 0
    found = replay_run(engine.run_dir)
    assert found.recorded_hash is not None
    assert found.same
    assert simlab.open(engine.run_dir).reached == found.step
