"""The exception tree: a caller's mistakes. A market's refusal is an event, never an exception."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AnalysisError",
    "ConfigError",
    "EngineError",
    "LiveError",
    "LlmError",
    "PluginError",
    "RecordingError",
    "RunWarning",
    "SimlabError",
    "StrategyError",
    "did_you_mean",
    "nearest_name",
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


class LlmError(StrategyError):
    """Report that a language model cannot be asked at all: no key, no runtime, nothing on the cassette."""


class EngineError(SimlabError):
    """Report a broken invariant or a call that an order book cannot understand."""


class LiveError(SimlabError):
    """Report a live market that cannot be started or reached, or that refused what was asked of it."""


class RecordingError(SimlabError):
    """Report a recording that cannot be written or read."""


class AnalysisError(SimlabError):
    """Report tables or a price series from which a measure cannot be computed."""


class RunWarning(UserWarning):
    """Warn of what lets a run go on but takes worth from its result."""


def nearest_name(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `name`, whatever the case of its letters, or None.

    Example
    -------
    >>> nearest_name("acne", ["ACME", "BETA"])
    'ACME'
    """
    folded: dict[str, str] = {}
    for candidate in map(str, known):
        folded.setdefault(candidate.casefold(), candidate)
    close = difflib.get_close_matches(str(name).casefold(), folded, n=1)
    return folded[close[0]] if close else None


def did_you_mean(name: object, known: Iterable[str], *, otherwise: str = "known") -> str:
    """Return what to put behind the complaint that a name is unknown: the known name most like it.

    Parameters
    ----------
    name : object
        What was given.
    known : iterable of str
        What could have been given.
    otherwise : str
        What the known names are called, to list them all when none is near; empty for no list.

    Returns
    -------
    str
        ``"; did you mean 'x'?"``, else ``"; {otherwise}: x, y"``, else an empty text.

    Example
    -------
    >>> "there is no table 'trade'" + did_you_mean("trade", ["quotes", "trades"])
    "there is no table 'trade'; did you mean 'trades'?"
    >>> did_you_mean("price", ["quotes", "trades"], otherwise="the tables are")
    '; the tables are: quotes, trades'
    """
    names = [str(it) for it in known]
    near = nearest_name(name, names)
    if near is not None:
        return f"; did you mean {near!r}?"
    return f"; {otherwise}: {', '.join(names)}" if otherwise and names else ""
