"""The environments of Gymnasium: its own checks, seeds, and many markets in one call."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from simlab.agents.library.seat import FEATURES, Task
from simlab.analysis import open_run
from simlab.errors import SimlabError
from simlab.faces.gymnasium import ENVIRONMENTS, MarketMakingEnv, MarketVectorEnv, TradingEnv
from simlab.faces.spaces import action_space
from simlab.runner.replay import replay_run


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_gymnasium_has_nothing_against_it(name: str, recwarn: pytest.WarningsRecorder) -> None:
    env = gymnasium.make(name, turns=12, render_mode="ansi")
    check_env(env.unwrapped)
    said = [str(it.message) for it in recwarn]
    assert [it for it in said if "infinity" not in it] == []  # changes of prices and sizes have no bound


def rollout(env: Any, seed: int, count: int) -> list[Any]:
    """Play with actions of its own, over the ends of episodes; return all that was seen."""
    actions = action_space(env.unwrapped.task)
    actions.seed(3)
    seen = [env.reset(seed=seed)[0].tolist()]
    while len(seen) < count:
        observation, reward, terminated, truncated, info = env.step(actions.sample())
        seen.append([observation.tolist(), reward, terminated, truncated, info.get("event_log_hash")])
        if terminated or truncated:
            seen.append(env.reset()[0].tolist())
    return seen


def test_a_seed_is_an_episode_in_any_process() -> None:
    here = rollout(TradingEnv(turns=15), 11, 40)
    code = (
        "import json; from simlab.faces.gymnasium import TradingEnv; from test_gymnasium_env import rollout;"
        "print(json.dumps(rollout(TradingEnv(turns=15), 11, 40)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == here


@pytest.mark.parametrize("task", list(Task))
def test_many_markets_are_single_ones_bit_for_bit(task: Task) -> None:
    """Also over the ends of episodes, which come at different times where an execution is complete."""
    names = {it.task: name for name, it in ENVIRONMENTS.items()}
    kwargs = {"turns": 25, "quantity": 60}
    many = gymnasium.make_vec(names[task], num_envs=3, **kwargs)
    assert isinstance(many.unwrapped, MarketVectorEnv)
    ones = [gymnasium.make(names[task], **kwargs) for _ in range(3)]
    seen, _ = many.reset(seed=40)
    alone = [one.reset(seed=40 + i)[0] for i, one in enumerate(ones)]
    many.action_space.seed(1)
    over = [False] * 3
    ends = 0
    for _ in range(60):
        assert seen.tobytes() == np.stack(alone).tobytes()
        actions = many.action_space.sample()
        seen, rewards, terminated, truncated, infos = many.step(actions)
        for i, one in enumerate(ones):
            if over[i]:
                alone[i], over[i] = one.reset()[0], False
                assert (rewards[i], terminated[i], truncated[i]) == (0.0, False, False)
                continue
            alone[i], reward, *ended, info = one.step(actions[i])
            assert (rewards[i], terminated[i], truncated[i]) == (reward, *ended)
            over[i] = any(ended)
            if over[i]:
                ends += 1
                assert infos["event_log_hash"][i] == info["event_log_hash"]
    assert ends >= 6


def test_some_markets_can_begin_anew() -> None:
    many = MarketVectorEnv(Task.TRADING, num_envs=2, turns=10)
    first, _ = many.reset(seed=[5, 9])
    many.step([[2, 0, 0, 4]] * 2)
    again, _ = many.reset(seed=[5, None], options={"reset_mask": np.array([True, False])})
    assert again[0].tobytes() == first[0].tobytes()
    assert again[1].tobytes() != first[1].tobytes()


def test_a_recorded_episode_is_a_run(tmp_path: Path) -> None:
    env = MarketMakingEnv(turns=20, record=tmp_path)
    env.action_space.seed(2)
    env.reset(seed=8)
    info: dict[str, Any] = {}
    while not info:
        *_, info = env.step(env.action_space.sample())
    run = open_run(info["run_dir"])
    assert run.finished
    assert (run.manifest["seed"], run.event_log_hash) == (8, info["event_log_hash"])
    assert replay_run(info["run_dir"]).same


@pytest.mark.parametrize(
    ("action", "said"),
    [([0, 0, 0, 5], "out of bounds"), ([0.0] * 4, "whole numbers"), ([0, 0], "shape")],
)
def test_actions_that_are_none_are_refused(action: list[float], said: str) -> None:
    env = TradingEnv(turns=3)
    env.reset(seed=1)
    with pytest.raises(SimlabError, match=said):
        env.step(action)
    with pytest.raises(SimlabError, match=said):
        MarketVectorEnv(Task.TRADING, 1).step([action])


def test_numbers_that_are_none_are_refused() -> None:
    env = MarketMakingEnv(turns=3)
    env.reset(seed=1)
    with pytest.raises(SimlabError, match="not a number"):
        env.step([0.0, np.nan, 0.0, 0.0])


def test_no_order_leads_beyond_the_most_inventory() -> None:
    at = [it[0] for it in FEATURES].index("inventory")
    env = TradingEnv(turns=200, max_inventory=30)
    env.reset(seed=4)
    most = 0.0
    for i in range(200):
        observation, *_ = env.step([1 if i % 2 else 2, 0, 0, 4])
        most = max(most, float(observation[at]))
    assert most == 1.0


@pytest.mark.parametrize("face", ["gymnasium", "pettingzoo"])
def test_what_is_not_installed_is_named_with_how_to_get_it(
    face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, face, None)
    monkeypatch.delitem(sys.modules, f"simlab.faces.{face}", raising=False)
    with pytest.raises(SimlabError, match=r'needs \w+ .*pip install "simlab\[rl\]"'):
        importlib.import_module(f"simlab.faces.{face}")
