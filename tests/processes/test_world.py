"""A world is a function of seed and names: blocks, other instruments and other news change nothing."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simlab.core.types import Side
from simlab.errors import ConfigError, SimlabError
from simlab.processes import (
    FatFinger,
    FundamentalJump,
    FundamentalSpec,
    Halt,
    Join,
    Leave,
    OutsideBlock,
    PoissonNews,
    ScheduledNews,
    ShockKind,
    World,
)

SPECS = (
    FundamentalSpec("BETA", "mean_reverting", reversion=0.01, volatility=2.0, jump_rate=0.01, jump_scale=9.0),
    FundamentalSpec("GAMMA", "geometric", volatility=0.001, drift=1e-6, jump_rate=0.01, jump_scale=0.01),
)
CORRELATED = [("BETA", "GAMMA", 0.6)]
POISSON = PoissonNews(0.01, impact_scale=3.0)


def _world(**changes: object) -> World:
    settings = {
        "fundamentals": SPECS,
        "correlation": CORRELATED,
        "news": [ScheduledNews(50, "BETA", "up", impact=4.0), ScheduledNews(4100, None, "down", impact=-4.0)],
        "poisson": [POISSON],
        "shocks": [FundamentalJump(60, "GAMMA", 5.0), Halt(4097, None, 10)],
    }
    return World(7, ["GAMMA", "BETA"], [10_000.0, 5_000.0], **(settings | changes))


def _blocks(world: World, sizes: list[int]) -> list[OutsideBlock]:
    blocks, start = [], 0
    for size in sizes:
        blocks.append(world.block(start, size))
        start += size
    return blocks


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 9_000), max_size=6))
def test_the_sizes_of_blocks_do_not_matter(cuts: list[int]) -> None:
    whole = _world().block(0, 9_000)
    edges = [0, *sorted(cuts), 9_000]
    blocks = _blocks(_world(), np.diff(edges).tolist())
    assert np.concatenate([block.fundamental for block in blocks]).tobytes() == whole.fundamental.tobytes()
    assert sum((block.news for block in blocks), ()) == whole.news
    assert sum((block.shocks for block in blocks), ()) == whole.shocks


def test_adding_an_instrument_leaves_the_others_unchanged() -> None:
    plain = _world().block(0, 5_000)
    specs = (*SPECS, FundamentalSpec("ALPHA", "geometric", volatility=0.01))
    names, prices = ["ALPHA", "GAMMA", "BETA"], [100.0, 10_000.0, 5_000.0]
    news = [ScheduledNews(50, "BETA", "up", impact=4.0), ScheduledNews(4100, None, "down", impact=-4.0)]
    jump = [FundamentalJump(60, "GAMMA", 5.0)]
    block = World(7, names, prices, specs, CORRELATED, news, [POISSON], jump).block(0, 5_000)
    assert block.fundamental[:, 1:].tobytes() == plain.fundamental.tobytes()
    kept = [item.headline for item in block.news if item.instrument > 0 or item.step == 4100]
    assert sorted(kept) == sorted(item.headline for item in plain.news)


def test_adding_news_changes_only_the_instrument_it_is_about() -> None:
    plain = _world(news=[]).block(0, 500).fundamental
    moved = _world(news=[ScheduledNews(100, "GAMMA", "up", impact=50.0)]).block(0, 500).fundamental
    assert moved[:, 0].tobytes() == plain[:, 0].tobytes()
    assert moved[:100].tobytes() == plain[:100].tobytes()
    assert moved[100, 1] == plain[100, 1] + 50.0
    assert np.all(moved[100:, 1] > plain[100:, 1] + 25.0)


def test_the_order_of_specifications_does_not_matter() -> None:
    turned = World(
        7,
        ["BETA", "GAMMA"],
        [5_000.0, 10_000.0],
        SPECS[::-1],
        {("GAMMA", "BETA"): 0.6},
        poisson=[POISSON],
    )
    plain = _world(news=[], shocks=[])
    assert turned.block(0, 300).fundamental.tobytes() == plain.block(0, 300).fundamental.tobytes()


def test_an_impact_on_a_mean_reverting_value_decays() -> None:
    spec = FundamentalSpec("A", "mean_reverting", initial=100.0, reversion=0.5)
    path = World(1, ["A"], [1.0], [spec], shocks=[FundamentalJump(2, None, 8.0)]).block(0, 5).fundamental
    expected = [100.0, 100.0, 108.0, 100.0 + 8.0 * math.exp(-0.5), 100.0 + 8.0 * math.exp(-1.0)]
    assert path[:, 0] == pytest.approx(expected, rel=1e-14)


def test_an_impact_on_a_constant_value_stays() -> None:
    path = World(1, ["A"], [10.0], shocks=[FundamentalJump(1, "A", -12.0)]).block(0, 3).fundamental
    assert path[:, 0].tolist() == [10.0, -2.0, -2.0]


def test_an_impact_cannot_take_a_geometric_value_to_zero() -> None:
    spec = FundamentalSpec("A", "geometric", initial=10.0, volatility=0.01)
    world = World(1, ["A"], [1.0], [spec], news=[ScheduledNews(3, "A", "ruin", impact=-11.0)])
    with pytest.raises(ConfigError, match="step 3 takes the geometric value"):
        world.block(0, 5)


@pytest.mark.parametrize("rho", [-1.0, -0.5, 0.0, 0.8, 1.0])
def test_moves_are_correlated_as_asked(rho: float) -> None:
    names = ["A", "B", "C"]
    specs = [FundamentalSpec(name, "mean_reverting", volatility=1.0) for name in names]
    path = World(3, names, [0.0] * 3, specs, [("C", "A", rho)]).block(0, 20_000).fundamental
    measured = np.corrcoef(np.diff(path, axis=0).T)
    assert measured[0, 2] == pytest.approx(rho, abs=4 * (1 - rho**2 + 1e-9) / math.sqrt(20_000))
    assert abs(measured[0, 1]) < 4 / math.sqrt(20_000)


def test_a_matrix_is_in_the_order_of_the_instruments() -> None:
    matrix = np.array([[1.0, 0.6], [0.6, 1.0]])
    assert _world(correlation=matrix).block(0, 99).fundamental.tobytes() == (
        _world().block(0, 99).fundamental.tobytes()
    )


@pytest.mark.parametrize(
    ("correlation", "words"),
    [
        (
            [("A", "B", 0.9), ("B", "C", 0.9), ("A", "C", -0.9)],
            "'A' and 'B' .0.9., 'A' and 'C' .-0.9., 'B' and 'C'.*contradict",
        ),
        ([("A", "B", 1.0), ("A", "C", 1.0), ("B", "C", 0.5)], "contradict"),
        ([("A", "B", 1.5)], "'A' and 'B' is 1.5"),
        ([("A", "A", 0.5)], "two different"),
        ([("A", "B", 0.5), ("B", "A", 0.5)], "once"),
        ([("A", "X", 0.5)], "no instrument 'X'"),
        (np.eye(2), "shape"),
        (np.array([[1.0, 0.5, 0.0], [0.4, 1.0, 0.0], [0.0, 0.0, 1.0]]), "symmetric"),
        ([("A", "D", 0.5)], "no instrument 'D'"),
    ],
)
def test_a_correlation_that_cannot_be_is_refused(correlation: object, words: str) -> None:
    specs = [FundamentalSpec(name, "geometric", volatility=0.1) for name in "ABC"]
    with pytest.raises(ConfigError, match=words):
        World(1, ["A", "B", "C"], [1.0, 1.0, 1.0], specs, correlation)


def test_a_value_without_noise_cannot_be_correlated() -> None:
    with pytest.raises(ConfigError, match="'constant', without noise"):
        World(1, ["A", "B"], [1.0, 1.0], correlation=[("A", "B", 0.5)])


def test_a_restored_world_goes_on_as_before() -> None:
    world = _world()
    world.block(0, 4_321)
    saved = json.loads(json.dumps(world.state()))
    expected = world.block(4_321, 1_000)
    fresh = _world()
    fresh.restore(saved)
    block = fresh.block(4_321, 1_000)
    assert block.fundamental.tobytes() == expected.fundamental.tobytes()
    assert (block.news, block.shocks) == (expected.news, expected.shocks)


def test_blocks_come_in_order() -> None:
    world = _world()
    world.block(0, 10)
    with pytest.raises(SimlabError, match="next block starts at step 10"):
        world.block(11, 5)
    with pytest.raises(SimlabError, match="not one of a world of BETA, GAMMA"):
        world.restore({"next_step": 3, "levels": {"OTHER": 1.0}})


def test_shocks_appear_in_the_block_of_their_step() -> None:
    shocks = [
        Join(9, "makers"),
        FatFinger(3, "GAMMA", Side.SELL, 500),
        Halt(3, "BETA", 20),
        Leave(5, "makers"),
    ]
    first, second = _blocks(_world(shocks=shocks), [4, 10])
    assert [(s.kind, s.instrument) for s in first.shocks] == [(ShockKind.FAT_FINGER, 1), (ShockKind.HALT, 0)]
    assert (first.shocks[0].side, first.shocks[0].quantity, first.shocks[1].duration) == (Side.SELL, 500, 20)
    assert [(s.kind, s.population) for s in second.shocks] == [
        (ShockKind.LEAVE, "makers"),
        (ShockKind.JOIN, "makers"),
    ]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: World(1, ["A"], [1.0, 2.0]), "1 instruments and 2 initial prices"),
        (lambda: World(1, ["A", "A"], [1.0, 2.0]), "not all different"),
        (lambda: World(1, ["ACME"], [1.0], [FundamentalSpec("ACMEE")]), "did you mean 'ACME'"),
        (lambda: World(1, ["A"], [1.0], [FundamentalSpec("A")] * 2), "given twice"),
        (
            lambda: World(1, ["A"], [1.0], news=[ScheduledNews(5, "B", "x")]),
            "'x' at step 5.*no instrument 'B'",
        ),
        (lambda: World(1, ["A"], [1.0], poisson=[PoissonNews(0.1)] * 2), "give each its own name"),
        (lambda: World(1, ["A"], [1.0], shocks=[Halt(2, "B", 5)]), "halt at step 2.*no instrument 'B'"),
        (lambda: World(1, ["A"], [-1.0], [FundamentalSpec("A", "geometric")]), "must start above 0"),
        (lambda: Halt(2, "B", 0), "duration is 0"),
        (lambda: FatFinger(2, "B", Side.BUY, 0), "quantity is 0"),
        (lambda: Leave(-1, "makers"), "at least 0"),
        (lambda: FundamentalJump(1, "A", math.nan), "size is nan"),
    ],
)
def test_a_world_that_cannot_be_is_refused(make: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()
