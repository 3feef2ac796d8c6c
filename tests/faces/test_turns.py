"""Episodes: the same in any process and company, recorded or not, and run again from their recording."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlab.agents.library.seat import FEATURES, Task
from simlab.analysis import open_run
from simlab.errors import ConfigError, SimlabError, StrategyError
from simlab.faces.turns import MARKET_FILE, Seat, Turns, episode_seed
from simlab.runner.journal import Journal, read
from simlab.runner.replay import replay_run
from simlab.runner.verify import verify_run

BUSY: dict[str, Any] = {
    "extends": str(MARKET_FILE),
    "name": "busy",
    "news": {"scheduled": [{"step": 130, "headline": "Profit", "sentiment": 1.0, "impact": 20}]},
    "shocks": [{"kind": "halt", "step": 140, "duration": 5}],
    "populations": {
        "watchers": {
            "strategy": "momentum",
            "count": 3,
            "parameters": {"lookback": {"uniform": [5, 40]}, "threshold": 0.0001},
            "activation": {"rate": 0.3},
            "account": {"cash": 10_000_000, "short_selling": "free"},
        }
    },
}
"""News, a halt and parameters that are drawn: the door opens, and a market is built for every seed."""


def play(turns: Turns, seed: int, count: int, market: int = 0, episode: int = 0) -> list[Any]:
    """Begin an episode in all markets and play it with actions of its own; return what one market did."""
    rng = np.random.default_rng(1)
    for i in range(len(turns.over)):
        turns.open(i, seed=seed + i - market, episode=episode)
    turns.begin()
    seen = [turns.observations[market].tolist()]
    for _ in range(count):
        turns.actions[:] = rng.uniform(-1.0, 1.0, 4)
        turns.step()
        seen.append([turns.rewards[market], *turns.observations[market].tolist()])
    return [turns.event_log_hash(market), seen]


@pytest.mark.parametrize("config", [None, BUSY])
def test_an_episode_is_the_same_recorded_or_in_company(config: Any, tmp_path: Path) -> None:
    seat = [Seat(Task.MARKET_MAKING)]
    alone = play(Turns(config, seats=seat, turns=80), 5, 80)
    assert play(Turns(config, seats=seat, turns=80, markets=3), 5, 80, market=2) == alone
    recorded = Turns(config, seats=seat, turns=80, record=tmp_path)
    assert play(recorded, 5, 80) == alone
    (folder,) = recorded.folders
    assert folder is not None
    run, again = open_run(folder), replay_run(folder)
    assert run.finished
    assert (run.event_log_hash, again.event_log_hash, again.same) == (alone[0], alone[0], True)
    assert again.rows > 80  # the seat and its orders came from the journal


@pytest.mark.slow
def test_a_recorded_episode_is_verified_and_reported_like_any_run(tmp_path: Path) -> None:
    recorded = Turns(BUSY, seats=[Seat(Task.MARKET_MAKING)], turns=300, record=tmp_path)
    play(recorded, 5, 300)
    (folder,) = recorded.folders
    assert folder is not None
    found = verify_run(folder)
    assert (found.same, found.differences, found.environment) == (True, (), {})
    trades = len(open_run(folder).trades())
    assert trades > 300
    command = [sys.executable, "-m", "simlab.cli", "report", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    assert "learners" in (folder / "report.html").read_text(encoding="utf-8")
    frames = list(read(folder / "journal"))
    (folder / "journal").rename(tmp_path / "whole")
    fewer = Journal(folder / "journal", sync="off")
    for frame in [*frames[:100], frames[-1]]:
        fewer.append(frame._replace(sequence=-1))
    fewer.close()
    again = verify_run(folder)
    assert not again.same
    first = next(it for it in again.differences if it.table == "trades")
    assert first.step is not None
    assert first.step >= frames[100].step


@pytest.mark.slow
def test_an_episode_is_the_same_in_another_process() -> None:
    here = play(Turns(turns=30), 5, 30, episode=2)
    code = (
        "import json; from simlab.faces.turns import Turns; from test_turns import play;"
        "print(json.dumps(play(Turns(turns=30), 5, 30, episode=2)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == here


def test_episodes_of_one_seed_differ() -> None:
    turns = Turns(turns=20)
    assert len({play(turns, 5, 20, episode=it)[0] for it in range(3)}) == 3
    assert episode_seed(5, 0) == 5


def test_what_is_earned_is_what_the_ledger_has() -> None:
    turns = Turns(seats=[Seat(Task.MARKET_MAKING)], turns=150)
    turns.reset(0, seed=3)
    simulation = turns._episode(0).simulation
    before, earned = simulation.account(0).cash, 0.0
    for _ in range(150):
        turns.actions[:] = (-0.8, -0.8, 1.0, 1.0)
        turns.step()
        earned += turns.rewards[0]
    account = simulation.account(0)
    inventory = account.positions[0].inventory
    assert inventory != 0
    assert earned == account.cash - before + inventory * simulation.mid()
    simulation.audit()


def test_an_execution_falls_short_by_what_its_fills_say() -> None:
    turns = Turns(seats=[Seat(Task.EXECUTION, quantity=300, side="buy")], turns=60)
    turns.reset(0, seed=3)
    simulation, earned = turns._episode(0).simulation, 0.0
    mid, before = simulation.mid(), simulation.account(0).cash
    while not turns.over[0]:
        turns.actions[:] = (-0.9, 0.2, 0.0, 0.0)
        turns.step()
        earned += turns.rewards[0]
    bought = simulation.account(0).positions[0].inventory
    assert bought == 300
    assert earned == pytest.approx((simulation.account(0).cash - before + bought * mid) / 300)
    assert turns.done[0]
    assert earned < 0.0


def test_seats_of_one_market_act_in_turn() -> None:
    turns = Turns(seats=[Seat(Task.TRADING), Seat(Task.TRADING)], turns=4)
    turns.reset(0, seed=3)
    turns.actions[:] = (1, 0, 0, 4), (2, 1, 0, 4)  # one bids at the best price, the other sells
    turns.step()
    bought = turns.observations[:, [it[0] for it in FEATURES].index("bought")]
    assert turns.observations.shape == (2, 18)
    assert bought.tolist()[1] == 0.0


def test_an_episode_that_is_left_says_where(tmp_path: Path) -> None:
    turns = Turns(turns=50, record=tmp_path)
    play(turns, 5, 10)
    reached = turns.event_log_hash()
    turns.close()
    (folder,) = tmp_path.iterdir()
    assert "was left at step 110 of 150" in open_run(folder).status
    assert replay_run(folder).event_log_hash == reached


WALKER = """
from simlab.agents.each import agent_strategy

@agent_strategy("walker", "Improves the best bid now and then.")
class Walker:
    def __init__(self, ends: int = 1_000_000):
        self.ends = ends

    def decide(self, observation, orders):
        if observation.step >= self.ends:
            raise ValueError("tired")
        orders.cancel_all()
        orders.limit("buy", observation.last_price - observation.step % 3, 5)
"""


def with_walkers(folder: Path, **parameters: int) -> dict[str, Any]:
    """Return a market with agents in Python: the compiled call stops for each of their decisions."""
    (folder / "walker.py").write_text(WALKER)
    account = {"cash": 10_000_000, "short_selling": "free"}
    walkers = {"strategy": f"{folder}/walker.py:Walker", "count": 2, "activation": {"period": 3}}
    walkers |= {"account": account, "parameters": parameters}
    return {"extends": str(MARKET_FILE), "populations": {"walkers": walkers}}


def test_agents_in_python_act_in_every_market_of_many(tmp_path: Path) -> None:
    config = with_walkers(tmp_path)
    alone = play(Turns(config, turns=30), 5, 30)
    assert play(Turns(config, turns=30, markets=3), 5, 30, market=1) == alone
    assert alone[0] != play(Turns(turns=30), 5, 30)[0]


def test_a_strategy_that_fails_is_named_and_ends_all(tmp_path: Path) -> None:
    turns = Turns(with_walkers(tmp_path, ends=110), turns=30, markets=2)
    with pytest.raises(StrategyError, match=r"walkers.*step 11\d.*tired"):
        play(turns, 5, 30)
    with pytest.raises(SimlabError, match="make the environment anew"):
        turns.step()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"turns": 10**6}, "too few for 1000000 turns"),
        ({"turn_steps": 0}, "turn_steps 0 is not a whole number of 1 or more"),
        ({"seats": []}, "nobody would learn"),
        ({"seats": [Seat(population="learner")]}, "did you mean 'learners'"),
        ({"seats": [Seat(instrument="ACNE")]}, "did you mean 'ACME'"),
        ({"config": {"steps": 500, "instruments": {"A": {"initial_price": 9}}}}, "has no population with"),
    ],
)
def test_what_cannot_be_played_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Turns(**changes)


def test_a_turn_needs_an_episode() -> None:
    turns = Turns(turns=1)
    with pytest.raises(SimlabError, match="no episode yet; call reset"):
        turns.require_turn(0)
    play(turns, 1, 1)
    with pytest.raises(SimlabError, match="the episode is over"):
        turns.require_turn(0)
