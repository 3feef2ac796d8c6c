"""Say before a sweep how long it will take: a few of its runs are begun, and not ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing

import numpy as np

from simlab.config import build, load
from simlab.errors import SimlabError
from simlab.kernel.simulation import Simulation
from simlab.runner.sweep.work import Task

__all__ = ["run_seconds"]

_SHARE_S = 0.5
_TRIED = 3


def run_seconds(tasks: Sequence[Task]) -> float | None:
    """Return the seconds that a run will take on one core, with loading it; None if none can be made.

    The first, a middle and the last run are each stepped for about half a second, without recording.
    """
    chosen = sorted({0, len(tasks) // 2, len(tasks) - 1})[:_TRIED]
    found = [it for i in chosen if (it := _tried(tasks[i])) is not None]
    return float(np.mean(found)) if found else None


def _tried(task: Task) -> float | None:
    try:
        config = load(task.experiment, set=task.changes, seed=task.seed)
        with closing(Simulation(build(config))) as first:
            first.advance(1)  # what is compiled or loaded once does not count
        began_s = time.perf_counter()
        spec = build(load(task.experiment, set=task.changes, seed=task.seed))
        with closing(Simulation(spec)) as market:
            made_s = time.perf_counter() - began_s
            began_s = time.perf_counter()
            while market.step < spec.steps and time.perf_counter() - began_s < _SHARE_S:
                market.advance(max(market.step + 1, int(market.step * 1.2)))
            stepping_s = time.perf_counter() - began_s
            return made_s + stepping_s * spec.steps / max(market.step, 1)
    except (SimlabError, ArithmeticError, ValueError):
        return None  # it will fail when it is run, and be told then
