"""How does the impact of a metaorder grow with its size?"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.analysis import Run
from simlab.analysis.libraries import library
from simlab.analysis.tables import Mids
from simlab.runner.study import Claim, Lab, Trial

Array = NDArray[np.float64]

SIZES = np.array([20.0, 40.0, 80.0, 160.0, 320.0])
START = 5_000
PERIOD = 1_000
NEAR_HALF = (0.4, 0.6)
MEASURED = 0.489
EXPONENTS = (-1.0, 3.0)
RESAMPLES = 1_000
ABSENT = {"populations.metaorder.count": 0}


class Path(NamedTuple):
    """The mid price at the end of every step, the volume so far, and the step of the last slice, or -1."""

    mid: Array
    volume: Array
    end: int


class Fit(NamedTuple):
    """Impact in volatilities = scale * (size in volumes) ** exponent."""

    scale: float
    exponent: float


def observe(run: Run) -> Path:
    """Return what the study needs of one run."""
    quotes = run.quotes(names=False)
    mid = Mids(quotes, run.instruments()).series(0)
    agents = run.agents()
    buyers = agents.loc[agents["population"] == "metaorder", "account"]
    trades = run.trades(columns=["step", "taker_account"], names=False)
    own = trades.loc[trades["taker_account"].isin(buyers), "step"]
    return Path(mid, quotes["volume"].to_numpy(float), int(own.max()) if len(own) else -1)


def impact(metaorder: Path, absent: Path) -> float:
    """Return by how much the mid price is higher with the metaorder, at its last slice; price units."""
    return float(metaorder.mid[metaorder.end] - absent.mid[metaorder.end])


def market_scales(absent: list[Path]) -> tuple[float, float]:
    """Return volatility and volume of a period without the metaorder, as means over runs."""
    changes = [path.mid[START + PERIOD :] - path.mid[START:-PERIOD] for path in absent]
    volatility = np.sqrt(np.mean(np.square(changes)))
    volume = np.mean([path.volume[START + PERIOD] - path.volume[START] for path in absent])
    return float(volatility), float(volume)


def standard_errors(impacts: Array) -> Array:
    """Return the standard error of the mean of each column."""
    return impacts.std(axis=0, ddof=1) / np.sqrt(len(impacts))


def fit_power_law(sizes: Array, means: Array, errors: Array) -> Fit:
    """Fit a power law by non-linear least squares, weighted by the standard errors.

    For a given exponent the best scale is known, so that one search over the exponent is enough.
    """

    def scale(exponent: float) -> float:
        shape = sizes**exponent / errors
        return float(shape @ (means / errors) / (shape @ shape))

    def misfit(exponent: float) -> float:
        return float(np.sum(((means - scale(exponent) * sizes**exponent) / errors) ** 2))

    exponent = float(library("scipy.optimize").minimize_scalar(misfit, bounds=EXPONENTS, method="bounded").x)
    return Fit(scale(exponent), exponent)


def bootstrap_exponent(sizes: Array, impacts: Array) -> tuple[float, float]:
    """Return the 95% interval of the exponent; `impacts` has a row for each seed, a column for each size.

    Seeds are drawn with replacement, not metaorders: those of one seed share their market.
    """
    generator = np.random.default_rng(0)
    errors = standard_errors(impacts)
    draws = generator.integers(0, len(impacts), (RESAMPLES, len(impacts)))
    fits = [fit_power_law(sizes, impacts[draw].mean(axis=0), errors) for draw in draws]
    low, high = np.percentile([fit.exponent for fit in fits], [2.5, 97.5])
    return float(low), float(high)


def figure(sizes: Array, impacts: Array, fit: Fit) -> Any:
    """Draw the mean impact by size with its fit, and the papers' law through the same middle point."""
    go = library("plotly.graph_objects")
    error = 1.96 * standard_errors(impacts)
    grid = np.geomspace(sizes[0] / 1.3, sizes[-1] * 1.3, 40)
    middle = np.sqrt(sizes[0] * sizes[-1])
    law = fit.scale * middle**fit.exponent * (grid / middle) ** MEASURED
    drawn = go.Figure()
    drawn.add_scatter(
        x=sizes, y=impacts.mean(axis=0), error_y={"array": error}, mode="markers", name="paired runs"
    )
    fitted = fit.scale * grid**fit.exponent
    drawn.add_scatter(x=grid, y=fitted, mode="lines", name=f"fit: exponent {fit.exponent:.2f}")
    drawn.add_scatter(x=grid, y=law, mode="lines", line_dash="dash", name=f"Tokyo: exponent {MEASURED}")
    drawn.update_layout(title="The impact of a metaorder is a concave function of its size")
    drawn.update_xaxes(type="log", title=f"size / volume of {PERIOD} steps")
    drawn.update_yaxes(type="log", title=f"impact / volatility of {PERIOD} steps")
    return drawn


def exponent_claims(exponent: float, low: float, high: float) -> list[Claim]:
    """Return the two claims about the exponent: concave, and near one half."""
    return [
        Claim(
            "Impact is concave in size",
            "exponent below 1",
            exponent,
            low,
            high,
            holds=high < 1,
            reason="the book refills as fast as the metaorder trades, which makes impact linear",
        ),
        Claim(
            "Impact grows as the square root of size",
            f"exponent 0.5 ({MEASURED} ± 0.0015 in Tokyo)",
            exponent,
            low,
            high,
            holds=NEAR_HALF[0] <= exponent <= NEAR_HALF[1] and low > 0 and high < 1,
            reason="the book's liquidity is not a linear function of the distance from the price",
        ),
    ]


def study(lab: Lab) -> list[Claim]:
    """Run every seed with metaorders of all sizes and without, and fit the difference."""
    seeds = lab.seeds(40)
    trials = [Trial(seed, set=ABSENT) for seed in seeds]
    for size in SIZES:
        trials += [Trial(s, set={"populations.metaorder.parameters.quantity": int(size)}) for s in seeds]
    paths = lab.runs(observe, trials)
    absent, present = paths[: len(seeds)], paths[len(seeds) :]
    found = [impact(path, absent[i % len(seeds)]) for i, path in enumerate(present)]
    volatility, volume = market_scales(absent)
    impacts = np.array(found).reshape(SIZES.size, len(seeds)).T / volatility
    sizes = SIZES / volume
    fit = fit_power_law(sizes, impacts.mean(axis=0), standard_errors(impacts))
    lab.figure(figure(sizes, impacts, fit))
    return exponent_claims(fit.exponent, *bootstrap_exponent(sizes, impacts))
