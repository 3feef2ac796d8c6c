"""Recorded runs of a market with something to learn, and models trained on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from learning_markets import TRAINING, WORLD

import simlab
from simlab.runner.training import train


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
