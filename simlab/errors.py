"""The exception tree: a caller's mistakes. A market's refusal is an event, never an exception."""

from __future__ import annotations

__all__ = [
    "AnalysisError",
    "ConfigError",
    "EngineError",
    "PluginError",
    "RecordingError",
    "SimlabError",
    "StrategyError",
]


class SimlabError(Exception):
    """Stand at the root of every error that simlab raises on purpose.

    The message names what is wrong, where, why, and what to do about it.
    """


class ConfigError(SimlabError):
    """Report a configuration that cannot be run; the message carries the path of the key."""


class PluginError(SimlabError):
    """Report a strategy that cannot be found or loaded."""


class StrategyError(SimlabError):
    """Report a strategy that failed, or answered with something that is not a message, during a run."""


class EngineError(SimlabError):
    """Report a broken invariant or a call that an order book cannot understand."""


class RecordingError(SimlabError):
    """Report a recording that cannot be written or read."""


class AnalysisError(SimlabError):
    """Report tables or a price series from which a measure cannot be computed."""
