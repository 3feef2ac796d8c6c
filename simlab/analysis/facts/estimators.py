"""Estimators that several facts share: moments, autocorrelations, tails, memory, each with its bootstrap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.analysis.facts.finding import Measured, NotEnoughError
from simlab.analysis.libraries import library
from simlab.analysis.statistics import Options, percentile_interval, resampled_means

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
_WORSE_Z = -1.6448536269514722  # two-sided significance of 10%
_EXPONENTS = {"alpha": [1.0 + 1e-6, 1_000.0]}
_TREND = 51
_MEMORIES = np.linspace(-0.49, 0.99, 297)
_LOW, _LOWEST = 0.5, 0.4  # powers of n: how many frequencies are low
_SLOW = 0.9


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


def power_law_tail(
    values: NDArray[np.float64], block: float, options: Options, *, whole: bool = False
) -> Tail:
    """Fit a power law to the largest twentieth of positive values, by maximum likelihood.

    Of a continuous quantity it is the estimator of Hill 1975. That of whole numbers would be too high, for
    they are rounded down: there k stands for k up to k + 1, with probability ``(k^-a - (k+1)^-a) xmin^a``
    (Virkar and Clauset 2014, Annals of Applied Statistics 8, 89-119, with bins of 1). Both are tested against
    the exponential as in Clauset, Shalizi and Newman 2009 (Vuong's likelihood ratio).

    Parameters
    ----------
    values : (n,) float64
    block : float
        Mean block length of the bootstrap, values. The threshold is held in it.
    whole : bool
        Whether the values are whole numbers, such as lots.

    Raises
    ------
    NotEnoughError
        When the tail has fewer than 20 distinct values.
    """
    threshold = float(np.quantile(values, 1 - TAIL))
    threshold = float(np.ceil(threshold)) if whole else threshold
    tail = values >= threshold
    distinct = len(np.unique(values[tail]))
    if threshold <= 0 or distinct < _DISTINCT_AT_LEAST:
        raise NotEnoughError(
            f"The tail has {distinct} distinct values above 0, and {_DISTINCT_AT_LEAST} are needed; "
            "they are too coarse"
        )
    inverse = np.zeros(len(values))
    inverse[tail], worse = (_whole_tail if whole else _continuous_tail)(values[tail], threshold)
    means, draws = resampled_means([tail.astype(float), inverse], block, options)
    low, high = percentile_interval(draws[:, 0] / draws[:, 1], options.confidence)
    return Tail(float(means[0] / means[1]), low, high, worse)


def _continuous_tail(tail: NDArray[np.float64], threshold: float) -> tuple[NDArray[np.float64], bool]:
    """Return values whose mean is 1 over the exponent, and whether an exponential fits better."""
    fit = library("powerlaw").Fit(tail / threshold, xmin=1.0, verbose=False, parameter_ranges=_EXPONENTS)
    ratio, p = fit.distribution_compare("power_law", "exponential", normalized_ratio=True)
    return np.log(tail / threshold), bool(ratio < 0 and p < 0.1)


def _whole_tail(tail: NDArray[np.float64], threshold: float) -> tuple[NDArray[np.float64], bool]:
    """Return the same of whole numbers.

    The values are a step of Fisher scoring for 1 over the exponent from its maximum-likelihood estimate, so
    that their mean in a bootstrap sample is the estimate of that sample, to first order.
    """
    distance, gap = np.log(tail / threshold), np.log1p(1 / tail)

    def score(exponent: float) -> NDArray[np.float64]:
        return gap / np.expm1(exponent * gap) - distance

    exponent = library("scipy.optimize").brentq(lambda a: score(a).mean(), 1e-3, 1e3)
    information = np.mean((gap / (2 * np.sinh(exponent * gap / 2))) ** 2)
    inverse = 1 / exponent - score(exponent) / (exponent**2 * information)

    beyond = tail - threshold
    geometric = beyond * np.log(beyond.mean() / (1 + beyond.mean())) - np.log1p(beyond.mean())
    ratio = np.log(-np.expm1(-exponent * gap)) - exponent * distance - geometric
    return inverse, bool(ratio.mean() * len(tail) ** 0.5 < _WORSE_Z * ratio.std())


def memory(values: NDArray[np.float64], options: Options) -> Measured:
    """Return the exponent of the decay of autocorrelation, 1 - 2d, with d by the local Whittle estimator.

    Shown: its interval lies below 0.9, and so does the one from fewer frequencies, the lowest ``n^0.4``.
    Short memory that takes long to fade (a Markov chain that seldom turns, a GARCH process close to its
    limit) bends the spectrum at all but the lowest frequencies and would pass for long memory by the first
    interval alone. The two cannot tell them apart in a series that is short beside the time the memory takes
    to fade: of 1,000 values, about 5% of Markov chains with an autocorrelation of 0.9 and 13% of GARCH(1,1)
    processes with ``a = 0.1, b = 0.85`` are still said to have it; of 5,000, hardly any. The price is power:
    of signs with an exponent of 0.5 about 8 in 10 series of 10,000 are shown, and of series of 2,000 with an
    exponent of 0.2 about 4 in 10.
    """
    estimate, draws = local_whittle(values, options)
    low, high = percentile_interval(1 - 2 * draws, options.confidence)
    lowest, lowest_draws = local_whittle(values, options, _LOWEST)
    bounds = percentile_interval(1 - 2 * lowest_draws, options.confidence)
    note = f"At the lowest n^0.4 frequencies it is {1 - 2 * lowest:.2f} [{bounds[0]:.2f}, {bounds[1]:.2f}]"
    return Measured(1 - 2 * estimate, low, high, max(high, bounds[1]) < _SLOW, note)


def local_whittle(
    values: NDArray[np.float64], options: Options, power: float = _LOW
) -> tuple[float, NDArray[np.float64]]:
    """Return the order of fractional integration d, and bootstrap draws of it.

    The lowest ``n^power`` frequencies are used, so that short memory has little part in it. The bootstrap
    draws periodogram ordinates divided by the fitted spectrum, which are nearly independent; blocks of the
    series itself would cut long memory.

    Parameters
    ----------
    values : (n,) float64
    power : float, 0 to 0.8, exclusive
        The higher, the narrower the interval, and the more short memory counts.

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
    m = int(len(values) ** power)
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
