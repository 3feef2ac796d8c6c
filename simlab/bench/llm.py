"""Measure language models as agents, against an endpoint on this machine that answers by a script.

What is measured is all but the model: prompts, graph, client, checks, cassette and the market itself.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simlab.bench.endpoint import serving
from simlab.bench.memory import rss_mb
from simlab.config import build, load
from simlab.errors import SimlabError
from simlab.kernel.simulation import Simulation

__all__ = ["bench_llm", "run"]

_DELAY_MS = 200.0
_CONCURRENCY = 20
_STEPS = 3
"""Steps that are timed where answers take time; one before them, which imports, is not."""
_WARM = 0.2
"""Share of the decisions after which memory should be flat."""


def _market(
    agents: int, steps: int, address: str, cassette: Path | None = None, mode: str = "off"
) -> Simulation:
    """Return a market in which language models buy a lot in every step, from makers among noise."""
    free = {"borrowing": "free", "short_selling": "free"}
    models = {
        "strategy": "llm",
        "count": agents,
        "options": {"personality": "momentum", "instructions": "behave: market_buy"},
        "activation": {"period": 1},
        "account": free,
    }
    makers = {
        "strategy": "market_maker",
        "count": 5,
        "parameters": {"size": 10 * agents},
        "activation": {"period": 1},
        "account": free,
    }
    noise = {"strategy": "noise", "count": 20, "activation": {"rate": 0.5}, "account": free}
    kept = {"mode": mode, "path": str(cassette)} if cassette is not None else {"mode": "off"}
    config = {
        "seed": 1,
        "steps": steps,
        "instruments": {"ACME": {"initial_price": 10_000}},
        "llm": {"model": "scripted", "base_url": address, "concurrency": _CONCURRENCY, "cassette": kept},
        "populations": {"makers": makers, "noise": noise, "models": models},
    }
    return Simulation(build(load(config)), sink=None)


def _stepped(market: Simulation, steps: int) -> Iterator[float]:
    """Yield how long each step took, seconds; close the market after the last."""
    try:
        for step in range(1, steps + 1):
            began = time.perf_counter()
            market.advance(step)
            yield time.perf_counter() - began
    finally:
        market.close()


def _worked(market: Simulation, decisions: int) -> None:
    row = next(it for it in market.summary()["populations"] if it["population"] == "models")
    if row.get("decisions") != {"llm": decisions}:
        raise SimlabError(
            f"the benchmark did no work: {row.get('decisions')} instead of {decisions} by models"
        )


def _waiting(agents: int) -> dict[str, Any]:
    """Measure a step in which every answer takes time, against what the waiting alone must take."""
    with serving(_DELAY_MS) as address:
        market = _market(agents, _STEPS + 1, address)
        first, *others = _stepped(market, _STEPS + 1)
        _worked(market, agents * (_STEPS + 1))
    ideal_s = -(-agents // _CONCURRENCY) * _DELAY_MS / 1000
    step_s = statistics.median(others)
    return {
        "what": "waiting",
        "agents": agents,
        "concurrency": _CONCURRENCY,
        "answer_ms": _DELAY_MS,
        "first_step_s": round(first, 3),
        "step_s": round(step_s, 3),
        "ideal_s": ideal_s,
        "relative": round(step_s / ideal_s, 3),
    }


def _deciding(
    what: str, agents: int, decisions: int, address: str, cassette: Path, mode: str
) -> dict[str, Any]:
    """Measure decisions whose answers come at once; memory from when things have been made on."""
    steps = max(2, -(-decisions // agents))
    market = _market(agents, steps, address, cassette, mode)
    taken: list[float] = []
    warm_mb, began_s = 0.0, time.process_time()
    for seconds in _stepped(market, steps):
        taken.append(seconds)
        if len(taken) == max(1, round(_WARM * steps)):
            warm_mb = rss_mb()
    processor_ms = 1000 * (time.process_time() - began_s)
    _worked(market, agents * steps)
    return {
        "what": what,
        "agents": agents,
        "decisions": agents * steps,
        "ms_per_decision": round(1000 * statistics.median(taken) / agents, 3),
        "processor_ms_per_decision": round(processor_ms / (agents * steps), 3),
        "warm_rss_mb": round(warm_mb, 1),
        "rss_growth_mb": round(rss_mb() - warm_mb, 1),
        "cassette_mb": round(cassette.stat().st_size / 2**20, 2),
    }


def bench_llm(agents: int = 100, decisions: int = 10_000) -> list[dict[str, Any]]:
    """Measure a step of agents whose answers take 200 ms, and decisions recorded and replayed.

    Parameters
    ----------
    agents : int
        Agents that decide in every step.
    decisions : int
        Of the two latter measurements.

    Returns
    -------
    list of dict
        `waiting`: seconds a step, and relative to what the waiting alone takes with 20 requests at once.
        `recording`, `replaying`: milliseconds a decision, market and all, by the clock (of the median step)
        and of the processor (on average), and how much memory grew after the first fifth of the decisions.
    """
    rows = [_waiting(agents)]
    with tempfile.TemporaryDirectory(prefix="simlab-bench-") as folder, serving() as address:
        cassette = Path(folder) / "cassette.sqlite"
        rows.append(_deciding("recording", agents, decisions, address, cassette, "record"))
        rows.append(_deciding("replaying", agents, decisions, address, cassette, "replay"))
    return rows


run = bench_llm
