"""Resample dependent data: block lengths, means of many features at once, and percentile intervals.

A statistic here is a function of means of features, such as ``mean(x_t * x_{t+1})``. The features of one time
stay together in a row and rows are drawn in blocks, so that no product spans a seam between two blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simlab.analysis.libraries import library
from simlab.errors import AnalysisError

__all__ = ["Options", "UndefinedError", "block_length", "percentile_interval", "resampled_means"]

_MOST_ROWS = 5_000
_BLOCKS_AT_LEAST = 10
_LENGTH_FROM = 20_000


class UndefinedError(AnalysisError):
    """A statistic has no value in so many bootstrap samples that there is no interval."""


@dataclass(frozen=True)
class Options:
    """How intervals are made.

    Parameters
    ----------
    replications : int, at least 50
        Bootstrap samples.
    seed : int, not negative
        Seed of the resampling; the same seed gives the same intervals.
    confidence : float, 0.5 to 1, exclusive
        Of an interval: how often such intervals hold the true value.

    Raises
    ------
    AnalysisError
        When a value is out of its range.

    Example
    -------
    >>> Options(confidence=0.9).confidence
    0.9
    """

    replications: int = 500
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.replications < 50:
            raise AnalysisError(
                f"replications is {self.replications}; an interval needs 50, and 500 is a good number"
            )
        if not 0.5 < self.confidence < 1:
            raise AnalysisError(f"confidence is {self.confidence}; it lies between 0.5 and 1, such as 0.95")
        if self.seed < 0:
            raise AnalysisError(f"seed is {self.seed}; a seed is 0 or more")


def block_length(*series: NDArray[np.float64]) -> float:
    """Return the mean block length of a stationary bootstrap that keeps the dependence of every series.

    It is the longest of the lengths that `arch.bootstrap.optimal_block_length` finds, at least 1 and at most
    a tenth of the series, so that there is something left to draw from. Of a long series the first 20,000
    values are looked at.

    Parameters
    ----------
    series : (n,) float64 each
        For a statistic of volatility, give absolute or squared returns, whose dependence is long.

    Returns
    -------
    float
        In observations.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.standard_normal(2_000)
    >>> walk = np.convolve(noise, np.ones(50) / 50, mode="valid")
    >>> block_length(noise) < 10 < block_length(noise, walk)
    True

    References
    ----------
    Politis and White 2004, Econometric Reviews 23, 53-70; Patton, Politis and White 2009, 28, 372-375.
    """
    optimal = library("arch.bootstrap").optimal_block_length
    found = [_optimal(optimal, values[:_LENGTH_FROM]) for values in series]
    longest = max(1.0, len(series[0]) / _BLOCKS_AT_LEAST)
    return min(max(found), longest)


def _optimal(optimal: object, values: NDArray[np.float64]) -> float:
    if not np.ptp(values):
        return 1.0
    length = float(optimal(values)["stationary"].iloc[0])  # type: ignore[operator]
    return max(length, 1.0) if np.isfinite(length) else 1.0


def resampled_means(
    features: Iterable[NDArray[np.float64]], block: float, options: Options
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means of features, and the same means in every sample of a stationary bootstrap.

    More than 5,000 rows are first added up in groups of neighbours, which are then drawn whole: a group is a
    block of fixed length. So the cost hardly grows with the data.

    Parameters
    ----------
    features : iterable of (n,) float64
        Row t of all features belongs to time t. They are taken one by one, so they may be generated.
    block : float, at least 1
        Mean length of a block, rows.
    options : Options

    Returns
    -------
    means : (p,) float64
    draws : (replications, p) float64

    Example
    -------
    >>> x = np.random.default_rng(1).standard_normal(400)
    >>> means, draws = resampled_means([x, x * x], 1.0, Options(replications=200))
    >>> draws.shape, bool(abs(draws[:, 0].std() - 1 / 20) < 0.01)
    ((200, 2), True)

    References
    ----------
    Politis and Romano 1994, Journal of the American Statistical Association 89, 1303-1313; blocks of tuples
    as in Künsch 1989, Annals of Statistics 17, 1217-1241.
    """
    sums, group = _grouped(features)
    drawn = _multiplicities(len(sums), max(1.0, block / group), options) @ sums
    total = sums.sum(axis=0)
    return total[1:] / total[0], drawn[:, 1:] / drawn[:, :1]


def _grouped(features: Iterable[NDArray[np.float64]]) -> tuple[NDArray[np.float64], int]:
    """Return the sums over groups of rows, the number of rows first, and the rows of a group."""
    columns: list[NDArray[np.float64]] = []
    for feature in features:
        group = -(-len(feature) // _MOST_ROWS)
        starts = np.arange(0, len(feature), group)
        if not columns:
            columns.append(np.diff(np.r_[starts, len(feature)]).astype(float))
        columns.append(np.add.reduceat(feature, starts))
    return np.column_stack(columns), group


def _multiplicities(n: int, block: float, options: Options) -> NDArray[np.float64]:
    """Return how often each of n rows is in each sample, ``(replications, n) float64``."""
    sampler = library("arch.bootstrap").StationaryBootstrap(block, np.arange(n), seed=options.seed)
    counts = np.empty((options.replications, n))
    for row in counts:
        row[:] = np.bincount(sampler.update_indices(), minlength=n)
    return counts


def percentile_interval(draws: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Return the interval that leaves equally many of the draws out at both ends.

    Parameters
    ----------
    draws : (replications,) float64
        The statistic in every bootstrap sample; samples in which it is not defined (NaN) are left out.
    confidence : float
        Share of the draws inside.

    Raises
    ------
    UndefinedError
        When the statistic is undefined in more than a tenth of the samples.

    Example
    -------
    >>> percentile_interval(np.arange(101.0), 0.5)
    (25.0, 75.0)
    """
    known = draws[np.isfinite(draws)]
    if len(known) < 0.9 * len(draws):
        raise UndefinedError(
            f"The statistic is undefined in {len(draws) - len(known)} of {len(draws)} bootstrap samples, for "
            "hardly anything varies; give a longer series"
        )
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
