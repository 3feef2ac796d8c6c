"""ZIP moves its margin by Cliff's rules, towards the target, and never below zero."""

from __future__ import annotations

import numpy as np
import pytest

from simlab.agents.compiled import Shout
from simlab.agents.conformance import Case, decide, plain_case
from simlab.agents.hosts import CustomerOrder
from simlab.agents.library import STRATEGIES
from simlab.core.types import MessageKind, Side

ZIP = STRATEGIES["zip"]
MARGIN, CHANGE = 0, 1
BUYS, SELLS = Side.BUY, Side.SELL
EXACT = {"c_r": 0.0, "c_a": 0.0, "beta": 1.0, "gamma": 0.0, "shout_rate": 0.0, "margin": 0.2}
"""A trader whose price jumps to that of the event; at first 8,000 for a buyer, 12,000 for a seller."""


def looked(side: Side, *, units: int = 1, limit: int = 10_000, seed: int = 0, **parameters: float) -> Case:
    """Return a trader that has looked once at an empty book."""
    order = CustomerOrder(side, limit, units, 0)
    case = plain_case(ZIP, seed=seed, step=5, customer=order, **(EXACT | parameters))
    show(case)
    decide(ZIP, case)
    return case


def show(case: Case, bid: int = 0, ask: int = 0) -> None:
    view = case.view[0]
    view.best_bid, view.bid_depth, view.best_ask, view.ask_depth = bid, bid > 0, ask, ask > 0


def hear(case: Case, kind: Shout, price: int) -> None:
    view = case.view[0]
    at = view.shouts % view.shout_kinds.size
    view.shout_kinds[at], view.shout_prices[at] = kind, price
    view.shouts += 1


def price_of(case: Case) -> float:
    me = case.me[0]
    return me.customer_limit * (1 + (me.memory[MARGIN] if me.customer_side == SELLS else -me.memory[MARGIN]))


@pytest.mark.parametrize(
    ("side", "at", "kind", "units", "expected"),
    [
        (BUYS, 7_000, Shout.BUY, 1, 7_000),
        (BUYS, 7_000, Shout.SELL, 1, 7_000),
        (BUYS, 7_000, Shout.SELL, 0, 7_000),
        (BUYS, 9_000, Shout.BUY, 1, 9_000),
        (BUYS, 9_000, Shout.BUY, 0, 8_000),
        (BUYS, 9_000, Shout.SELL, 1, 8_000),
        (BUYS, 10_500, Shout.BUY, 1, 8_000),
        (SELLS, 13_000, Shout.BUY, 1, 13_000),
        (SELLS, 13_000, Shout.SELL, 0, 13_000),
        (SELLS, 11_000, Shout.SELL, 1, 11_000),
        (SELLS, 11_000, Shout.SELL, 0, 12_000),
        (SELLS, 11_000, Shout.BUY, 1, 12_000),
        (SELLS, 9_500, Shout.SELL, 1, 12_000),
        (BUYS, 9_000, Shout.BID, 1, 9_000),
        (BUYS, 9_000, Shout.BID, 0, 8_000),
        (BUYS, 7_000, Shout.BID, 1, 8_000),
        (BUYS, 9_000, Shout.ASK, 1, 8_000),
        (SELLS, 11_000, Shout.ASK, 1, 11_000),
        (SELLS, 11_000, Shout.ASK, 0, 12_000),
        (SELLS, 13_000, Shout.ASK, 1, 12_000),
        (SELLS, 11_000, Shout.BID, 1, 12_000),
    ],
)
def test_what_is_heard_moves_the_price(side: Side, at: int, kind: Shout, units: int, expected: float) -> None:
    case = looked(side, units=units)
    hear(case, kind, at)
    decide(ZIP, case)
    assert price_of(case) == pytest.approx(expected)


def test_everything_since_the_last_look_is_heard_once_in_order() -> None:
    case = looked(SELLS)
    for kind, at in ((Shout.BUY, 13_000), (Shout.ASK, 12_500), (Shout.BUY, 12_600)):
        hear(case, kind, at)
    decide(ZIP, case)
    assert price_of(case) == pytest.approx(12_600)
    decide(ZIP, case)
    assert price_of(case) == pytest.approx(12_600)


def test_what_is_too_long_ago_is_not_heard() -> None:
    case = looked(SELLS)
    hear(case, Shout.BUY, 15_000)
    for _ in range(case.view[0].shout_kinds.size):
        hear(case, Shout.BID, 1)
    decide(ZIP, case)
    assert price_of(case) == pytest.approx(12_000)


def test_the_price_moves_by_the_widrow_hoff_rule_with_momentum() -> None:
    case = looked(SELLS, beta=0.4, gamma=0.25)
    price, change = 12_000.0, 0.0
    for at in (13_000, 14_000, 12_900):
        hear(case, Shout.BUY, at)
        decide(ZIP, case)
        moves = at >= price
        change = 0.25 * change + 0.75 * 0.4 * (at - price) if moves else change
        price += change if moves else 0.0
        assert price_of(case) == pytest.approx(price)
        assert case.me[0].memory[CHANGE] == pytest.approx(change)


@pytest.mark.parametrize(("at", "sign"), [(7_000, -1), (9_000, 1)], ids=["lower", "raise"])
def test_targets_lie_a_random_distance_beyond_the_event(at: int, sign: int) -> None:
    beyond = []
    for seed in range(300):
        case = looked(BUYS, seed=seed, c_r=0.05, c_a=100.0)
        hear(case, Shout.BUY, at)
        decide(ZIP, case)
        beyond.append(sign * (price_of(case) - at))
    assert 0.0 < min(beyond) < 60.0
    assert 0.05 * at < max(beyond) <= 0.05 * at + 100.0
    assert np.mean(beyond) == pytest.approx((0.05 * at + 100.0) / 2, rel=0.08)


def named(side: Side, limit: int = 10_000, seed: int = 0, **parameters: float) -> Case:
    return plain_case(ZIP, seed=seed, customer=CustomerOrder(side, limit, 1, 0), **(EXACT | parameters))


@pytest.mark.parametrize(("side", "price"), [(BUYS, 8_000), (SELLS, 12_000)])
def test_it_names_its_price_at_the_given_rate(side: Side, price: int) -> None:
    often = sum(len(decide(ZIP, named(side, seed=seed, shout_rate=0.25))) for seed in range(400))
    assert often / 400 == pytest.approx(0.25, abs=0.06)
    [message] = decide(ZIP, named(side, shout_rate=1.0))
    assert (message["side"], message["price"], message["quantity"]) == (side, price, 1)


@pytest.mark.parametrize(("side", "value"), [(BUYS, 12_502), (SELLS, 8_332)])
def test_it_takes_a_price_as_good_as_its_own_at_once(side: Side, value: int) -> None:
    case = named(side, value)
    case.me[0].open_orders = 1
    cancelled, sent = decide(ZIP, case)
    assert cancelled["kind"] == MessageKind.CANCEL_ALL
    assert (sent["kind"], sent["side"]) == (MessageKind.LIMIT, side)
    assert sent["price"] >= 10_001 if side == BUYS else sent["price"] <= 9_999
    assert len(decide(ZIP, named(side, value - 2 if side == BUYS else value + 2))) == 0


@pytest.mark.parametrize(
    ("side", "value", "margin", "tick", "price"),
    [
        (BUYS, 200, 0.002, 1, 200),
        (BUYS, 200, 0.003, 1, 199),
        (SELLS, 200, 0.002, 1, 200),
        (SELLS, 200, 0.003, 1, 201),
        (BUYS, 209, 0.001, 10, 200),
        (SELLS, 201, 0.001, 10, 210),
    ],
)
def test_prices_are_the_nearest_tick_without_a_loss(
    side: Side, value: int, margin: float, tick: int, price: int
) -> None:
    case = named(side, value, margin=margin, shout_rate=1.0)
    case.view[0].tick_size = tick
    show(case)
    assert decide(ZIP, case)["price"].tolist() == [price]


def test_the_margin_outlives_the_customers_order() -> None:
    case = looked(BUYS, shout_rate=1.0)
    hear(case, Shout.BUY, 7_000)
    case.me[0].customer_quantity = 0
    assert len(decide(ZIP, case)) == 0
    case.me[0].customer_limit, case.me[0].customer_quantity = 20_000, 1
    assert decide(ZIP, case)["price"].tolist() == [14_000]


def test_it_does_nothing_while_trading_is_halted_or_without_a_customer() -> None:
    case = looked(BUYS, shout_rate=1.0)
    case.view[0].halted = 1
    hear(case, Shout.BUY, 7_000)
    assert len(decide(ZIP, case)) == 0
    assert price_of(case) == pytest.approx(8_000)
    assert len(decide(ZIP, plain_case(ZIP, shout_rate=1.0))) == 0
