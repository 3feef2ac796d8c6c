"""A market with something to learn, recorded, and models trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import simlab
from simlab.runner.training import train

ROOT = Path(__file__).parents[3]
WORLD = ROOT / "configs" / "slow_news.yaml"
TRAINING: dict[str, Any] = {
    "features": ["spread", "imbalance", "mid_return_5", "mid_return_20", "flow_20", "mean_distance_50"],
    "label": {"kind": "sign", "horizon": 20, "dead_zone": 3},
    "estimator": ["sklearn.preprocessing.StandardScaler", "sklearn.linear_model.LogisticRegression"],
}  # fmt: skip


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    out = tmp_path_factory.mktemp("runs")
    return [simlab.run(WORLD, seed=seed, steps=2_500, out=out).path for seed in (1, 2)]


@pytest.fixture(scope="session")
def models(recorded: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return folders of a classifier, of the same that has learned nothing, and of boosted regression."""
    out = tmp_path_factory.mktemp("models")
    boosted = {"sklearn.ensemble.HistGradientBoostingRegressor": {"max_iter": 20, "max_leaf_nodes": 6}}
    regression = {**TRAINING, "label": {"kind": "size", "horizon": 20}, "estimator": boosted}
    return {
        "classifier": train(TRAINING, recorded, out=out / "classifier").folder,
        "nothing": train(TRAINING, recorded, out=out / "nothing", shuffle_labels=True).folder,
        "regressor": train(regression, recorded, out=out / "regressor").folder,
    }


def traders(strategy: str, options: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Return what to set in the world for a population that trades on a model."""
    return {
        "populations.learners": {
            "strategy": strategy,
            "count": 4,
            "options": options,
            "parameters": {"threshold": 0.6, "size": 3, "position_limit": 15, "unwind": 3},
            "activation": {"period": 4},
            "account": {"cash": 10_000_000, "short_selling": "free"},
            **others,
        }
    }
