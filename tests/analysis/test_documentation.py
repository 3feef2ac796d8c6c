"""docs/analysis.md defines every measure there is, and its links and examples are right."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import simlab

PAGE = Path(__file__).parents[2] / "docs" / "analysis.md"
MEASURES = [
    "allocation",
    "attribution",
    "compare",
    "depth",
    "efficiency",
    "facts.cards",
    "facts.orders",
    "facts.returns",
    "facts.volatility",
    "impact",
    "leaderboard",
    "metaorders",
    "orders",
    "performance",
    "pnl",
    "quality",
    "queueing",
    "spreads",
    "warmup",
]


def _functions(module: str) -> list[str]:
    loaded = importlib.import_module(f"simlab.analysis.{module}")
    return [name for name in loaded.__all__ if inspect.isfunction(getattr(loaded, name))]


@pytest.mark.parametrize("module", MEASURES)
def test_every_measure_is_defined(module: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    functions = _functions(module)
    assert functions
    assert [name for name in functions if not re.search(rf"\b{name}\b", text)] == []


def test_the_methods_of_a_run_are_listed(day: simlab.Run) -> None:
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    methods = re.findall(r"^run\.(\w+)\(\)", block[1], re.MULTILINE)
    assert methods == ["pnl", "attribution", "transfers", "leaderboard", "quality", "facts"]
    for method in methods:
        assert len(getattr(day, method)()) > 0
