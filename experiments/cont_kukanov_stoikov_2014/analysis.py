"""Price changes against order flow imbalance and trade imbalance, in twelve markets of different depth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from simlab.analysis import Run
from simlab.analysis.libraries import library
from simlab.analysis.quality import ofi, ofi_regression, trade_imbalance_regression
from simlab.analysis.tables import Mids
from simlab.runner.study import Claim, Lab, Trial, mean_interval

PRICE_SCALES = (1.5, 3.0, 6.0)
FAR_DEPTHS = (5, 10, 20, 40)
LIMIT_RATE = 0.5
WINDOW = 20
WARM_UP_LIVES = 10
LIVES = 160
PAPER_R2 = 65.0
MEASURES = ["r2", "r2_trades", "gain", "slope", "depth"]


class Market(NamedTuple):
    """One parameter set: ``price_scale`` is mu / alpha (ticks), ``far_depth`` alpha / delta (lots a tick)."""

    price_scale: float
    far_depth: int

    @property
    def life(self) -> int:
        """Mean life of an order, steps: also the length of an interval."""
        return round(2 * WINDOW * self.far_depth / LIMIT_RATE)

    @property
    def trial_values(self) -> dict[str, dict[str, float]]:
        """What is set on top of the file."""
        rates = {
            "market_rate": self.price_scale * LIMIT_RATE / (2 * WINDOW),
            "limit_rate": LIMIT_RATE,
            "cancel_rate": 1 / self.life,
            "window": WINDOW,
        }
        return {"populations.crowd.parameters": rates}


def life_of(run: Run) -> int:
    """Return the mean life of an order, steps."""
    return round(1 / run.config["populations"]["crowd"]["parameters"]["cancel_rate"])


def after_warm_up(run: Run, table: str) -> pd.DataFrame:
    """Return a table without the warm-up, its steps counted from there."""
    first = WARM_UP_LIVES * life_of(run)
    frame = run.frame(table, names=False, steps=(first, None))
    return frame.assign(step=frame["step"] - first)


def intervals(quotes: pd.DataFrame, instruments: pd.DataFrame, length: int) -> pd.DataFrame:
    """Return order flow imbalance (``ofi``, lots) and change of the mid (``change``) of each interval."""
    mids = Mids(quotes, instruments)
    ends = np.arange(length - 1, mids.steps, length)
    flow = ofi(quotes, instruments)
    sums = np.bincount(flow["step"] // length, flow["ofi"], minlength=len(ends))
    return pd.DataFrame({"ofi": sums[1 : len(ends)], "change": np.diff(mids.at(0, ends))})


def gain_of_curvature(frame: pd.DataFrame) -> float:
    """Return by how much a term ``ofi * abs(ofi)`` raises the R2 of ``change ~ ofi``."""
    ols = library("statsmodels.formula.api").ols
    curved = ols("change ~ ofi + I(ofi * abs(ofi))", frame).fit()
    return float(curved.rsquared - ols("change ~ ofi", frame).fit().rsquared)


def impact(run: Run) -> tuple[list[float], pd.DataFrame]:
    """Return the `MEASURES` of one run and its intervals."""
    quotes, trades = after_warm_up(run, "quotes"), after_warm_up(run, "trades")
    instruments, length = run.instruments(), life_of(run)
    by_flow = ofi_regression(quotes, instruments, interval=length).iloc[0]
    by_trades = trade_imbalance_regression(trades, quotes, instruments, interval=length).iloc[0]
    rows = intervals(quotes, instruments, length)
    gain = gain_of_curvature(rows)
    return [by_flow["r2"], by_trades["r2"], gain, by_flow["slope"], by_flow["mean_depth"]], rows


def r2_claims(frame: pd.DataFrame) -> list[Claim]:
    """Judge linearity and explained variance, averaged over the markets of each seed, in percent."""
    means = 100 * frame.groupby("seed")[["r2", "r2_trades", "gain"]].mean()
    gain = mean_interval(means["gain"])
    more = mean_interval(means["r2"] - means["r2_trades"])
    r2 = mean_interval(means["r2"])
    near = abs(r2[0] - PAPER_R2) <= 15
    return [
        Claim(
            "R2 that a quadratic term adds to order flow imbalance",
            "little: below 3 points",
            *gain,
            holds=gain[2] < 3,
            unit=" points",
            reason="" if gain[2] < 3 else "large imbalances empty more than one level",
        ),
        Claim(
            "R2 of order flow imbalance less that of trade imbalance",
            "above 0 (65% less 32%)",
            *more,
            holds=more[1] > 0,
            unit=" points",
            reason="" if more[1] > 0 else "cancels and limit orders move the price too little here",
        ),
        Claim(
            "Mean R2 of order flow imbalance",
            "65% within 15",
            *r2,
            holds=near,
            unit="%",
            reason=""
            if near
            else "the price moves by whole ticks, one or two in an interval; R2 rises with the interval",
        ),
    ]


def depth_claims(frame: pd.DataFrame) -> list[Claim]:
    """Regress the logarithm of the slope on that of the depth, and compare the slope to 1 / (2 depth)."""
    ols = library("statsmodels.formula.api").ols
    markets = frame.groupby(["price_scale", "far_depth"])[["slope", "depth"]].mean()
    fit = ols("np.log(slope) ~ np.log(depth)", markets).fit()
    power = -float(fit.params.iloc[1])
    high, low = (-float(bound) for bound in fit.conf_int().iloc[1])
    level = ols("np.log(2 * slope * depth) ~ 1", markets).fit()
    times, least, most = (float(np.exp(x)) for x in (level.params.iloc[0], *level.conf_int().iloc[0]))
    inverse, near = abs(power - 1) <= 0.2, least >= 0.5 and most <= 2
    thick = "in a deep book the levels behind the best hold more than the best does, so that its depth "
    return [
        Claim(
            "lambda in slope = c / depth^lambda",
            "1 within 0.2",
            power,
            low,
            high,
            holds=inverse,
            reason="" if inverse else thick + "understates what an imbalance has to move",
        ),
        Claim(
            "Slope over 1 / (2 depth)",
            "1 within a factor of 2",
            times,
            least,
            most,
            holds=near,
            reason="" if near else thick + "alone does not set the slope",
        ),
    ]


def slope_figure(frame: pd.DataFrame) -> object:
    """Draw the slope of every market against its depth, with the paper's 1 / (2 depth)."""
    go = library("plotly.graph_objects")
    markets = frame.groupby(["price_scale", "far_depth"])[["slope", "depth"]].mean()
    depth = np.geomspace(markets["depth"].min(), markets["depth"].max(), 50)
    figure = go.Figure(go.Scatter(x=depth, y=0.5 / depth, mode="lines", name="paper's model: 1 / (2 depth)"))
    for scale, rows in markets.groupby("price_scale"):
        figure.add_scatter(
            x=rows["depth"], y=rows["slope"], mode="markers", name=f"simlab, mu/alpha = {scale:g} ticks"
        )
    figure.update_xaxes(type="log", title="mean depth at the best price (lots)")
    figure.update_yaxes(type="log", title="slope on order flow imbalance (ticks per lot)")
    return figure


def scatter_figure(rows: pd.DataFrame, market: Market) -> object:
    """Draw the intervals of one market and the line through them."""
    go = library("plotly.graph_objects")
    slope, level = np.polyfit(rows["ofi"], rows["change"], 1)
    ends = np.array([rows["ofi"].min(), rows["ofi"].max()])
    figure = go.Figure(
        go.Scatter(x=rows["ofi"], y=rows["change"], mode="markers", name="simlab, one interval")
    )
    figure.add_scatter(x=ends, y=level + slope * ends, mode="lines", name="least squares")
    title = f"mu/alpha = {market.price_scale:g} ticks, alpha/delta = {market.far_depth} lots a tick"
    figure.update_layout(title=title)
    figure.update_xaxes(title="order flow imbalance (lots)")
    figure.update_yaxes(title="change of the mid price (ticks)")
    return figure


def study(lab: Lab) -> list[Claim]:
    """Run every market with the same seeds."""
    cases = [
        (Market(scale, depth), seed)
        for scale in PRICE_SCALES
        for depth in FAR_DEPTHS
        for seed in lab.seeds(4)
    ]
    found = lab.runs(
        impact, [Trial(seed, market.trial_values, LIVES * market.life) for market, seed in cases]
    )
    frame = pd.DataFrame([values for values, _ in found], columns=MEASURES)
    keys = pd.DataFrame([(*market, seed) for market, seed in cases], columns=[*Market._fields, "seed"])
    frame = keys.join(frame)
    lab.figure(slope_figure(frame))
    shown = cases.index((Market(3.0, 10), 1))
    lab.figure(scatter_figure(found[shown][1], cases[shown][0]))
    return r2_claims(frame) + depth_claims(frame)
