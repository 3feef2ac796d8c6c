"""A strategy for a whole population at once: one model that learns while it trades, many accounts.

`decide` gets arrays with a row for each agent that acts in this step and answers with arrays, so a model's
forecast is computed once and costs the same for ten agents as for ten thousand. The model is a linear
regression of the next price change, fitted by recursive least squares with forgetting (Haykin 2002, Adaptive
Filter Theory, 4th edition, chapter 9): after every period it corrects itself by what then happened.

This shows how a batch strategy is written; `ml_online` does the same with any estimator of scikit-learn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation, BatchOrders, Parameter, batch_strategy
from simlab.core.types import Side, TimeInForce

FORGETTING = 0.995
"""Weight of the last observation but one, relative to the last: a memory of about 200 periods."""
WARM_UP = 30
"""Forecasts made only to learn from, before any order is sent."""


class RecursiveLeastSquares:
    """Predict y from x with weights that follow the data."""

    def __init__(self, size: int) -> None:
        self.weights = np.zeros(size)
        self._covariance = 10.0 * np.eye(size)  # large: the first observations count, not the zeros

    def predict(self, x: NDArray[np.float64]) -> float:
        """Return the expected y."""
        return float(self.weights @ x)

    def learn(self, x: NDArray[np.float64], y: float) -> None:
        """Correct the weights by the error made on one observation."""
        spread = self._covariance @ x
        gain = spread / (FORGETTING + x @ spread)
        self.weights += gain * (y - self.predict(x))
        self._covariance = (self._covariance - np.outer(gain, spread)) / FORGETTING


@batch_strategy(
    "online_regression",
    "Trades on a linear forecast of the next price change, learned while trading.",
    (
        Parameter("edge", 0.5, "price units", "Expected change beyond half the spread.", low=0.0, high=1e6),
        Parameter("size", 5, "lots", "Order size.", low=1, high=10_000, integer=True),
        Parameter(
            "inventory_limit",
            50,
            "lots",
            "Largest inventory, long or short.",
            low=0,
            high=10**6,
            integer=True,
        ),
    ),
)
class OnlineRegression:
    """Hold the model and the last look at the market. Meant for ``activation: {period: ...}``."""

    def __init__(self) -> None:
        self.model = RecursiveLeastSquares(4)
        self.looks = 0
        self._last_features = np.zeros(4)
        self._last_mid = 0.0

    def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        """Learn from the change since the last look, then let those trade to whom the next seems worth it."""
        mid = float(observation.mid[0])
        if self.looks:
            self.model.learn(self._last_features, mid - self._last_mid)
        self._last_features, self._last_mid = _features(observation), mid
        self.looks += 1
        if self.looks > WARM_UP and observation.bid_depth[0] and observation.ask_depth[0]:
            self._trade(self.model.predict(self._last_features), observation, orders)

    def _trade(self, forecast: float, observation: BatchObservation, orders: BatchOrders) -> None:
        edge, size, limit = observation.parameters.T
        half_spread = 0.5 * float(observation.best_ask[0] - observation.best_bid[0])
        side, sign = (Side.BUY, 1) if forecast > 0 else (Side.SELL, -1)
        room = limit - sign * observation.inventory[:, 0]
        who = np.flatnonzero((abs(forecast) > half_spread + edge) & (room >= 1))
        price = observation.best_ask[0] if side is Side.BUY else observation.best_bid[0]
        quantity = np.minimum(size, room)[who].astype(np.int64)
        orders.limit(who, side, price, quantity, time_in_force=TimeInForce.IOC)


def _features(observation: BatchObservation) -> NDArray[np.float64]:
    """Return a constant, the imbalance of the best depths, and two past changes, price units."""
    bids, asks = float(observation.bid_depth[0]), float(observation.ask_depth[0])
    imbalance = (bids - asks) / (bids + asks) if bids + asks else 0.0
    changes = [observation.past_return(steps) * float(observation.mid[0]) for steps in (60, 600)]
    return np.array([1.0, imbalance, *changes])
