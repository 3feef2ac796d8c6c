"""Estimators that several facts share: moments, autocorrelations, tails, memory, each with its bootstrap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.analysis.bootstrap import Options, percentile_interval, resampled_means
from simlab.analysis.facts.finding import Measured, NotEnoughError
from simlab.analysis.libraries import load

__all__ = [
    "TAIL",
    "Tail",
    "autocorrelations",
    "correlations",
    "kurtosis",
    "local_whittle",
    "memory",
    "power_law_tail",
    "relative_volume",
    "standardised",
]

TAIL = 0.05
"""Share of the values that count as the tail."""

_DISTINCT_AT_LEAST = 20
_EXPONENTS = {"alpha": [1.0 + 1e-6, 1_000.0]}
_TREND = 51
_MEMORIES = np.linspace(-0.49, 0.99, 297)


def standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values less their mean over their standard deviation."""
    return (values - values.mean()) / values.std()


def relative_volume(volume: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return volume over its centred mean of 51 intervals, fewer at the ends; 0 where that is 0."""
    window = np.ones(_TREND)
    trend = np.convolve(volume, window, "same") / np.convolve(np.ones(len(volume)), window, "same")
    return volume / np.where(trend > 0, trend, 1.0)


def kurtosis(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return excess kurtosis from the means of x, x^2, x^3, x^4 in the last axis."""
    m1, m2, m3, m4 = np.moveaxis(moments, -1, 0)
    variance = m2 - m1**2
    return (m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4) / variance**2 - 3


def autocorrelations(
    values: NDArray[np.float64], lags: range, block: float, options: Options
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return autocorrelations at lags, ``(k,)``, and in every bootstrap sample, ``(replications, k)``."""
    return correlations(values, values, lags, block, options)


def correlations(
    x: NDArray[np.float64], y: NDArray[np.float64], lags: range, block: float, options: Options
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return correlations of x now with y some lags later, and in every bootstrap sample.

    Parameters
    ----------
    x, y : (n,) float64
    lags : range
        Not negative.
    block : float
        Mean block length, observations.

    Returns
    -------
    (k,) float64, (replications, k) float64
    """
    x, y = standardised(x), standardised(y)
    n = len(x) - lags[-1]
    now = x[:n]
    features = [now, now**2]
    for lag in lags:
        later = y[lag : lag + n]
        features += [later, later**2, now * later]
    means, draws = resampled_means(features, block, options)
    return _correlation(means), _correlation(draws)


def _correlation(means: NDArray[np.float64]) -> NDArray[np.float64]:
    x, x2 = means[..., :1], means[..., 1:2]
    y, y2, xy = means[..., 2::3], means[..., 3::3], means[..., 4::3]
    return (xy - x * y) / np.sqrt((x2 - x**2) * (y2 - y**2))


class Tail(NamedTuple):
    """A power law fitted to the largest values: P(X > x) falls as x^-exponent."""

    exponent: float
    low: float
    high: float
    worse: bool
    """Whether an exponential fits the tail better, at 10% significance."""


def power_law_tail(values: NDArray[np.float64], block: float, options: Options) -> Tail:
    """Fit a power law to the largest twentieth of positive values, by maximum likelihood (Hill).

    Against the exponential it is tested as in Clauset, Shalizi and Newman 2009 (Vuong's likelihood ratio).

    Raises
    ------
    NotEnoughError
        When the tail has fewer than 20 distinct values.
    """
    threshold = float(np.quantile(values, 1 - TAIL))
    tail = values >= threshold
    distinct = len(np.unique(values[tail]))
    if threshold <= 0 or distinct < _DISTINCT_AT_LEAST:
        raise NotEnoughError(
            f"The tail has {distinct} distinct values above 0, and {_DISTINCT_AT_LEAST} are needed; "
            "they are too coarse"
        )
    fit = load("powerlaw").Fit(values / threshold, xmin=1.0, verbose=False, parameter_ranges=_EXPONENTS)
    ratio, p = fit.distribution_compare("power_law", "exponential", normalized_ratio=True)
    excess = np.where(tail, np.log(np.maximum(values, threshold) / threshold), 0.0)
    _, draws = resampled_means([tail.astype(float), excess], block, options)
    low, high = percentile_interval(draws[:, 0] / draws[:, 1], options.level)
    return Tail(float(fit.power_law.alpha) - 1, low, high, bool(ratio < 0 and p < 0.1))


def memory(values: NDArray[np.float64], options: Options) -> Measured:
    """Return the exponent of the decay of autocorrelation, 1 - 2d, with d by the local Whittle estimator.

    `shown` is not judged here.
    """
    estimate, draws = local_whittle(values, options)
    low, high = percentile_interval(1 - 2 * draws, options.level)
    return Measured(1 - 2 * estimate, low, high, False)


def local_whittle(values: NDArray[np.float64], options: Options) -> tuple[float, NDArray[np.float64]]:
    """Return the order of fractional integration d, and bootstrap draws of it.

    The lowest ``sqrt(n)`` frequencies are used, so that short memory has little part in it. The bootstrap
    draws periodogram ordinates divided by the fitted spectrum, which are nearly independent; blocks of the
    series itself would cut long memory.

    Parameters
    ----------
    values : (n,) float64

    Returns
    -------
    d : float, -0.49 to 0.99
        0 for no memory, 0 to 0.5 for long memory.
    draws : (replications,) float64

    References
    ----------
    Robinson 1995, Annals of Statistics 23, 1630-1661; Arteche and Orbe 2009, Computational Statistics and
    Data Analysis 53, 2013-2023 (bootstrap of the local periodogram).
    """
    m = int(len(values) ** 0.5)
    ordinates = np.abs(np.fft.rfft(values - values.mean())[1 : m + 1]) ** 2
    frequencies = 2 * np.pi * np.arange(1, m + 1) / len(values)
    d = float(_whittle(ordinates[None], frequencies)[0])
    residuals = ordinates * frequencies ** (2 * d)
    rng = np.random.default_rng(options.seed)
    drawn = residuals[rng.integers(m, size=(options.replications, m))] * frequencies ** (-2 * d)
    return d, _whittle(drawn, frequencies)


def _whittle(ordinates: NDArray[np.float64], frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each row the memory that minimises Robinson's objective, on a grid of 0.005."""
    powers = frequencies[:, None] ** (2 * _MEMORIES)
    objective = np.log(ordinates @ powers) - 2 * _MEMORIES * np.log(frequencies).mean()
    return _MEMORIES[np.argmin(objective, axis=1)]
