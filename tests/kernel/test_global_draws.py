"""A strategy that draws from a global random generator is warned of: it, and once a run."""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy as np
import pytest
from small_markets import ScriptedBatch, population, scripted, simulation

from simlab.agents.batch import batch_strategy
from simlab.agents.compiled import compiled_strategy, limit
from simlab.agents.generators import Watch
from simlab.errors import RunWarning
from simlab.kernel import Population


def warned(*populations: Population, steps: int = 6, **terms: Any) -> list[str]:
    """Run a market; return what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        simulation(*populations, steps=steps, **terms).advance()
    return [str(it.message) for it in caught if it.category is RunWarning]


def draw(number: int, observation: Any, orders: Any) -> None:
    orders.limit("buy", random.randint(1, 10**6), 1)


def draw_numpy(observation: Any, orders: Any) -> None:
    orders.limit([0], 0, int(np.random.randint(1, 10**6)), 1)


def good(number: int, observation: Any, orders: Any) -> None:
    orders.limit("buy", int(observation.random.integers(1, 10**6)), 1)


@batch_strategy("shuffled", "Draws when it is made.")
class Shuffled:
    """Shuffles something that nobody needs."""

    def __init__(self) -> None:
        random.shuffle([1, 2, 3])

    def decide(self, observation, orders) -> None:
        """Do nothing."""


@compiled_strategy("compiled_dice", "Draws from Numba's own generator.")
def compiled_dice(view, me, rng, orders):
    limit(orders, view, 0, np.random.randint(1, 100), 1)


def test_the_population_that_draws_is_named_once() -> None:
    (text,) = warned(scripted("gamblers", draw, 3), scripted("others", good, 3))
    assert text.startswith(
        "population gamblers: strategy 'scripted' draws from Python's global random generator"
    )
    assert "use observation.random" in text


def test_the_warning_points_at_the_strategy() -> None:
    with pytest.warns(RunWarning, match="population g: .*NumPy's.*observation.uniform") as caught:
        simulation(population("g", ScriptedBatch.strategy, options={"script": draw_numpy}), steps=2).advance()
    assert caught[0].filename.endswith("small_markets.py")


@pytest.mark.parametrize("strategy", [Shuffled.strategy, compiled_dice], ids=lambda it: it.name)
def test_draws_are_noticed_when_a_strategy_is_made_and_in_compiled_code(strategy: Any) -> None:
    (text,) = warned(population("p", strategy))
    assert f"population p: strategy {strategy.name!r}" in text


def test_a_second_run_in_one_process_is_warned_of_too_and_a_fork_is_not() -> None:
    assert len(warned(scripted("g", draw))) == len(warned(scripted("g", draw))) == 1
    market = simulation(scripted("g", draw), steps=9)
    with pytest.warns(RunWarning):
        market.advance(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        market.fork().advance()


def test_a_draw_long_after_the_start_is_noticed() -> None:
    def late(number: int, observation: Any, orders: Any) -> None:
        if observation.step >= 700 and observation.step % 10 == 0:
            draw(number, observation, orders)

    assert len(warned(scripted("late", late), scripted("others", good, 2), steps=3_000)) == 1


def test_nobody_is_blamed_for_what_the_program_around_draws() -> None:
    market = simulation(scripted("good", good, 2), steps=600)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while market.step < 600:
            random.random()
            market.advance(market.step + 1)


def test_the_generators_are_looked_at_ever_more_rarely() -> None:
    watch, looks = Watch(1), []
    for decision in range(100_000):
        watch.left[0] -= 1
        if watch.left[0] < 0:
            looks.append(decision)
            watch.begin()
            assert watch.end(0) is None
    assert looks[:4] == [0, 2, 5, 10]
    assert len(looks) < 40
