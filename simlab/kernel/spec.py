"""State a whole experiment as plain data: what `config` builds and `Simulation` takes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.strategy import Strategy
from simlab.errors import ConfigError
from simlab.market.instruments import AccountPolicy, Instrument
from simlab.market.ledger import ExchangeAccount
from simlab.processes import CustomerOrders, OutsideSpec

__all__ = [
    "Activation",
    "Capacities",
    "Fallback",
    "Latency",
    "Population",
    "RecordingPlan",
    "SimulationSpec",
]


@dataclass(frozen=True)
class Activation:
    """When an agent acts: exactly one of `rate` (probability a step), `period` (with `phase`), `steps`.

    With `stagger` each agent of a periodic population draws its own phase.
    """

    rate: float | None = None
    period: int | None = None
    phase: int = 0
    stagger: bool = False
    steps: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Latency:
    """How many steps a message travels: drawn uniformly from [low, high] for each message."""

    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class Fallback:
    """What decides for a population's agents where the strategies before it pass a decision on.

    `parameters` and `options` are as in `Population`.
    """

    strategy: Strategy
    parameters: NDArray[np.float64]
    options: dict[str, Any] = field(default_factory=dict)
    parameter_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Population:
    """A number of agents that share a strategy and terms; parameters may differ between them.

    `parameters` is ``(count, k) float64``, in the order of `parameter_names`, or of the parameters that the
    strategy declares where there are no names. `options` holds the strategy's non-numeric options.
    `instruments` are names; empty means all. `signal_noise` is the standard deviation, in price units, of an
    agent's private signal around the fundamental. The population is in the market in steps
    [`joins`, `leaves`). `fallback` are the strategies that decide, in turn, where those before pass on.
    `customers` says what the agents are given to trade for customers.
    """

    name: str
    strategy: Strategy
    count: int
    parameters: NDArray[np.float64]
    options: dict[str, Any] = field(default_factory=dict)
    instruments: tuple[str, ...] = ()
    activation: Activation = field(default_factory=lambda: Activation(rate=1.0))
    latency: Latency = field(default_factory=Latency)
    account: AccountPolicy = field(default_factory=AccountPolicy)
    signal_noise: float = 0.0
    joins: int = 0
    leaves: int | None = None
    parameter_names: tuple[str, ...] = ()
    fallback: tuple[Fallback, ...] = ()
    customers: CustomerOrders | None = None

    def __post_init__(self) -> None:
        if not self.parameter_names:
            names = tuple(parameter.name for parameter in self.strategy.parameters)
            object.__setattr__(self, "parameter_names", names)


@dataclass(frozen=True)
class RecordingPlan:
    """What the kernel samples for the recorder; every value is a number of steps, 0 for never."""

    quotes_every: int = 1
    depth_every: int = 100
    depth_levels: int = 10
    accounts_every: int = 1000


@dataclass(frozen=True)
class Capacities:
    """Room that is made at the start, in rows; all of it grows when it is full, so none changes a result.

    `orders` and `levels` are of the books, `orders` None for two an agent. `events` and `quotes` wait in
    memory until they are handed to the recorder, `messages` are on their way.
    """

    orders: int | None = None
    levels: int = 256
    events: int = 1 << 16
    quotes: int = 1 << 15
    messages: int = 1024

    def __post_init__(self) -> None:
        for name, rows in vars(self).items():
            if rows is not None and rows < 1:
                raise ConfigError(f"capacities: {name} is {rows}; make room for 1 row or more")


_NOT_IN_DIGEST = ("strategy", "parameters", "options", "fallback")


@dataclass(frozen=True)
class SimulationSpec:
    """One experiment, ready to run: plain data that can be run any number of times.

    Instruments and populations are kept in the order of their names, whichever way they are given.
    """

    seed: int
    steps: int
    instruments: tuple[Instrument, ...]
    populations: tuple[Population, ...]
    outside: OutsideSpec = field(default_factory=OutsideSpec)
    simultaneous: bool = False
    step_duration_s: float = 1.0
    recording: RecordingPlan = field(default_factory=RecordingPlan)
    name: str = "experiment"
    capacities: Capacities = field(default_factory=Capacities)
    added: tuple[Instrument, ...] = ()
    """Those of `instruments` that were added to the running market; they are numbered after the others."""

    def __post_init__(self) -> None:
        first = (item for item in self.instruments if item not in self.added)
        ordered = (*sorted(first, key=lambda item: item.name), *self.added)
        object.__setattr__(self, "instruments", ordered)
        object.__setattr__(self, "populations", tuple(sorted(self.populations, key=lambda item: item.name)))
        for what, items in (("instruments", self.instruments), ("populations", self.populations)):
            names = [item.name for item in items]
            if len(set(names)) < len(names):
                raise ConfigError(f"{what}: the names {names} are not all different; give each its own")
        if not self.instruments:
            raise ConfigError("instruments: a market needs one or more")

    @property
    def cast(self) -> tuple[Population, ...]:
        """All populations, and after them what they fall back on, as populations of the same agents.

        So they stand in `State.populations`.
        """
        shadows = tuple(
            replace(
                population,
                strategy=it.strategy,
                parameters=it.parameters,
                options=it.options,
                parameter_names=it.parameter_names,
                fallback=(),
            )
            for population in self.populations
            for it in population.fallback
        )
        return self.populations + shadows

    @property
    def chains(self) -> tuple[tuple[int, ...], ...]:
        """For each population, the rows of `cast` that decide for it: its own, then what it falls back on."""
        chains, row = [], len(self.populations)
        for p, population in enumerate(self.populations):
            chains.append((p, *range(row, row + len(population.fallback))))
            row += len(population.fallback)
        return tuple(chains)

    @property
    def agents(self) -> int:
        """Number of agents, which are the accounts 0 to ``agents - 1``."""
        return sum(population.count for population in self.populations)

    def digest(self) -> int:
        """Return 64 bits that stand for what decides a run: all but its length, recording and capacities.

        Options of strategies, which may be any object, are left out.
        """
        digest = hashlib.blake2b(digest_size=8)
        terms = (self.seed, self.simultaneous, self.instruments, self.outside)
        digest.update(repr(terms).encode())
        for it in self.populations:
            own = {name: value for name, value in vars(it).items() if name not in _NOT_IN_DIGEST}
            digest.update(repr(own).encode())
            for part in (it, *it.fallback):
                digest.update(part.strategy.name.encode())
                digest.update(np.ascontiguousarray(part.parameters).tobytes())
        return int.from_bytes(digest.digest(), "little")

    def account_name(self, account: int) -> str:
        """Return whose account it is: a population and the number therein, or ``exchange/fees``."""
        first = 0
        for population in self.populations:
            if account < first + population.count:
                return f"{population.name}/{account - first}"
            first += population.count
        return f"exchange/{ExchangeAccount(account - first).name.lower()}"
