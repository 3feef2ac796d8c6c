"""The public names are these, they exist, and importing them lazily costs nothing at first."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import simlab

PUBLIC = [
    "AnalysisError",
    "ConfigError",
    "EngineError",
    "Outcome",
    "PluginError",
    "RecordingError",
    "Run",
    "SimlabError",
    "StrategyError",
    "__version__",
    "build",
    "fork",
    "load",
    "open",
    "run",
    "schema",
    "sweep",
    "tournament",
    "validate",
]
SLOW = ["numba", "numpy", "pandas", "pyarrow", "pydantic", "yaml"]


def _modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_public_names_are_these() -> None:
    assert simlab.__all__ == PUBLIC
    assert dir(simlab) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_exists(name: str) -> None:
    assert getattr(simlab, name) is not None


def test_unknown_name_is_an_attribute_error_that_lists_the_names() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'rnu'.*validate"):
        _ = simlab.rnu


@pytest.mark.parametrize("statement", ["import simlab", "import simlab.cli"])
def test_import_is_lazy(statement: str) -> None:
    assert not _modules_after(statement) & set(SLOW)
