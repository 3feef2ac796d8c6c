"""Agents act at the rate, in the period or in the steps given, in an order that each draws a place in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_markets import Scripted, ScriptedBatch, acts, beacon, population, run, scripted

from simlab.core.types import EventKind, Reason
from simlab.kernel import Activation
from simlab.processes import Join, Leave

Record = dict[int, list[int]]


def beacon_acts(count: int, steps: int, **terms: Any) -> Record:
    _, log = run(population("p", beacon, count, **terms), steps=steps)
    record: Record = defaultdict(list)
    for event in log.all[log.all["kind"] == EventKind.ACCEPTED]:
        record[int(event["account"])].append(int(event["step"]))
    return record


def agent_acts(count: int, steps: int, **terms: Any) -> Record:
    record: Record = defaultdict(list)

    def script(number, observation, orders):
        record[number].append(observation.step)

    run(population("p", Scripted.strategy, count, options={"script": script}, **terms), steps=steps)
    return record


def batch_acts(count: int, steps: int, **terms: Any) -> Record:
    record: Record = defaultdict(list)

    def script(observation, orders):
        for number in observation.index:
            record[int(number)].append(observation.step)

    run(population("p", ScriptedBatch.strategy, count, options={"script": script}, **terms), steps=steps)
    return record


levels = pytest.mark.parametrize(
    "acts_of", [beacon_acts, agent_acts, batch_acts], ids=["compiled", "agent", "batch"]
)
ActsOf = Callable[..., Record]


def five_sigma(n: int, p: float) -> float:
    return 5 * (n * p * (1 - p)) ** 0.5


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
def test_rate_is_a_probability_a_step(rate: float) -> None:
    agents, steps = 200, 200
    record = beacon_acts(agents, steps, activation=Activation(rate=rate))
    active = np.zeros((agents, steps), bool)
    for agent, acted in record.items():
        active[agent, acted] = True
    n = agents * steps
    assert abs(active.sum() - n * rate) < five_sigma(n, rate)
    together = (active[:, 1:] & active[:, :-1]).sum()
    assert abs(together - n * rate**2) < 2 * five_sigma(n, rate**2) + n / steps
    assert abs(active[:, 0].sum() - agents * rate) < five_sigma(agents, rate)
    assert active.sum(axis=1).var() == pytest.approx(steps * rate * (1 - rate), rel=0.6)


@levels
def test_rates_of_zero_and_one(acts_of: ActsOf) -> None:
    assert acts_of(3, 50, activation=Activation(rate=0.0)) == {}
    assert acts_of(3, 50, activation=Activation(rate=1.0)) == {i: list(range(50)) for i in range(3)}


@levels
@pytest.mark.parametrize(("period", "phase"), [(1, 0), (7, 0), (7, 3), (100, 99)])
def test_period_and_phase(acts_of: ActsOf, period: int, phase: int) -> None:
    record = acts_of(2, 120, activation=Activation(period=period, phase=phase))
    assert record == {i: list(range(phase, 120, period)) for i in range(2)}


def test_a_period_longer_than_the_wheel() -> None:
    record = beacon_acts(1, 12_000, activation=Activation(period=5_000, phase=17))
    assert record == {0: [17, 5_017, 10_017]}


def test_stagger_gives_each_agent_a_phase() -> None:
    record = beacon_acts(50, 60, activation=Activation(period=10, stagger=True))
    phases = {agent: acted[0] for agent, acted in record.items()}
    assert all(acted == list(range(phases[agent], 60, 10)) for agent, acted in record.items())
    assert len(set(phases.values())) >= 8
    assert max(phases.values()) < 10


@levels
def test_explicit_steps(acts_of: ActsOf) -> None:
    record = acts_of(2, 30, activation=Activation(steps=(25, 3, 3, 4, 99)))
    assert record == {0: [3, 4, 25], 1: [3, 4, 25]}


@levels
@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (Activation(rate=1.0), list(range(5, 12))),
        (Activation(period=3), [6, 9]),
        (Activation(period=4, phase=1), [5, 9]),
        (Activation(steps=(1, 5, 11, 12)), [5, 11]),
    ],
)
def test_joins_and_leaves(acts_of: ActsOf, activation: Activation, expected: list[int]) -> None:
    assert acts_of(2, 30, activation=activation, joins=5, leaves=12) == {0: expected, 1: expected}


def test_rate_of_a_population_that_joins_late() -> None:
    record = beacon_acts(400, 30, activation=Activation(rate=0.5), joins=10)
    counts = Counter(step for acted in record.values() for step in acted)
    assert min(counts) == 10
    assert all(abs(counts[step] - 200) < five_sigma(400, 0.5) for step in range(10, 30))


def test_leaving_takes_all_own_orders_out_and_only_these() -> None:
    _, log = run(population("p", beacon, 3, leaves=6), population("q", beacon, 2), steps=10)
    gone = log.all[log.all["kind"] == EventKind.CANCELLED]
    assert set(gone["step"]) == {6}
    assert set(gone["reason"]) == {Reason.REQUESTED}
    assert Counter(gone["account"].tolist()) == {0: 6, 1: 6, 2: 6}


def test_shocks_take_a_population_out_and_bring_it_back() -> None:
    record: list[int] = []
    run(
        scripted("p", lambda number, observation, orders: record.append(observation.step)),
        steps=12,
        shocks=[Leave(3, "p"), Join(8, "p")],
    )
    assert record == [0, 1, 2, 8, 9, 10, 11]


def test_a_shock_takes_a_population_out_that_joined_late() -> None:
    record: list[int] = []
    run(
        scripted("p", lambda number, observation, orders: record.append(observation.step), joins=8),
        steps=10,
        shocks=[Leave(9, "p")],
    )
    assert record == [8]


def test_each_agent_is_as_likely_to_be_first() -> None:
    first: Counter[int] = Counter()
    seen: set[int] = set()

    def script(number, observation, orders):
        if observation.step not in seen:
            seen.add(observation.step)
            first[number] += 1

    run(scripted("p", script, 3), steps=1_500)
    assert all(abs(count - 500) < five_sigma(1_500, 1 / 3) for count in first.values())
    assert len(first) == 3


def test_activations_are_counted_at_all_levels() -> None:
    simulation, _ = run(
        population("a", beacon, 3, activation=Activation(period=2)),
        scripted("b", acts({}), 2),
        population("c", ScriptedBatch.strategy, 4, options={"script": lambda observation, orders: None}),
        steps=10,
    )
    assert simulation.activations == 15 + 20 + 40
