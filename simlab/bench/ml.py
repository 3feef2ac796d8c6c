"""Measure what a population that trades on a model costs beside the model's own prediction."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from simlab.agents.features import FEATURES_VERSION, STANDARD
from simlab.agents.ml import TrainedModel, load_model, make_estimator, save_model, single_threaded, versions
from simlab.config import build, load
from simlab.kernel import Simulation

__all__ = ["run"]

_ROWS, _BLOCKS, _BEFORE = 4_000, 20, 200
_ESTIMATOR = {"sklearn.ensemble.HistGradientBoostingClassifier": {"max_iter": 100}}
_FREE = {"borrowing": "free", "short_selling": "free"}
_MARKET: dict[str, Any] = {
    "instruments": {"ACME": {"initial_price": 10_000}},
    "populations": {
        "noise": {"strategy": "noise", "count": 100, "activation": {"rate": 0.2}, "account": _FREE},
        "makers": {
            "strategy": "market_maker",
            "count": 2,
            "parameters": {"size": 100_000, "inventory_limit": 1_000_000_000},
            "account": _FREE,
        },
    },
}


def run(agents: int, steps: int) -> dict[str, Any]:
    """Measure a market with and without a population that trades on gradient-boosted trees.

    All agents act in every step, on one forecast, and about half of them send orders. The two markets and the
    model alone are measured in turns, in processor time, and medians taken: what else the machine does falls
    on all alike.

    Returns
    -------
    dict
        Milliseconds a step of the market alone, of the market with the population, and of the model's own
        `predict_proba`; and what the population adds beside it.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = _model(Path(folder))
        population = {
            "strategy": "ml_classifier",
            "count": agents,
            "options": {"model_path": folder},
            "parameters": {"threshold": {"uniform": [0.3, 0.5]}, "position_limit": 1_000_000_000},
            "account": _FREE,
        }
        block = max(1, steps // _BLOCKS)
        length = _BEFORE + _BLOCKS * block
        with_it = {**_MARKET, "populations": _MARKET["populations"] | {"model": population}}
        markets = [Simulation(build(load(it, steps=length))) for it in (_MARKET, with_it)]
        for market in markets:
            market.advance(_BEFORE)
        row = np.zeros((1, len(STANDARD)))
        times: list[list[float]] = [[], [], []]
        for i in range(1, _BLOCKS + 1):
            end = _BEFORE + i * block
            jobs: list[Callable[[], Any]] = [partial(market.advance, end) for market in markets]
            jobs.append(partial(_predict, model, row, block))
            for found, job in zip(times, jobs, strict=True):
                found.append(_timed(job) / block)
        orders = next(
            it["orders"] for it in markets[1].summary()["populations"] if it["population"] == "model"
        )
        for market in markets:
            market.close()
    alone, together, predict = (median(it) for it in times)
    return {
        "agents": agents,
        "steps": length - _BEFORE,
        "orders_per_step": orders / length,
        "market_ms": alone,
        "market_with_population_ms": together,
        "predict_ms": predict,
        "added_ms": together - alone - predict,
    }


def _model(folder: Path) -> TrainedModel:
    """Return a classifier that has learned noise: what it forecasts does not matter here."""
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(_ROWS, len(STANDARD))), generator.integers(-1, 2, _ROWS)
    estimator = make_estimator(_ESTIMATOR, seed=1)
    with single_threaded():
        estimator.fit(x, y)
    features = {"version": FEATURES_VERSION, "names": list(STANDARD)}
    save_model(folder, estimator, {"task": "classifier", "features": features, "versions": versions()})
    return load_model(folder)


def _predict(model: TrainedModel, row: Any, times: int) -> None:
    with single_threaded():
        for _ in range(times):
            model.estimator.predict_proba(row)


def _timed(job: Callable[[], Any]) -> float:
    """Return the milliseconds of processor time that something takes: all of it is on one thread."""
    start = time.process_time()
    job()
    return 1e3 * (time.process_time() - start)
