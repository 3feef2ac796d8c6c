"""The study of the zero-intelligence spread: its parameter sets, its rules, and a few runs of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simlab.config import load
from simlab.runner.study import Lab, Study, Trial

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


def test_the_spread_goes_with_the_price_scale_and_grows_with_epsilon() -> None:
    flows = [ANALYSIS["Flow"](*numbers) for numbers in ((0.014, 50), (0.3, 50), (0.3, 100))]
    trials = [
        Trial(1, {"populations.crowd.parameters": flow.parameters}, ANALYSIS["STEPS"]) for flow in flows
    ]
    with Lab(FOLDER) as lab:
        spreads = np.array(lab.runs(ANALYSIS["mean_spread"], trials))
    assert spreads[1] > 2 * spreads[0]
    assert spreads[2] / spreads[1] == pytest.approx(2.0, rel=0.1)
