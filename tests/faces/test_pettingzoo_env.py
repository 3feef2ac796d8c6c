"""Several learners in one market: PettingZoo's own checks, and that they are one market."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test, seed_test
from pettingzoo.utils import parallel_to_aec

from simlab.agents.library.seat import Task
from simlab.analysis import open_run
from simlab.errors import SimlabError
from simlab.faces.pettingzoo import MarketParallelEnv
from simlab.faces.turns import Seat
from simlab.runner.replay import replay_run


def test_pettingzoo_has_nothing_against_it(recwarn: pytest.WarningsRecorder) -> None:
    parallel_api_test(MarketParallelEnv(turns=60), num_cycles=100)
    parallel_seed_test(lambda: MarketParallelEnv(turns=60), num_cycles=40)
    seed_test(lambda: parallel_to_aec(MarketParallelEnv(turns=20)), num_cycles=10)
    assert [str(it.message) for it in recwarn] == []


def played(env: MarketParallelEnv, seed: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Play an episode with actions of its own; return what each gained, and what each was told at the end."""
    env.reset(seed=seed)
    for i, name in enumerate(env.possible_agents):
        env.action_space(name).seed(i)
    gains, told = dict.fromkeys(env.possible_agents, 0.0), {}
    while env.agents:
        actions = {name: env.action_space(name).sample() for name in env.agents}
        _, rewards, terminated, _, infos = env.step(actions)
        for name, reward in rewards.items():
            gains[name] += reward
        told |= {name: info for name, info in infos.items() if info}
        assert not any(terminated[name] for name in terminated if not name.startswith("seller"))
    return gains, told


def test_learners_who_trade_with_one_another_gain_what_the_others_lose() -> None:
    """Nobody else is in the market, so all that one sells another has bought."""
    config = {
        "steps": 200,
        "instruments": {"A": {"initial_price": 1000}},
        "populations": {
            "all": {
                "strategy": "outside",
                "count": 3,
                "account": {"cash": 10**7, "short_selling": "free", "borrowing": "free"},
            }
        },
    }
    agents = {f"m{i}": Seat(Task.MARKET_MAKING, max_offset=3) for i in range(2)} | {"t": Seat(Task.TRADING)}
    gains, told = played(MarketParallelEnv(config, agents=agents, warmup_steps=0, turns=150), 3)
    assert sum(gains.values()) == pytest.approx(0.0, abs=1e-6)
    assert max(gains.values()) > 0.0
    assert sum(info["inventory"] for info in told.values()) == 0
    assert len({info["event_log_hash"] for info in told.values()}) == 1


def test_a_recorded_market_of_learners_is_a_run(tmp_path: Path) -> None:
    _, told = played(MarketParallelEnv(turns=30, record=tmp_path), 5)
    (folder,) = tmp_path.iterdir()
    assert open_run(folder).finished
    assert replay_run(folder).same
    assert told["maker_0"]["event_log_hash"] == open_run(folder).event_log_hash


def test_who_does_not_act_is_named() -> None:
    env = MarketParallelEnv(turns=3)
    with pytest.raises(SimlabError, match="call reset"):
        env.step({})
    env.reset(seed=1)
    actions = {name: env.action_space(name).sample() for name in env.agents}
    with pytest.raises(SimlabError, match="'maker_1' gives no action"):
        env.step({name: it for name, it in actions.items() if name != "maker_1"})
    with pytest.raises(SimlabError, match=r"'maker_2' is not playing.*did you mean"):
        env.step(actions | {"maker_2": actions["maker_1"]})
