"""Populations trade on models: what they knew is recorded, what they learn is state, and it pays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learning_markets import TRAINING, WORLD, traders, world
from numpy.testing import assert_array_equal

import simlab
from simlab.agents.features import FeatureSet
from simlab.agents.ml import load_model
from simlab.analysis.statistics import paired
from simlab.config import build, load
from simlab.errors import ConfigError, StrategyError
from simlab.kernel import Simulation
from simlab.runner.history import recorded_history, recorded_news
from simlab.runner.training import train

SEEDS = range(11, 17)
ONLINE: dict[str, Any] = {
    "features": ["mid_return_20", "flow_20", "mean_distance_50"],
    "horizon": 20,
    "dead_zone": 3,
    "samples": 300,
}
ZERO_INTELLIGENCE: dict[str, Any] = {
    "name": "zero_intelligence",
    "steps": 2_500,
    "instruments": {"ACME": {"initial_price": 10_000, "self_trade": "off"}},
    "populations": {
        "crowd": {
            "strategy": "poisson_flow",
            "count": 2,
            "parameters": {
                "market_rate": 0.08,
                "limit_rate": 0.5,
                "cancel_rate": 0.005,
                "window": 20,
                "size": 5,
            },
            "account": {"borrowing": "free", "short_selling": "free", "max_open_orders": 1_000_000},
        }
    },
}


def _trained(folder: Path) -> dict[str, Any]:
    return traders("ml_classifier", {"model_path": str(folder)})


def _learners(outcome: simlab.Outcome | simlab.Run) -> dict[str, Any]:
    return next(it for it in outcome.summary["populations"] if it["population"] == "learners")


def _earned(base: dict[str, Any], folder: Path, seed: int) -> tuple[float, int]:
    """Return the mean P&L of an agent, money units, and how many orders they sent."""
    row = _learners(simlab.run(world(_trained(folder), base), seed=seed, steps=1_200, record=False))
    return row["pnl_mean"], row["orders"]


def test_trained_traders_earn_more_where_there_is_something_to_learn(models: dict[str, Path]) -> None:
    """Against the same population with the same model, which has learned nothing, in the same worlds."""
    trained, nothing = (
        [_earned(WORLD, models[name], seed) for seed in SEEDS] for name in ("classifier", "nothing")
    )
    found = paired([it[0] for it in nothing], [it[0] for it in trained])
    assert min(orders for _, orders in trained) > 50
    assert found.p is not None
    assert found.p < 0.001
    assert found.low is not None
    assert found.low > 0


@pytest.mark.slow
def test_trained_traders_earn_nothing_where_there_is_nothing_to_learn(tmp_path: Path) -> None:
    """The same training and the same comparison among zero-intelligence traders."""
    runs = [simlab.run(ZERO_INTELLIGENCE, seed=seed, out=tmp_path) for seed in (1, 2)]
    config = {**TRAINING, "label": {"kind": "sign", "horizon": 20, "dead_zone": 1}}
    folders = [train(config, runs, out=tmp_path / str(it), shuffle_labels=it).folder for it in (False, True)]
    trained, nothing = ([_earned(ZERO_INTELLIGENCE, it, seed) for seed in SEEDS] for it in folders)
    assert sum(orders for _, orders in trained) > 50
    found = paired([it[0] for it in nothing], [it[0] for it in trained])
    assert found.difference <= 0 or (found.p is not None and found.p > 0.05)


@pytest.fixture(scope="module")
def traded(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> simlab.Run:
    fallback = [{"strategy": "momentum", "parameters": {"lookback": 20}}]
    options = {"model_path": str(models["regressor"]), "note": "all"}
    made = traders("ml_regressor", options, fallback=fallback)
    made["parameters"]["threshold"] = {"uniform": [0.5, 2]}
    return simlab.run(world(made), seed=5, steps=600, out=tmp_path_factory.mktemp("traded"))


def test_what_agents_knew_and_forecast_is_recorded_and_can_be_computed_again(
    traded: simlab.Run, models: dict[str, Path]
) -> None:
    model = load_model(models["regressor"])
    table = model.features.table(recorded_history(traded, "ACME"), tick_size=1, news=recorded_news(traded))
    decisions = traded.decisions()
    noted = decisions[decisions["source"] == "ml"]
    assert len(noted) > 300
    assert (noted["orders"] > 0).any()
    for step, facts in noted[["step", "facts"]].iloc[::7].itertuples(index=False):
        told = json.loads(facts)["ACME"]
        x = table[step - 1]
        assert_array_equal(list(told["features"].values()), x)
        assert told["move"] == model.strengths(x[None, :])[0, 1]


def test_until_features_are_known_what_the_population_falls_back_on_decides(traded: simlab.Run) -> None:
    decisions = traded.decisions()
    early = decisions[decisions["step"] < FeatureSet(TRAINING["features"]).warm_up]
    assert set(early["source"]) == {"heuristic"}
    assert early["fallback"].str.startswith("ml warming up: step ").all()
    row = _learners(traded)
    assert row["fallbacks"]["ml warming up"] == len(early)
    assert row["decisions"]["ml"] > 300


def test_the_models_hash_is_in_the_manifest(traded: simlab.Run, models: dict[str, Path]) -> None:
    assert (
        traded.manifest["provenance"]["learners"]["model"] == load_model(models["regressor"]).hashes["model"]
    )


def _markets(strategy: str, options: dict[str, Any], steps: int) -> tuple[Any, Simulation]:
    made = traders(strategy, options)
    made["activation"] = {"rate": 0.5}
    made["parameters"]["threshold"] = 0.45
    spec = build(load(world(made), steps=steps))
    return spec, Simulation(spec)


@pytest.mark.parametrize("kind", ["online", "trained"])
def test_a_market_that_is_forked_or_restored_goes_on_as_it_would(kind: str, models: dict[str, Path]) -> None:
    strategy, options = (
        ("ml_online", ONLINE) if kind == "online" else ("ml_classifier", {"model_path": models["classifier"]})
    )
    spec, market = _markets(strategy, options, 800)
    market.advance(500)
    fork, restored = market.fork(), Simulation.restore(spec, market.capture())
    for it in (market, fork, restored):
        it.advance()
    assert len({it.event_log_hash for it in (market, fork, restored)}) == 1
    assert len({it.capture().hash() for it in (market, fork, restored)}) == 1
    assert next(it["orders"] for it in market.summary()["populations"] if it["population"] == "learners") > 20


@pytest.mark.slow
def test_an_online_learner_learns_from_every_step_and_comes_to_earn() -> None:
    _, market = _markets("ml_online", ONLINE, 800)
    market.advance()
    learner = market._callbacks._memory.objects[0][0]
    model = learner._model
    known = model.samples
    # steps 50 to 780: the features take 50 steps, the label 20
    assert 650 < known <= 800 - 50 - 20 + 1
    online = world(traders("ml_online", ONLINE))
    pnl = [_learners(simlab.run(online, seed=it, steps=1_500, record=False))["pnl_mean"] for it in SEEDS[:4]]
    found = paired(np.zeros(len(pnl)), pnl)
    assert found.low is not None
    assert found.low > 0


def test_an_online_learner_may_be_a_regressor_and_must_learn_in_parts() -> None:
    regressor = ["sklearn.preprocessing.StandardScaler", "sklearn.linear_model.SGDRegressor"]
    made = traders("ml_online", {**ONLINE, "estimator": regressor})
    made["parameters"]["threshold"] = 0.5
    row = _learners(simlab.run(world(made), steps=800, record=False))
    assert row["orders"] > 20
    assert row["fallbacks"]["ml warming up"] < row["decisions"]["ml"]
    with pytest.raises(
        ConfigError, match=r"RandomForestClassifier cannot learn in parts \(it has no partial_fit\)"
    ):
        load(world(traders("ml_online", {"estimator": "sklearn.ensemble.RandomForestClassifier"})))
    with pytest.raises(ConfigError, match=r"horizon 600 must be from 1 to 512 steps"):
        load(world(traders("ml_online", {"horizon": 600})))


@pytest.mark.parametrize("order", ["take", "market", "limit"])
def test_orders_are_of_the_kind_that_is_asked_for(
    order: str, models: dict[str, Path], tmp_path: Path
) -> None:
    made = traders("ml_classifier", {"model_path": str(models["classifier"]), "order": order})
    made["parameters"] |= {"offset": 1, "life": 3, "gain": 10}
    run = simlab.run(world(made), steps=500, out=tmp_path)
    messages = run.messages()
    sent = messages[(messages["event"] == "accepted") & messages["account"].str.startswith("learners/")]
    assert len(sent) > 20
    assert (sent["market"] == (order == "market")).all()
    assert sent["quantity"].max() > 3  # surer forecasts, larger orders
    if order == "take":
        assert set(sent["time_in_force"]) == {"ioc"}
    if order == "limit":
        quotes = run.quotes().set_index("step")
        bid, ask = (
            quotes[name].shift(1).reindex(sent["step"]).to_numpy() for name in ("best_bid", "best_ask")
        )
        passive = np.where(sent["side"] == "buy", sent["price"] <= ask, sent["price"] >= bid)
        assert passive.mean() > 0.7
        expired = messages[(messages["event"] == "expired") & messages["account"].str.startswith("learners/")]
        assert len(expired) > 0
    held = run.frame("accounts")
    assert held[held["account"].str.startswith("learners/")]["inventory"].abs().max() <= 15


def test_a_model_of_the_other_kind_or_none_is_refused_when_the_file_is_read(
    models: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="the model is a regressor; use the strategy ml_regressor"):
        load(world(_trained(models["regressor"])))
    with pytest.raises(ConfigError, match=r"populations.learners.options.*there is no trained model"):
        load(world(_trained(tmp_path)))


def test_a_market_that_was_saved_goes_on_with_the_same_model_only(
    models: dict[str, Path], tmp_path: Path
) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(models["classifier"], folder)
    spec, market = _markets("ml_classifier", {"model_path": folder}, 300)
    market.advance(100)
    captured = market.capture()
    shutil.rmtree(folder)
    shutil.copytree(models["nothing"], folder)
    with pytest.raises(StrategyError, match="the model is another one than when the market was saved"):
        Simulation.restore(spec, captured)


def test_importing_simlab_brings_no_scikit_learn() -> None:
    import subprocess
    import sys

    code = "import sys, simlab, simlab.agents.library, simlab.agents.features; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert "simlab.agents.ml.online" in loaded
    assert not {"sklearn", "skops", "threadpoolctl"} & set(loaded)
