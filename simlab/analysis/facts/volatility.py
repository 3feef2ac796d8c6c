"""Facts about volatility: how it clusters, for how long, and what goes with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simlab.analysis.facts.estimators import autocorrelations, correlations, memory, relative_volume
from simlab.analysis.facts.evidence import Evidence
from simlab.analysis.facts.finding import Measured, NotEnoughError, fact
from simlab.analysis.libraries import library
from simlab.analysis.statistics import Options, block_length, percentile_interval, resampled_means

__all__ = [
    "asymmetry_of_time_scales",
    "clustering_of_squares",
    "intermittency",
    "leverage_effect",
    "slow_decay",
    "volatility_clustering",
    "volume_and_volatility",
]

_LAGS = range(1, 11)
_NEGLIGIBLE = 0.02
_NEGLIGIBLE_LEVERAGE = 0.01
_WINDOW = 20
_LARGE = 0.1
_COARSE = 5


@fact(
    "volatility clustering",
    "Mean autocorrelation of absolute returns at lags 1 to 10; shown when the interval lies above 0.02.",
    least=250,
)
def volatility_clustering(source: Evidence, options: Options) -> Measured:
    """Judge whether large returns follow large returns (Cont 2001, fact 6).

    Estimate: the mean over lags 1 to 10 of the autocorrelation of ``|r|``. Interval: percentiles of the block
    bootstrap. Shown: the interval lies above 0.02. Unit: 1.
    """
    return _clustering(np.abs(source.returns), options)


@fact(
    "clustering of squares",
    "Mean autocorrelation of squared returns at lags 1 to 10; shown when the interval lies above 0.02.",
    least=250,
)
def clustering_of_squares(source: Evidence, options: Options) -> Measured:
    """Judge volatility clustering by squared returns, as ARCH models have it (Cont 2001, fact 6).

    As `volatility_clustering`, with ``r^2`` in place of ``|r|``; a few large returns have more weight in it.
    """
    return _clustering(source.returns**2, options)


def _clustering(size: NDArray[np.float64], options: Options) -> Measured:
    if not np.ptp(size):
        raise NotEnoughError("All returns are of one size")
    rho, draws = autocorrelations(size, _LAGS, block_length(size), options)
    low, high = percentile_interval(draws.mean(axis=1), options.confidence)
    return Measured(rho.mean(), low, high, low > _NEGLIGIBLE)


@fact(
    "slow decay of volatility",
    "Exponent b of the decay lag^-b of the autocorrelation of absolute returns; shown when the interval "
    "lies below 0.9, also at fewer frequencies.",
    least=1_000,
)
def slow_decay(source: Evidence, options: Options) -> Measured:
    """Judge whether the autocorrelation of absolute returns decays slowly (Cont 2001, fact 8: 0.2 to 0.4).

    Estimate: ``b = 1 - 2 d``, where d is the memory of ``|r|`` by the local Whittle estimator of Robinson
    1995 on the lowest ``sqrt(n)`` frequencies; an autocorrelation that falls like ``lag^-b`` has a spectrum
    that grows like ``frequency^(b - 1)``. The estimator uses all lags, where a fit to the autocorrelations
    themselves depends on which are chosen. No memory gives 1, less than 0 is a volatility that wanders off.
    Interval: percentiles of a bootstrap of the local periodogram. Shown: the interval lies below 0.9, and so
    does that from the lowest ``n^0.4`` frequencies, which volatility of short memory, such as GARCH, seldom
    passes; in 1,000 returns it still can, in about one series of ten. Unit: 1.
    """
    return memory(np.abs(source.returns), options)


@fact(
    "intermittency",
    "Variance over mean of the number of large moves in 20 intervals, over that of chance; shown when the"
    " interval lies above 1.",
    least=500,
)
def intermittency(source: Evidence, options: Options) -> Measured:
    """Judge whether large moves come in bursts (Cont 2001, fact 5).

    Estimate: the Fano factor (variance over mean) of the number of returns among the largest 10% in windows
    of 20 returns, divided by that of independent returns, 0.9. Windows overlap. Interval: percentiles of the
    block bootstrap with blocks of at least 40 windows. Shown: the interval lies above 1. Unit: 1.
    """
    size = np.abs(source.returns - source.returns.mean())
    large = (size > np.quantile(size, 1 - _LARGE)).astype(float)
    chance = 1 - large.mean()
    counts = np.convolve(large, np.ones(_WINDOW), mode="valid")
    block = max(block_length(size), 2.0 * _WINDOW)
    means, draws = resampled_means([counts, counts**2], block, options)
    low, high = percentile_interval(_dispersion(draws) / chance, options.confidence)
    return Measured(float(_dispersion(means)) / chance, low, high, low > 1)


def _dispersion(means: NDArray[np.float64]) -> NDArray[np.float64]:
    return (means[..., 1] - means[..., 0] ** 2) / means[..., 0]


@fact(
    "leverage effect",
    "Mean correlation of a return with the squared returns 1 to 10 intervals later; shown when the "
    "interval lies below -0.01.",
    least=500,
)
def leverage_effect(source: Evidence, options: Options) -> Measured:
    """Judge whether volatility rises after losses (Cont 2001, fact 9).

    Estimate: the mean over lags 1 to 10 of the correlation of ``r_t`` with ``r_(t+lag)^2``. Interval:
    percentiles of the block bootstrap. Shown: the interval lies below -0.01. Unit: 1.
    """
    returns = source.returns
    rho, draws = correlations(returns, returns**2, _LAGS, block_length(returns, returns**2), options)
    low, high = percentile_interval(draws.mean(axis=1), options.confidence)
    return Measured(rho.mean(), low, high, high < -_NEGLIGIBLE_LEVERAGE)


@fact(
    "volume and volatility",
    "Rank correlation of volume, its trend taken out, with absolute returns; shown when the interval lies"
    " above 0.",
    needs="volume",
    least=250,
)
def volume_and_volatility(source: Evidence, options: Options) -> Measured:
    """Judge whether more is traded while prices move more (Cont 2001, fact 10).

    Estimate: the correlation of the ranks of ``|r|`` with the ranks of volume less its centred mean over 51
    intervals relative to that mean; decades of growing volume are no part of the fact. Interval: percentiles
    of the block bootstrap of the ranks. Shown: the interval lies above 0. Unit: 1.
    """
    assert source.volume is not None
    rank = library("scipy.stats").rankdata
    size = rank(np.abs(source.returns))
    volume = rank(relative_volume(source.volume))
    if not np.ptp(size) or not np.ptp(volume):
        raise NotEnoughError("All returns are of one size, or all volumes equal")
    rho, draws = correlations(size, volume, range(1), block_length(size, volume), options)
    low, high = percentile_interval(draws[:, 0], options.confidence)
    return Measured(rho[0], low, high, low > 0)


@fact(
    "asymmetry of time scales",
    "Correlation of coarse volatility with later fine volatility, less that with earlier; shown when the "
    "interval lies above 0.",
    least=1_000,
)
def asymmetry_of_time_scales(source: Evidence, options: Options) -> Measured:
    """Judge whether coarse volatility predicts fine better than the reverse (Cont 2001, fact 11).

    In windows of 5 returns the fine volatility is the mean of ``|r|`` and the coarse the absolute value of
    their sum. Estimate: the correlation of coarse with the next window's fine, less that of fine with the
    next window's coarse. Interval: percentiles of the block bootstrap. Shown: the interval lies above 0.
    Unit: 1.

    References
    ----------
    Müller et al. 1997, Journal of Empirical Finance 4, 213-239.
    """
    returns = source.returns - source.returns.mean()
    windows = returns[: len(returns) // _COARSE * _COARSE].reshape(-1, _COARSE)
    coarse, fine = np.abs(windows.sum(axis=1)), np.abs(windows).mean(axis=1)
    block = block_length(coarse, fine)
    next_one = range(1, 2)
    forward, forward_draws = correlations(coarse, fine, next_one, block, options)
    backward, backward_draws = correlations(fine, coarse, next_one, block, options)
    low, high = percentile_interval((forward_draws - backward_draws)[:, 0], options.confidence)
    return Measured(forward[0] - backward[0], low, high, low > 0)
