"""Customers' orders come when the schedule says, at the limit prices that it says, and whatever others do."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from simlab.core.types import Side
from simlab.errors import ConfigError
from simlab.processes import CustomerOrders, Customers, LimitPrices, Timing, customers
from simlab.processes.customers import Desk

EVEN = LimitPrices("even", (50, 150))


def given(
    orders: CustomerOrders, *, until: int, count: int = 5, seed: int = 1, first: int = 0, name: str = "p"
) -> list[tuple[int, int, int]]:
    """Return (step, account, limit price) of all orders before a step."""
    process = Customers([Desk(orders, name, "M", first=first, count=count, number=0)], seed)
    rows, step = [], process.next_step(0, until)
    while step < until:
        rows += [(step, int(row["account"]), int(row["limit"])) for row in process.at(step)]
        step = process.next_step(step + 1, until)
    return rows


def orders(*prices: LimitPrices, **terms: object) -> CustomerOrders:
    return CustomerOrders(Side.BUY, prices or (EVEN,), **terms)  # type: ignore[arg-type]


def test_orders_are_given_once_without_a_period() -> None:
    rows = given(orders(starts=7), until=1_000)
    assert rows == [(7, i, 50 + 25 * i) for i in range(5)]


def test_all_are_given_theirs_at_the_start_of_each_period() -> None:
    rows = given(orders(period=100, starts=20), until=330)
    assert sorted({step for step, *_ in rows}) == [20, 120, 220, 320]
    assert len(rows) == 4 * 5


def test_spread_orders_come_one_after_the_other_in_a_new_order_each_period() -> None:
    rows = given(orders(period=100, timing=Timing.SPREAD), until=1_000)
    steps = [step for step, *_ in rows]
    assert steps == list(range(0, 1_000, 20))
    turns = {tuple(account for _, account, _ in rows[i : i + 5]) for i in range(0, 50, 5)}
    assert len(turns) > 5
    assert all(sorted(turn) == list(range(5)) for turn in turns)


def test_jittered_orders_come_at_a_random_place_of_their_part() -> None:
    rows = given(orders(period=100, timing=Timing.JITTER), until=10_000)
    steps = np.array([step for step, *_ in rows])
    assert (steps // 20).tolist() == list(range(500))
    assert np.mean(steps % 20) == pytest.approx(9.5, abs=1.0)


def test_poisson_orders_come_independently_at_the_given_rate() -> None:
    rows = given(orders(period=50, timing=Timing.POISSON), until=50_000, count=4)
    for account in range(4):
        steps = np.array([step for step, its, _ in rows if its == account])
        assert len(steps) == pytest.approx(1_000, abs=100)
        gaps = np.diff(steps)
        assert gaps.mean() == pytest.approx(50, rel=0.1)
        assert gaps.std() == pytest.approx(50, rel=0.15)  # as of an exponential distribution
        counts = np.bincount(steps // 200, minlength=250)
        assert counts.var() == pytest.approx(counts.mean(), rel=0.3)


def test_limit_prices_stay_unless_they_are_drawn_anew() -> None:
    drawn = LimitPrices("uniform", (50, 150))
    fixed = given(orders(drawn, period=10), until=1_000, count=3)
    assert len({limit for _, account, limit in fixed if account == 0}) == 1
    anew = given(orders(drawn, period=10, redraw=True), until=10_000, count=3)
    limits = np.array([limit for *_, limit in anew])
    assert (limits.min(), limits.max()) == (50, 150)
    assert limits.mean() == pytest.approx(100, abs=2)


def test_dealt_limit_prices_are_dealt_anew() -> None:
    rows = given(orders(period=10, redraw=True), until=200)
    by_step: dict[int, list[int]] = {}
    for step, _, limit in rows:
        by_step.setdefault(step, []).append(limit)
    assert all(sorted(limits) == [50, 75, 100, 125, 150] for limits in by_step.values())
    assert len({tuple(limits) for limits in by_step.values()}) > 10


def test_supply_shifts_with_the_next_order() -> None:
    later = LimitPrices("even", (250, 350), step=95)
    rows = given(orders(EVEN, later, period=30), until=200, count=1)
    assert [(step, limit) for step, _, limit in rows] == [
        (0, 50), (30, 50), (60, 50), (90, 50), (120, 250), (150, 250), (180, 250),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "numbers", "mean"),
    [
        ("normal", (100, 10), 100),
        ("lognormal", (4.0, 0.1), np.exp(4.005)),
        ("exponential", (100,), 100),
        ("choice", (10, 20, 60), 30),
    ],
)
def test_limit_prices_follow_their_distribution(form: str, numbers: tuple[float, ...], mean: float) -> None:
    rows = given(orders(LimitPrices(form, numbers)), until=1, count=4_000)
    assert np.mean([limit for *_, limit in rows]) == pytest.approx(mean, rel=0.05)


def test_a_distribution_outside_the_range_of_prices_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"populations\.p\.customer_orders\.limit_price: normal gave no"):
        given(orders(LimitPrices("normal", (-1e6, 1))), until=1)


@pytest.mark.parametrize("timing", [Timing.POISSON, Timing.TOGETHER])
def test_more_traders_and_other_populations_change_no_draw(timing: Timing) -> None:
    terms = orders(LimitPrices("uniform", (50, 150)), period=20, timing=timing, redraw=True)
    few, many = given(terms, until=200, count=5), given(terms, until=200, count=9)
    assert [row for row in many if row[1] < 5] == few
    assert given(terms, until=200, first=3) == [(step, i + 3, limit) for step, i, limit in few]
    assert given(terms, until=200, seed=2) != few
    assert given(terms, until=200, name="q") != few


def test_what_is_given_does_not_depend_on_where_one_begins_to_look() -> None:
    terms = orders(LimitPrices("uniform", (50, 150)), period=17, timing=Timing.JITTER, redraw=True)
    whole = given(terms, until=500)
    process = Customers([Desk(terms, "p", "M", first=0, count=5, number=0)], 1)
    at = process.next_step(300, 500)
    assert at == next(step for step, *_ in whole if step >= 300)
    assert [(at, int(row["account"]), int(row["limit"])) for row in process.at(at)] == [
        row for row in whole if row[0] == at
    ]


def test_nobody_is_given_nothing() -> None:
    assert given(orders(period=10), until=100, count=0) == []
    assert Customers((), 1).next_step(0, 50) == 50


def test_examples_run() -> None:
    assert doctest.testmod(customers).failed == 0
