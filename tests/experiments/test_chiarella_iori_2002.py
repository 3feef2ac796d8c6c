"""The study of Chiarella and Iori (2002): its measures on known returns, and its market."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from simlab.runner.study import Lab, Trial, mean_interval

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


def sample(seed: int, clustered: bool) -> np.ndarray:
    """Return normal returns whose volatility changes in blocks, or does not."""
    generator = np.random.default_rng(seed)
    volatility = np.repeat(generator.choice([0.5, 2.0], 50), 100) if clustered else np.ones(5_000)
    return volatility * generator.normal(0, 0.01, 5_000)


def test_study_subtracts_the_runs_without_chartists_seed_by_seed(analysis: ModuleType, known_lab) -> None:
    def with_chartists(trial: Trial) -> bool:
        return trial.set != analysis.NO_CHARTISTS

    lab = known_lab(lambda trial: sample(trial.seed, with_chartists(trial)))
    claims = analysis.study(lab)
    rises = [
        analysis.excess_kurtosis(sample(s, True)) - analysis.excess_kurtosis(sample(s, False))
        for s in lab.seeds(12)
    ]
    assert (claims[0].estimate, claims[0].low, claims[0].high) == pytest.approx(mean_interval(rises))
    assert claims[1].estimate > 0.15
    assert all(claim.holds for claim in claims)
    by_name = {trace.name: trace for trace in lab.figures[0].data}
    assert by_name["with chartists"].y.min() > by_name["without"].y.max()
    opposite = analysis.study(known_lab(lambda trial: sample(trial.seed, not with_chartists(trial))))
    assert not any(claim.holds for claim in opposite)
    assert [claim.estimate for claim in opposite] == pytest.approx([-claim.estimate for claim in claims])


def test_chartists_make_the_price_restless(analysis: ModuleType) -> None:
    trials = [Trial(1, steps=15_000), Trial(1, set=analysis.NO_CHARTISTS, steps=15_000)]
    with Lab(FOLDER) as lab:
        with_chartists, without = lab.runs(analysis.returns, trials)
    assert with_chartists.size == without.size == 99
    assert np.abs(with_chartists).max() > 2 * np.abs(without).max()
    figure = analysis.tail_figure([("with", [with_chartists]), ("without", [without])])
    assert len(figure.data) == 3
