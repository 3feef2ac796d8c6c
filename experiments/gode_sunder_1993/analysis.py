"""Allocative efficiency in five markets, with traders that may and that may not trade at a loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.analysis import Run
from simlab.analysis.figures import styles
from simlab.analysis.libraries import library
from simlab.runner.study import Claim, Lab, Trial, mean_interval

MARKETS = ("M1", "M2", "M3", "M4", "M5")
PAPER = {
    "ZI-C": dict(zip(MARKETS, (99.9, 99.2, 99.0, 98.2, 97.1), strict=True)),
    "ZI-U": dict(zip(MARKETS, (90.0, 90.0, 76.7, 48.8, 86.0), strict=True)),
}
"""Mean efficiency, percent, by kind of trader and market."""
LEAST_CONSTRAINED = 97.0
"""Percent: ZI-C counts as reproduced from here."""
LEAST_SHARE_OF_GAP = 0.5
"""Of the paper's gap between ZI-C and ZI-U: ZI-U counts as well below ZI-C from here."""
STRATEGIES = {"ZI-C": "zi_constrained", "ZI-U": "zi_unconstrained"}


def efficiencies(run: Run) -> NDArray[np.float64]:
    """Return the mean efficiency over the periods of each market, percent."""
    by_market = run.allocation().groupby("instrument")["efficiency"].mean()
    return 100 * by_market.loc[list(MARKETS)].to_numpy()


def study(lab: Lab) -> list[Claim]:
    """Run the five markets with either kind of trader on the same seeds."""
    seeds = lab.seeds(20)
    trials = [Trial(seed, _everybody(strategy)) for strategy in STRATEGIES.values() for seed in seeds]
    found = np.array(lab.runs(efficiencies, trials)).reshape(len(STRATEGIES), len(seeds), len(MARKETS))
    ours = dict(zip(STRATEGIES, found, strict=True))
    lab.figure(_figure(ours))
    return list(claims(ours))


def _everybody(strategy: str) -> dict[str, str]:
    """Return what to set so that all traders follow a strategy."""
    numbers = range(1, len(MARKETS) + 1)
    return {f"populations.{side}_{i}.strategy": strategy for side in ("buyers", "sellers") for i in numbers}


def claims(ours: dict[str, NDArray[np.float64]]) -> Iterator[Claim]:
    """Judge the efficiencies, ``(seeds, markets)``, percent, by the rules of the README."""
    for i, market in enumerate(MARKETS):
        mean, low, high = mean_interval(ours["ZI-C"][:, i])
        yield Claim(
            f"ZI-C efficiency, market {i + 1}",
            f"{PAPER['ZI-C'][market]}%",
            *(mean, low, high),
            holds=mean >= LEAST_CONSTRAINED,
            unit="%",
            reason="orders that rest let extra-marginal units trade",
        )
    yield from gap_claims(ours["ZI-C"] - ours["ZI-U"])


def gap_claims(gaps: NDArray[np.float64]) -> list[Claim]:
    """Judge by how many points ZI-C is above ZI-U, ``(seeds, markets)``."""
    constrained, unconstrained = (float(np.mean(list(PAPER[kind].values()))) for kind in STRATEGIES)
    paper = constrained - unconstrained
    mean, low, high = mean_interval(gaps.mean(axis=1))
    smallest = min((mean_interval(column) for column in gaps.T), key=lambda gap: gap[1])
    return [
        Claim(
            "ZI-U well below ZI-C, mean of the five markets",
            f"{paper:.1f} points ({constrained:.1f}% less {unconstrained:.1f}%)",
            *(mean, low, high),
            holds=low >= LEAST_SHARE_OF_GAP * paper,
            unit=" points",
            reason="too few extra-marginal units trade, or they lose too little",
        ),
        Claim(
            "ZI-C above ZI-U in each market (smallest difference)",
            "9.2 points",
            *smallest,
            holds=smallest[1] > 0,
            unit=" points",
            reason="in one market at least the difference cannot be told from none",
        ),
    ]


def _figure(ours: dict[str, NDArray[np.float64]]) -> Any:
    go = library("plotly.graph_objects")
    figure = go.Figure()
    looks = styles(STRATEGIES)
    for kind, values in ours.items():
        means, lows, highs = np.array([mean_interval(column) for column in values.T]).T
        colour = looks[kind].colour
        figure.add_scatter(
            x=MARKETS,
            y=means,
            error_y={"array": highs - means, "arrayminus": means - lows},
            mode="markers",
            name=f"{kind}, simlab (95% interval)",
            marker={"color": colour, "symbol": looks[kind].symbol, "size": 10},
        )
        figure.add_scatter(
            x=MARKETS,
            y=list(PAPER[kind].values()),
            mode="lines+markers",
            name=f"{kind}, Gode and Sunder",
            line={"color": colour, "dash": "dot"},
            marker={"color": colour, "symbol": f"{looks[kind].symbol}-open", "size": 10},
        )
    return figure.update_layout(
        title="Allocative efficiency of zero-intelligence traders",
        xaxis_title="market",
        yaxis={"title": "allocative efficiency (% of the largest surplus)", "range": [0, 104]},
    )
