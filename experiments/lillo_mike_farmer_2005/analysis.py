"""Do split orders give the signs of trades a long memory with the exponent alpha - 1?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.analysis import Run, tables
from simlab.analysis.libraries import library
from simlab.runner.study import Claim, Lab, Trial, mean_interval

Array = NDArray[np.float64]

ALPHA = 1.5
SPLITTERS = 5
GAMMA = ALPHA - 1
LAGS = np.unique(np.geomspace(1, 1_000, 34).astype(int))
FITTED_LAGS = (20, 500)
SETTLING = 0.2
RESAMPLES = 2_000
WIDEST = 0.2
NEGLIGIBLE = 0.005
NO_SPLITTING = {"populations.splitters.parameters.max_size": 1}


def signs(run: Run) -> Array:
    """Return the sign of every market order, 1 to buy and -1 to sell, without the settling time."""
    trades = run.trades(columns=["aggressor_side", "taker_order_id"])
    orders = trades.drop_duplicates("taker_order_id")
    sign = tables.signs(orders["aggressor_side"]).astype(float)
    return sign[int(SETTLING * sign.size) :]


def sign_autocorrelation(run: Run) -> Array:
    """Return the autocorrelation of signs, whose mean is 0, averaged between each of `LAGS` and the next.

    The mean is known, buying is as likely as selling; to take the sample's would bias a long memory down.
    """
    sign = signs(run)
    n = sign.size
    spectrum = np.abs(np.fft.rfft(sign, 2 * n)) ** 2
    product = np.fft.irfft(spectrum)[: LAGS[-1]] / np.arange(n, n - LAGS[-1], -1)
    return np.add.reduceat(product, LAGS[:-1]) / np.diff(LAGS)


def middle_lags() -> Array:
    """Return the lag each average of `sign_autocorrelation` stands for."""
    return np.sqrt(LAGS[:-1] * (LAGS[1:] - 1.0))


def decay_exponent(curves: Array) -> float:
    """Return minus the slope of the log of the runs' mean autocorrelation on the log of the lag."""
    lags = middle_lags()
    fitted = (lags >= FITTED_LAGS[0]) & (lags <= FITTED_LAGS[1])
    mean = np.maximum(curves.mean(axis=0)[fitted], 1e-6)
    return -float(np.polyfit(np.log(lags[fitted]), np.log(mean), 1)[0])


def bootstrap_exponent(curves: Array) -> tuple[float, float, float]:
    """Return the decay exponent and its 95% interval from runs drawn with replacement."""
    generator = np.random.default_rng(0)
    draws = generator.integers(0, len(curves), (RESAMPLES, len(curves)))
    low, high = np.percentile([decay_exponent(curves[draw]) for draw in draws], [2.5, 97.5])
    return decay_exponent(curves), float(low), float(high)


def equals(expected: float, low: float, high: float) -> bool:
    """Tell whether an interval holds the expected value and is narrow enough to mean something."""
    return low <= expected <= high and high - low <= WIDEST


def figure(split: Array, unsplit: Array) -> Any:
    """Draw the autocorrelation with and without splitting beside the paper's law."""
    go = library("plotly.graph_objects")
    lags = middle_lags()
    law = lags**-GAMMA * SPLITTERS ** (ALPHA - 2) / ALPHA
    drawn = go.Figure()
    for curve, symbol, name in (
        (split.mean(axis=0), "circle", "orders split"),
        (np.abs(unsplit.mean(axis=0)), "x", "not split (magnitude)"),
    ):
        drawn.add_scatter(x=lags, y=curve, mode="markers", marker_symbol=symbol, name=name)
    drawn.add_scatter(x=lags, y=law, mode="lines", name="paper: N^(alpha-2)/alpha lag^(1-alpha)")
    drawn.update_xaxes(type="log", title="lag (market orders)")
    drawn.update_yaxes(type="log", title="autocorrelation of signs", exponentformat="power")
    drawn.update_layout(title="Split orders give order flow a long memory")
    return drawn


def study(lab: Lab) -> list[Claim]:
    """Compare runs with split orders to the law, and to runs without splitting."""
    split = np.array(lab.runs(sign_autocorrelation, [Trial(seed) for seed in lab.seeds(12)]))
    bare = [Trial(seed, set=NO_SPLITTING) for seed in lab.seeds(6)]
    unsplit = np.array(lab.runs(sign_autocorrelation, bare))
    lab.figure(figure(split, unsplit))
    gamma, low, high = bootstrap_exponent(split)
    none, none_low, none_high = mean_interval(unsplit.mean(axis=1))
    return [
        Claim(
            "Signs decay as lag^-(alpha-1) for alpha 1.5",
            f"exponent {GAMMA}",
            gamma,
            low,
            high,
            holds=equals(GAMMA, low, high),
            reason="the fitted lags are not yet in the asymptotic regime, or too few large orders were seen",
        ),
        Claim(
            "No memory without splitting: mean autocorrelation to lag 1000",
            "0",
            none,
            none_low,
            none_high,
            holds=none_low >= -NEGLIGIBLE and none_high <= NEGLIGIBLE,
            reason="something other than splitting correlates the signs",
            digits=4,
        ),
    ]
