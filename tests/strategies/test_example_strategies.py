"""The worked examples in strategies/ do what they say, in the markets of their configurations."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.agents.registry import resolve
from simlab.agents.strategy import Calling, Strategy
from simlab.testing import check_strategy

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    "my_first_agent": ("MyFirstAgent", Calling.AGENT),
    "online_regression": ("OnlineRegression", Calling.BATCH),
    "imbalance": ("imbalance", Calling.COMPILED),
}


def _strategy(name: str) -> Strategy:
    return resolve(f"strategies/{name}.py:{EXAMPLES[name][0]}", folder=ROOT)


def _module(name: str) -> ModuleType:
    return sys.modules[_strategy(name).make.__module__]


def _run(name: str, out: Path, **options: int) -> simlab.Run:
    run = simlab.run(ROOT / "configs" / f"{name}.yaml", out=out, **options)
    assert isinstance(run, simlab.Run)
    return run


def _fills(run: simlab.Run, population: str) -> pd.DataFrame:
    """Return the population's own fills: account, step, price, and lots that are negative if sold."""
    trades = run.trades()
    buys = trades["aggressor_side"] == "buy"
    taken = trades.assign(
        account=trades["taker_account"], lots=trades["quantity"].where(buys, -trades["quantity"])
    )
    made = trades.assign(account=trades["maker_account"], lots=-taken["lots"])
    fills = pd.concat([taken, made]).sort_values("sequence")
    fills["account"] = fills["account"].astype(str)
    return fills[fills["account"].str.startswith(f"{population}/")]


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_each_level_has_an_example(name: str) -> None:
    strategy = _strategy(name)
    assert strategy.level is EXAMPLES[name][1]
    assert strategy.name == name


def test_there_are_no_others_and_no_package() -> None:
    assert sorted(path.stem for path in (ROOT / "strategies").glob("*.py")) == sorted(EXAMPLES)


def test_my_first_agent_never_sells_at_a_loss_knowingly(tmp_path: Path) -> None:
    fills = _fills(_run("my_first_agent", tmp_path, steps=10_000), "mine")
    assert (fills["lots"] < 0).any()
    for _, own in fills.groupby("account"):
        inventory = own["lots"].cumsum()
        assert inventory.between(0, 5).all()


def test_recursive_least_squares_finds_the_weights() -> None:
    draw = np.random.default_rng(1)
    model = _module("online_regression").RecursiveLeastSquares(3)
    true = np.array([0.5, -2.0, 1.0])
    for _ in range(500):
        x = draw.normal(size=3)
        model.learn(x, float(true @ x) + 0.1 * draw.normal())
    assert np.allclose(model.weights, true, atol=0.05)
    assert model.predict(np.array([1.0, 0.0, 0.0])) == pytest.approx(0.5, abs=0.05)


def test_online_regression_learns_before_it_trades_and_keeps_its_limit(tmp_path: Path) -> None:
    run = _run("online_regression", tmp_path)
    fills = _fills(run, "learners")
    assert len(fills) > 20
    assert fills["step"].min() >= 60 * _module("online_regression").WARM_UP
    assert (fills.groupby("account")["lots"].cumsum().abs() <= 50).all()


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_each_example_keeps_the_contract(name: str) -> None:
    check_strategy(_strategy(name), seeds=range(30))


def test_imbalance_takes_from_the_shorter_queue(tmp_path: Path) -> None:
    run = _run("imbalance", tmp_path)
    fills = _fills(run, "queue_watchers")
    assert len(fills) > 100
    assert (fills.groupby("account")["lots"].cumsum().abs() <= 5).all()
    bought = fills["lots"] > 0
    assert (fills["aggressor_side"].eq("buy") == bought).all()
