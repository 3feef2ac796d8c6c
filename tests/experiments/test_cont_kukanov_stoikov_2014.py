"""The study of order flow imbalance: its markets, its measures, its rules, and a few runs of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simlab.config import load
from simlab.runner.study import Lab, Study, Trial

FOLDER = Path(__file__).parents[2] / "experiments" / "cont_kukanov_stoikov_2014"
ANALYSIS = vars(Study(FOLDER).analysis)
MARKETS = [
    ANALYSIS["Market"](scale, depth) for scale in ANALYSIS["PRICE_SCALES"] for depth in ANALYSIS["FAR_DEPTHS"]
]


def found(
    *, r2: float = 0.65, r2_trades: float = 0.32, power: float = 1.0, level: float = 0.5
) -> pd.DataFrame:
    """Return measures of every market with two seeds, whose slope is ``level / depth ** power``."""
    rows = []
    for market in MARKETS:
        for seed in (1, 2):
            depth = market.far_depth / market.price_scale * (1 + 0.001 * seed)
            noise = 0.001 * seed
            rows.append((*market, seed, r2 + noise, r2_trades, noise, level * depth**-power, depth))
    return pd.DataFrame(rows, columns=["price_scale", "far_depth", "seed", *ANALYSIS["MEASURES"]])


@pytest.mark.parametrize("market", MARKETS, ids=str)
def test_rates_give_back_the_numbers_of_the_market(market) -> None:
    rates = market.trial_values["populations.crowd.parameters"]
    alpha = rates["limit_rate"] / (2 * rates["window"])
    assert rates["market_rate"] / alpha == pytest.approx(market.price_scale)
    assert alpha / rates["cancel_rate"] == pytest.approx(market.far_depth)


def test_the_file_is_one_of_the_markets() -> None:
    config = load(FOLDER / "experiment.yaml")
    market = ANALYSIS["Market"](3.0, 20)
    expected = market.trial_values["populations.crowd.parameters"]
    given = config.populations["crowd"].parameters
    assert {name: float(value) for name, value in given.items()} == pytest.approx(expected)
    assert config.steps == ANALYSIS["LIVES"] * market.life


def test_intervals_add_up_flow_and_price_after_the_first() -> None:
    quotes = pd.DataFrame({"step": range(6), "instrument": 0, "best_bid": [99, 99, 99, 100, 100, 100]})
    quotes = quotes.assign(best_ask=[101, 101, 101, 102, 102, 102], ask_depth=4, bid_depth=[5, 6, 4, 3, 3, 8])
    table = pd.DataFrame({"instrument": [0], "name": ["A"], "initial_price": [100], "tick_size": [1]})
    rows = ANALYSIS["intervals"](quotes, table, 2)
    # Step 2: 2 lots leave the bid. Step 3: a new bid of 3, and the whole ask of 4 is gone. Step 5: 5 more.
    assert rows["ofi"].tolist() == [-2 + 3 + 4, 5]
    assert rows["change"].tolist() == [1.0, 0.0]


def test_curvature_is_gained_only_where_there_is_some() -> None:
    flow = np.linspace(-5.0, 6.0, 100)
    straight = pd.DataFrame({"ofi": flow, "change": 0.5 * flow + np.sin(40 * flow)})
    curved = straight.assign(change=np.sign(flow) * flow**2)
    assert ANALYSIS["gain_of_curvature"](straight) < 0.01
    assert ANALYSIS["gain_of_curvature"](curved) > 0.03


def test_claims_follow_the_rules_of_the_readme() -> None:
    r2_claims, depth_claims = ANALYSIS["r2_claims"], ANALYSIS["depth_claims"]
    assert [claim.holds for claim in r2_claims(found())] == [True, True, True]
    assert [claim.holds for claim in r2_claims(found(r2=0.3))] == [True, False, False]
    assert [claim.holds for claim in depth_claims(found())] == [True, True]
    assert depth_claims(found())[0].estimate == pytest.approx(1.0)
    assert [claim.holds for claim in depth_claims(found(power=1.4, level=0.8))] == [False, True]
    assert [claim.holds for claim in depth_claims(found(level=2.0))] == [True, False]


def market_of(trial: Trial):
    """Return the market whose rates a trial has."""
    return next(market for market in MARKETS if market.trial_values == trial.set)


def measured(trial: Trial, *, power: float = 1.0, r2: tuple[float, float] = (0.65, 0.32)):
    """Return measures of a trial that follow the paper's law but for what is given, and three intervals."""
    market = market_of(trial)
    assert trial.steps == ANALYSIS["LIVES"] * market.life
    depth, noise = market.far_depth / market.price_scale, 0.002 * trial.seed
    rows = pd.DataFrame({"ofi": [-1.0, 0.0, 1.0]}).assign(change=lambda it: market.far_depth * it["ofi"])
    return [r2[0] + noise, r2[1] - noise, noise, 0.5 * depth**-power, depth], rows


def test_study_keeps_each_markets_measures_together(known_lab) -> None:
    lab = known_lab(measured)
    claims = Study(FOLDER).carry_out(lab)
    gain, more, r2, power, times = claims
    assert all(claim.holds for claim in claims)
    assert (gain.estimate, more.estimate, r2.estimate) == pytest.approx((0.5, 34.0, 65.5))
    assert (power.estimate, times.estimate) == pytest.approx((1.0, 1.0))
    by_scale = {trace.name: trace for trace in lab.figures[0].data[1:]}
    for scale in ANALYSIS["PRICE_SCALES"]:
        expected = np.array(ANALYSIS["FAR_DEPTHS"]) / scale
        assert by_scale[f"simlab, mu/alpha = {scale:g} ticks"].x == pytest.approx(expected)
    assert lab.figures[1].data[0].y.tolist() == [-10.0, 0.0, 10.0]
    assert "3 ticks, alpha/delta = 10 lots" in lab.figures[1].layout.title.text


def test_study_does_not_reproduce_what_is_not_there(known_lab) -> None:
    exchanged = Study(FOLDER).carry_out(known_lab(lambda trial: measured(trial, r2=(0.32, 0.65))))
    assert [claim.holds for claim in exchanged] == [True, False, False, True, True]
    flat = Study(FOLDER).carry_out(known_lab(lambda trial: measured(trial, power=0.0)))
    assert [claim.holds for claim in flat] == [True, True, True, False, False]


def test_imbalance_explains_more_than_trades_and_moves_a_thin_book_more() -> None:
    thin, deep = ANALYSIS["Market"](3.0, 5), ANALYSIS["Market"](3.0, 20)
    trials = [Trial(1, market.trial_values, ANALYSIS["LIVES"] * market.life) for market in (thin, deep)]
    with Lab(FOLDER) as lab:
        measures = [
            dict(zip(ANALYSIS["MEASURES"], it, strict=True)) for it, _ in lab.runs(ANALYSIS["impact"], trials)
        ]
    assert all(it["r2"] > it["r2_trades"] + 0.1 for it in measures)
    assert measures[0]["slope"] > 2 * measures[1]["slope"] > 0
    assert measures[0]["depth"] < measures[1]["depth"]
