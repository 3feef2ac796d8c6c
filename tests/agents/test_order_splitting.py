"""Order splitting draws the sizes the paper asks for and executes them piece by piece."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import simlab
from simlab.agents.conformance import Case, decide, plain_case
from simlab.agents.library import STRATEGIES
from simlab.core.random import Role, name_key, reset
from simlab.core.types import MessageKind, Side

SPLITTER = STRATEGIES["order_splitter"]


def act(case: Case, step: int, filled: int = 0) -> list[tuple[int, int]]:
    """Let the agent act once after a fill on the side it trades; return (side, quantity) of its messages."""
    me = case.me[0]
    me.bought, me.sold = (filled, 0) if me.memory[1] == Side.BUY else (0, filled)
    case.view[0].step = step
    reset(case.rng[0], name_key(1, "agent", "splitter"), np.uint64(Role.DECIDE), np.uint64(step))
    sent = decide(SPLITTER, case)
    assert set(sent["kind"].tolist()) <= {MessageKind.MARKET}
    return [(int(side), int(quantity)) for side, quantity in zip(sent["side"], sent["quantity"], strict=True)]


def hidden_orders(count: int, **parameters: float) -> list[tuple[int, int]]:
    """Return (side, slices) of the first hidden orders of an agent whose every slice is filled."""
    case = plain_case(SPLITTER, **parameters)
    found: list[tuple[int, int]] = []
    filled = 0
    for step in range(100_000):
        new = case.me[0].memory[0] <= filled
        if new and len(found) == count:
            return found
        [(side, filled)] = act(case, step, filled)
        found = [*found, (side, 1)] if new else [*found[:-1], (side, found[-1][1] + 1)]
    raise AssertionError(f"{len(found)} of {count} orders after 100,000 slices")


def test_sizes_are_pareto_and_sides_equally_likely() -> None:
    orders = hidden_orders(2_000, alpha=1.5, slice=1, max_size=10_000)
    sizes = np.array([slices for _, slices in orders])
    for slices in (1, 2, 3, 5, 10, 30):
        share = slices**-1.5
        assert np.mean(sizes >= slices) == pytest.approx(share, abs=4 * np.sqrt(share / sizes.size) + 1e-9)
    assert np.mean([side for side, _ in orders]) == pytest.approx(0.5, abs=0.05)
    assert set(sizes) > {1, 2, 3}


def test_the_largest_size_is_a_cap_in_lots() -> None:
    sizes = [slices for _, slices in hidden_orders(1_000, alpha=0.5, slice=4, max_size=22)]
    assert max(sizes) == 5


def test_nothing_is_split_when_the_largest_size_is_a_slice() -> None:
    orders = hidden_orders(1_000, slice=7, max_size=7)
    sides = np.array([side for side, _ in orders])
    assert {slices for _, slices in orders} == {1}
    assert np.mean(sides[1:] == sides[:-1]) == pytest.approx(0.5, abs=0.06)


def test_what_was_not_filled_is_sent_again() -> None:
    case = plain_case(SPLITTER, slice=5, max_size=5)
    [(side, quantity)] = act(case, 0)
    assert quantity == 5
    assert act(case, 1, filled=2) == [(side, 3)]
    assert act(case, 2) == [(side, 3)]
    assert case.me[0].memory[0] == 3
    act(case, 3, filled=3)
    assert case.me[0].memory[0] == 5


def test_it_waits_for_somebody_to_trade_with() -> None:
    case = plain_case(SPLITTER, slice=5, max_size=5)
    [(side, _)] = act(case, 0)
    depth = "ask_depth" if side == Side.BUY else "bid_depth"
    case.view[0][depth] = 0
    assert act(case, 1) == []
    case.view[0][depth] = 1
    assert act(case, 2) == [(side, 5)]


def test_fills_count_during_a_halt() -> None:
    case = plain_case(SPLITTER, slice=5, max_size=5)
    act(case, 0)
    case.view[0].halted = 1
    assert act(case, 1, filled=4) == []
    case.view[0].halted = 0
    assert [quantity for _, quantity in act(case, 2)] == [1]


def test_a_slice_is_at_least_one_lot_size() -> None:
    case = plain_case(SPLITTER, slice=1, max_size=1)
    case.view[0].lot_size = 10
    assert [quantity for _, quantity in act(case, 0)] == [10]


def test_in_a_market_it_takes_one_slice_at_a_time(tmp_path: Path) -> None:
    free = {"borrowing": "free", "short_selling": "free"}
    market = {
        "steps": 400,
        "instruments": {"ACME": {"initial_price": 1_000}},
        "populations": {
            "splitter": {"strategy": "order_splitter", "parameters": {"slice": 3}, "account": free},
            "quoters": {
                "strategy": "noise",
                "count": 20,
                "parameters": {"market_share": 0, "max_orders": 16},
                "account": free,
            },
        },
    }
    run = simlab.run(market, out=tmp_path)
    assert isinstance(run, simlab.Run)
    taken = run.trades().groupby("taker_order_id")["quantity"].sum()
    assert len(taken) > 300
    assert set(taken) == {3}
