"""Do chartists make returns fat-tailed and volatility clustered, with everything else unchanged?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.analysis import Run
from simlab.analysis.libraries import library
from simlab.analysis.tables import Mids
from simlab.runner.study import Claim, Lab, Trial, mean_interval

Array = NDArray[np.float64]

NO_CHARTISTS = {"populations.traders.parameters.g2": 0.0}
SETTLING = 5_000
INTERVAL = 100
LAGS = 10


def returns(run: Run) -> Array:
    """Return the log returns of the mid price over `INTERVAL` steps, after the settling time."""
    mid = Mids(run.whole("quotes"), run.instruments()).series(0)
    return np.diff(np.log(mid[SETTLING::INTERVAL]))


def magnitude_autocorrelation(changes: Array) -> Array:
    """Return the autocorrelation of absolute returns at lags 1 to `LAGS`."""
    magnitude = np.abs(changes) - np.abs(changes).mean()
    products = [magnitude[lag:] @ magnitude[:-lag] for lag in range(1, LAGS + 1)]
    return np.array(products) / (magnitude @ magnitude)


def excess_kurtosis(changes: Array) -> float:
    """Return the fourth standardised moment less 3, its value for normal returns."""
    return float(library("scipy.stats").kurtosis(changes))


def paired_claim(name: str, with_chartists: Array, without: Array) -> Claim:
    """Return the claim that a measure is larger with chartists, from pairs of runs with the same seed."""
    mean, low, high = mean_interval(with_chartists - without)
    return Claim(
        f"{name}: rise by chartists",
        "above 0",
        mean,
        low,
        high,
        holds=low > 0,
        reason="the chartists' weight is too small against the fundamentalists' to move the price",
    )


def clustering_figure(curves: list[tuple[str, Array]]) -> Any:
    """Draw the mean autocorrelation of absolute returns by lag."""
    go = library("plotly.graph_objects")
    drawn = go.Figure()
    for name, curve in curves:
        drawn.add_scatter(x=np.arange(1, LAGS + 1), y=curve.mean(axis=0), mode="lines+markers", name=name)
    drawn.add_hline(y=0, line_dash="dot", annotation_text="independent returns")
    drawn.update_layout(title="Chartists make volatility cluster")
    drawn.update_xaxes(title=f"lag (returns over {INTERVAL} steps)")
    drawn.update_yaxes(title="autocorrelation of absolute returns")
    return drawn


def tail_figure(samples: list[tuple[str, list[Array]]]) -> Any:
    """Draw how often a standardised return is larger than a number, beside the normal distribution."""
    go = library("plotly.graph_objects")
    drawn = go.Figure()
    sizes = np.linspace(0.1, 12, 60)
    for name, runs in samples:
        scaled = np.concatenate([np.abs(changes - changes.mean()) / changes.std() for changes in runs])
        share = np.array([(scaled > size).mean() for size in sizes])
        shown = share > 0
        drawn.add_scatter(x=sizes[shown], y=share[shown], mode="lines", name=name)
    normal = 2 * library("scipy.stats").norm.sf(sizes)
    shown = normal > 1e-5
    drawn.add_scatter(x=sizes[shown], y=normal[shown], mode="lines", line_dash="dot", name="normal")
    drawn.update_layout(title="Chartists make large returns frequent")
    drawn.update_xaxes(title="absolute return (standard deviations)")
    drawn.update_yaxes(type="log", title="share of returns that are larger", exponentformat="power")
    return drawn


def study(lab: Lab) -> list[Claim]:
    """Compare runs with and without chartists, pair by pair."""
    seeds = lab.seeds(12)
    found = lab.runs(returns, [Trial(s) for s in seeds] + [Trial(s, set=NO_CHARTISTS) for s in seeds])
    samples = {"with chartists": found[: len(seeds)], "without": found[len(seeds) :]}
    kurtosis = [np.array([excess_kurtosis(r) for r in runs]) for runs in samples.values()]
    curves = [np.array([magnitude_autocorrelation(r) for r in runs]) for runs in samples.values()]
    lab.figure(clustering_figure(list(zip(samples, curves, strict=True))))
    lab.figure(tail_figure(list(samples.items())))
    clustering = [curve.mean(axis=1) for curve in curves]
    return [
        paired_claim(f"Excess kurtosis of returns over {INTERVAL} steps", *kurtosis),
        paired_claim(f"Autocorrelation of absolute returns, mean of lags 1 to {LAGS}", *clustering),
    ]
