"""Trade on the forecasts of a model, one for the whole population: what `ml` strategies have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation, BatchOrders
from simlab.agents.features import FeatureSet
from simlab.agents.ml.trading import OrderKind, send, withdraw
from simlab.agents.strategy import Strategy

__all__ = ["Forecaster", "NoteKind"]

NoteKind = Literal["orders", "all"]
"""Whose features and forecasts are noted in the table `decisions`: of those who send orders, or of all."""


class Forecaster(ABC):
    """Forecast once for all agents that act, and let each trade by its own threshold.

    A subclass has `features` and `task` and returns from `_strengths` what a model forecasts.
    """

    strategy: ClassVar[Strategy]
    features: FeatureSet
    task: str
    _order: OrderKind
    _note: NoteKind

    @abstractmethod
    def _strengths(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how strongly a fall and a rise are forecast from ``(n, k)`` features, ``(n, 2) float64``."""

    def act(self, observation: BatchObservation, orders: BatchOrders) -> None:
        """Trade each instrument whose features are known; pass on the agents that know none."""
        x = self.features.now(observation)
        known = np.isfinite(x).all(axis=2)
        everybody = np.arange(len(observation.agents))
        blind = everybody[np.broadcast_to(~np.any(known, axis=1), len(everybody))]
        if len(blind):
            self._pass_on(blind, observation, orders, x)
        if len(blind) == len(everybody):
            return
        forecast = np.full((*known.shape, 2), np.nan)
        forecast[known] = self._strengths(x[known])
        if self._order == "limit":
            withdraw(observation, orders, np.setdiff1d(everybody, blind))
        for j, name in enumerate(observation.instruments):
            beyond = forecast[:, j] - self._thresholds(observation, j)[:, None]
            unclear = ~(forecast[:, j, 0] != forecast[:, j, 1]) | np.isnan(beyond[:, 0])
            beyond[np.broadcast_to(unclear, len(beyond))] = -np.inf
            who = send(observation, orders, j, kind=self._order, beyond=beyond)
            noted = who if self._note == "orders" else np.setdiff1d(everybody, blind)
            if len(noted):
                self._write_down(orders, noted, name, x[:, j], forecast[:, j])

    def _thresholds(self, observation: BatchObservation, j: int) -> NDArray[np.float64]:
        """Return what each agent's forecast must reach: with a regressor, more by the half spread it pays."""
        column = observation.parameter_names.index("threshold")
        least = observation.parameters[:, column]
        if self.task == "classifier" or self._order == "limit":
            return least
        spread = float(observation.best_ask[j] - observation.best_bid[j]) / float(observation.tick_size[j])
        return least + 0.5 * spread

    def _pass_on(
        self,
        who: NDArray[np.int64],
        observation: BatchObservation,
        orders: BatchOrders,
        x: NDArray[np.float64],
    ) -> None:
        if observation.step < self.features.warm_up:
            detail = f"step {observation.step} of the {self.features.warm_up} that the features take"
            orders.pass_on(who, "warming up", detail)
            return
        unknown = np.flatnonzero(np.any(np.isnan(x), axis=(0, 1)))
        names = [self.features.names[k] for k in unknown]
        orders.pass_on(who, "features unknown", f"{', '.join(names)}: a side of the book is empty")

    def _write_down(
        self,
        orders: BatchOrders,
        who: NDArray[np.int64],
        instrument: str,
        x: NDArray[np.float64],
        forecast: NDArray[np.float64],
    ) -> None:
        """Note what was forecast and from what the agents knew, by the instrument's name."""
        alike = len(x) == 1
        told: list[dict[str, Any]] = [
            self._told(*fall_and_rise) | {"features": dict(zip(self.features.names, row, strict=True))}
            for row, fall_and_rise in zip(
                (x if alike else x[who]).tolist(),
                (forecast if alike else forecast[who]).tolist(),
                strict=True,
            )
        ]
        orders.note(who, **{instrument: told[0] if alike else told})

    def _told(self, fall: float, rise: float) -> dict[str, float]:
        return {"move": rise} if self.task == "regressor" else {"fall": fall, "rise": rise}
