"""Draws follow their distribution, stay in range, and depend on nothing but their own key."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simlab.config import build, load
from simlab.config.distributions import Distribution, DrawError, draw_column
from simlab.errors import ConfigError

NORMAL = {"mean": 50.0, "std": 10.0}


def _draw(distribution: Any, *, count: int = 20_000, **changes: Any) -> NDArray[np.float64]:
    value = (
        distribution if isinstance(distribution, int | float) else Distribution.model_validate(distribution)
    )
    keys = {
        "seed": 1,
        "population": "noise",
        "parameter": "size",
        "low": -math.inf,
        "high": math.inf,
        "integer": False,
    }
    return draw_column(value, count=count, **(keys | changes))


@pytest.mark.parametrize(
    ("distribution", "mean", "std"),
    [
        ({"uniform": [2, 8]}, 5.0, 6 / math.sqrt(12)),
        ({"normal": NORMAL}, 50.0, 10.0),
        ({"normal": [50, 10]}, 50.0, 10.0),
        ({"lognormal": [0, 0.5]}, math.exp(0.125), math.sqrt((math.exp(0.25) - 1) * math.exp(0.25))),
        ({"exponential": 30}, 30.0, 30.0),
        ({"choice": [1, 1, 4]}, 2.0, math.sqrt(2)),
    ],
)
def test_moments(distribution: Any, mean: float, std: float) -> None:
    drawn = _draw(distribution)
    assert abs(drawn.mean() - mean) < 5 * std / math.sqrt(drawn.size)
    assert drawn.std() == pytest.approx(std, rel=0.05)


def test_whole_uniform_gives_every_number_the_same_chance() -> None:
    drawn = _draw({"uniform": [1, 4]}, integer=True)
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [1, 2, 3, 4]
    assert np.all(np.abs(counts - 5000) < 5 * math.sqrt(20_000 * 0.25 * 0.75))


def test_draws_outside_the_range_are_drawn_again_not_clipped() -> None:
    drawn = _draw({"normal": [0, 10]}, low=0.0, high=5.0)
    assert drawn.min() >= 0.0
    assert drawn.max() <= 5.0
    assert np.unique(drawn).size == drawn.size
    whole = _draw({"normal": [0, 10]}, low=1, high=3, integer=True)
    assert set(whole) == {1.0, 2.0, 3.0}


def test_agents_keep_their_draws_when_the_count_or_a_neighbour_changes() -> None:
    many = _draw({"normal": NORMAL}, count=100)
    assert np.array_equal(_draw({"normal": NORMAL}, count=10), many[:10])
    for change in ({"seed": 2}, {"population": "other"}, {"parameter": "edge"}):
        assert not np.array_equal(_draw({"normal": NORMAL}, count=100, **change), many)


def test_draws_are_the_same_on_every_machine() -> None:
    drawn = _draw({"lognormal": [0, 1]}, count=3)
    assert [value.hex() for value in drawn] == [
        "0x1.ae897f64a9537p-1",
        "0x1.410d77f9309dep+0",
        "0x1.86b62e0e29beep+0",
    ]


def test_a_number_is_every_agents() -> None:
    assert _draw(3, count=4).tolist() == [3.0] * 4


@pytest.mark.parametrize(
    ("distribution", "changes"),
    [
        ({"uniform": [1, 2]}, {"low": 3.0}),
        ({"uniform": [1.2, 1.8]}, {"integer": True}),
        ({"normal": [0, 1]}, {"low": 100.0}),
    ],
)
def test_an_impossible_distribution_is_an_error(distribution: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(DrawError):
        _draw(distribution, count=5, **changes)


def test_an_impossible_distribution_is_named_by_path(base: dict[str, Any]) -> None:
    base["populations"]["noise"]["parameters"] = {"max_size": {"normal": [-50, 1]}}
    with pytest.raises(
        ConfigError, match=r"populations.noise.parameters.max_size: agent 0 found no value between 1"
    ):
        build(load(base))


def test_a_million_constant_agents_are_cheap_to_describe(base: dict[str, Any]) -> None:
    base["populations"]["noise"]["count"] = 1_000_000
    table = next(it for it in build(load(base)).populations if it.name == "noise").parameters
    assert table.shape == (1_000_000, 6)
    assert np.all(table[:, 4] == 10)


def test_each_gives_every_agent_its_own_value() -> None:
    assert _draw({"each": [75, 80.5, 75]}, count=3).tolist() == [75.0, 80.5, 75.0]


def test_each_must_have_as_many_values_as_there_are_agents() -> None:
    with pytest.raises(DrawError, match="each has 2 values for 3 agents; give one for every agent"):
        _draw({"each": [75, 80]}, count=3)


def test_each_is_checked_against_the_range_with_its_path() -> None:
    market: dict[str, Any] = {
        "steps": 1,
        "instruments": {"ACME": {"initial_price": 100}},
        "populations": {
            "buyers": {"strategy": "noise", "count": 2, "parameters": {"offset": {"each": [75, -1]}}}
        },
    }
    with pytest.raises(ConfigError, match=r"populations\.buyers\.parameters\.offset\.each"):
        load(market)
