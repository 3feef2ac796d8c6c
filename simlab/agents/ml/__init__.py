"""Machine learning with scikit-learn: models trained from recorded runs, and strategies that use them.

Owns how an estimator is named in YAML, how a trained model is stored and trusted, and the strategies
`ml_classifier`, `ml_regressor` and `ml_online`. `simlab.runner.training` trains. scikit-learn, skops and
threadpoolctl (the extra ``ml``) are imported on use only. Imports `core` and `errors`.
"""

from __future__ import annotations

from simlab.agents.ml.estimators import make_estimator, task_of
from simlab.agents.ml.libraries import library, single_threaded, versions
from simlab.agents.ml.store import CARD_FILE, MODEL_FILE, TrainedModel, load_model, save_model

__all__ = [
    "CARD_FILE",
    "MODEL_FILE",
    "TrainedModel",
    "library",
    "load_model",
    "make_estimator",
    "save_model",
    "single_threaded",
    "task_of",
    "versions",
]
