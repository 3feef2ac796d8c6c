"""Say before a sweep how long it will take: a few of its runs are tried."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np

from simlab.config import build, load
from simlab.errors import SimlabError
from simlab.kernel.simulation import Simulation
from simlab.runner.sweep.work import FINISHED, Task, carry_out

__all__ = ["run_seconds"]

_SHARE_S = 0.5
_SHORT_S = 2.0
"""Seconds of stepping up to which a run is made as a whole, with its recording and its measures."""


def run_seconds(tasks: Sequence[Task]) -> float | None:
    """Return the seconds that a run will take on one core; None if none of those that were tried can be made.

    The first, a middle and the last run are stepped for about half a second each; those that are short are
    made as a whole, and kept nowhere.
    """
    chosen = sorted({0, len(tasks) // 2, len(tasks) - 1})
    found = [it for i in chosen if (it := _tried(tasks[i])) is not None]
    return float(np.mean(found)) if found else None


def _tried(task: Task) -> float | None:
    try:
        began_s = time.perf_counter()
        spec = build(load(task.experiment, set=task.changes, seed=task.seed))
        with closing(Simulation(spec)) as market:
            market.advance(1)  # what is compiled or loaded once does not count
            loading_s, began_s = time.perf_counter() - began_s, time.perf_counter()
            while market.step < spec.steps and time.perf_counter() - began_s < _SHARE_S:
                market.advance(max(market.step + 1, int(market.step * 1.2)))
            stepping_s = (time.perf_counter() - began_s) * spec.steps / max(market.step, 1)
    except (SimlabError, ArithmeticError, ValueError):
        return None  # it will fail when it is run, and be told then
    if stepping_s > _SHORT_S:
        return loading_s + stepping_s
    carry_out(replace(task, folder=None))  # the first one loads what measures need
    began_s = time.perf_counter()
    made = carry_out(replace(task, folder=None))
    return time.perf_counter() - began_s if made["status"] == FINISHED else None
