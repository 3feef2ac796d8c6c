"""Trade on a model that was trained from recorded runs: `ml_classifier` and `ml_regressor`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation, BatchOrders, Needs, Parameter, batch_strategy
from simlab.agents.ml.forecasting import Forecaster, NoteKind
from simlab.agents.ml.store import TrainedModel, load_model
from simlab.agents.ml.trading import TRADING_PARAMETERS, OrderKind
from simlab.agents.strategy import Decider
from simlab.errors import StrategyError

__all__ = ["MlClassifier", "MlRegressor"]


class _Trained(Forecaster):
    """Hold a model that was loaded. What is saved with a market is where it is, and its hash."""

    task = ""

    def __init__(self, model_path: Path, order: OrderKind = "take", note: NoteKind = "orders") -> None:
        self._order, self._note = order, note
        self._hold(_of_task(model_path, self.task))

    def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        """Forecast, and trade where it is worth it."""
        self.act(observation, orders)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "folder": self._model.folder,
            "hashes": self._model.hashes,
            "order": self._order,
            "note": self._note,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        model = _of_task(state["folder"], self.task)
        if model.hashes != state["hashes"]:
            raise StrategyError(f"{model.folder}: the model is another one than when the market was saved")
        self._order, self._note = state["order"], state["note"]
        self._hold(model)

    @classmethod
    def check_options(cls, model_path: Path, **_: Any) -> None:
        """Load the model, which says what is wrong with it."""
        _of_task(model_path, cls.task)

    @staticmethod
    def provenance(options: dict[str, Any]) -> dict[str, str]:
        """Return the hashes of the model and of its card, and the version of what reads it."""
        model = load_model(options["model_path"])
        return {**model.hashes, "scikit-learn": str(model.card["versions"]["scikit-learn"])}

    def _hold(self, model: TrainedModel) -> None:
        self._model, self.features = model, model.features

    def _strengths(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._model.strengths(x)


@batch_strategy(
    "ml_classifier",
    "Trades on the probability that the mid price will rise or fall, by a trained classifier.",
    (
        Parameter("threshold", 0.55, "1", "Probability from which it trades.", 0.0, 1.0),
        *TRADING_PARAMETERS,
    ),
    needs=Needs(history=True),
    decider=Decider.ML,
)
class MlClassifier(_Trained):
    """Trade on the forecast sign of the next move.

    Parameters
    ----------
    model_path : Path
        The folder that `simlab train` wrote.
    order : str
        ``take`` (immediate-or-cancel at the best opposite price), ``market`` or ``limit``.
    note : str
        Whose features and forecasts go into the table decisions: ``orders`` or ``all``.
    """

    task = "classifier"


@batch_strategy(
    "ml_regressor",
    "Trades on the expected move of the mid price, by a trained regressor.",
    (
        Parameter("threshold", 0.0, "ticks", "Move beyond its cost, half a spread, to trade on.", 0.0, 1e6),
        *TRADING_PARAMETERS,
    ),
    needs=Needs(history=True),
    decider=Decider.ML,
)
class MlRegressor(_Trained):
    """Trade on the forecast size of the next move.

    Parameters
    ----------
    model_path : Path
        The folder that `simlab train` wrote.
    order : str
        ``take`` (immediate-or-cancel at the best opposite price), ``market`` or ``limit``.
    note : str
        Whose features and forecasts go into the table decisions: ``orders`` or ``all``.
    """

    task = "regressor"


def _of_task(folder: Path, task: str) -> TrainedModel:
    model = load_model(folder)
    if model.task != task:
        raise StrategyError(f"{folder}: the model is a {model.task}; use the strategy ml_{model.task}")
    return model
