"""Features are the same live and from a recording, to the last bit, and know nothing of what is to come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import simlab
from simlab.agents.batch import BatchObservation, BatchOrders, Needs, batch_strategy
from simlab.agents.features import FEATURES, FeatureSet, NewsRows, future_move
from simlab.agents.history import HISTORY_DTYPE
from simlab.config import build, load
from simlab.errors import RecordingError, StrategyError
from simlab.kernel import Simulation
from simlab.runner.history import recorded_history, recorded_news

ALL = (
    "spread", "imbalance", "depth_imbalance_1", "depth_imbalance_5", "mid_return_1", "mid_return_37",
    "volatility_2", "volatility_30", "mean_distance_13", "last_distance", "flow_3", "volume_7",
    "order_flow_imbalance_4", "news_1", "news_25",
)  # fmt: skip
MARKET: dict[str, Any] = {
    "steps": 300,
    "instruments": {
        "ACME": {"initial_price": 1_000, "fundamental": {"model": "geometric", "volatility": 0.002}},
        "BOLT": {"initial_price": 500, "tick_size": 5, "fundamental": {"model": "constant"}},
    },
    "news": {
        "scheduled": [
            {"step": 40, "instrument": "ACME", "headline": "up", "sentiment": 0.5, "impact": 20},
            {"step": 90, "headline": "down", "sentiment": -0.25},
            {"step": 90, "instrument": "BOLT", "headline": "up", "sentiment": 0.75},
        ]
    },
    "shocks": [{"kind": "halt", "step": 120, "duration": 10, "instrument": "ACME"}],
    "populations": {
        "noise": {
            "strategy": "noise",
            "count": 30,
            "activation": {"rate": 0.2},
            "account": {"cash": 10_000_000, "short_selling": "free"},
        },
        "value": {
            "strategy": "value",
            "count": 5,
            "activation": {"rate": 0.2},
            "account": {"cash": 10_000_000, "short_selling": "free"},
        },
        "spies": {
            "strategy": f"{__file__}:Spy",
            "count": 3,
            "activation": {"rate": 0.3},
            "account": {"cash": 0},
        },
    },
    "recording": {"depth_every": 1, "depth_levels": 6},
}


@batch_strategy("spy", "Notes the features it sees.", needs=Needs(history=True))
class Spy:
    """It sends nothing, so that the market is as it would be without it."""

    def __init__(self) -> None:
        self.features = FeatureSet(ALL)

    def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        orders.note([0], seen=self.features.now(observation)[0].tolist())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> simlab.analysis.Run:
    return simlab.run(MARKET, out=tmp_path_factory.mktemp("runs"))


def _tables(run: simlab.analysis.Run) -> dict[str, NDArray[np.float64]]:
    ticks = run.instruments().set_index("name")[["instrument", "tick_size"]]
    news = recorded_news(run)
    return {
        name: FeatureSet(ALL).table(
            recorded_history(run, name, levels=5), tick_size=int(row.tick_size), news=news,
            instrument=int(row.instrument),
        )
        for name, row in ticks.iterrows()
    }  # fmt: skip


def test_live_and_recorded_features_are_equal_to_the_last_bit(run: simlab.analysis.Run) -> None:
    tables, decisions = _tables(run), run.decisions(columns=("step", "facts")).dropna()
    assert len(decisions) > 150
    known = 0
    for step, facts in decisions.itertuples(index=False):
        seen = np.array(json.loads(facts)["seen"], np.float64)
        if step == 0:
            assert np.isnan(seen).all()
            continue
        for j, table in enumerate(tables.values()):
            assert_array_equal(seen[j], table[step - 1], err_msg=f"step {step}, instrument {j}")
            known += int(np.isfinite(seen[j]).all())
    assert known > 200


def test_every_feature_takes_different_values(run: simlab.analysis.Run) -> None:
    """Otherwise equality would say little."""
    table = _tables(run)["ACME"]
    for name, column in zip(ALL, table.T, strict=True):
        assert len(np.unique(column[np.isfinite(column)])) > 1 + (not name.startswith("news")), name


@pytest.mark.parametrize("end", [1, 2, 50, 119, 299])
def test_a_feature_does_not_change_with_what_comes_after(run: simlab.analysis.Run, end: int) -> None:
    history, news = recorded_history(run, "ACME", levels=5), recorded_news(run)
    whole = FeatureSet(ALL).table(history, tick_size=1, news=news)
    other = history.copy()
    later = np.random.default_rng(end).integers(1, 1_000, (len(history) - end, HISTORY_DTYPE.itemsize // 8))
    for name in HISTORY_DTYPE.names[1:]:
        other[name][end:] = later[:, :5] if HISTORY_DTYPE[name].shape else later[:, 0]
    after = news.step > history["step"][end - 1]
    changed = NewsRows(news.step, news.instrument, np.where(after, -1.0, news.sentiment))
    assert_array_equal(FeatureSet(ALL).table(other, tick_size=1, news=changed)[:end], whole[:end])
    assert_array_equal(FeatureSet(ALL).table(history[:end], tick_size=1, news=news), whole[:end])


def test_markets_that_part_have_the_same_features_up_to_there() -> None:
    """The same through the kernel: two futures of one market."""
    market = Simulation(build(load(MARKET)))
    market.advance(150)
    other = market.fork()
    other.publish("crash", sentiment=-1.0, impact=-200.0)
    seen = []
    for it in (market, other):
        it.advance(210)
        host = it._callbacks._hosts[1]
        seen.append(FeatureSet(ALL).table(host.history(0, 210), tick_size=1))
    assert_array_equal(seen[0][:150], seen[1][:150])
    assert not np.array_equal(seen[0][150:], seen[1][150:], equal_nan=True)


def test_what_is_remembered_is_part_of_the_state(run: simlab.analysis.Run) -> None:
    """A market that was stopped and restored goes on with the same features."""
    whole, market = Simulation(build(load(MARKET))), Simulation(build(load(MARKET)))
    whole.advance()
    market.advance(100)
    restored = Simulation.restore(build(load(MARKET)), market.capture())
    restored.advance()
    host, other = (it._callbacks._hosts[1] for it in (whole, restored))
    assert_array_equal(host.history(1, 300), other.history(1, 300))
    assert_array_equal(host.history(0, 300), recorded_history(run, "ACME", levels=5))


def test_history_is_kept_for_those_who_declare_it() -> None:
    @batch_strategy("careless", "Looks back without saying so.")
    class Careless:
        def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
            observation.history(1)

    spec = build(load(MARKET, set={"populations.spies.strategy": "noise"}))
    assert not len(Simulation(spec).state.history)
    from dataclasses import replace

    careless = replace(
        spec.populations[1], strategy=Careless.strategy, parameter_names=(), parameters=np.empty((3, 0))
    )
    market = Simulation(replace(spec, populations=(spec.populations[0], careless)))
    with pytest.raises(StrategyError, match=r"declare this one with needs=Needs\(history=True\)"):
        market.advance()


def test_formulas_by_hand() -> None:
    rows = np.zeros(4, HISTORY_DTYPE)
    rows["step"] = range(4)
    rows["best_bid"], rows["bid_depth"] = [98, 98, 99, 0], [4, 6, 2, 0]
    rows["best_ask"], rows["ask_depth"] = [102, 102, 101, 101], [4, 2, 2, 5]
    rows["mid"], rows["last_price"] = [100, 100, 100, 100], [100, 102, 102, 99]
    rows["volume"], rows["bought"] = [0, 10, 10, 16], [0, 8, 8, 8]
    rows["bid_depths"][:, :2] = [[4, 1], [6, 2], [2, 6], [0, 0]]
    rows["ask_depths"][:, :2] = [[4, 1], [2, 6], [2, 1], [5, 1]]
    news = NewsRows(np.array([1]), np.array([-1]), np.array([0.5]))

    def of(name: str) -> list[float]:
        return FeatureSet([name]).table(rows, tick_size=2, news=news)[:, 0].tolist()

    nan = pytest.approx(np.nan, nan_ok=True)
    assert of("spread") == [2.0, 2.0, 1.0, nan]
    assert of("imbalance") == [0.0, 0.5, 0.0, -1.0]
    assert of("depth_imbalance_2") == [0.0, 0.0, 5 / 11, -1.0]
    assert of("last_distance") == [0.0, 1.0, 1.0, -0.5]
    assert of("volume_2") == [nan, nan, 10.0, 6.0]
    assert of("flow_2") == [nan, nan, 0.6, -1.0]
    assert of("flow_1") == [nan, 0.6, 0.0, -1.0]
    # step 1: two lots more at the bid, two fewer at the ask; step 2: better prices on both sides bring two
    # each; step 3: the bid is gone, the ask grows by three
    assert of("order_flow_imbalance_1") == [nan, 4.0, 0.0, -5.0]
    assert of("news_2") == [0.0, 0.5, 0.5, 0.0]


def test_volatility_and_distance_by_hand() -> None:
    rows = np.zeros(4, HISTORY_DTYPE)
    rows["mid"] = [100.0, 102.0, 99.0, 99.5]
    returns = np.array([102 / 100, 99 / 102, 99.5 / 99]) - 1

    def of(name: str) -> NDArray[np.float64]:
        return FeatureSet([name]).table(rows, tick_size=1)[:, 0]

    assert of("volatility_3")[3] == pytest.approx(returns.std())
    assert of("mid_return_3")[3] == 99.5 / 100 - 1
    assert of("mean_distance_4")[3] == pytest.approx(99.5 - 100.125)
    assert_array_equal(future_move(rows["mid"], 2, 1), [-1.0, -2.5, np.nan, np.nan])


def test_what_is_shown_of_news_is_the_latest_hundred() -> None:
    """The 101st latest cannot be seen any more, whoever it is about."""
    steps = np.array([3, *[4] * 100])
    news = NewsRows(steps, np.array([0, *[1] * 100]), np.ones(101))
    assert news.latest(np.array([3, 4, 5]), 0)[0].tolist() == [-1, -1, -1]
    assert NewsRows(*(it[:-1] for it in news)).latest(np.array([3, 4, 5]), 0)[0].tolist() == [-1, 3, 3]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["spred"], r"there is no feature 'spred'; did you mean 'spread'\?"),
        (["mid_return"], "mid_return takes a number of steps from 1 to 1000; write mid_return_5"),
        (["flow_0"], "takes a number of steps from 1 to 1000"),
        (["depth_imbalance_6"], "takes a number of levels from 1 to 5"),
        (["spread_3"], "spread takes no number; write spread"),
        (["spread", "spread"], "comes more than once"),
        ([], "give a list of 1 to 64 names"),
        ("spread", "give a list of 1 to 64 names"),
        ([3], "there is no feature 3"),
    ],
)
def test_names_that_are_wrong_are_refused_with_the_remedy(names: Any, message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        FeatureSet(names)


def test_every_feature_is_documented() -> None:
    for name, feature in FEATURES.items():
        assert feature.name == name
        assert feature.unit
        assert feature.formula
        assert (feature.over is not None) == (
            f"{name}_5" in ALL + tuple(f"{it}_5" for it in FEATURES if FEATURES[it].over)
        )


def test_recordings_with_gaps_are_refused_with_the_remedy(tmp_path: Path) -> None:
    short = {**MARKET, "steps": 20}
    sparse = simlab.run({**short, "recording": {"quotes_every": 5}}, out=tmp_path / "a")
    with pytest.raises(
        RecordingError, match=r"quotes 5 steps apart of ACME; record it with --set recording.quotes_every=1"
    ):
        recorded_history(sparse, "ACME")
    shallow = simlab.run({**short, "recording": {"depth_every": 1, "depth_levels": 2}}, out=tmp_path / "b")
    recorded_history(shallow, "ACME", levels=2)
    with pytest.raises(RecordingError, match="recorded 2 levels every 1 steps"):
        recorded_history(shallow, "ACME", levels=3)
