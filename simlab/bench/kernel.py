"""Measure the kernel: agents that send one message in every step, with matching, ledger and event log."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from simlab.agents.batch import BatchObservation, BatchOrders, batch_strategy
from simlab.agents.each import Observation, Orders, agent_strategy
from simlab.agents.library import STRATEGIES
from simlab.agents.strategy import Strategy
from simlab.bench.memory import peak_mb
from simlab.core.hashing import hash_text
from simlab.errors import SimlabError
from simlab.kernel import Activation, Population, RecordingPlan, Simulation, SimulationSpec
from simlab.market.instruments import UNLIMITED, AccountPolicy, Instrument

__all__ = ["LEVELS", "bench_kernel", "run"]

_PRICE = 10_000
_LIFE_STEPS = 10
"""How long orders of the batch agents live: it keeps their book from growing."""


@batch_strategy("benchmark_batch", "Sends one message an activation, for all agents at once.")
class BatchAgent:
    """60% a limit order near the mid, 10% a market order, 30% the cancel of an own order, in arrays."""

    def __init__(self) -> None:
        self._last = np.zeros(0, np.int64)

    def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        """Send one message for each agent."""
        who = np.arange(len(observation.agents))
        index = observation.index
        if index.max(initial=-1) >= len(self._last):
            self._last = np.concatenate([self._last, np.zeros(index.max() + 1 - len(self._last), np.int64)])
        draw = observation.uniform(4)
        side = (draw[:, 1] < 0.5).astype(np.int64)
        quantity = 1 + (draw[:, 3] * 100).astype(np.int64)
        offset = 1 + (draw[:, 2] * 10).astype(np.int64)
        price = np.int64(observation.mid[0]) + np.where(side == 0, 3 - offset, offset - 3)
        gone = (draw[:, 0] >= 0.7) & (self._last[index] > 0)
        taking = (draw[:, 0] >= 0.6) & (draw[:, 0] < 0.7)
        adding = ~gone & ~taking
        expiry = observation.step + _LIFE_STEPS
        ids = orders.limit(who[adding], side[adding], price[adding], quantity[adding], expiry=expiry)
        orders.market(who[taking], side[taking], quantity[taking])
        orders.cancel(who[gone], self._last[index[gone]])
        self._last[index[gone]] = 0
        self._last[index[adding]] = ids


@agent_strategy("benchmark_agent", "Looks at the best prices and sends an order.")
class LonelyAgent:
    """Joins or improves the best price of a side in turn; every fourth time it takes."""

    def __init__(self) -> None:
        self._turn = 0

    def decide(self, observation: Observation, orders: Orders) -> None:
        """Send one order."""
        self._turn = turn = self._turn + 1
        mix = (observation.agent * 7 + turn * 5) % 11
        if turn & 3 == 0:
            orders.market("buy" if mix & 1 else "sell", 1 + 3 * mix)
        elif mix & 1:
            bid = observation.best_bid
            orders.limit("buy", (bid if bid is not None else _PRICE) - mix + 2, 10)
        else:
            ask = observation.best_ask
            orders.limit("sell", (ask if ask is not None else _PRICE) + mix - 2, 10)


LEVELS: dict[str, Callable[[], Strategy]] = {
    "compiled": lambda: STRATEGIES["benchmark"],
    "batch": lambda: BatchAgent.strategy,  # type: ignore[attr-defined]
    "agent": lambda: LonelyAgent.strategy,  # type: ignore[attr-defined]
}


def _spec(agents: int, steps: int, level: str) -> SimulationSpec:
    strategy = LEVELS[level]()
    parameters = np.array([[parameter.default for parameter in strategy.parameters]])
    free = AccountPolicy(borrowing=UNLIMITED, short_limit=UNLIMITED, reserve=False, max_open_orders=UNLIMITED)
    population = Population(
        name="traders",
        strategy=strategy,
        count=agents,
        parameters=np.broadcast_to(parameters, (agents, parameters.shape[1])),
        activation=Activation(rate=1.0),
        account=free,
    )
    return SimulationSpec(
        seed=1,
        steps=steps,
        instruments=(Instrument("X", _PRICE),),
        populations=(population,),
        recording=RecordingPlan(depth_every=0, accounts_every=0),
    )


def _timed(agents: int, steps: int, level: str, sink: Any) -> tuple[Simulation, float]:
    Simulation(_spec(min(agents, 10), 2, level), sink=None).advance()
    simulation = Simulation(_spec(agents, steps, level), sink=sink)
    began = time.perf_counter()
    simulation.advance()
    simulation.finish()
    if sink is not None:
        sink.finish(simulation.summary())
    return simulation, time.perf_counter() - began


def bench_kernel(agents: int, steps: int, level: str = "compiled", record: bool = False) -> dict[str, Any]:
    """Run one market and measure it.

    Returns
    -------
    dict
        `agents, steps, level, record, activations, messages, trades, seconds, activations_per_s,
        peak_rss_mb, event_log_hash`; with `record` also `bytes_per_message`. Recording counts in full: the
        clock stops when all is on disk.
    """
    if level not in LEVELS:
        raise SimlabError(f"level {level!r} is not known; use one of {', '.join(LEVELS)}")
    with tempfile.TemporaryDirectory(prefix="simlab-bench-") as folder:
        sink = None
        if record:
            from simlab.recording import RunWriter

            sink = RunWriter(Path(folder) / "run", config={}, manifest={})
        simulation, seconds = _timed(agents, steps, level, sink)
        size = sum(path.stat().st_size for path in Path(folder).rglob("messages/*.parquet"))
        size += sum(path.stat().st_size for path in Path(folder).rglob("trades/*.parquet"))
    simulation.audit()
    if simulation.trades == 0 or simulation.activations != agents * steps:
        raise SimlabError(
            f"the benchmark did no work: {simulation.activations} activations, {simulation.trades} trades"
        )
    row = {
        "agents": agents,
        "steps": steps,
        "level": level,
        "record": record,
        "activations": simulation.activations,
        "messages": simulation.messages,
        "trades": simulation.trades,
        "resting_orders": simulation.resting_orders,
        "seconds": round(seconds, 4),
        "activations_per_s": round(simulation.activations / seconds),
        "peak_rss_mb": round(peak_mb(), 1),
        "event_log_hash": hash_text(simulation.event_log_hash),
    }
    if record:
        row["bytes_per_message"] = round(size / simulation.messages, 2)
    return row


run = bench_kernel
