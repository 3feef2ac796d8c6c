"""The study of Lillo, Mike and Farmer (2005): its estimator on known series, and its market."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from simlab.runner.study import Lab, Trial

FOLDER = Path(__file__).parents[2] / "experiments" / "lillo_mike_farmer_2005"


class Trades:
    """A run that has only trades."""

    def __init__(self, sides: list[str], orders: list[int]) -> None:
        self._frame = pd.DataFrame({"aggressor_side": sides, "taker_order_id": orders})

    def trades(self, columns: list[str]) -> pd.DataFrame:
        return self._frame[columns]


def test_an_order_counts_once_however_many_fills(analysis: ModuleType) -> None:
    sides = ["sell", "buy", "buy", "buy", "sell", "buy", "sell"]
    left_out = int(5 * analysis.SETTLING)
    expected = [-1, 1, -1, 1, -1][left_out:]
    assert analysis.signs(Trades(sides, [1, 2, 2, 2, 3, 4, 5])).tolist() == expected


def test_autocorrelation_of_runs_of_known_length(analysis: ModuleType) -> None:
    generator = np.random.default_rng(1)
    signs = np.repeat(generator.choice(["buy", "sell"], 20_000), 10)
    found = analysis.sign_autocorrelation(Trades(signs.tolist(), list(range(signs.size))))
    expected = np.maximum(1 - analysis.middle_lags() / 10, 0)
    assert found == pytest.approx(expected, abs=0.03)


def test_decay_exponent_of_the_law_itself(analysis: ModuleType) -> None:
    law = 0.3 * analysis.middle_lags() ** -0.5
    noise = np.random.default_rng(2).normal(1, 0.05, (8, law.size))
    assert analysis.decay_exponent(law[None]) == pytest.approx(0.5)
    exponent, low, high = analysis.bootstrap_exponent(law * noise)
    assert low < 0.5 < high
    assert high - low < 0.1
    assert low < exponent < high


@pytest.mark.parametrize(
    ("low", "high", "holds"), [(0.45, 0.55, True), (0.51, 0.6, False), (0.3, 0.7, False)]
)
def test_rule(analysis: ModuleType, low: float, high: float, holds: bool) -> None:
    assert analysis.equals(0.5, low, high) is holds


def test_study_fits_the_runs_with_splitting(analysis: ModuleType, known_lab) -> None:
    def curve(trial: Trial, exponent: float = 0.5, unsplit: float = 0.0) -> np.ndarray:
        noise = np.random.default_rng(trial.seed).normal(0, 0.02, analysis.middle_lags().size)
        if trial.set == analysis.NO_SPLITTING:
            return unsplit + 0.01 * noise
        return 0.3 * analysis.middle_lags() ** -exponent * (1 + noise)

    lab = known_lab(curve)
    claims = analysis.study(lab)
    assert [claim.estimate for claim in claims] == pytest.approx([0.5, 0.0], abs=0.01)
    assert all(claim.holds for claim in claims)
    by_name = {trace.name: np.asarray(trace.y) for trace in lab.figures[0].data}
    assert by_name["orders split"].min() > by_name["not split (magnitude)"].max()
    others = analysis.study(known_lab(lambda trial: curve(trial, exponent=0.8, unsplit=0.02)))
    assert [claim.estimate for claim in others] == pytest.approx([0.8, 0.02], abs=0.01)
    assert not any(claim.holds for claim in others)


def test_splitting_makes_the_memory(analysis: ModuleType) -> None:
    trials = [Trial(1, steps=30_000), Trial(1, set=analysis.NO_SPLITTING, steps=30_000)]
    with Lab(FOLDER) as lab:
        split, unsplit = lab.runs(analysis.sign_autocorrelation, trials)
    assert split[:15].min() > 0.05
    assert abs(unsplit.mean()) < 0.01
    assert len(analysis.figure(split[None], unsplit[None]).data) == 3
