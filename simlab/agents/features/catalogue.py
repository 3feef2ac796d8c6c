"""The features there are: what each is called, its unit, its formula, and how much past it takes.

Every formula takes the ends of steps, oldest first, and returns a value for each of them: what is known then.
It may look back, never ahead. NaN is "not known": too little past, or a side of the book that is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.features.windows import ago, window_sum
from simlab.agents.history import HISTORY_LEVELS

__all__ = ["FEATURES", "MAX_WINDOW", "Ends", "Feature", "Over"]

MAX_WINDOW = 1000
"""The most steps that a feature looks back; the history that is kept is a little longer."""

Column = NDArray[np.float64]


@dataclass(frozen=True)
class Ends:
    """The ends of consecutive steps of one instrument.

    Parameters
    ----------
    rows : (n,) HISTORY_DTYPE
    tick_size : int, price units
    news_step, news_sentiment : (n,) int64, float64
        Of the latest news that could be seen in the step after each; step -1 where there was none.
    """

    rows: NDArray[Any]
    tick_size: int
    news_step: NDArray[np.int64]
    news_sentiment: Column

    def __getitem__(self, name: str) -> Column:
        """Return a field of the rows as floats."""
        return self.rows[name].astype(np.float64)

    def side(self, name: str) -> Column:
        """Return best prices, price units, NaN where the side is empty."""
        return np.where(self.rows[f"{name}_depth"] > 0, self.rows[f"best_{name}"], np.nan)

    def change(self, name: str, steps: int) -> Column:
        """Return by how much a count of lots grew over the last `steps` steps; the difference is exact."""
        return self[name] - ago(self[name], steps)


@dataclass(frozen=True)
class Over:
    """What the number behind a feature's name counts: "steps" or "levels", from 1 to `most`."""

    unit: str
    most: int


_STEPS = Over("steps", MAX_WINDOW)
_LEVELS = Over("levels", HISTORY_LEVELS)


@dataclass(frozen=True)
class Feature:
    """One feature.

    `formula` says it in words, with W for the number that its name ends in, where `over` asks for one.
    `warm_up` is the number of steps' ends that it takes for W, `depth` the levels of the book. An `own`
    feature is of an agent and not of the market: it is what the agent sees when it looks, and cannot be
    computed from a recording.
    """

    name: str
    unit: str
    formula: str
    compute: Callable[[Ends, int], Column] | None
    over: Over | None = None
    warm_up: Callable[[int], int] = lambda w: 1
    depth: Callable[[int], int] = lambda w: 0
    source: str = ""
    own: bool = False


def _one_and_window(w: int) -> int:
    return w + 1


def _ratio(part: Column, whole: Column) -> Column:
    return part / np.where(whole != 0, whole, np.nan)


def _spread(ends: Ends, _: int) -> Column:
    return (ends.side("ask") - ends.side("bid")) / ends.tick_size


def _imbalance(ends: Ends, _: int) -> Column:
    bid, ask = ends["bid_depth"], ends["ask_depth"]
    return _ratio(bid - ask, bid + ask)


def _depth_imbalance(ends: Ends, levels: int) -> Column:
    bid, ask = (ends[name][:, :levels].sum(axis=1) for name in ("bid_depths", "ask_depths"))
    return _ratio(bid - ask, bid + ask)


def _mid_return(ends: Ends, w: int) -> Column:
    past = ago(ends["mid"], w)
    return ends["mid"] / np.where(past > 0, past, np.nan) - 1.0


def _volatility(ends: Ends, w: int) -> Column:
    returns = _mid_return(ends, 1)
    mean = window_sum(returns, w) / w
    return np.sqrt(np.maximum(window_sum(returns * returns, w) / w - mean * mean, 0.0))


def _mean_distance(ends: Ends, w: int) -> Column:
    mid = ends["mid"]
    return (mid - window_sum(mid, w) / w) / ends.tick_size


def _last_distance(ends: Ends, _: int) -> Column:
    return (ends["last_price"] - ends["mid"]) / ends.tick_size


def _flow(ends: Ends, w: int) -> Column:
    volume = ends.change("volume", w)
    return np.where(volume == 0, 0.0, (2.0 * ends.change("bought", w) - volume) / np.maximum(volume, 1.0))


def _volume(ends: Ends, w: int) -> Column:
    return ends.change("volume", w)


def _order_flow_imbalance(ends: Ends, w: int) -> Column:
    def pressure(side: str, sign: float) -> Column:
        """Lots that were added to a side, those taken away negative; an empty side is infinitely far."""
        price, depth = np.nan_to_num(sign * ends.side(side), nan=-np.inf), ends[f"{side}_depth"]
        before = ago(price, 1)
        return np.where(price >= before, depth, 0.0) - np.where(price <= before, ago(depth, 1), 0.0)

    change = pressure("bid", 1.0) - pressure("ask", -1.0)
    change[:1] = np.nan
    return window_sum(change, w)


def _news(ends: Ends, w: int) -> Column:
    age = ends.rows["step"] + 1 - ends.news_step
    return np.where((ends.news_step >= 0) & (age <= w), ends.news_sentiment, 0.0)


_CKS = "Cont, Kukanov and Stoikov (2014), Journal of Financial Econometrics 12(1), 47-88, equation 10"
_GB = "Gould and Bonart (2016), Market Microstructure and Liquidity 2(2)"

FEATURES: dict[str, Feature] = {
    it.name: it
    for it in (
        Feature("spread", "ticks", "(best ask - best bid) / tick size", _spread),
        Feature(
            "imbalance",
            "1",
            "(bid depth - ask depth) / (bid depth + ask depth), at the best prices",
            _imbalance,
            source=_GB,
        ),
        Feature(
            "depth_imbalance",
            "1",
            "the same with the depths of the best W levels of each side",
            _depth_imbalance,
            _LEVELS,
            depth=lambda w: w,
        ),
        Feature("mid_return", "1", "mid / mid W steps before - 1", _mid_return, _STEPS, _one_and_window),
        Feature(
            "volatility",
            "1",
            "standard deviation (divisor W) of the last W one-step returns of the mid",
            _volatility,
            _STEPS,
            _one_and_window,
        ),
        Feature(
            "mean_distance",
            "ticks",
            "(mid - mean of the last W mids) / tick size",
            _mean_distance,
            _STEPS,
            lambda w: w,
        ),
        Feature("last_distance", "ticks", "(last price - mid) / tick size", _last_distance),
        Feature(
            "flow",
            "1",
            "(lots bought - lots sold by aggressors) / lots traded, in the last W steps; 0 without trades",
            _flow,
            _STEPS,
            _one_and_window,
        ),
        Feature("volume", "lots", "lots traded in the last W steps", _volume, _STEPS, _one_and_window),
        Feature(
            "order_flow_imbalance",
            "lots",
            "sum over the last W steps of what was added to the best bid less what was added to the best ask",
            _order_flow_imbalance,
            _STEPS,
            _one_and_window,
            source=_CKS,
        ),
        Feature(
            "news",
            "1",
            "sentiment of the latest news of the last W steps, from -1 to 1; 0 without any",
            _news,
            _STEPS,
        ),
        Feature("inventory", "lots", "the agent's own inventory when it looks", None, own=True),
    )
}
"""Every feature by name, in the order of the documentation."""
