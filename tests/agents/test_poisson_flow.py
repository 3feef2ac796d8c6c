"""The crowd's random order flow: rates, lifetimes and where limit orders go, alone and in a market."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import simlab
from simlab.agents.conformance import Case, decide, plain_case
from simlab.agents.library import STRATEGIES
from simlab.core.random import Role, name_key, reset
from simlab.core.types import MessageKind, Side

NAMES = ("poisson_flow", "power_law_placement")
ONLY_LIMITS = {"market_rate": 0.0, "limit_rate": 0.5}


def sent(name: str, count: int, case: Case | None = None, **parameters: float) -> NDArray[np.void]:
    """Return all messages of decisions that differ by their draws only, in an ordinary market or `case`."""
    drawn = plain_case(STRATEGIES[name], **parameters)
    if case is not None:
        drawn.view[:] = case.view
    found = []
    for i in range(count):
        reset(drawn.rng[0], name_key(1, "agent", "crowd"), np.uint64(Role.DECIDE), np.uint64(i))
        found.append(decide(STRATEGIES[name], drawn))
    return np.concatenate(found)


def market_case(name: str, **market: int) -> Case:
    case = plain_case(STRATEGIES[name])
    for field, value in market.items():
        case.view[0][field] = value
    return case


def distances(messages: NDArray[np.void]) -> NDArray[np.int64]:
    """Return how far limit orders are outside the best price of their own side, 9,999 or 10,001."""
    buy = messages["side"] == Side.BUY
    return np.where(buy, 9_999 - messages["price"], messages["price"] - 10_001)


@pytest.mark.parametrize("name", NAMES)
def test_it_sends_orders_of_one_size_in_the_given_shares(name: str) -> None:
    messages = sent(name, 2_000, market_rate=0.1, limit_rate=0.3, size=7)
    assert np.mean(messages["kind"] == MessageKind.MARKET) == pytest.approx(0.25, abs=0.05)
    assert len(messages) / 2_000 == pytest.approx(0.4, abs=0.04)
    assert np.mean(messages["side"]) == pytest.approx(0.5, abs=0.06)
    assert set(messages["quantity"]) == {7}


@pytest.mark.parametrize("name", NAMES)
def test_every_order_is_cancelled_at_a_constant_rate(name: str) -> None:
    lives = sent(name, 4_000, **ONLY_LIMITS, cancel_rate=0.02)["expiry"].astype(float)
    assert lives.mean() == pytest.approx(0.98 / 0.02, rel=0.08)
    assert np.mean(lives >= 100) == pytest.approx(0.98**100, abs=0.025)


@pytest.mark.parametrize(("rate", "expiry"), [(0.0, 0), (1.0, 5)])
def test_orders_without_cancels_never_expire_and_sure_cancels_expire_at_once(
    rate: float, expiry: int
) -> None:
    case = market_case("poisson_flow", step=5)
    assert set(sent("poisson_flow", 50, case, **ONLY_LIMITS, cancel_rate=rate)["expiry"]) == {expiry}


def test_an_order_of_step_0_that_is_to_expire_does_expire() -> None:
    assert set(sent("poisson_flow", 50, **ONLY_LIMITS, cancel_rate=1.0)["expiry"]) == {1}


def test_poisson_flow_is_uniform_over_the_window_from_the_opposite_price() -> None:
    messages = sent("poisson_flow", 6_000, **ONLY_LIMITS, window=20)
    # The spread is two ticks, so the nearest of the twenty prices lies one tick inside.
    counts = np.bincount(distances(messages) + 1, minlength=20)
    assert len(counts) == 20
    assert counts / counts.sum() == pytest.approx(np.full(20, 0.05), abs=0.014)


def test_poisson_flow_counts_its_window_in_ticks() -> None:
    case = market_case("poisson_flow", tick_size=5, best_bid=9_995, best_ask=10_005)
    messages = sent("poisson_flow", 300, case, **ONLY_LIMITS, window=3)
    assert set(messages["price"][messages["side"] == Side.BUY]) == {9_990, 9_995, 10_000}
    assert set(messages["price"][messages["side"] == Side.SELL]) == {10_000, 10_005, 10_010}


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_side_gets_no_market_order_and_is_stood_for_by_the_mid(name: str) -> None:
    case = market_case(name, best_ask=0, ask_depth=0)
    messages = sent(name, 400, case, market_rate=0.5, limit_rate=0.5)
    market = messages["kind"] == MessageKind.MARKET
    assert set(messages["side"][market]) == {Side.SELL}
    limits = messages[~market]
    assert set(limits["side"]) == {Side.BUY, Side.SELL}
    assert (limits["price"][limits["side"] == Side.SELL] > 9_999).all()
    if name == "poisson_flow":
        assert (limits["price"][limits["side"] == Side.BUY] < 10_000).all()


@pytest.mark.parametrize(("name", "where"), [(NAMES[0], {"window": 10}), (NAMES[1], {"reach": 10})])
def test_orders_below_one_tick_are_not_sent(name: str, where: dict[str, float]) -> None:
    case = market_case(name, best_bid=2, best_ask=3)
    case.view[0].mid = 2.5
    bids = sent(name, 400, case, **ONLY_LIMITS, **where)
    assert set(bids["price"][bids["side"] == Side.BUY]) == {1, 2}


@pytest.mark.parametrize(("exponent", "offset"), [(0.6, 1.0), (1.5, 4.0)])
def test_power_law_placement_has_the_stated_distribution(exponent: float, offset: float) -> None:
    messages = sent(
        "power_law_placement", 8_000, **ONLY_LIMITS, exponent=exponent, offset=offset, reach=10**6
    )
    found = distances(messages)
    at_least = ((np.arange(201) + offset) / offset) ** -exponent
    probability = at_least[:-1] - at_least[1:]
    # The spread is two ticks: only one price lies inside, at distance 1.
    total = 1.0 + probability[1]
    assert found.min() == -1
    assert np.mean(found == -1) == pytest.approx(probability[1] / total, abs=0.02)
    for distance in (0, 1, 2, 5):
        assert np.mean(found == distance) == pytest.approx(probability[distance] / total, abs=0.025)
    for distance in (10, 100):
        assert np.mean(found >= distance) == pytest.approx(at_least[distance] / total, abs=0.025)


def test_power_law_placement_stays_within_its_reach() -> None:
    found = distances(sent("power_law_placement", 1_000, **ONLY_LIMITS, reach=10))
    assert (found.min(), found.max()) == (-1, 9)


@pytest.mark.parametrize("name", NAMES)
def test_the_book_fills_to_limit_rate_over_cancel_rate(name: str, tmp_path: Path) -> None:
    crowd = {
        "strategy": name,
        "parameters": {**ONLY_LIMITS, "cancel_rate": 0.005},
        "account": {"borrowing": "free", "short_selling": "free"},
    }
    share = {"initial_price": 1_000_000, "self_trade": "off"}
    run = simlab.run(
        {"steps": 20_000, "instruments": {"M": share}, "populations": {"crowd": crowd}}, out=tmp_path
    )
    messages = run.messages(columns=["step", "event"])
    change = messages["event"].map({"accepted": 1, "expired": -1}).astype(int)
    resting = np.cumsum(np.bincount(messages["step"], change, minlength=20_000))
    assert run.trades().empty
    # Without market orders the number of orders is Poisson with mean 100, once the book has filled.
    assert resting[2_000:].mean() == pytest.approx(100, abs=10)
