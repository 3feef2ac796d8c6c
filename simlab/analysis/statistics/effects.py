"""Say how sure a mean is, and compare two samples: difference, effect size, intervals and p-value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simlab.analysis.libraries import library
from simlab.errors import AnalysisError

__all__ = ["Effect", "independent", "mean_interval", "paired"]


@dataclass(frozen=True)
class Effect:
    """How b differs from a; NaN where the samples cannot tell.

    Attributes
    ----------
    difference, low, high : float
        Mean of b less mean of a, with its interval, in the unit of the samples.
    effect, effect_low, effect_high : float
        Cohen's d_z (paired) or Hedges' g (independent), with its interval, in standard deviations.
    p : float
        Two-sided p-value of no difference.
    """

    difference: float
    low: float = np.nan
    high: float = np.nan
    effect: float = np.nan
    effect_low: float = np.nan
    effect_high: float = np.nan
    p: float = np.nan


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of independent values and its t interval.

    Parameters
    ----------
    values : (n,) array-like of float
        At least two.
    confidence : float
        Of confidence.

    Raises
    ------
    AnalysisError
        When there are fewer than two values.

    Example
    -------
    >>> [round(x, 2) for x in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.48, 4.48]
    """
    sample = np.asarray(values, float)
    if sample.size < 2:
        raise AnalysisError(f"an interval needs at least 2 values, not {sample.size}; take more seeds")
    stats = library("scipy.stats")
    ends = np.array(stats.t.interval(confidence, sample.size - 1)) * stats.sem(sample)
    mean = float(sample.mean())
    return mean, float(mean + ends[0]), float(mean + ends[1])


def paired(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Effect:
    """Compare pairs: t interval of the mean difference, Cohen's ``d_z = mean / std`` of the differences.

    The interval of d_z is exact for normal differences, from the noncentral t distribution.

    Parameters
    ----------
    a, b : (n,) array-like of float
        Entry i of both was made under the same conditions.
    confidence : float

    Returns
    -------
    Effect
        Only the difference is known with one pair, or when all differences are the same.

    Raises
    ------
    AnalysisError
        When the samples are not of one length.

    Example
    -------
    >>> found = paired([1.0, 2.0, 3.0], [2.1, 3.0, 3.9])
    >>> round(found.difference, 3), round(found.low, 2), round(found.high, 2), round(found.p, 4)
    (1.0, 0.75, 1.25, 0.0033)

    References
    ----------
    Lakens 2013, Frontiers in Psychology 4, 863 (equations 6 and 7); Cumming and Finch 2001, Educational and
    Psychological Measurement 61, 532-574.
    """
    before, after = np.asarray(a, float), np.asarray(b, float)
    if before.shape != after.shape or before.ndim != 1:
        raise AnalysisError(
            f"pairs have shapes {before.shape} and {after.shape}; give two samples of one length"
        )
    differences = after - before
    mean, n = float(differences.mean()), len(differences)
    if n < 2 or _same(differences):
        return Effect(mean)
    error = float(differences.std(ddof=1)) / n**0.5
    bounds = _noncentral(mean / error, n - 1, confidence) / n**0.5
    return _effect(mean, error, n - 1, mean / error / n**0.5, bounds, confidence)


def independent(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Effect:
    """Compare independent samples: Welch's t interval of the difference of means, and Hedges' g.

    g is the difference over the pooled standard deviation, times ``1 - 3 / (4 (n_a + n_b) - 9)`` against its
    bias in small samples; its interval is from the noncentral t distribution and takes variances as equal.

    Parameters
    ----------
    a, b : (n,), (m,) array-like of float
    confidence : float

    Returns
    -------
    Effect
        Only the difference is known with fewer than two values in a sample, or when no value differs from its
        sample's mean.

    Example
    -------
    >>> found = independent([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    >>> round(found.difference, 1), round(found.effect, 2), round(found.p, 3)
    (3.0, 2.4, 0.021)

    References
    ----------
    Welch 1947, Biometrika 34, 28-35; Hedges 1981, Journal of Educational Statistics 6, 107-128.
    """
    before, after = np.asarray(a, float), np.asarray(b, float)
    mean = float(after.mean() - before.mean())
    n, m = len(before), len(after)
    if min(n, m) < 2 or (_same(before) and _same(after)):
        return Effect(mean)
    shares = np.array([before.var(ddof=1) / n, after.var(ddof=1) / m])
    freedom = shares.sum() ** 2 / (shares**2 / (n - 1, m - 1)).sum()
    pooled = (((n - 1) * before.var(ddof=1) + (m - 1) * after.var(ddof=1)) / (n + m - 2)) ** 0.5
    scale = (1 / n + 1 / m) ** 0.5
    correction = 1 - 3 / (4 * (n + m) - 9)
    bounds = _noncentral(mean / pooled / scale, n + m - 2, confidence) * scale * correction
    effect = mean / pooled * correction
    return _effect(mean, float(shares.sum() ** 0.5), float(freedom), effect, bounds, confidence)


def _effect(
    mean: float, error: float, freedom: float, effect: float, bounds: NDArray[np.float64], confidence: float
) -> Effect:
    t = library("scipy.stats").t
    half = float(t.isf((1 - confidence) / 2, freedom)) * error
    p = float(2 * t.sf(abs(mean) / error, freedom))
    return Effect(mean, mean - half, mean + half, float(effect), float(bounds[0]), float(bounds[1]), p)


def _same(values: NDArray[np.float64]) -> bool:
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def _noncentral(t: float, freedom: float, confidence: float) -> NDArray[np.float64]:
    """Return the noncentralities between which a statistic is not surprising; NaN where t is too extreme."""
    cdf, search = library("scipy.stats").nct.cdf, library("scipy.optimize.elementwise")
    tail = (1 - confidence) / 2
    wanted = (np.array([1 - tail, tail]),)  # the cdf falls with the noncentrality

    def excess(shift: NDArray[np.float64], probability: NDArray[np.float64]) -> NDArray[np.float64]:
        return cdf(t, freedom, shift) - probability

    around = search.bracket_root(excess, t - 1.0, t + 1.0, args=wanted)
    found = search.find_root(excess, around.bracket, args=wanted)
    return np.where(around.success & found.success, found.x, np.nan)
