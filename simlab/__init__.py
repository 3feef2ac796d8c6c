"""A laboratory for markets: compiled, learning and language-model agents against a real order book.

Example
-------
>>> import simlab
>>> outcome = simlab.run({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}, record=False)
>>> outcome.steps
10
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from simlab.errors import (
    AnalysisError,
    ConfigError,
    EngineError,
    PluginError,
    RecordingError,
    SimlabError,
    StrategyError,
)

if TYPE_CHECKING:
    from simlab.analysis import Run
    from simlab.analysis import open_run as open
    from simlab.config import build, load, schema
    from simlab.runner.fork import fork
    from simlab.runner.run import Outcome, run
    from simlab.runner.sweep import sweep, tournament

__all__ = [
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

__version__ = "0.1.0"

_LAZY = {
    "Outcome": ("simlab.runner", "Outcome"),
    "Run": ("simlab.analysis", "Run"),
    "build": ("simlab.config", "build"),
    "fork": ("simlab.runner.fork", "fork"),
    "load": ("simlab.config", "load"),
    "open": ("simlab.analysis", "open_run"),
    "run": ("simlab.runner", "run"),
    "schema": ("simlab.config", "schema"),
    "sweep": ("simlab.runner.sweep", "sweep"),
    "tournament": ("simlab.runner.sweep", "tournament"),
    "validate": ("simlab.config", "validate"),
}
"""Where the public names live; they are imported on first use, so that `import simlab` is quick."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'simlab' has no attribute {name!r}; it has {', '.join(__all__)}")
    module, attribute = _LAZY[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
