"""Facts about returns: what they are distributed like, and what their sign and size depend on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simlab.analysis.facts.estimators import TAIL, autocorrelations, kurtosis, power_law_tail, standardised
from simlab.analysis.facts.evidence import Evidence
from simlab.analysis.facts.finding import Measured, NotEnoughError, fact
from simlab.analysis.libraries import library
from simlab.analysis.statistics import Options, block_length, percentile_interval, resampled_means

__all__ = [
    "absence_of_autocorrelation",
    "aggregational_gaussianity",
    "conditional_heavy_tails",
    "fat_tails",
    "gain_loss_asymmetry",
    "power_law_of_returns",
]

_LAGS = range(1, 11)
_EFFICIENT = 0.1
_TELLING = 0.2
_NEGLIGIBLE_KURTOSIS = 0.1
_NEGLIGIBLE_ASYMMETRY = 0.05
_TAIL_INDEX = 5.0
_SCALE = 20
_GARCH_RETURNS = 10_000


@fact(
    "absence of autocorrelation",
    "Largest autocorrelation of returns at lags 1 to 10; shown unless one is beyond 0.1 and its interval "
    "(joint over the lags) excludes 0.",
    least=250,
)
def absence_of_autocorrelation(source: Evidence, options: Options) -> Measured:
    """Judge whether returns are linearly uncorrelated (Cont 2001, fact 1).

    Estimate: the autocorrelation ``rho_k`` of returns, k = 1 to 10, that is largest in absolute value.
    Interval: ``rho_k -+ z s_k``, with ``s_k`` the standard deviation of the block bootstrap, or White's
    standard error if that is larger; both allow for volatility that changes, which the textbook ``1 /
    sqrt(n)`` does not. z is the normal quantile at ``1 - (1 - confidence) / 10``, so that all ten hold
    at once (Bonferroni).

    Shown: at every lag either ``|rho_k| <= 0.1`` or the interval holds 0. The bound is economic: a predictor
    with ``rho = 0.1`` explains 1% of the variance. Not enough data: fewer than 250 returns, or an interval so
    wide (half of it more than 0.2) that it could not exclude 0 for a market that is plainly predictable.

    Unit: 1.
    """
    returns = source.returns
    rho, draws = autocorrelations(returns, _LAGS, block_length(returns, returns**2), options)
    quantile = library("scipy.stats").norm.isf((1 - options.confidence) / 2 / len(_LAGS))
    half = quantile * np.maximum(draws.std(axis=0), _white_errors(returns))
    largest = int(np.argmax(np.abs(rho)))
    if half[largest] > _TELLING:
        raise NotEnoughError(
            f"The autocorrelation at lag {_LAGS[largest]} is {rho[largest]:.2f} with an error of "
            f"{half[largest]:.2f}, and at most {_TELLING} would tell"
        )
    correlated = (np.abs(rho) > _EFFICIENT) & (np.abs(rho) > half)
    low, high = rho[largest] - half[largest], rho[largest] + half[largest]
    return Measured(rho[largest], low, high, not correlated.any(), f"Lag {_LAGS[largest]}")


def _white_errors(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return standard errors of autocorrelations of a series without any, whatever its volatility does."""
    squares = (returns - returns.mean()) ** 2
    products = np.array([np.dot(squares[lag:], squares[:-lag]) for lag in _LAGS])
    return np.sqrt(products) / squares.sum()


@fact("fat tails", "Excess kurtosis of returns; shown when the interval lies above 0.1.", least=250)
def fat_tails(source: Evidence, options: Options) -> Measured:
    """Judge whether large returns are more frequent than under a normal distribution (Cont 2001, fact 2).

    Estimate: excess kurtosis ``E[(r - mean)^4] / var^2 - 3``. Interval: percentiles of the block bootstrap,
    with blocks that keep the dependence of squared returns. It is optimistic where the fourth moment hardly
    exists. Shown: the interval lies above 0.1. Unit: 1.
    """
    return _above(*_kurtosis(source.returns, options), options)


def _kurtosis(values: NDArray[np.float64], options: Options) -> tuple[float, NDArray[np.float64]]:
    x = standardised(values)
    means, draws = resampled_means([x, x**2, x**3, x**4], block_length(x, x**2), options)
    return float(kurtosis(means)), kurtosis(draws)


def _above(estimate: float, draws: NDArray[np.float64], options: Options, note: str = "") -> Measured:
    low, high = percentile_interval(draws, options.confidence)
    return Measured(estimate, low, high, low > _NEGLIGIBLE_KURTOSIS, note)


@fact(
    "power-law tail",
    "Tail exponent of absolute returns, largest 5% (Hill); shown when the interval lies below 5 and an "
    "exponential does not fit the tail better.",
    least=1_000,
)
def power_law_of_returns(source: Evidence, options: Options) -> Measured:
    """Judge whether the tail of returns falls like a power law (Cont 2001, fact 2: index 2 to 5).

    Estimate: the exponent ``a`` of ``P(|r| > x) ~ x^-a`` beyond the 95% quantile, by maximum likelihood
    (powerlaw; the estimator of Hill 1975). Returns less their mean. Interval: percentiles of the block
    bootstrap at that threshold. Shown: the interval lies below 5, and the likelihood ratio test of Clauset,
    Shalizi and Newman 2009 does not prefer an exponential tail at 10%. Gaussian returns have 5 to 6 here, for
    their tail gets thinner as one goes out. Unit: 1.
    """
    size = np.abs(source.returns - source.returns.mean())
    tail = power_law_tail(size, block_length(size), options)
    shown = tail.high < _TAIL_INDEX and not tail.worse
    return Measured(
        tail.exponent, tail.low, tail.high, shown, "Exponential fits better" if tail.worse else ""
    )


@fact(
    "gain/loss asymmetry",
    "Losses less gains among the largest 5% of moves, as a share of them; shown when the interval lies "
    "above 0.05.",
    least=1_000,
)
def gain_loss_asymmetry(source: Evidence, options: Options) -> Measured:
    """Judge whether large falls are more frequent than large rises (Cont 2001, fact 3).

    Estimate: of the returns whose distance from the median is among the largest 5%, the number of losses less
    the number of gains, over both; from -1 to 1, 0 for a symmetric distribution. Interval: percentiles of the
    block bootstrap at that threshold. Shown: the interval lies above 0.05. Cont notes that exchange rates do
    not show it. Unit: 1.
    """
    moves = source.returns - np.median(source.returns)
    large = np.abs(moves) >= np.quantile(np.abs(moves), 1 - TAIL)
    loss, gain = (large & (moves < 0)).astype(float), (large & (moves > 0)).astype(float)
    means, draws = resampled_means([loss, gain], block_length(np.abs(moves)), options)
    low, high = percentile_interval((draws[:, 0] - draws[:, 1]) / draws.sum(axis=1), options.confidence)
    return Measured((means[0] - means[1]) / means.sum(), low, high, low > _NEGLIGIBLE_ASYMMETRY)


@fact(
    "aggregational Gaussianity",
    "Excess kurtosis of returns less that over 20 intervals; shown when the interval lies above 0.1 and "
    "there are fat tails.",
    least=1_000,
)
def aggregational_gaussianity(source: Evidence, options: Options) -> Measured:
    """Judge whether returns over longer intervals are closer to a normal distribution (Cont 2001, fact 4).

    Estimate: excess kurtosis of returns less excess kurtosis of sums of 20 of them; the sums overlap, so that
    none is lost. Interval: percentiles of the block bootstrap, which draws both together in blocks of at
    least 40. Shown: the interval lies above 0.1, and so does that of the excess kurtosis of
    returns itself: without fat tails there is nothing to lose. Unit: 1.
    """
    x = standardised(source.returns)
    n = len(x) - _SCALE + 1
    long = standardised(np.convolve(x, np.ones(_SCALE), mode="valid"))
    features = [values**power for values in (x[:n], long) for power in (1, 2, 3, 4)]
    block = max(block_length(x, x**2), 2.0 * _SCALE)
    means, draws = resampled_means(features, block, options)
    short, short_draws = float(kurtosis(means[:4])), kurtosis(draws[:, :4])
    note = f"It goes from {short:.2f} to {kurtosis(means[4:]):.2f}"
    measured = _above(short - float(kurtosis(means[4:])), short_draws - kurtosis(draws[:, 4:]), options, note)
    fat = percentile_interval(short_draws, options.confidence)[0] > _NEGLIGIBLE_KURTOSIS
    return measured._replace(shown=measured.shown and fat)


@fact(
    "conditional heavy tails",
    "Excess kurtosis of returns over their GARCH(1,1) volatility; shown when the interval lies above 0.1.",
    least=1_000,
)
def conditional_heavy_tails(source: Evidence, options: Options) -> Measured:
    """Judge whether tails stay fat after volatility clustering is taken out (Cont 2001, fact 7).

    Estimate: excess kurtosis of the standardised residuals of a GARCH(1,1) with a constant mean (arch; quasi
    maximum likelihood), of the last 10,000 returns at most. Interval: percentiles of the bootstrap of the
    residuals, the parameters held. Shown: the interval lies above 0.1. Unit: 1.
    """
    returns = standardised(source.returns[-_GARCH_RETURNS:])
    model = library("arch").arch_model(returns, mean="Constant", vol="GARCH", p=1, q=1, rescale=False)
    fitted = model.fit(disp="off", show_warning=False)
    if fitted.convergence_flag:
        raise NotEnoughError("GARCH(1,1) could not be fitted to the returns")
    return _above(*_kurtosis(np.asarray(fitted.std_resid), options), options)
