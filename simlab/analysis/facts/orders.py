"""Facts about orders and trades: memory of their signs, their sizes, when they come, what they move."""

from __future__ import annotations

from itertools import chain

import numpy as np
from numpy.typing import NDArray

from simlab.analysis.facts.estimators import memory, power_law_tail, relative_volume
from simlab.analysis.facts.evidence import Evidence, OrderFlow
from simlab.analysis.facts.finding import Measured, NotEnoughError, fact
from simlab.analysis.statistics import Options, block_length, percentile_interval, resampled_means

__all__ = [
    "concave_impact",
    "dispersed_waiting_times",
    "memory_of_order_signs",
    "order_clustering",
    "power_law_of_order_sizes",
    "skewed_volume",
]

_SIZE_INDEX = 3.0
_POISSON_SKEW = 0.5
_BUSY = 0.9
_IMPACTS = 50_000
_POWERS = np.linspace(0.0, 2.0, 101)


def _flow(source: Evidence) -> OrderFlow:
    assert source.flow is not None
    return source.flow


@fact(
    "memory of order signs",
    "Exponent g of the decay lag^-g of the autocorrelation of the signs of incoming orders; shown when "
    "the interval lies below 0.9, also at fewer frequencies.",
    needs="signs",
    least=1_000,
)
def memory_of_order_signs(source: Evidence, options: Options) -> Measured:
    """Judge whether the signs of incoming orders have long memory (Lillo and Farmer 2004: about 0.6).

    Signs are those of orders that traded on arrival, one an order, in order of time; the first million.
    Estimate: ``g = 1 - 2 d`` with the local Whittle estimator, and interval, rule and limits as in
    `slow_decay`: signs of short memory, such as a Markov chain that seldom turns, are hardly ever shown, and
    those of long memory with g = 0.5 mostly from 10,000 orders on. Unit: 1.

    References
    ----------
    Lillo and Farmer 2004, Studies in Nonlinear Dynamics and Econometrics 8 (3).
    """
    return memory(_flow(source).signs.astype(float), options)


@fact(
    "power law of order sizes",
    "Tail exponent of the lots that incoming orders trade, largest 5%; shown when the interval lies below"
    " 3 and an exponential does not fit better.",
    needs="sizes",
    least=1_000,
)
def power_law_of_order_sizes(source: Evidence, options: Options) -> Measured:
    """Judge whether the sizes of trades have a power-law tail (Gopikrishnan et al. 2000: about 1.5).

    All fills of an incoming order count together. Estimate: the exponent a by maximum likelihood for whole
    lots, where k lots stand for k up to k + 1 (Virkar and Clauset 2014); the estimator of Hill, made for
    continuous quantities, would be too high. How lots came to be whole matters where the tail begins at few
    of them: a probability in proportion to ``k^-(a+1)`` instead gives an estimate higher by a twentieth where
    the tail begins at 5 lots, and by hardly anything at 20. Interval and test as in `power_law_of_returns`,
    against a geometric distribution. Shown: the interval lies below 3, and the geometric does not fit the
    tail better. Unit: 1.

    References
    ----------
    Virkar and Clauset 2014, Annals of Applied Statistics 8, 89-119;
    Gopikrishnan, Plerou, Gabaix and Stanley 2000, Physical Review E 62, R4493.
    """
    sizes = _flow(source).sizes.astype(float)
    tail = power_law_tail(sizes, block_length(sizes), options, whole=True)
    shown = tail.high < _SIZE_INDEX and not tail.worse
    return Measured(
        tail.exponent, tail.low, tail.high, shown, "Exponential fits better" if tail.worse else ""
    )


@fact(
    "skewed volume",
    "Skewness of the volume traded in an interval over twice its coefficient of variation (1 for a gamma,"
    " 0.5 for a Poisson distribution); shown when the interval lies above 0.5.",
    needs="volume",
    least=500,
)
def skewed_volume(source: Evidence, options: Options) -> Measured:
    """Judge whether volume in equal intervals is skewed to the right (Vyetrenko et al. 2019: like a gamma).

    Volume is relative to its centred mean over 51 intervals, so that a trend does not count. Estimate:
    ``skewness / (2 std / mean)``, which is 1 for a gamma distribution, 0.5 for a Poisson, above 1.5 for a
    lognormal and 0 for a symmetric one. Interval: percentiles of the block bootstrap. Shown: the interval
    lies above 0.5. Unit: 1.
    """
    assert source.volume is not None
    volume = relative_volume(source.volume)
    if not np.ptp(volume):
        raise NotEnoughError("All volumes are the same")
    features = [volume, volume**2, volume**3]
    means, draws = resampled_means(features, block_length(volume), options)
    low, high = percentile_interval(_relative_skewness(draws), options.confidence)
    return Measured(float(_relative_skewness(means)), low, high, low > _POISSON_SKEW)


def _relative_skewness(means: NDArray[np.float64]) -> NDArray[np.float64]:
    m1, m2, m3 = np.moveaxis(means, -1, 0)
    variance = m2 - m1**2
    return (m3 - 3 * m1 * m2 + 2 * m1**3) / variance**2 * m1 / 2


@fact(
    "clustering of orders",
    "Variance over mean of the number of new orders in an interval (1 for a Poisson process); shown when "
    "the interval lies above 1.",
    needs="orders",
    least=250,
)
def order_clustering(source: Evidence, options: Options) -> Measured:
    """Judge whether orders come in clusters (Vyetrenko et al. 2019: number of orders in a fixed time window).

    Estimate: the Fano factor, variance over mean, of the number of new orders accepted during each return.
    Interval: percentiles of the block bootstrap. Shown: the interval lies above 1, the value of a Poisson
    process. Unit: orders.
    """
    counts = _flow(source).orders
    assert counts is not None
    means, draws = resampled_means([counts, counts**2], block_length(counts), options)
    low, high = percentile_interval(_fano(draws), options.confidence)
    return Measured(float(_fano(means)), low, high, low > 1)


def _fano(means: NDArray[np.float64]) -> NDArray[np.float64]:
    return (means[..., 1] - means[..., 0] ** 2) / means[..., 0]


@fact(
    "dispersed waiting times",
    "Variance of the steps between orders over that of a memoryless process of the same mean; shown when "
    "the interval lies above 1.",
    needs="waiting",
    least=500,
)
def dispersed_waiting_times(source: Evidence, options: Options) -> Measured:
    """Judge whether waiting times between orders vary more than by chance (Vyetrenko et al. 2019).

    Waiting times are those from one step with a new order to the next. Estimate: their variance over ``mean
    (mean - 1)``, the variance of a geometric distribution, which is the memoryless one in discrete time. A
    Weibull distribution with a shape below 1 has more. Interval: percentiles of the block bootstrap. Shown:
    the interval lies above 1. Not enough data: more than 90% of the steps have an order, so that steps are
    too coarse to see waiting. Unit: 1.
    """
    waiting = _flow(source).waiting
    assert waiting is not None
    busy = 1 / waiting.mean()
    if busy > _BUSY:
        raise NotEnoughError(f"{busy:.0%} of the steps have an order, so steps are too coarse to see waiting")
    values = waiting.astype(float)
    means, draws = resampled_means([values, values**2], block_length(values), options)
    low, high = percentile_interval(_over_dispersion(draws), options.confidence)
    return Measured(float(_over_dispersion(means)), low, high, low > 1)


def _over_dispersion(means: NDArray[np.float64]) -> NDArray[np.float64]:
    mean, square = means[..., 0], means[..., 1]
    return (square - mean**2) / (mean * (mean - 1))


@fact(
    "concave impact",
    "Exponent d of price changes against net volume, sign(q) |q|^d; shown when the interval lies between "
    "0 and 1.",
    needs="net_volume",
    least=1_000,
)
def concave_impact(source: Evidence, options: Options) -> Measured:
    """Judge whether the immediate impact of volume on the price is concave (Bouchaud, Farmer and Lillo 2009).

    Estimate: the exponent d, from 0 to 2, of the least-squares fit ``change of log mid = c sign(q) |q|^d``,
    where q is the volume bought less that sold by incoming orders between two quotes; intervals with ``q =
    0`` are left out, and of the others the first 50,000 taken. Interval: percentiles of the block bootstrap.
    Shown: the interval lies within 0 to 1, exclusive, and ``c > 0``. Unit: 1.

    References
    ----------
    Bouchaud, Farmer and Lillo 2009, in: Handbook of Financial Markets: Dynamics and Evolution, 57-160;
    Vyetrenko et al. 2019.
    """
    flow = _flow(source)
    traded = np.flatnonzero(flow.net_volume)[:_IMPACTS]
    changes, net = flow.mid_changes[traded], flow.net_volume[traded]
    size = np.abs(net) / np.abs(net).mean() if len(net) else net
    if len(net) < 500 or not np.ptp(size) or not np.ptp(changes):
        raise NotEnoughError(
            f"{len(net):,} intervals between quotes with trades, and 500 of several sizes are needed"
        )
    response = changes * np.sign(net) / changes.std()
    products = (response * size**power for power in _POWERS)
    features = chain(products, (size ** (2 * power) for power in _POWERS))
    means, draws = resampled_means(features, block_length(response, size), options)
    low, high = percentile_interval(_best_power(draws), options.confidence)
    slope = means[int(np.argmin(np.abs(_POWERS - _best_power(means[None])[0])))]
    return Measured(_best_power(means[None])[0], low, high, bool(low > 0 and high < 1 and slope > 0))


def _best_power(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the power that explains most of the variance: (mean xy)^2 / mean x^2 is highest."""
    products, squares = np.split(means, 2, axis=-1)
    return _POWERS[np.argmax(products * np.abs(products) / squares, axis=-1)]
