"""Measure what a checkpoint costs: the copy, the writing, and how much of its time a run waits for them."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from simlab.config import ExperimentConfig, build, load
from simlab.config.models import CheckpointConfig
from simlab.kernel.simulation import Simulation
from simlab.runner.author import Author, Position
from simlab.runner.checkpoint import Checkpoints, take
from simlab.runner.keeping import Keeper

__all__ = ["run"]

_ACCOUNT = {"cash": 1e9, "inventory": 1_000}
_LONG = 10**9


def run(agents: int, seconds: float) -> list[dict[str, Any]]:
    """Measure checkpoints of a market in which few act in a step, so that steps are quick and copies are not.

    Parameters
    ----------
    agents : int
        Noise traders, of whom about ten act in a step; they trade with ten market makers.
    seconds : float
        How long the market runs, recorded and with checkpoints at the default interval.

    Returns
    -------
    list of dict
        One row: medians of `copy_ms`, for which the run waits, and of `write_ms`, which a thread takes to put
        the copy on disk; `share`, of the processor time of the run's thread, for copies; `written`, the
        checkpoints that are kept at its end.
    """
    population = {"strategy": "noise", "count": agents, "activation": {"rate": min(1.0, 10 / agents)}}
    config = load(
        {
            "steps": _LONG,
            "instruments": {"ACME": {"initial_price": 10_000}},
            "populations": {
                "noise": population | {"account": _ACCOUNT},
                "makers": {"strategy": "market_maker", "count": 10, "account": _ACCOUNT},
            },
        }
    )
    return [_alone(config) | _running(config, seconds)]


def _alone(config: ExperimentConfig) -> dict[str, Any]:
    market = Simulation(build(config))
    copies, writes = [], []
    with tempfile.TemporaryDirectory(prefix="simlab-bench-") as folder:
        checkpoints = Checkpoints(Path(folder))
        for i in range(10):
            market.advance(1_000 * (i + 1))
            began_s = time.perf_counter()
            taken = take(market, position=Position(market.step))
            copied_s = time.perf_counter()
            checkpoints.begin(taken, lambda position: True)
            checkpoints.wait()
            copies.append(1e3 * (copied_s - began_s))
            writes.append(1e3 * (time.perf_counter() - copied_s))
        size = max(file.stat().st_size for file in Path(folder).iterdir())
    return {
        "agents": market.spec.agents,
        "copy_ms": median(copies),
        "write_ms": median(writes),
        "most_ms": max(map(sum, zip(copies, writes, strict=True))),
        "megabytes": size / 1e6,
    }


def _running(config: ExperimentConfig, seconds: float) -> dict[str, Any]:
    """Return which share of its processor time a recorded run copies itself, and how often it was written."""
    plan = CheckpointConfig()
    spec = build(config)
    with (
        tempfile.TemporaryDirectory(prefix="simlab-bench-") as folder,
        Author(Path(folder), config, spec) as it,
    ):
        market = Simulation(spec, it)
        it.begin(market)
        market.advance(1)
        began_s, used_s, waited_s = time.perf_counter(), time.thread_time(), 0.0
        keeper = Keeper(market, it, plan, began_s)
        while time.perf_counter() - began_s < seconds:
            market.advance(market.step - market.step % plan.every + plan.every)
            market.flush()  # which the recording takes anyway, as it does what is due now
            it.keep_up()
            stood_s = time.thread_time()
            keeper.keep_up()
            waited_s += time.thread_time() - stood_s
        took_s = time.thread_time() - used_s
        keeper.end()
        written = len(list(it.folder.glob("checkpoints/*.checkpoint")))
        market.finish()
        it.finish({})
    return {"share": waited_s / took_s, "written": written}
