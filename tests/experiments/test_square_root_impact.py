"""The study of the square-root law: its fit on known impacts, and one paired run."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from simlab.runner.study import Lab, Trial

FOLDER = Path(__file__).parents[2] / "experiments" / "square_root_impact"


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0])
def test_fit_finds_the_exponent_of_a_power_law(analysis: ModuleType, exponent: float) -> None:
    sizes = analysis.SIZES
    noise = np.random.default_rng(1).normal(0, 0.2, (60, sizes.size))
    impacts = 2 * sizes**exponent * (1 + noise)
    errors = analysis.standard_errors(impacts)
    fit = analysis.fit_power_law(sizes, impacts.mean(axis=0), errors)
    low, high = analysis.bootstrap_exponent(sizes, impacts)
    assert fit.exponent == pytest.approx(exponent, abs=0.05)
    assert fit.scale == pytest.approx(2, rel=0.2)
    assert low < fit.exponent < high
    assert high - low < 0.15
    assert len(analysis.figure(sizes, impacts, fit).data) == 3


def test_fit_gives_exact_impacts_their_exponent(analysis: ModuleType) -> None:
    sizes = np.array([1.0, 4.0, 16.0])
    fit = analysis.fit_power_law(sizes, 3 * np.sqrt(sizes), np.ones(3))
    assert fit == pytest.approx((3, 0.5), abs=1e-4)


def test_impact_is_the_difference_at_the_last_slice(analysis: ModuleType) -> None:
    volume = np.arange(4.0)
    present = analysis.Path(np.array([100.0, 101.0, 105.0, 103.0]), volume, 2)
    absent = analysis.Path(np.array([100.0, 100.0, 101.0, 110.0]), volume, -1)
    assert analysis.impact(present, absent) == 4


@pytest.mark.parametrize(
    ("exponent", "low", "high", "expected"),
    [
        (0.5, 0.4, 0.6, [True, True]),
        (0.7, 0.6, 0.8, [True, False]),
        (1.0, 0.9, 1.1, [False, False]),
        (0.5, -0.1, 1.1, [False, False]),
    ],
)
def test_rules(analysis: ModuleType, exponent: float, low: float, high: float, expected: list[bool]) -> None:
    assert [claim.holds for claim in analysis.exponent_claims(exponent, low, high)] == expected


def path(analysis: ModuleType, trial: Trial, exponent: float):
    """Return a seed's random walk, lifted by ``quantity ** exponent`` when the metaorder has been traded."""
    generator = np.random.default_rng(trial.seed)
    mid = 100_000 + np.cumsum(generator.normal(0, 10, 6_800))
    volume = np.arange(6_800.0)
    if trial.set == analysis.ABSENT:
        return analysis.Path(mid, volume, -1)
    quantity = trial.set["populations.metaorder.parameters.quantity"]
    end = analysis.START + 5 * quantity
    mid[end:] += quantity**exponent * generator.uniform(0.8, 1.2)
    return analysis.Path(mid, volume, end)


@pytest.mark.parametrize(
    ("exponent", "holds"), [(0.5, [True, True]), (0.8, [True, False]), (1.1, [False] * 2)]
)
def test_study_compares_each_metaorder_to_its_own_market(
    analysis: ModuleType, known_lab, exponent: float, holds: list[bool]
) -> None:
    lab = known_lab(lambda trial: path(analysis, trial, exponent))
    claims = analysis.study(lab)
    assert claims[0].estimate == pytest.approx(exponent, abs=0.02)
    assert [claim.holds for claim in claims] == holds
    volatility, volume = analysis.market_scales(
        [path(analysis, t, exponent) for t in absent_trials(analysis)]
    )
    shown = lab.figures[0].data[0]
    assert shown.x == pytest.approx(analysis.SIZES / volume)
    assert shown.y == pytest.approx(analysis.SIZES**exponent / volatility, rel=0.1)


def absent_trials(analysis: ModuleType) -> list[Trial]:
    """Return the study's trials without a metaorder."""
    return [Trial(seed, set=analysis.ABSENT) for seed in range(1, 41)]


def test_a_metaorder_changes_nothing_before_it_starts_and_lifts_the_price(analysis: ModuleType) -> None:
    large = {"populations.metaorder.parameters.quantity": 320}
    with Lab(FOLDER) as lab:
        absent, present = lab.runs(analysis.observe, [Trial(1, set=analysis.ABSENT), Trial(1, set=large)])
    assert absent.end == -1
    assert analysis.START + 500 < present.end < absent.mid.size
    before = slice(0, analysis.START)
    assert np.array_equal(absent.mid[before], present.mid[before])
    volatility, _ = analysis.market_scales([absent])
    assert analysis.impact(present, absent) > 0.3 * volatility
