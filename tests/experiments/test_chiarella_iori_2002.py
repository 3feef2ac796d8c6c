"""The study of Chiarella and Iori (2002): its measures on known returns, and its market."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from simlab.runner.study import Lab, Trial

FOLDER = Path(__file__).parents[2] / "experiments" / "chiarella_iori_2002"


def test_independent_normal_returns_show_neither_fact(analysis: ModuleType) -> None:
    noise = np.random.default_rng(1).normal(0, 0.01, 50_000)
    assert analysis.excess_kurtosis(noise) == pytest.approx(0, abs=0.1)
    assert analysis.magnitude_autocorrelation(noise) == pytest.approx(np.zeros(analysis.LAGS), abs=0.02)


def test_returns_with_changing_volatility_show_both(analysis: ModuleType) -> None:
    generator = np.random.default_rng(2)
    volatility = np.repeat(generator.choice([0.5, 2.0], 500), 100)
    clustered = volatility * generator.normal(0, 0.01, volatility.size)
    assert analysis.excess_kurtosis(clustered) > 1
    assert analysis.magnitude_autocorrelation(clustered).min() > 0.15


def test_claim_is_about_pairs(analysis: ModuleType) -> None:
    spread = np.arange(10.0) * 100
    change = np.linspace(0.9, 1.1, 10)
    claim = analysis.paired_claim("Something", spread + change, spread)
    assert claim.holds
    assert claim.estimate == pytest.approx(1)
    assert not analysis.paired_claim("Something", spread, spread + change).holds


def test_chartists_make_the_price_restless(analysis: ModuleType) -> None:
    trials = [Trial(1, steps=15_000), Trial(1, set=analysis.NO_CHARTISTS, steps=15_000)]
    with Lab(FOLDER) as lab:
        with_chartists, without = lab.runs(analysis.returns, trials)
    assert with_chartists.size == without.size == 99
    assert np.abs(with_chartists).max() > 2 * np.abs(without).max()
    figure = analysis.tail_figure([("with", [with_chartists]), ("without", [without])])
    assert len(figure.data) == 3
