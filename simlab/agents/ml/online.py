"""Trade on a model that learns while it trades: `ml_online`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation, BatchOrders, Needs, Parameter, batch_strategy
from simlab.agents.compiled import HISTORY_STEPS
from simlab.agents.features import STANDARD, FeatureSet, NewsRows, future_move
from simlab.agents.ml.estimators import estimator_steps, task_of
from simlab.agents.ml.forecasting import Forecaster, NoteKind
from simlab.agents.ml.libraries import single_threaded, versions
from simlab.agents.ml.store import strengths
from simlab.agents.ml.trading import TRADING_PARAMETERS, OrderKind
from simlab.agents.strategy import Decider
from simlab.errors import StrategyError

__all__ = ["MlOnline", "OnlineModel"]

_DEFAULT = (
    "sklearn.preprocessing.StandardScaler",
    {"sklearn.linear_model.SGDClassifier": {"loss": "log_loss", "alpha": 0.001}},
)
_SIGNS = np.array([-1, 0, 1])


class OnlineModel:
    """Steps of a pipeline that learn from what is shown to them, batch by batch.

    Parameters
    ----------
    described : str, mapping or list
        As `simlab.agents.ml.make_estimator` takes it; every step must have `partial_fit`.
    seed : int
        What every `random_state` that is not given is set to.
    """

    def __init__(self, described: Any, *, seed: int) -> None:
        *self._before, self._last = estimator_steps(described, seed=seed)
        for step in (*self._before, self._last):
            if not hasattr(step, "partial_fit"):
                raise StrategyError(
                    f"estimator: {type(step).__name__} cannot learn in parts (it has no partial_fit); for"
                    " example sklearn.preprocessing.StandardScaler and sklearn.linear_model.SGDClassifier can"
                )
        self.task = task_of(self._last)
        self.samples = 0
        """How many it has learned from."""

    def learn(self, x: NDArray[np.float64], move: NDArray[np.float64], dead_zone: float) -> None:
        """Learn from ``(n, k)`` features and the ``(n,)`` moves that followed, ticks."""
        with single_threaded():
            for step in self._before:
                x = step.partial_fit(x).transform(x)
            if self.task == "regressor":
                self._last.partial_fit(x, move)
            else:
                sign = np.where(np.abs(move) > dead_zone, np.sign(move), 0.0).astype(np.int64)
                self._last.partial_fit(x, sign, classes=_SIGNS)
        self.samples += len(x)

    def strengths(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how strongly a fall and a rise are forecast, ``(n, 2) float64``; see `simlab.agents.ml`."""
        with single_threaded():
            for step in self._before:
                x = step.transform(x)
        return strengths(self._last, self.task, x)


@batch_strategy(
    "ml_online",
    "Trades on a forecast of the mid price, by a model that learns from every step while it trades.",
    (
        Parameter(
            "threshold",
            0.55,
            "1 or ticks",
            "As of ml_classifier, or of ml_regressor where the estimator is one.",
            0.0,
            1e6,
        ),
        *TRADING_PARAMETERS,
    ),
    needs=Needs(history=True),
    decider=Decider.ML,
)
class MlOnline(Forecaster):
    """Learn from every step whose outcome is known by now, then trade on the forecast of the next.

    It remembers one model and how far it has learned, which is part of the market's state.

    Parameters
    ----------
    features : list of str
        Names of features.
    horizon : int, steps
        How far ahead it forecasts.
    dead_zone : float, ticks
        Moves up to it are none, for a classifier.
    estimator : str, mapping or list
        An estimator of scikit-learn, or steps of a pipeline, that learn in parts (`partial_fit`).
    samples : int
        Steps that it learns from before it trades.
    seed : int
        Seed of the estimator's own draws.
    order : str
        ``take`` (immediate-or-cancel at the best opposite price), ``market`` or ``limit``.
    note : str
        Whose features and forecasts go into the table decisions: ``orders`` or ``all``.
    """

    def __init__(
        self,
        features: Sequence[str] = STANDARD,
        horizon: int = 20,
        dead_zone: float = 0.0,
        estimator: Any = None,
        samples: int = 500,
        seed: int = 1,
        order: OrderKind = "take",
        note: NoteKind = "orders",
    ) -> None:
        self._order, self._note = order, note
        self.features = FeatureSet(features)
        if self.features.own:
            raise StrategyError(f"features: {self.features.own[0]!r} is an agent's own; leave it out here")
        if not 1 <= horizon <= HISTORY_STEPS // 2:
            raise StrategyError(f"horizon {horizon} must be from 1 to {HISTORY_STEPS // 2} steps")
        if not dead_zone >= 0.0:
            raise StrategyError(f"dead_zone {dead_zone} must be at least 0 ticks")
        self._horizon, self._dead_zone, self._least = horizon, dead_zone, samples
        self._model = OnlineModel(list(_DEFAULT) if estimator is None else estimator, seed=seed)
        self.task = self._model.task
        self._next: dict[str, int] = {}
        """By instrument, the first step that was not learned from."""

    @staticmethod
    def check_options(**options: Any) -> None:
        """Make one, which says what is wrong."""
        MlOnline(**options)

    @staticmethod
    def provenance(options: dict[str, Any]) -> dict[str, str]:
        """Return the version of the library that learns."""
        return {"scikit-learn": versions()["scikit-learn"]}

    def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        """Learn, then forecast and trade."""
        for j, name in enumerate(observation.instruments):
            self._learn(observation, j, name)
        if self._model.samples < max(1, self._least):
            everybody = np.arange(len(observation.agents))
            detail = f"learned from {self._model.samples} steps of {self._least}"
            orders.pass_on(everybody, "warming up", detail)
            return
        self.act(observation, orders)

    def _learn(self, observation: BatchObservation, j: int, name: str) -> None:
        """Learn from the steps since the last time whose outcome is known, as far as history goes back."""
        first, end = self._next.get(name, 0), observation.step - self._horizon + 1
        if end <= first:
            return
        history = observation.history(observation.step - first + self.features.warm_up, j)
        self._next[name] = end
        if not len(history):
            return
        tick = int(observation.tick_size[j])
        x = self.features.table(
            history,
            tick_size=tick,
            news=NewsRows.of(observation.news),
            instrument=int(observation.numbers[j]),
        )
        move = future_move(history["mid"], self._horizon, tick)
        use = np.isfinite(x).all(axis=1) & np.isfinite(move) & (history["step"] + 1 >= first)
        if use.any():
            self._model.learn(x[use], move[use], self._dead_zone)

    def _strengths(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._model.strengths(x)
