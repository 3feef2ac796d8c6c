"""The study of the zero-intelligence spread: its parameter sets, its rules, and a few runs of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simlab.config import load
from simlab.runner.study import Lab, Study, Trial, mean_interval

FOLDER = Path(__file__).parents[2] / "experiments" / "farmer_patelli_zovko_2005"
ANALYSIS = vars(Study(FOLDER).analysis)
FLOWS = [
    ANALYSIS["Flow"](epsilon, scale) for epsilon in ANALYSIS["EPSILONS"] for scale in ANALYSIS["PRICE_SCALES"]
]


def frame(level: float = 1.0, power: float = 1.0) -> pd.DataFrame:
    """Return spreads that are ``level`` times a power of f; the seeds differ by nothing."""
    spreads = [[level * flow.price_scale * float(ANALYSIS["f"](flow.epsilon)) ** power] * 2 for flow in FLOWS]
    return ANALYSIS["table"](FLOWS, spreads)


@pytest.mark.parametrize("flow", FLOWS, ids=str)
def test_rates_give_back_the_papers_two_numbers(flow) -> None:
    rates = flow.parameters
    alpha = rates["limit_rate"] / (2 * rates["window"])
    assert rates["market_rate"] / alpha == pytest.approx(flow.price_scale)
    assert rates["cancel_rate"] / rates["market_rate"] == pytest.approx(flow.epsilon)


def test_the_file_is_one_of_the_parameter_sets() -> None:
    parameters = load(FOLDER / "experiment.yaml").populations["crowd"].parameters
    expected = ANALYSIS["Flow"](ANALYSIS["EPSILONS"][1], 100).parameters
    assert {name: float(value) for name, value in parameters.items()} == pytest.approx(expected)


def test_spreads_on_the_curve_reproduce_every_claim() -> None:
    claims = ANALYSIS["claims"](frame())
    assert [claim.estimate for claim in claims] == pytest.approx([1.0, 1.0, 1.0, 0.75], abs=1e-6)
    assert all(claim.holds for claim in claims)


def test_another_level_breaks_the_level_only() -> None:
    claims = ANALYSIS["claims"](frame(level=0.7))
    assert [claim.holds for claim in claims] == [True, True, False, True]
    assert claims[2].estimate == pytest.approx(0.7)


def test_another_dependence_on_epsilon_breaks_the_slope_but_not_the_scale() -> None:
    slope, scale, *_ = ANALYSIS["claims"](frame(power=0.3))
    assert (slope.holds, scale.holds) == (False, True)


def test_intervals_go_by_epsilon_not_by_parameter_set() -> None:
    ratios = dict(zip(ANALYSIS["EPSILONS"], (0.8, 0.75, 0.65, 0.6), strict=True))
    spreads = [
        [ratios[flow.epsilon] * flow.price_scale * float(ANALYSIS["f"](flow.epsilon))] for flow in FLOWS
    ]
    given = ANALYSIS["table"](FLOWS, spreads)
    assert ANALYSIS["level"](given) == pytest.approx(np.exp(mean_interval(np.log(list(ratios.values())))))
    assert ANALYSIS["slope_on_scale"](given) == pytest.approx((1.0, 1.0, 1.0))
    for measure in ("level", "slope_on_prediction", "exponent"):
        few = np.ptp(ANALYSIS[measure](given)[1:])
        assert np.ptp(ANALYSIS[measure](pd.concat([given] * 9))[1:]) == pytest.approx(few, rel=0.2)


def test_slope_on_the_prediction_has_a_t_interval_with_clusters_by_epsilon() -> None:
    generator = np.random.default_rng(5)
    common = dict(zip(ANALYSIS["EPSILONS"], generator.normal(0, 0.1, 4), strict=True))
    given = frame().assign(spread=lambda it: it["spread"] * np.exp(it["epsilon"].map(common)))
    x = np.log(given["predicted"]) - np.log(given["predicted"]).mean()
    y = np.log(given["spread"])
    slope = (x @ y) / (x @ x)
    scores = (x * (y - y.mean() - slope * x)).groupby(given["epsilon"]).sum()
    error = np.sqrt(4 / 3 * 11 / 10 * (scores @ scores)) / (x @ x)
    expected = [slope, slope - 3.182446 * error, slope + 3.182446 * error]
    assert ANALYSIS["slope_on_prediction"](given) == pytest.approx(expected, rel=1e-6)


def spread_of(trial: Trial, *, level: float = 1.0, power: float = 1.0) -> float:
    """Return the spread that the law gives for a trial's rates, a little more or less with its seed."""
    rates = trial.set["populations.crowd.parameters"]
    scale = rates["market_rate"] / rates["limit_rate"] * 2 * rates["window"]
    prediction = scale * ANALYSIS["f"](rates["cancel_rate"] / rates["market_rate"]) ** power
    return float(level * prediction * (1 + 0.01 * (trial.seed - 3.5)))


def test_study_compares_each_parameter_set_to_its_own_prediction(known_lab) -> None:
    lab = known_lab(spread_of)
    claims = Study(FOLDER).carry_out(lab)
    assert [claim.estimate for claim in claims] == pytest.approx([1.0, 1.0, 1.0, 0.75], abs=1e-6)
    assert all(claim.holds for claim in claims)
    measured = np.concatenate([trace.y for trace in lab.figures[0].data[1:]])
    predicted = np.concatenate([trace.x for trace in lab.figures[0].data[1:]])
    assert measured == pytest.approx(predicted)
    assert measured.size == len(FLOWS)


def test_study_does_not_reproduce_what_is_not_there(known_lab) -> None:
    claims = Study(FOLDER).carry_out(known_lab(lambda trial: spread_of(trial, level=2.0, power=0.3)))
    assert [claim.holds for claim in claims[:3]] == [False, True, False]
    assert claims[0].estimate < 0.9


def test_the_spread_goes_with_the_price_scale_and_grows_with_epsilon() -> None:
    flows = [ANALYSIS["Flow"](*numbers) for numbers in ((0.014, 50), (0.3, 50), (0.3, 100))]
    trials = [
        Trial(1, {"populations.crowd.parameters": flow.parameters}, ANALYSIS["STEPS"]) for flow in flows
    ]
    with Lab(FOLDER) as lab:
        spreads = np.array(lab.runs(ANALYSIS["mean_spread"], trials))
    assert spreads[1] > 2 * spreads[0]
    assert spreads[2] / spreads[1] == pytest.approx(2.0, rel=0.1)
