"""docs/analysis.md defines every measure there is, and its links and examples are right."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import simlab

PAGE = Path(__file__).parents[2] / "docs" / "analysis.md"
ROOMS = ["compare", "facts", "pnl", "quality"]


def _functions(room: str) -> list[str]:
    loaded = importlib.import_module(f"simlab.analysis.{room}")
    return [name for name in loaded.__all__ if inspect.isfunction(getattr(loaded, name))]


@pytest.mark.parametrize("room", ROOMS)
def test_every_measure_is_defined(room: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    functions = _functions(room)
    assert functions
    assert [name for name in functions if not re.search(rf"\b{name}\b", text)] == []


def test_every_module_that_is_named_exists() -> None:
    named = set(re.findall(r"`(simlab\.analysis[\w.]*)", PAGE.read_text(encoding="utf-8")))
    assert named
    for dotted in named:
        module, _, attribute = dotted.rpartition(".")
        try:
            importlib.import_module(dotted)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), attribute), dotted


def test_the_methods_of_a_run_are_listed(day: simlab.Run) -> None:
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    methods = re.findall(r"^run\.(\w+)\(\)", block[1], re.MULTILINE)
    assert methods == ["pnl", "attribution", "transfers", "leaderboard", "quality", "facts"]
    for method in methods:
        assert len(getattr(day, method)()) > 0
