"""The mean spread of twelve zero-intelligence markets against (mu / alpha) f(epsilon)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from simlab.analysis import Run
from simlab.analysis.libraries import library
from simlab.runner.study import Claim, Lab, Trial, mean_interval

EPSILONS = (0.003, 0.014, 0.065, 0.3)
PRICE_SCALES = (50, 100, 200)
LIMIT_RATE = 0.5
WINDOW_SCALES = 10
STEPS = 300_000
WARM_UP = 100_000


class Flow(NamedTuple):
    """One parameter set: ``epsilon = delta sigma / mu`` and ``price_scale = mu / alpha``, in ticks."""

    epsilon: float
    price_scale: int

    @property
    def parameters(self) -> dict[str, float]:
        """What the strategy `poisson_flow` takes; sigma is its default size, one lot."""
        window = WINDOW_SCALES * self.price_scale
        alpha = LIMIT_RATE / (2 * window)
        mu = alpha * self.price_scale
        return {
            "market_rate": mu,
            "limit_rate": LIMIT_RATE,
            "cancel_rate": self.epsilon * mu,
            "window": window,
        }


def f(epsilon: ArrayLike) -> NDArray[np.float64]:
    """Return the papers' spread in units of mu / alpha."""
    return 0.28 + 1.86 * np.asarray(epsilon, float) ** 0.75


def mean_spread(run: Run) -> float:
    """Return the time-weighted mean spread after the warm-up, ticks."""
    quotes = run.quotes(columns=["best_bid", "best_ask"], steps=(WARM_UP, None))
    return float((quotes["best_ask"] - quotes["best_bid"]).mean())


def table(flows: list[Flow], spreads: list[list[float]]) -> pd.DataFrame:
    """Return one row a parameter set: its mean spread over the seeds and the prediction, ticks."""
    frame = pd.DataFrame(
        {
            "epsilon": [flow.epsilon for flow in flows],
            "price_scale": [float(flow.price_scale) for flow in flows],
            "spread": [float(np.mean(found)) for found in spreads],
        }
    )
    return frame.assign(predicted=frame["price_scale"] * f(frame["epsilon"]))


def within(estimate: float, target: float, tolerance: float, why_not: str) -> dict[str, object]:
    """Return the verdict of a claim: whether the estimate is that near to its target, and else why not."""
    holds = bool(abs(estimate - target) <= tolerance)
    return {"holds": holds, "reason": "" if holds else why_not}


def slope_on_prediction(frame: pd.DataFrame) -> tuple[float, float, float]:
    """Return the log-log slope of spread on prediction, and its interval with clusters by epsilon."""
    model = library("statsmodels.formula.api").ols("np.log(spread) ~ np.log(predicted)", frame)
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": frame["epsilon"]}, use_t=True)
    return float(fit.params.iloc[-1]), *map(float, fit.conf_int().iloc[-1])


def slope_on_scale(frame: pd.DataFrame) -> tuple[float, float, float]:
    """Return the mean over epsilons of the log-log slope of spread on mu / alpha, with its t interval."""
    logs = np.log(frame[["price_scale", "spread"]]).groupby(frame["epsilon"])
    return mean_interval([np.polyfit(rows["price_scale"], rows["spread"], 1)[0] for _, rows in logs])


def level(frame: pd.DataFrame) -> tuple[float, float, float]:
    """Return the geometric mean of spread over prediction; its t interval has one value for each epsilon."""
    ratios = np.log(frame["spread"] / frame["predicted"]).groupby(frame["epsilon"]).mean()
    mean, low, high = np.exp(mean_interval(ratios))
    return float(mean), float(low), float(high)


def exponent(frame: pd.DataFrame) -> tuple[float, float, float]:
    """Fit ``spread / (mu / alpha) = a + b epsilon ** c`` to each epsilon's mean; return c, its interval."""
    means = (frame["spread"] / frame["price_scale"]).groupby(frame["epsilon"]).mean()
    values, covariance = library("scipy.optimize").curve_fit(
        lambda epsilon, a, b, c: a + b * epsilon**c,
        means.index.to_numpy(),
        means.to_numpy(),
        p0=(0.28, 1.86, 0.75),
    )
    half = library("scipy.stats").t.ppf(0.975, len(means) - len(values)) * np.sqrt(covariance[2, 2])
    return float(values[2]), float(values[2] - half), float(values[2] + half)


def claims(frame: pd.DataFrame) -> list[Claim]:
    """Judge the spreads that `table` collects."""
    slope, scale = slope_on_prediction(frame), slope_on_scale(frame)
    ratio, power = level(frame), exponent(frame)
    above = "f is an approximation, and lies above the spread of the simulated model"
    return [
        Claim(
            "Log-log slope of the mean spread on (mu/alpha) f(epsilon)",
            "1 within 0.1",
            *slope,
            **within(slope[0], 1.0, 0.1, f"{above} the more, the larger epsilon is"),
            digits=3,
        ),
        Claim(
            "Log-log slope of the mean spread on mu/alpha, each epsilon by itself",
            "1 within 0.1",
            *scale,
            **within(scale[0], 1.0, 0.1, "the tick is not small enough"),
            digits=3,
        ),
        Claim("Mean spread over its prediction", "1 within 0.2", *ratio, **within(ratio[0], 1.0, 0.2, above)),
        Claim(
            "Exponent of epsilon in f",
            "0.75 within 0.1",
            *power,
            **within(power[0], 0.75, 0.1, "f approximates a curve that is no power"),
        ),
    ]


def collapse_figure(frame: pd.DataFrame) -> object:
    """Draw the spread in units of mu / alpha against epsilon, with the papers' curve."""
    go = library("plotly.graph_objects")
    curve = np.geomspace(min(EPSILONS) / 2, max(EPSILONS) * 2, 100)
    figure = go.Figure(go.Scatter(x=curve, y=f(curve), mode="lines", name="0.28 + 1.86 epsilon^(3/4)"))
    for scale, rows in frame.groupby("price_scale"):
        y = rows["spread"] / rows["price_scale"]
        figure.add_scatter(x=rows["epsilon"], y=y, mode="markers", name=f"simlab, mu/alpha = {scale:g} ticks")
    figure.update_xaxes(type="log", title="epsilon = delta sigma / mu")
    figure.update_yaxes(type="log", title="mean spread (mu/alpha)")
    return figure


def spread_figure(frame: pd.DataFrame) -> object:
    """Draw the measured against the predicted spread, with the line where they are equal."""
    go = library("plotly.graph_objects")
    ends = [frame["predicted"].min(), frame["predicted"].max()]
    figure = go.Figure(go.Scatter(x=ends, y=ends, mode="lines", name="paper: slope 1"))
    for epsilon, rows in frame.groupby("epsilon"):
        figure.add_scatter(
            x=rows["predicted"], y=rows["spread"], mode="markers", name=f"simlab, epsilon = {epsilon:g}"
        )
    figure.update_xaxes(type="log", title="predicted spread (mu/alpha) f(epsilon) (ticks)")
    figure.update_yaxes(type="log", title="mean spread (ticks)")
    return figure


def study(lab: Lab) -> list[Claim]:
    """Run every parameter set with the same seeds and compare the spreads."""
    flows = [Flow(epsilon, scale) for epsilon in EPSILONS for scale in PRICE_SCALES]
    seeds = lab.seeds(6)
    trials = [
        Trial(seed, {"populations.crowd.parameters": flow.parameters}, STEPS)
        for flow in flows
        for seed in seeds
    ]
    spreads = np.reshape(lab.runs(mean_spread, trials), (len(flows), len(seeds)))
    frame = table(flows, spreads.tolist())
    lab.figure(spread_figure(frame))
    lab.figure(collapse_figure(frame))
    return claims(frame)
