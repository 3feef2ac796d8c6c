"""The spaces of Gymnasium that observations and actions are in, and how episodes follow one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simlab.errors import SimlabError

try:
    from gymnasium import spaces
except ImportError as missing:
    raise SimlabError(
        f'simlab.faces.gymnasium needs Gymnasium ({missing}): pip install "simlab[rl]"'
    ) from missing

from simlab.agents.library.actions import BOUNDED, CHOICES
from simlab.agents.library.seat import FEATURES, Task

__all__ = ["action_space", "next_episode", "observation_space"]

_SEEDS = 2**53


def observation_space() -> spaces.Box:
    """Return the space of what learners see: (18,) float32, as `FEATURES` has it."""
    low, high = (np.array([it[at] for it in FEATURES], np.float32) for at in (2, 3))
    return spaces.Box(low, high, dtype=np.float32)


def action_space(task: Task) -> spaces.Space[Any]:
    """Return the space of a task's actions.

    Example
    -------
    >>> action_space(Task.TRADING)
    MultiDiscrete([ 4  2 10  5])
    """
    if task is Task.TRADING:
        return spaces.MultiDiscrete(list(CHOICES))
    return spaces.Box(-1.0, 1.0, (BOUNDED[task],), np.float32)


def next_episode(
    seed: int | None, before: int | None, episode: int, draw: Callable[[], np.random.Generator]
) -> tuple[int, int]:
    """Return seed and number of the episode to begin, after `episode` of the seed `before`.

    Raises
    ------
    SimlabError
        When a seed is out of range.

    Example
    -------
    >>> next_episode(7, None, -1, np.random.default_rng), next_episode(None, 7, 0, np.random.default_rng)
    ((7, 0), (7, 1))
    """
    if seed is not None:
        if not 0 <= seed < _SEEDS:
            raise SimlabError(f"seed {seed} is not in the range of 0 to 2^53 - 1")
        return int(seed), 0
    if before is None:
        return int(draw().integers(_SEEDS)), 0
    return before, episode + 1
