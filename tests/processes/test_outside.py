"""The outside is a function of seed and names: blocks, other instruments and other news change nothing."""

from __future__ import annotations

import copy
import math
import pickle
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simlab.core.types import Side
from simlab.errors import ConfigError, SimlabError
from simlab.processes import (
    REMEMBERED,
    FatFinger,
    FundamentalJump,
    FundamentalSpec,
    Halt,
    Join,
    Leave,
    Outside,
    OutsideBlock,
    OutsideSpec,
    OutsideState,
    PoissonNews,
    ScheduledNews,
    ShockKind,
)

SPECS = (
    FundamentalSpec("BETA", "mean_reverting", reversion=0.01, volatility=2.0, jump_rate=0.01, jump_scale=9.0),
    FundamentalSpec("GAMMA", "geometric", volatility=0.001, drift=1e-6, jump_rate=0.01, jump_scale=0.01),
)
CORRELATED = [("BETA", "GAMMA", 0.6)]
POISSON = PoissonNews(0.01, impact_scale=3.0)


PRICES = {"GAMMA": 10_000.0, "BETA": 5_000.0}


def _spec(**changes: Any) -> OutsideSpec:
    terms: dict[str, Any] = {
        "fundamentals": SPECS,
        "correlation": CORRELATED,
        "news": [ScheduledNews(50, "BETA", "up", impact=4.0), ScheduledNews(4100, None, "down", impact=-4.0)],
        "poisson": [POISSON],
        "shocks": [FundamentalJump(60, "GAMMA", 5.0), Halt(4097, None, 10)],
    }
    return OutsideSpec(**(terms | changes))


def _outside(*, seed: int = 7, prices: Mapping[str, float] = PRICES, **changes: Any) -> Outside:
    return Outside(_spec(**changes), seed=seed, initial_prices=prices)


def _small(
    fundamentals: Sequence[FundamentalSpec] = (), *, prices: Mapping[str, float] | None = None, **terms: Any
) -> Outside:
    prices = {"A": 10.0} if prices is None else prices
    return Outside(OutsideSpec(tuple(fundamentals), **terms), seed=1, initial_prices=prices)


def _block(outside: Outside, steps: int) -> OutsideBlock:
    return outside.advance(outside.start(), steps)[0]


def _blocks(outside: Outside, sizes: list[int]) -> list[OutsideBlock]:
    blocks, state = [], outside.start()
    for size in sizes:
        block, state = outside.advance(state, size)
        blocks.append(block)
    return blocks


def _same(a: OutsideBlock, b: OutsideBlock) -> bool:
    rest = (a.start, a.news, a.shocks) == (b.start, b.news, b.shocks)
    return rest and a.fundamental.tobytes() == b.fundamental.tobytes()


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 9_000), max_size=6))
def test_the_sizes_of_blocks_do_not_matter(cuts: list[int]) -> None:
    whole = _block(_outside(), 9_000)
    edges = [0, *sorted(cuts), 9_000]
    blocks = _blocks(_outside(), np.diff(edges).tolist())
    assert np.concatenate([block.fundamental for block in blocks]).tobytes() == whole.fundamental.tobytes()
    assert sum((block.news for block in blocks), ()) == whole.news
    assert sum((block.shocks for block in blocks), ()) == whole.shocks


def test_adding_an_instrument_leaves_the_others_unchanged() -> None:
    plain = _block(_outside(), 5_000)
    specs = (*SPECS, FundamentalSpec("ALPHA", "geometric", volatility=0.01))
    news = [ScheduledNews(50, "BETA", "up", impact=4.0), ScheduledNews(4100, None, "down", impact=-4.0)]
    jump = [FundamentalJump(60, "GAMMA", 5.0)]
    block = _block(
        _outside(prices={"ALPHA": 100.0} | PRICES, fundamentals=specs, news=news, shocks=jump), 5_000
    )
    assert block.fundamental[:, 1:].tobytes() == plain.fundamental.tobytes()
    kept = [item.headline for item in block.news if item.instrument > 0 or item.step == 4100]
    assert sorted(kept) == sorted(item.headline for item in plain.news)


def test_adding_news_changes_only_the_instrument_it_is_about() -> None:
    plain = _block(_outside(news=[]), 500).fundamental
    moved = _block(_outside(news=[ScheduledNews(100, "GAMMA", "up", impact=50.0)]), 500).fundamental
    assert moved[:, 0].tobytes() == plain[:, 0].tobytes()
    assert moved[:100].tobytes() == plain[:100].tobytes()
    assert moved[100, 1] == plain[100, 1] + 50.0
    assert np.all(moved[100:, 1] > plain[100:, 1] + 25.0)


def test_the_order_of_specifications_does_not_matter() -> None:
    turned = _outside(
        prices=dict(reversed(PRICES.items())),
        fundamentals=SPECS[::-1],
        correlation=[("GAMMA", "BETA", 0.6)],
        news=[],
        shocks=[],
    )
    plain = _outside(news=[], shocks=[])
    assert _same(_block(turned, 300), _block(plain, 300))


def test_an_impact_on_a_mean_reverting_value_decays() -> None:
    spec = FundamentalSpec("A", "mean_reverting", initial=100.0, reversion=0.5)
    path = _block(_small([spec], shocks=[FundamentalJump(2, None, 8.0)]), 5).fundamental
    expected = [100.0, 100.0, 108.0, 100.0 + 8.0 * math.exp(-0.5), 100.0 + 8.0 * math.exp(-1.0)]
    assert path[:, 0] == pytest.approx(expected, rel=1e-14)


def test_an_impact_on_a_constant_value_stays() -> None:
    path = _block(_small(shocks=[FundamentalJump(1, "A", -12.0)]), 3).fundamental
    assert path[:, 0].tolist() == [10.0, -2.0, -2.0]


@pytest.mark.parametrize("rho", [-1.0, -0.5, 0.0, 0.8, 1.0])
def test_moves_are_correlated_as_asked(rho: float) -> None:
    names = ["A", "B", "C"]
    specs = [FundamentalSpec(name, "mean_reverting", volatility=1.0) for name in names]
    outside = _small(specs, prices=dict.fromkeys(names, 0.0), correlation=[("C", "A", rho)])
    path = _block(outside, 20_000).fundamental
    measured = np.corrcoef(np.diff(path, axis=0).T)
    assert measured[0, 2] == pytest.approx(rho, abs=4 * (1 - rho**2 + 1e-9) / math.sqrt(20_000))
    assert abs(measured[0, 1]) < 4 / math.sqrt(20_000)


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
    ],
)
def test_a_correlation_that_cannot_be_is_refused(correlation: object, words: str) -> None:
    specs = [FundamentalSpec(name, "geometric", volatility=0.1) for name in "ABC"]
    with pytest.raises(ConfigError, match=words):
        _small(specs, prices=dict.fromkeys("ABC", 1.0), correlation=correlation)


def test_a_value_without_noise_cannot_be_correlated() -> None:
    with pytest.raises(ConfigError, match="'constant', without noise"):
        _small(prices=dict.fromkeys("AB", 1.0), correlation=[("A", "B", 0.5)])


def test_a_specification_is_plain_data() -> None:
    spec = _spec()
    for other in (_spec(), copy.deepcopy(spec), pickle.loads(pickle.dumps(spec))):
        assert other == spec
        assert hash(other) == hash(spec)
    assert _spec(news=[]) != spec
    with pytest.raises(AttributeError):
        spec.news = ()  # type: ignore[misc]


def test_one_outside_runs_any_number_of_times_and_from_any_state() -> None:
    outside = _outside()
    first, state = outside.advance(outside.start(), 4_321)
    expected, after = outside.advance(state, 1_000)
    assert _same(_block(outside, 4_321), first)
    stored = OutsideState.from_arrays(state.to_arrays())
    for again in (state, copy.deepcopy(state), pickle.loads(pickle.dumps(state)), stored):
        for source in (outside, _outside(), copy.deepcopy(outside)):
            block, end = source.advance(again, 1_000)
            assert _same(block, expected)
            assert (end.next_step, end.levels.tobytes()) == (after.next_step, after.levels.tobytes())
            assert end.memory.tobytes() == after.memory.tobytes()


def test_a_state_does_not_change_under_whoever_holds_it() -> None:
    arrays = {"next_step": np.array([5]), "levels": np.array([1.0, 2.0]), "memory": np.ones((2, REMEMBERED))}
    state = OutsideState.from_arrays(arrays)
    arrays["levels"][0], arrays["memory"][0] = 7.0, 7.0
    state.to_arrays()["levels"][1], state.to_arrays()["memory"][1] = 8.0, 8.0
    assert (state.levels.tolist(), state.memory.tolist()) == ([1.0, 2.0], np.ones((2, REMEMBERED)).tolist())
    with pytest.raises(ValueError, match="read-only"):
        state.levels[0] = 3.0
    with pytest.raises(ValueError, match="read-only"):
        state.memory[0] = 3.0


def test_threads_share_one_outside() -> None:
    outside = _outside()
    expected = _block(outside, 6 * 4096).fundamental.tobytes()
    results: list[bytes] = []

    def run(size: int) -> None:
        blocks = _blocks(outside, [size] * (6 * 4096 // size))
        results.append(np.concatenate([block.fundamental for block in blocks]).tobytes())

    threads = [threading.Thread(target=run, args=(size,)) for size in (512, 2048, 4096, 8192)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 4


def test_a_state_of_another_market_is_refused() -> None:
    with pytest.raises(SimlabError, match=r"one of 1 instruments, and there are 2 \(BETA, GAMMA\)"):
        _outside().advance(OutsideState(3, np.ones(1), np.ones((1, REMEMBERED))), 5)


def test_shocks_appear_in_the_block_of_their_step() -> None:
    shocks = [
        Join(9, "makers"),
        FatFinger(3, "GAMMA", Side.SELL, 500),
        Halt(3, "BETA", 20),
        Leave(5, "makers"),
    ]
    first, second = _blocks(_outside(shocks=shocks), [4, 10])
    assert [(s.kind, s.instrument) for s in first.shocks] == [(ShockKind.FAT_FINGER, 1), (ShockKind.HALT, 0)]
    assert (first.shocks[0].side, first.shocks[0].quantity, first.shocks[1].duration) == (Side.SELL, 500, 20)
    assert [(s.kind, s.population) for s in second.shocks] == [
        (ShockKind.LEAVE, "makers"),
        (ShockKind.JOIN, "makers"),
    ]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: _small([FundamentalSpec("ACMEE")], prices={"ACME": 1.0}), "did you mean 'ACME'"),
        (lambda: OutsideSpec((FundamentalSpec("A"),) * 2), "given twice"),
        (lambda: _small(news=[ScheduledNews(5, "B", "x")]), "'x' at step 5.*no instrument 'B'; known: A"),
        (lambda: OutsideSpec(poisson=(PoissonNews(0.1),) * 2), "give each its own name"),
        (lambda: _small(poisson=[PoissonNews(0.1, ("B",))]), "news stream 'news'.*no instrument 'B'"),
        (lambda: _small(shocks=[Halt(2, "B", 5)]), "halt at step 2.*no instrument 'B'"),
        (lambda: _small(shocks=[FundamentalJump(2, "B", 5.0)]), "jump at step 2.*no instrument 'B'"),
        (lambda: _small([FundamentalSpec("A", "geometric")], prices={"A": -1.0}), "must start above 0"),
        (lambda: _small(prices={"A": 3e9}), "starts at 3e.09; it must lie within 2147483647 of 0"),
        (lambda: Halt(2, "B", 0), "duration is 0"),
        (lambda: FatFinger(2, "B", Side.BUY, 0), "quantity is 0"),
        (lambda: Leave(-1, "makers"), "at least 0"),
        (lambda: FundamentalJump(1, "A", math.nan), "size is nan"),
    ],
)
def test_an_outside_that_cannot_be_is_refused(make: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()
