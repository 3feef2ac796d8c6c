"""Intervals of means and of effect sizes are what they are defined to be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from simlab.analysis.statistics import independent, mean_interval, paired
from simlab.errors import AnalysisError


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_of_a_mean_is_where_its_t_test_turns(confidence: float) -> None:
    values = [2.0, 4.0, 6.0, 9.0]
    mean, low, high = mean_interval(values, confidence)
    assert mean == 5.25
    for end in (low, high):
        assert stats.ttest_1samp(values, end).pvalue == pytest.approx(1 - confidence)


def test_values_that_are_all_the_same_have_an_interval_of_no_width() -> None:
    assert mean_interval([3.0, 3.0, 3.0]) == (3.0, 3.0, 3.0)


def test_one_value_has_no_interval() -> None:
    with pytest.raises(AnalysisError, match="at least 2 values, not 1; take more seeds"):
        mean_interval([1.0])


@pytest.mark.parametrize("shift", [-3.0, -1.0, 0.0, 0.02, 0.5, 2.0])
@pytest.mark.parametrize("pairs", [3, 12, 150])
def test_the_ends_of_an_effect_make_the_statistic_just_surprising(shift: float, pairs: int) -> None:
    values = np.random.default_rng(1).standard_normal(pairs) + shift
    t = values.mean() / values.std(ddof=1) * pairs**0.5
    found = paired(np.zeros(pairs), values, 0.9)
    for end, probability in ((found.effect_low, 0.95), (found.effect_high, 0.05)):
        assert stats.nct.cdf(t, pairs - 1, end * pairs**0.5) == pytest.approx(probability, abs=1e-9)


def test_swapping_the_samples_turns_the_effect_round() -> None:
    a, b = [1.0, 2.0, 4.0, 4.5], [2.0, 2.5, 6.0, 7.0, 7.5]
    there, back = independent(a, b), independent(b, a)
    assert (there.effect_low, there.effect_high) == pytest.approx((-back.effect_high, -back.effect_low))


@pytest.mark.parametrize("effect", [0.0, 0.8])
def test_intervals_of_effect_sizes_cover(effect: float) -> None:
    rng = np.random.default_rng(0)
    held = {"paired": 0, "independent": 0}
    for _ in range(300):
        a, b = rng.standard_normal(12), rng.standard_normal(12) + effect
        of_pairs = paired(np.zeros(12), b, 0.9)
        of_samples = independent(a, b, 0.9)
        held["paired"] += of_pairs.effect_low <= effect <= of_pairs.effect_high
        held["independent"] += of_samples.effect_low <= effect <= of_samples.effect_high
    for kind, count in held.items():
        assert count == pytest.approx(270, abs=18), kind  # 3.5 standard errors


def test_extreme_effects_have_no_interval_but_a_p_value() -> None:
    found = paired([0.0, 0.0, 0.0], [1e6, 1e6 + 1, 1e6])
    assert np.isnan(found.effect_low)
    assert found.p < 1e-6


def test_effect_of_two_seeds_is_given_where_its_interval_cannot_be_computed() -> None:
    found = paired([0.0, 0.0], [39.0, 41.0])  # t is 40 with one degree of freedom
    assert found.effect == pytest.approx(40 / 2**0.5)
    assert np.isnan(found.effect_low) or np.isnan(found.effect_high)
    assert found.p == pytest.approx(0.0159, abs=1e-4)


def test_pairs_need_equal_lengths() -> None:
    with pytest.raises(AnalysisError, match="pairs have shapes"):
        paired([1.0], [1.0, 2.0])
