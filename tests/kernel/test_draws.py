"""Removing an agent, a population or an instrument leaves every random draw of all others as it was."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from small_markets import SHARE, Scripted, ScriptedBatch, beacon, population, run

from simlab.core.types import EventKind
from simlab.kernel import Activation, Latency, Population
from simlab.market.instruments import Instrument

STEPS = 60
Key = tuple[str, int, int]
"""Population, number of the agent in it, step."""


@dataclass
class Draws:
    """All draws of one run, and the agents of each population in the order in which they acted."""

    values: dict[Key, Any] = field(default_factory=dict)
    order: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, number: int, step: int, *values: float) -> None:
        self.values[name, number, step] = values
        self.order[name].append((number, step))

    def without(self, *agents: tuple[str, int]) -> Draws:
        """Return the draws of the agents that are not listed; number -1 stands for a whole population."""
        kept = Draws()
        for name, acted in self.order.items():
            for number, step in acted:
                if (name, number) not in agents and (name, -1) not in agents:
                    kept.add(name, number, step, *self.values[name, number, step])
        return kept


def witnesses(draws: Draws, name: str, count: int) -> Population:
    """Agents of their own objects: they draw from `observation.random`, and look at their signals."""

    def script(number, observation, orders):
        draws.add(name, number, observation.step, observation.random.random(), observation.market.signal)

    return population(
        name, Scripted.strategy, count, options={"script": script}, activation=Activation(rate=0.6),
        signal_noise=4.0, instruments=("M",),
    )  # fmt: skip


def choir(draws: Draws, name: str, count: int) -> Population:
    """Agents of a batch population: they draw with `uniform`, and look at their signals."""

    def script(observation, orders):
        values = observation.uniform(3)
        for i, number in enumerate(observation.index):
            draws.add(name, int(number), observation.step, *values[i], observation.signal[i, 0])

    return population(
        name, ScriptedBatch.strategy, count, options={"script": script}, activation=Activation(rate=0.5),
        signal_noise=2.0, instruments=("M",),
    )  # fmt: skip


def beacons(name: str, count: int) -> Population:
    """Compiled agents: what they draw is in the prices of their orders, and their latency in the events."""
    return population(
        name, beacon, count, activation=Activation(rate=0.7), latency=Latency(0, 4), instruments=("M",)
    )


def draws_of(counts: dict[str, int], instruments: tuple[Instrument, ...] = (SHARE,), seed: int = 1) -> Draws:
    """Run a market with so many agents in each population, listed in this order."""
    draws = Draws()
    makers = {
        "beacons": beacons,
        "choir": lambda name, count: choir(draws, name, count),
        "witnesses": lambda name, count: witnesses(draws, name, count),
    }
    populations = [makers[name.split("_")[-1]](name, count) for name, count in counts.items()]
    simulation, log = run(*populations, steps=STEPS, seed=seed, instruments=instruments)
    sent = log.all[log.all["kind"] == EventKind.ACCEPTED]
    for event in np.sort(sent, order="order_id"):
        name, number = simulation.agent_name(int(event["account"])).split("/")
        step = int(event["quantity"]) - 1
        latency = int(event["step"]) - step
        if step < STEPS - 5:  # later ones may still be on their way
            draws.add(name, int(number), step, int(event["price"]), latency)
    return draws


ALL = {"a_beacons": 3, "b_choir": 4, "c_witnesses": 4, "d_beacons": 5, "e_choir": 3, "f_witnesses": 3}


@pytest.fixture(scope="module")
def everything() -> Draws:
    return draws_of(ALL)


def assert_same(found: Draws, expected: Draws) -> None:
    assert found.values == expected.values
    for name, acted in expected.order.items():
        assert found.order[name] == acted


def test_draws_differ_between_agents_steps_and_seeds(everything: Draws) -> None:
    values = [value for key, value in everything.values.items() if "beacons" not in key[0]]
    assert len(set(values)) == len(values) > 400
    other = draws_of(ALL, seed=2)
    assert not set(values) & set(other.values.values())
    latencies = {value[1] for key, value in everything.values.items() if "beacons" in key[0]}
    assert latencies == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("name", ALL)
def test_removing_one_agent(name: str, everything: Draws) -> None:
    fewer = ALL | {name: ALL[name] - 1}
    assert_same(draws_of(fewer), everything.without((name, ALL[name] - 1)))


@pytest.mark.parametrize("name", ALL)
def test_removing_a_population(name: str, everything: Draws) -> None:
    fewer = {other: count for other, count in ALL.items() if other != name}
    assert_same(draws_of(fewer), everything.without((name, -1)))


def test_listing_populations_in_another_order(everything: Draws) -> None:
    assert_same(draws_of(dict(reversed(ALL.items()))), everything)


def test_adding_an_instrument_that_comes_later(everything: Draws) -> None:
    assert_same(draws_of(ALL, (SHARE, Instrument("Z", 10))), everything)


def test_adding_an_instrument_that_comes_first(everything: Draws) -> None:
    assert_same(draws_of(ALL, (SHARE, Instrument("A", 10))), everything)
