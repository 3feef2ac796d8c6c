"""Agents of populations inside the engine can be looked at, and be nobody's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_process import Engine, Line, engine_of

from simlab.config import build, load
from simlab.kernel.simulation import Simulation
from simlab.kernel.summary import profits
from simlab.live.engine.inside import AGENTS_SHOWN, POSITIONS_SHOWN, Inside, shown_of
from simlab.live.settings import market_config

STRATEGY = """
from simlab.agents.batch import batch_strategy


@batch_strategy("wordy", "Buys now and then, and says why.")
class Wordy:
    def decide(self, observation, orders):
        everybody = range(len(observation.agents))
        orders.market(everybody, "buy", 1)
        orders.note(everybody, reason="it is cheap")
"""
RICH = {"cash": 100_000_000, "short_selling": "free"}
MARKET: dict[str, Any] = {
    "steps": 1_000_000,
    "instruments": {"ACME": {"initial_price": 10_000, "taker_fee_ppm": 50}, "BETA": {"initial_price": 5_000}},
    "populations": {
        "agent": {"strategy": "momentum", "count": 3, "activation": {"rate": 0.1}, "account": RICH},
        "makers": {
            "strategy": "market_maker",
            "count": 4,
            "parameters": {"half_spread": 4, "size": 20},
            "activation": {"period": 2},
            "account": {**RICH, "inventory": {"ACME": 40}},
        },
        "noise": {
            "strategy": "noise",
            "count": 30,
            "parameters": {"limit_share": 0.4, "market_share": 0.3, "cancel_share": 0.3, "offset": 6},
            "activation": {"rate": 0.2},
            "account": RICH,
        },
        "wordy": {"strategy": "mine.py:Wordy", "count": 2, "activation": {"period": 5}, "account": RICH},
    },
    "live": {"engine": {"port": 0}, "seats": {"count": 20}, "steps_per_second": "max"},
}
AGENTS = 39


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inside")
    (folder / "mine.py").write_text(STRATEGY)
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    """An engine that stands still after it has traded."""
    with engine_of(folder, MARKET) as started:
        with started.line() as line:
            line.until(500)
            line.ask("pause")
        yield started


@pytest.fixture(scope="module")
def market(engine: Engine, folder: Path) -> Simulation:
    """The same market, run here to the same step."""
    with engine.line() as line:
        step = line.ask("ping")["step"]
    simulation = Simulation(build(market_config(load(folder / "market.yaml"))))
    simulation.advance(step)
    return simulation


def test_all_have_what_the_market_says(line: Line, market: Simulation) -> None:
    answer = line.ask("inside")
    assert answer["count"] == len(answer["agents"]) == AGENTS
    made, terms = profits(market.state), market.state.ledger.terms
    assert made[:AGENTS].any()
    for row in answer["agents"]:
        account = market.account(row["account"])
        assert row["name"] == market.agent_name(row["account"]) == row["agent_id"].replace("-", "/")
        assert row["population"] == row["name"].split("/")[0]
        assert row["cash"] == account.cash
        held = {
            str(number): {"quantity": it.inventory, "cost": it.cost}
            for number, it in enumerate(account.positions, 1)
            if it.inventory
        }
        assert row["positions"] == held
        assert row["pnl"] == pytest.approx(made[row["account"]])
        worth = sum(
            it.inventory * market.mid(number) * int(terms["multiplier"][number])
            for number, it in enumerate(account.positions)
        )
        assert row["total_value"] == pytest.approx(account.cash + worth)
        assert row["total_value"] - row["starting_capital"] == pytest.approx(row["pnl"])
        began = RICH["cash"] + (40 * 10_000 if row["population"] == "makers" else 0)
        assert row["starting_capital"] == began


def test_one_can_be_looked_at(line: Line, market: Simulation) -> None:
    row = next(it for it in line.ask("inside")["agents"] if it["agent_id"] == "makers-1")
    one = line.ask("account", agent_id="makers-1")
    assert {key: one[key] for key in row.keys() - {"positions"}} == {
        key: it for key, it in row.items() if key != "positions"
    }
    assert {key: it["quantity"] for key, it in one["positions"].items() if it["quantity"]} == {
        key: it["quantity"] for key, it in row["positions"].items()
    }
    orders = market.account(row["account"]).orders
    assert orders
    listed = [
        (it["order_id"], it["symbol_id"] - 1, it["side"], it["price"], it["remaining"], it["status"])
        for it in line.ask("orders", agent_id="makers-1")["orders"]
    ]
    assert listed == [(*it[:5], "resting") for it in orders]
    trades = line.ask("trades", agent_id="makers-1", limit=10_000)["trades"]
    assert all("makers-1" in (it["taker_agent"], it["maker_agent"]) for it in trades)
    assert [it["sequence"] for it in trades] == sorted(it["sequence"] for it in trades)
    lots = sum(
        it["qty"] * (1 if (it["taker_agent"] == "makers-1") == (it["aggressor_side"] == 0) else -1)
        for it in trades
        if it["symbol_id"] == 1
    )
    assert one["positions"]["1"]["quantity"] == 40 + lots


def test_what_they_decided_is_told_where_it_is_recorded(line: Line) -> None:
    told = line.ask("decisions", agent_id="wordy-1", limit=3)["decisions"]
    assert [it["reason"] for it in told] == ["it is cheap"] * 3
    assert [it["step"] for it in told] == sorted(it["step"] for it in told)
    assert told[-1]["action"].startswith("buy 1 at market")
    assert all(it["order_ids"] and it["strategy"] == "wordy" for it in told)
    assert line.ask("decisions", agent_id="noise-1")["decisions"] == []


def test_nobody_else_is_one_of_them(line: Line) -> None:
    for more in ({}, {"session_token": "x"}, {"join": True, "session_token": "x"}):
        refused = line.ask("register", agent_id="noise-1", **more)
        assert (refused["code"], refused["field"]) == ("AGENT_TAKEN", "agent_id")
    for request in (
        {"action": "add", "order": {"side": 0, "price": 1, "qty": 1, "agent_id": "noise-1"}},
        {"action": "cancel_all", "agent_id": "noise-1"},
        {"action": "decided", "agent_id": "noise-1", "done": "hold"},
    ):
        line.send(request)
        assert line.answer()["code"] == "NOT_YOURS"
    assert line.ask("register", agent_id="noise-30")["status"] == "success"  # there are 30, from 0 on
    assert line.ask("register", agent_id="noise-01")["status"] == "success"


def test_ids_that_the_market_gives_are_not_theirs(line: Line) -> None:
    """There is a population called agent, as are agents without an id of their own."""
    given = [line.ask("register")["agent"]["agent_id"] for _ in range(2)]
    assert not set(given) & {f"agent-{it}" for it in range(3)}
    assert {it["agent_id"] for it in line.ask("agents")["agents"]} >= set(given)
    assert len(line.ask("inside")["agents"]) == AGENTS


def test_of_very_many_each_population_shows_its_best_and_its_worst() -> None:
    populations = {**MARKET["populations"], "noise": {**MARKET["populations"]["noise"], "count": 5_000}}
    del populations["wordy"]
    data = {**MARKET, "steps": 100, "populations": populations}
    del data["live"]
    market = Simulation(build(load(data)))
    market.advance()
    inside = Inside(market.spec)
    rows = inside.shown(market, 0.0)
    assert len(rows) == AGENTS_SHOWN < inside.count == 5_007
    noise = [it.pnl for it in rows if it.population == "noise"]
    made = np.sort(profits(market.state)[7:5_007])
    assert len(noise) == AGENTS_SHOWN - 7
    assert sorted(noise) == pytest.approx([*made[:246], *made[-247:]])


def test_there_are_fewer_where_there_are_many_instruments() -> None:
    instruments = {f"S{it}": {"initial_price": 100} for it in range(30)}
    noise = {"noise": {"strategy": "noise", "count": 200, "account": RICH}}
    market = Simulation(build(load({"steps": 1, "instruments": instruments, "populations": noise})))
    assert len(Inside(market.spec).shown(market, 0.0)) == POSITIONS_SHOWN // 30


def test_shares_are_equal_but_for_those_who_have_fewer() -> None:
    made = np.arange(100.0)
    parts = [(0, 2), (2, 50), (52, 48)]
    assert shown_of(made, parts, 8).tolist() == [0, 1, 2, 50, 51, 52, 98, 99]
    assert shown_of(np.zeros(100), parts, 8).tolist() == [0, 1, 2, 3, 4, 52, 53, 54]
    assert shown_of(made, parts, 100).tolist() == list(range(100))


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint_s", [3600.0, 0.001])
def test_they_are_the_same_after_a_kill(tmp_path: Path, checkpoint_s: float) -> None:
    (tmp_path / "mine.py").write_text(STRATEGY)
    market = MARKET | {"live": MARKET["live"] | {"journal": {"checkpoint_s": checkpoint_s}}}
    with engine_of(tmp_path, market) as engine:
        with engine.line() as line:
            line.until(300)
            line.ask("pause")
            line.ask("register", agent_id="mine")
            before = line.ask("inside")
        engine.kill()
    with engine_of(tmp_path, market, "--run-dir", str(engine.run_dir)) as engine, engine.line() as line:
        assert line.ask("inside") == before
        assert [it["agent_id"] for it in line.ask("agents")["agents"]] == ["mine"]
        assert line.ask("register", agent_id="noise-1")["code"] == "AGENT_TAKEN"
