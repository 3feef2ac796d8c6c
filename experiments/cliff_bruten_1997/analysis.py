"""Where ZI-C and ZIP traders trade, against the equilibrium price, in four markets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis import Run
from simlab.analysis.figures import styles
from simlab.analysis.libraries import library
from simlab.analysis.quality import smiths_alpha
from simlab.runner.study import Claim, Lab, Trial, mean_interval

EQUILIBRIUM = 200
"""Price units (cents), in each market."""
EXPECTED = {"symmetric": 200.0, "flat_supply": 241.7, "excess_demand": 125.0, "excess_supply": 275.0}
"""The mean ZI-C price that the paper derives for each market, cents."""
TRADERS = {"zi": "ZI-C", "zip": "ZIP"}
CLOSE_ZI, CLOSE_ZIP, LOW_ALPHA = 2.0, 5.0, 10.0
"""Percent of the equilibrium price: what we count as unbiased, as converged, and as a low alpha."""


class Found(NamedTuple):
    """One market and kind of trader in all runs.

    `price`, ``(seeds,)``: mean price of all trades, cents. `last_price`, ``(seeds,)``: of the last day.
    `alpha`, ``(seeds, days)``: Smith's alpha by day, percent. NaN where nobody traded.
    """

    price: NDArray[np.float64]
    last_price: NDArray[np.float64]
    alpha: NDArray[np.float64]


def daily(run: Run) -> dict[str, NDArray[np.float64]]:
    """Return the mean price over the run, that of the last day, and alpha day by day, for each market."""
    first = next(iter(run.config["populations"].values()))
    day_length = int(first["customer_orders"]["period"])
    days = run.config["steps"] // day_length
    trades = run.trades(columns=["step", "instrument", "price"])
    day = (trades["step"] // day_length).to_numpy()
    instrument = trades["instrument"].to_numpy()
    return {
        name: summary(trades["price"].to_numpy(float)[instrument == name], day[instrument == name], days)
        for name in run.instruments()["name"]
    }


def summary(prices: NDArray[np.float64], day: NDArray[np.int64], days: int) -> NDArray[np.float64]:
    """Return the mean price, that of the last day, and alpha by day, ``(2 + days,)``; NaN without trades."""
    by_day = pd.Series(prices).groupby(day)
    alpha = by_day.apply(smiths_alpha, equilibrium_price=EQUILIBRIUM).reindex(range(days))
    return np.r_[prices.mean() if len(prices) else np.nan, by_day.mean().get(days - 1, np.nan), alpha]


def study(lab: Lab) -> list[Claim]:
    """Run all eight markets on each seed."""
    runs = lab.runs(daily, [Trial(seed) for seed in lab.seeds(30)])
    found = {}
    for name in runs[0]:
        table = np.array([run[name] for run in runs])
        found[name] = Found(table[:, 0], table[:, 1], table[:, 2:])
    lab.figure(_price_figure(found))
    lab.figure(_alpha_figure(found))
    return [*zi_claims(found), *zip_claims(found), *alpha_claims(found)]


def _title(market: str) -> str:
    return market.replace("_", " ")


def zi_claims(found: dict[str, Found]) -> Iterator[Claim]:
    """Judge whether the mean ZI-C price is biased as the paper derives."""
    for market, expected in EXPECTED.items():
        mean, low, high = mean_interval(found[f"zi_{market}"].price)
        if expected == EQUILIBRIUM:
            holds = abs(mean - EQUILIBRIUM) <= CLOSE_ZI / 100 * EQUILIBRIUM
            claim = f"ZI-C mean price unbiased, {_title(market)} market"
        else:
            biased = low > EQUILIBRIUM if expected > EQUILIBRIUM else high < EQUILIBRIUM
            holds = biased and abs(mean - expected) < abs(mean - EQUILIBRIUM)
            claim = f"ZI-C mean price biased, {_title(market)}"
        yield Claim(
            claim,
            f"{expected:.0f} (equilibrium {EQUILIBRIUM})",
            *(mean, low, high),
            holds=holds,
            digits=1,
            reason="resting orders meet others than the paper's single shouts do",
        )


def zip_claims(found: dict[str, Found]) -> Iterator[Claim]:
    """Judge whether ZIP traders end up at the equilibrium price."""
    for market in EXPECTED:
        mean, low, high = mean_interval(_known(found[f"zip_{market}"].last_price))
        yield Claim(
            f"ZIP price on the last day, {_title(market)}",
            f"near {EQUILIBRIUM}",
            *(mean, low, high),
            holds=abs(mean - EQUILIBRIUM) <= CLOSE_ZIP / 100 * EQUILIBRIUM,
            digits=1,
            reason="ten days are too short for the margins to adapt",
        )


def alpha_claims(found: dict[str, Found]) -> Iterator[Claim]:
    """Judge whether the spread of ZIP prices around equilibrium falls from the first day to the last."""
    for market in EXPECTED:
        first, last = found[f"zip_{market}"].alpha[:, [0, -1]].T
        mean, low, high = mean_interval(_known(last - first))
        level = float(_known(last).mean())
        yield Claim(
            f"ZIP alpha, last day less first, {_title(market)} (last day {level:.1f}%)",
            "falls over the days",
            *(mean, low, high),
            holds=high < 0 and level <= LOW_ALPHA,
            unit=" points",
            reason="it does not fall" if high >= 0 else f"it falls, but not to {LOW_ALPHA:.0f}%",
        )


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values)]


def _price_figure(found: dict[str, Found]) -> Any:
    go = library("plotly.graph_objects")
    figure = go.Figure()
    titles = [_title(market) for market in EXPECTED]
    looks = styles(TRADERS.values())
    for kind, label in TRADERS.items():
        samples = [getattr(found[f"{kind}_{market}"], _SHOWN[kind]) for market in EXPECTED]
        means, lows, highs = np.array([mean_interval(_known(sample)) for sample in samples]).T
        figure.add_scatter(
            x=titles,
            y=means,
            error_y={"array": highs - means, "arrayminus": means - lows},
            mode="markers",
            name=f"{label}, {'last day' if kind == 'zip' else 'all days'} (95% interval)",
            marker={"size": 10, "color": looks[label].colour, "symbol": looks[label].symbol},
        )
    figure.add_scatter(
        x=titles,
        y=list(EXPECTED.values()),
        mode="markers",
        name="ZI-C, derived by Cliff and Bruten",
        marker={"size": 16, "symbol": "line-ew-open", "color": looks["ZI-C"].colour, "line": {"width": 3}},
    )
    figure.add_hline(
        y=EQUILIBRIUM, line={"dash": "dot"}, annotation_text="equilibrium", annotation_position="top left"
    )
    return figure.update_layout(
        title="Mean transaction price", xaxis_title="market", yaxis_title="mean price (cents)"
    )


_SHOWN = {"zi": "price", "zip": "last_price"}


def _alpha_figure(found: dict[str, Found]) -> Any:
    figure = library("plotly.subplots").make_subplots(
        rows=2, cols=2, shared_xaxes=True, shared_yaxes="all", subplot_titles=list(map(_title, EXPECTED))
    )
    looks = styles(TRADERS.values())
    for place, market in enumerate(EXPECTED):
        for kind, label in TRADERS.items():
            mean = np.nanmean(found[f"{kind}_{market}"].alpha, axis=0)
            figure.add_scatter(
                x=np.arange(1, len(mean) + 1),
                y=mean,
                name=label,
                legendgroup=label,
                showlegend=place == 0,
                mode="lines+markers",
                line={"color": looks[label].colour, "dash": looks[label].dash},
                marker={"symbol": looks[label].symbol},
                row=place // 2 + 1,
                col=place % 2 + 1,
            )
    figure.add_hline(y=LOW_ALPHA, line={"dash": "dot"}, annotation_text="the claim: ZIP ends below")
    figure.update_xaxes(title="day", row=2)
    figure.update_yaxes(title="alpha (% of equilibrium price)", rangemode="tozero", col=1)
    return figure.update_layout(title="Smith's alpha, mean over runs")
