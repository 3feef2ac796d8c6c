"""State a whole experiment as plain data: what `config` builds and `Simulation` takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.strategy import Strategy
from simlab.market.instruments import AccountPolicy, Instrument
from simlab.processes import OutsideWorld

__all__ = ["Activation", "Latency", "Population", "RecordingPlan", "SimulationSpec"]


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
class Population:
    """A number of agents that share a strategy and terms; parameters may differ between them.

    `parameters` is ``(count, len(strategy.parameters)) float64``. `options` holds the strategy's
    non-numeric options. `instruments` are names; empty means all. `signal_noise` is the standard deviation,
    in price units, of an agent's private signal around the fundamental. The population is in the market
    in steps [`joins`, `leaves`).
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


@dataclass(frozen=True)
class RecordingPlan:
    """What the kernel samples for the recorder; every value is a number of steps, 0 for never."""

    quotes_every: int = 1
    depth_every: int = 100
    depth_levels: int = 10
    accounts_every: int = 1000


@dataclass(frozen=True)
class SimulationSpec:
    """One experiment, ready to run. Order of instruments and populations does not matter."""

    seed: int
    steps: int
    instruments: tuple[Instrument, ...]
    populations: tuple[Population, ...]
    world: OutsideWorld
    simultaneous: bool = False
    step_duration_s: float = 1.0
    recording: RecordingPlan = field(default_factory=RecordingPlan)
    name: str = "experiment"
