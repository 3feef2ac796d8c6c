"""A market with something to learn, and populations that trade on models in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
WORLD: dict[str, Any] = {
    "extends": str(ROOT / "configs" / "slow_news.yaml"),
    "name": "lagging",
    "instruments": {"ACME": {"fundamental": {"model": "mean_reverting", "reversion": 0.02, "volatility": 5}}},
    "news": {"poisson": {"rate": 0.01, "impact_scale": 20}},
    "populations": {"value": {"count": 80}, "makers": {"parameters": {"inventory_limit": 2_000}}},
}
"""Eighty investors know what the share is worth; each looks every hundred steps: the price follows slowly.

The value comes and goes within fifty steps or so, so that one run holds many chances and runs are alike.
"""
TRAINING: dict[str, Any] = {
    "features": ["spread", "imbalance", "mid_return_5", "mid_return_20", "flow_20", "mean_distance_50"],
    "label": {"kind": "sign", "horizon": 20, "dead_zone": 3},
    "estimator": ["sklearn.preprocessing.StandardScaler", "sklearn.linear_model.LogisticRegression"],
}  # fmt: skip


def traders(strategy: str, options: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Return a population that trades on a model."""
    return {
        "strategy": strategy,
        "count": 4,
        "options": options,
        "parameters": {"threshold": 0.5, "size": 3, "position_limit": 15, "unwind": 3},
        "activation": {"period": 4},
        "account": {"cash": 10_000_000, "short_selling": "free"},
        **others,
    }


def world(learners: dict[str, Any], base: dict[str, Any] = WORLD) -> dict[str, Any]:
    """Return the configuration of a market, by default with something to learn, and a population in it."""
    return {**base, "populations": {**base["populations"], "learners": learners}}
