"""The example that trains a market maker: its parts, and what it promises."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import simlab
from simlab.agents.ml.policies import load_policy
from simlab.runner.study import mean_interval

FOLDER = Path(__file__).parents[2] / "experiments" / "learnt_market_maker"


@pytest.fixture(scope="module")
def train() -> ModuleType:
    spec = importlib.util.spec_from_file_location("learnt_market_maker_train", FOLDER / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_what_is_saved_acts_as_what_was_learnt(train: ModuleType, tmp_path: Path) -> None:
    rewards: list[float] = []
    policy = train.learn(train.environment(), 1, history=rewards)
    assert len(rewards) == 1
    train.save(policy, tmp_path / "policy.onnx")
    seen = np.random.default_rng(1).normal(size=(5, 18)).astype(np.float32)
    found = np.array(load_policy(tmp_path / "policy.onnx").actions(seen))
    assert found == pytest.approx(policy.predict(seen), abs=1e-5)
    assert np.abs(found).max() > 0.01


def test_both_sides_of_a_policy_are_alike(train: ModuleType) -> None:
    rng = np.random.default_rng(1)
    policy, seen = train.Policy.of(rng.normal(size=train.NUMBERS)), rng.normal(size=18)
    mirrored = seen * [-1 if name in train.ODD else 1 for name in train.NAMES]
    assert policy.predict(mirrored)[[1, 0, 3, 2]] == pytest.approx(policy.predict(seen))


def test_its_market_runs_and_the_learnt_makers_trade() -> None:
    outcome = simlab.run(FOLDER / "market.yaml", steps=300, record=False)
    volume = {row["population"]: row["volume"] for row in outcome.summary["populations"]}
    assert volume["learnt"] > 100


@pytest.mark.slow
def test_it_earns_more_and_holds_less_than_the_baseline_on_seeds_not_trained_on(train: ModuleType) -> None:
    env, rng = train.environment(), np.random.default_rng(1)
    learnt = train.evaluate(env, train.learn(env, 100).predict, 256)
    baseline = train.evaluate(env, train.tuned_baseline(env).predict, 256)
    random = train.evaluate(env, lambda _: rng.uniform(-1.0, 1.0, (train.MARKETS, 4)), 256)
    for other in (baseline, random):
        assert mean_interval(list(learnt.reward - other.reward))[1] > 0.0
        assert mean_interval(list(learnt.inventory - other.inventory))[2] < 0.0
