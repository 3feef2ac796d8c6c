"""The bootstrap keeps dependence, gives the same intervals every time, and covers what it should."""

from __future__ import annotations

import numpy as np
import pytest

from simlab.analysis.statistics import (
    Options,
    UndefinedError,
    block_length,
    percentile_interval,
    resampled_means,
)
from simlab.errors import AnalysisError


def _autoregressive(rho: float, n: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(n + 100)
    values = np.zeros(n + 100)
    for t in range(1, n + 100):
        values[t] = rho * values[t - 1] + noise[t]
    return values[100:]


def test_standard_error_of_a_dependent_mean() -> None:
    values = _autoregressive(0.7, 4_000, 0)
    options = Options(replications=400)
    _, blocks = resampled_means([values], block_length(values), options)
    _, single = resampled_means([values], 1.0, options)
    long_run = 1 / (1 - 0.7) / len(values) ** 0.5
    assert blocks.std() == pytest.approx(long_run, rel=0.2)
    assert single.std() < 0.6 * long_run


def test_groups_of_rows_keep_the_standard_error() -> None:
    values = np.random.default_rng(3).standard_normal(33_000)
    means, draws = resampled_means([values], 1.0, Options(replications=400))
    assert means[0] == pytest.approx(values.mean(), abs=1e-12)
    assert draws.std() == pytest.approx(len(values) ** -0.5, rel=0.15)


def test_the_same_seed_gives_the_same_draws_and_another_does_not() -> None:
    values = _autoregressive(0.3, 500, 1)
    draws = [resampled_means([values], 5.0, Options(100, seed))[1] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_intervals_cover() -> None:
    held = 0
    for seed in range(60):
        values = _autoregressive(0.5, 800, seed)
        _, draws = resampled_means([values], block_length(values), Options(200))
        low, high = percentile_interval(draws[:, 0], 0.9)
        held += low <= 0 <= high
    assert 46 <= held <= 60  # 54 expected; a tenth of them is 5 standard errors


def test_block_length_has_bounds() -> None:
    assert block_length(np.ones(100)) == 1.0
    assert block_length(np.arange(40.0)) == 4.0


def test_a_statistic_that_is_hardly_ever_defined_has_no_interval() -> None:
    with pytest.raises(UndefinedError, match="undefined in 50 of 100"):
        percentile_interval(np.r_[np.full(50, np.nan), np.zeros(50)], 0.95)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"replications": 10}, "replications is 10"),
        ({"confidence": 1.0}, "confidence is 1.0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_options_are_checked(values: dict[str, float], told: str) -> None:
    with pytest.raises(AnalysisError, match=told):
        Options(**values)
