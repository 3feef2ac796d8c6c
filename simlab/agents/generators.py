"""Notice when a strategy draws from a global random generator, of which a run's seed knows nothing."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

__all__ = ["Watch", "drawn_from", "global_states", "remedy"]

_MOST_GAP = 4096
"""Decisions between two looks at a population, at most."""
_MOST_LOOKS = 1000
"""Looks in one run after which no suspicion leads to more; each costs some 50 microseconds."""
_CLOSE = 100
"""Decisions of each population that are looked at one by one once somebody has drawn."""
_NEVER = 1 << 62

Snapshot = tuple[Any, Any]


def global_states() -> Snapshot:
    """Return the states of Python's and NumPy's global generators."""
    name, key, *rest = np.random.get_state()
    return random.getstate(), (name, np.asarray(key).tobytes(), *rest)


def drawn_from(before: Snapshot, after: Snapshot) -> str | None:
    """Return which global generators moved on between two looks, or None.

    Example
    -------
    >>> import random
    >>> before = global_states()
    >>> _ = random.random()
    >>> drawn_from(before, global_states())
    "Python's global random generator"
    """
    names = ("Python's", "NumPy's")
    moved = [name for name, old, new in zip(names, before, after, strict=True) if old != new]
    return f"{' and '.join(moved)} global random generator{'s' * (len(moved) == 2)}" if moved else None


def remedy(level: str) -> str:
    """Say where a strategy of a level draws from instead."""
    draw = {"compiled": "rng", "batch": "observation.uniform(n)"}.get(level, "observation.random")
    return f"the run's seed does not decide what it draws, so no two runs are alike; use {draw}"


class Watch:
    """Decide when to look at the global generators around a decision: it costs as much as ten decisions do.

    Each population is looked at in its first decisions, and then ever more rarely. Whoever draws in between
    is noticed at the next look, since the generators are not as they were left; that starts a time in which
    every decision is looked at, so that nobody is blamed for what another part of the program drew.

    Parameters
    ----------
    populations : int
    """

    def __init__(self, populations: int) -> None:
        self.left = [0] * populations
        """Decisions of each population until the next look; counted down by whoever lets them decide."""
        self._gaps = [1] * populations
        self._known = [False] * populations
        self._suspicious = 0
        self._before: Snapshot | None = None
        self._after: Snapshot | None = None

    def begin(self) -> None:
        """Look before a decision."""
        self._before = global_states()
        if self._after is not None and self._before != self._after and self._suspicious < _MOST_LOOKS:
            self._suspicious += _CLOSE * self._known.count(False)
            for p, known in enumerate(self._known):
                self._gaps[p] = -_CLOSE
                self.left[p] = _NEVER if known else 0

    def end(self, p: int) -> str | None:
        """Look after a decision of a population; return what it drew from, if it did for the first time."""
        self._after = global_states()
        drawn = drawn_from(self._before, self._after) if self._before is not None else None
        self._known[p] = self._known[p] or drawn is not None
        gap = self._gaps[p]
        self._gaps[p] = gap + 1 if gap < 0 else min(2 * max(gap, 1), _MOST_GAP)
        self.left[p] = _NEVER if self._known[p] else max(gap, 0)
        return drawn
