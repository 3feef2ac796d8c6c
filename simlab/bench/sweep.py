"""Measure what a sweep costs: two workers beside one, what a run costs beyond itself, and memory."""

from __future__ import annotations

import tempfile
import time
from statistics import median
from typing import Any

from simlab.bench.memory import peak_mb
from simlab.runner.sweep import Sweep
from simlab.runner.sweep.pools import on_this_machine
from simlab.runner.sweep.work import Task, carry_out

__all__ = ["run"]

_MARKET: dict[str, Any] = {
    "name": "short",
    "instruments": {"ACME": {"initial_price": 10_000}},
    "populations": {
        "noise": {"strategy": "noise", "count": 200, "activation": {"rate": 0.1}},
        "makers": {"strategy": "market_maker", "count": 5},
    },
}
_ALONE = 20


def run(runs: int, steps: int) -> list[dict[str, Any]]:
    """Measure a sweep of short runs with one worker and with two, and what a run costs beyond its stepping.

    Workers are started and warm before their time is taken, as in a long sweep. Memory is that of the largest
    worker, after a tenth of its runs and at the end.

    Parameters
    ----------
    runs : int
        Runs of each sweep.
    steps : int
        Of each run.

    Returns
    -------
    list of dict
        A row for one worker, one for two, and one for the overhead: of loading, building, measuring and the
        row (`overhead_ms`), and the same with a recording (`recorded_overhead_ms`).
    """
    made = Sweep.of({"experiment": _MARKET | {"steps": steps}, "seeds": runs})
    tasks = made.tasks(made.plan)
    list(on_this_machine(_measured, tasks[:4], 2))
    rows: list[dict[str, Any]] = []
    for workers in (1, 2):
        began_s = time.perf_counter()
        found = list(_from_workers(tasks, workers))
        seconds = time.perf_counter() - began_s
        memory = [row["rss_mb"] for row in found]
        rows.append(
            {
                "workers": workers,
                "runs": len(found),
                "seconds": seconds,
                "of_one_worker": seconds / rows[0]["seconds"] if rows else 1.0,
                "early_rss_mb": max(memory[: max(1, len(memory) // 10)]),
                "late_rss_mb": max(memory),
            }
        )
    return [*rows, _overhead(tasks[:_ALONE])]


def _from_workers(tasks: list[Task], workers: int) -> Any:
    """Yield rows of workers that are processes of their own, one worker too."""
    if workers > 1:
        yield from on_this_machine(_measured, tasks, workers)
    else:
        for task in tasks:
            yield _measured(task)


def _measured(task: Task) -> dict[str, Any]:
    return carry_out(task) | {"rss_mb": peak_mb()}


def _overhead(tasks: list[Task]) -> dict[str, Any]:
    """Return the time of a run beyond its stepping, median over runs, with and without recording."""
    plain, recorded = [], []
    for task in tasks:
        plain.append(_beyond(task))
        with tempfile.TemporaryDirectory() as folder:
            kept = Task(task.run, task.seed, task.experiment, task.changes, folder=folder)
            recorded.append(_beyond(kept))
    return {
        "runs": len(tasks),
        "overhead_ms": 1e3 * median(plain),
        "recorded_overhead_ms": 1e3 * median(recorded),
    }


def _beyond(task: Task) -> float:
    """Return the seconds of a task less those of stepping it."""
    began_s = time.perf_counter()
    row = carry_out(task)
    whole_s = time.perf_counter() - began_s
    return whole_s - row["seconds"]
