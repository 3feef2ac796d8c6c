"""A workspace with a strategy of its own, and a way to write YAML into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

STRATEGY = """
from simlab.agents.compiled import Parameter, compiled_strategy, limit

PARAMETERS = (
    Parameter("size", 2, "lots", "Order size.", low=1, high=20, integer=True),
    Parameter("edge", 0.5, "price units", "Distance from the mid."),
)


@compiled_strategy("joiner", "Joins the best bid.", PARAMETERS)
def joiner(view, me, rng, orders):
    if view.bid_depth > 0:
        limit(orders, view, 0, view.best_bid, int(me.parameters[0]))


not_a_strategy = 3
"""

BASE = {
    "name": "base",
    "steps": 10,
    "instruments": {"ACME": {"initial_price": 10000}, "BRK.B": {"initial_price": 500}},
    "populations": {
        "noise": {"strategy": "noise", "count": 3},
        "makers": {"strategy": "market_maker", "count": 1, "parameters": {"size": 5}},
    },
}


@pytest.fixture
def base() -> dict[str, Any]:
    """A small valid configuration, free to be changed."""
    import copy

    return copy.deepcopy(BASE)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "strategies").mkdir()
    (tmp_path / "configs").mkdir()
    (tmp_path / "strategies" / "joiner.py").write_text(STRATEGY)
    return tmp_path


@pytest.fixture
def write(workspace: Path) -> Callable[[str, str], Path]:
    """Write ``configs/NAME`` from dedented text and return its path."""

    def write(name: str, text: str) -> Path:
        path = workspace / "configs" / name
        path.write_text(dedent(text))
        return path

    return write
