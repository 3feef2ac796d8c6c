"""Measure what forks cost: many of one market, in memory and recorded."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from simlab.config import build, load
from simlab.errors import SimlabError
from simlab.kernel.simulation import Simulation
from simlab.runner.fork import fork_run
from simlab.runner.run import execute

__all__ = ["run"]

_MARKET: dict[str, Any] = {
    "name": "forked",
    "checkpoint": {"every": 1_000},
    "instruments": {"ACME": {"initial_price": 10_000}},
    "populations": {
        "noise": {
            "strategy": "noise",
            "count": 1_000,
            "activation": {"rate": 0.02},
            "account": {"cash": 1e9, "inventory": 1_000},
        },
        "makers": {"strategy": "market_maker", "count": 5, "account": {"cash": 1e9, "inventory": 1_000}},
    },
}


def run(forks: int, steps: int) -> list[dict[str, Any]]:
    """Measure forks of one market of 1,005 agents halfway, each with a seed and a fee of its own.

    Parameters
    ----------
    forks : int
    steps : int
        Of the parent; each fork runs the second half of them.

    Returns
    -------
    list of dict
        A row for forks in memory (`Simulation.fork`) and one for recorded ones (`simlab fork`), which are
        read, checked and built anew each time: seconds of all, and the median of one before its first step.
    """
    at = steps // 2
    changes = [{"seed": n, "instruments.ACME.taker_fee_ppm": n} for n in range(2, forks + 2)]
    config = load(_MARKET, steps=steps)
    return [_in_memory(config, at, changes), _recorded(config, at, changes)]


def _in_memory(config: Any, at: int, changes: list[dict[str, Any]]) -> dict[str, Any]:
    market = Simulation(build(config))
    market.advance(at)
    hashes, forking_s, began_s = set(), [], time.perf_counter()
    for it in changes:
        spec = build(load(config, set=it))
        fork_s = time.perf_counter()
        other = market.fork(spec=spec)
        forking_s.append(time.perf_counter() - fork_s)
        other.advance()
        hashes.add(other.event_log_hash)
    return _row("in memory", hashes, time.perf_counter() - began_s, forking_s, at)


def _recorded(config: Any, at: int, changes: list[dict[str, Any]]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="simlab-bench-") as folder:
        parent = execute(config, out=folder).run_dir
        hashes, before_s, began_s = set(), [], time.perf_counter()
        for it in changes:
            fork_s = time.perf_counter()
            outcome = fork_run(Path(str(parent)), at, set=it)
            before_s.append(time.perf_counter() - fork_s - outcome.seconds)
            hashes.add(outcome.event_log_hash)
        return _row("recorded", hashes, time.perf_counter() - began_s, before_s, at)


def _row(how: str, hashes: set[Any], seconds: float, each_s: list[float], at: int) -> dict[str, Any]:
    if len(hashes) < len(each_s):
        raise SimlabError(f"{len(each_s)} forks with seeds of their own came to {len(hashes)} ends")
    return {
        "how": how,
        "forks": len(each_s),
        "steps_each": at,
        "seconds": seconds,
        "beside_stepping_ms": 1e3 * median(each_s),
    }
