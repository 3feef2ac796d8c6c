"""Small markets for the kernel's tests, and strategies that let a test see inside.

Run as a script it prints the hashes of two runs of `MIXED`, for comparison between processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation, BatchOrders, batch_strategy
from simlab.agents.compiled import Needs, cancel, cancel_all, compiled_strategy, limit, market, replace
from simlab.agents.each import Observation, Orders, Parameter, agent_strategy
from simlab.agents.strategy import Strategy
from simlab.config import build, load
from simlab.core.hashing import hash_text
from simlab.core.random import integers, uniform
from simlab.core.types import EVENT_DTYPE
from simlab.kernel import Population, RecordingPlan, Simulation, SimulationSpec, Sink
from simlab.market.instruments import UNLIMITED, AccountPolicy, Instrument
from simlab.processes import OutsideSpec

FREE = AccountPolicy(borrowing=UNLIMITED, short_limit=UNLIMITED)
"""Terms of an account that nothing stops."""

SHARE = Instrument("M", 1_000)

Act = Callable[[Observation, Orders], None]


@compiled_strategy("beacon", "Bids a drawn price for as many lots as the number of the step, from 1.")
def beacon(view, me, rng, orders):
    limit(orders, view, 0, 1 + int(uniform(rng) * 1_000_000), view.step + 1)


@compiled_strategy("muddler", "Sends every kind of message with drawn contents.", needs=Needs(orders=True))
def muddler(view, me, rng, orders):
    draw = integers(rng, 0, 12)
    side = integers(rng, 0, 2)
    price = view.initial_price + view.tick_size * integers(rng, -5, 6)
    quantity = view.lot_size * integers(rng, 1, 9)
    if draw < 2 and me.visible_orders > 0:
        mine = integers(rng, 0, me.visible_orders)
        if draw == 0:
            cancel(orders, me.order_ids[mine])
        else:
            quantity = max(view.lot_size, me.order_quantities[mine] + view.lot_size * integers(rng, -2, 2))
            replace(orders, view, me.order_sides[mine], me.order_ids[mine], price, quantity)
    elif draw == 2:
        market(orders, view, side, quantity)
    elif draw == 3:
        limit(orders, view, side, price, quantity, integers(rng, 1, 3))
    elif draw == 4:
        limit(orders, view, side, price, quantity, 0, 1)
    elif draw == 5:
        limit(orders, view, side, price, quantity, 0, 0, view.step + integers(rng, 0, 6))
    elif draw == 6 and integers(rng, 0, 4) == 0:
        cancel_all(orders, view)
    else:
        limit(orders, view, side, price, quantity)


@batch_strategy("crowd", "Buys or sells near the mid, all agents at once.")
class Crowd:
    """Each agent draws an instrument, a side, a price and a size."""

    def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        who = np.arange(len(observation.agents))
        draw = observation.uniform(4)
        instrument = (draw[:, 0] * len(observation.instruments)).astype(np.int64)
        price = observation.mid[instrument].astype(np.int64) + (draw[:, 2] * 9).astype(np.int64) - 4
        side = (draw[:, 1] < 0.5).astype(np.int64)
        orders.limit(who, side, 5 * (price // 5), 10, instrument=instrument, time_in_force=who % 2)


@agent_strategy("loner", "Now and then quotes or takes, by its own draws.")
class Loner:
    """Looks at news and book, and sends up to two messages."""

    def decide(self, observation: Observation, orders: Orders) -> None:
        side = "buy" if observation.random.random() < 0.5 else "sell"
        orders.limit(side, observation.last_price + int(observation.random.integers(-5, 6)), 10)
        if observation.news and observation.random.random() < 0.2:
            orders.market(side, 20)


@agent_strategy(
    "scripted", "Does what a script says.", (Parameter("number", 0, "1", "Its place."),), options=("script",)
)
class Scripted:
    """Calls ``script(number, observation, orders)`` each time it acts."""

    def __init__(self, number: float, script: Callable[[int, Observation, Orders], None]) -> None:
        self._number = int(number)
        self._script = script

    def decide(self, observation: Observation, orders: Orders) -> None:
        self._script(self._number, observation, orders)


@batch_strategy("scripted_batch", "Does what a script says.", options=("script",), needs=Needs(history=True))
class ScriptedBatch:
    """Calls ``script(observation, orders)`` each time some of its agents act."""

    def __init__(self, script: Callable[[BatchObservation, BatchOrders], None]) -> None:
        self._script = script

    def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        self._script(observation, orders)


class EventLog:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.parts: list[NDArray[Any]] = [np.zeros(0, EVENT_DTYPE)]
        self.tables: dict[str, list[dict[str, Any]]] = {}

    def events(self, events: NDArray[Any]) -> None:
        self.parts.append(events.copy())

    def rows(self, table: str, columns: dict[str, Any]) -> None:
        self.tables.setdefault(table, []).append(columns)

    @property
    def all(self) -> NDArray[Any]:
        """All events, ``(n,) EVENT_DTYPE``."""
        return np.concatenate(self.parts)

    def column(self, table: str, name: str) -> NDArray[Any]:
        """Return one column of a sampled table."""
        return np.ma.concatenate([rows[name] for rows in self.tables[table]])


def population(name: str, strategy: Strategy, count: int = 1, **terms: Any) -> Population:
    """Return a population of free accounts whose first parameter, if any, numbers its agents."""
    parameters = np.zeros((count, len(strategy.parameters)))
    if strategy.parameters:
        parameters[:, 0] = np.arange(count)
    return Population(name, strategy, count, parameters, **({"account": FREE} | terms))


def scripted(
    name: str, script: Callable[[int, Observation, Orders], None], count: int = 1, **terms: Any
) -> Population:
    """Return a population of which every agent runs a script."""
    return population(name, Scripted.strategy, count, options={"script": script}, **terms)


def acts(steps: dict[int, Act]) -> Callable[[int, Observation, Orders], None]:
    """Return a script that does something in given steps."""

    def script(number: int, observation: Observation, orders: Orders) -> None:
        if observation.step in steps:
            steps[observation.step](observation, orders)

    return script


def simulation(
    *populations: Population,
    steps: int = 100,
    instruments: Sequence[Instrument] = (SHARE,),
    sink: Sink | None = None,
    seed: int = 1,
    simultaneous: bool = False,
    recording: RecordingPlan | None = None,
    **outside: Iterable[Any],
) -> Simulation:
    """Return a market ready to run; `outside` goes to the outside world."""
    return Simulation(
        SimulationSpec(
            seed=seed,
            steps=steps,
            instruments=tuple(instruments),
            populations=populations,
            outside=OutsideSpec(**{key: tuple(value) for key, value in outside.items()}),
            simultaneous=simultaneous,
            recording=recording or RecordingPlan(),
        ),
        sink=sink,
    )


def run(*populations: Population, **terms: Any) -> tuple[Simulation, EventLog]:
    """Run a market to its end, audit it, and return it with all its events."""
    log = EventLog()
    market = simulation(*populations, sink=log, **terms)
    market.advance()
    market.finish()
    market.audit()
    return market, log


MIXED: dict[str, Any] = {
    "seed": 5,
    "steps": 40,
    "instruments": {
        "ACME": {
            "initial_price": 1_000,
            "maker_fee_ppm": -20,
            "taker_fee_ppm": 300,
            "fundamental": {"model": "geometric", "volatility": 0.002},
        },
        "BOLT": {
            "initial_price": 2_500,
            "tick_size": 5,
            "lot_size": 10,
            "self_trade": "cancel_both",
            "fundamental": {"model": "mean_reverting", "reversion": 0.01, "volatility": 5},
        },
    },
    "correlation": [{"between": ["ACME", "BOLT"], "rho": 0.5}],
    "news": {"poisson": {"rate": 0.1, "impact_scale": 20}},
    "shocks": [
        {"kind": "fat_finger", "step": 20, "instrument": "ACME", "side": "sell", "quantity": 50},
        {"kind": "halt", "step": 25, "instrument": "BOLT", "duration": 3},
        {"kind": "leave", "step": 22, "population": "makers"},
        {"kind": "join", "step": 30, "population": "makers"},
    ],
    "populations": {
        "noise": {
            "strategy": "noise",
            "count": 6,
            "parameters": {"max_size": {"uniform": [10, 40]}},
            "activation": {"rate": 0.7},
            "latency": {"uniform": [0, 3]},
            "account": {"cash": 10_000_000, "inventory": 500},
        },
        "makers": {
            "strategy": "market_maker",
            "count": 3,
            "activation": {"period": 3, "stagger": True},
            "account": {"borrowing": "free", "short_selling": "free"},
        },
        "value": {
            "strategy": "value",
            "count": 4,
            "activation": {"rate": 0.5},
            "signal_noise": 20,
            "account": {"cash": 1_000_000, "inventory": 100},
        },
        "muddle": {
            "strategy": f"{__file__}:muddler",
            "count": 4,
            "account": {"cash": 1_000_000, "inventory": 100, "message_rate": {"messages": 2, "steps": 3}},
        },
        "crowd": {
            "strategy": f"{__file__}:Crowd",
            "count": 4,
            "activation": {"rate": 0.6},
            "latency": 1,
            "account": {"cash": 1_000_000, "inventory": 200},
        },
        "loners": {
            "strategy": f"{__file__}:Loner",
            "count": 3,
            "instruments": ["ACME"],
            "joins": 4,
            "leaves": 35,
            "account": {"borrowing": "free", "short_selling": "free"},
        },
    },
}
"""A market with two instruments, all three levels of strategies, news, shocks and latency."""


def mixed_hash(**changes: Any) -> str:
    """Run `MIXED`, with top-level keys changed, and return the hash of its event log."""
    market = Simulation(build(load(MIXED | changes)))
    market.advance()
    return hash_text(market.event_log_hash)


if __name__ == "__main__":
    print(mixed_hash(), mixed_hash(activation="simultaneous"))
