"""ZIP moves its margin by Cliff's rules, towards the target, and never below zero."""

from __future__ import annotations

import numpy as np
import pytest

from simlab.agents.conformance import Case, decide, plain_case
from simlab.agents.library import STRATEGIES
from simlab.core.types import MessageKind, Side

ZIP = STRATEGIES["zip"]
MARGIN, CHANGE = 1, 2
BUYS, SELLS = Side.BUY, Side.SELL
EXACT = {"c_r": 0.0, "c_a": 0.0, "beta": 1.0, "gamma": 0.0, "shout_rate": 0.0, "margin": 0.2}
"""A trader whose price jumps to that of the event; at first 8,000 for a buyer, 12,000 for a seller."""


def looked(side: Side, *, bid: int = 0, ask: int = 0, seed: int = 0, **parameters: float) -> Case:
    """Return a trader that has looked once at a book with these best prices, 0 for none."""
    case = plain_case(ZIP, seed=seed, step=5, side=side, **(EXACT | parameters))
    case.me[0].last_look = 4
    show(case, bid, ask)
    decide(ZIP, case)
    return case


def show(case: Case, bid: int = 0, ask: int = 0) -> None:
    view = case.view[0]
    view.best_bid, view.bid_depth, view.best_ask, view.ask_depth = bid, bid > 0, ask, ask > 0


def trade(case: Case, price: int, aggressor: Side) -> None:
    view = case.view[0]
    view.trades, view.last_price, view.last_side = view.trades + 1, price, aggressor


def price_of(case: Case) -> float:
    me = case.me[0]
    return 10_000 * (1 + (me.memory[MARGIN] if me.parameters[0] == SELLS else -me.memory[MARGIN]))


@pytest.mark.parametrize(
    ("side", "at", "aggressor", "units", "expected"),
    [
        (BUYS, 7_000, BUYS, 1, 7_000),
        (BUYS, 7_000, SELLS, 1, 7_000),
        (BUYS, 7_000, SELLS, 0, 7_000),
        (BUYS, 9_000, BUYS, 1, 9_000),
        (BUYS, 9_000, BUYS, 0, 8_000),
        (BUYS, 9_000, SELLS, 1, 8_000),
        (BUYS, 10_500, BUYS, 1, 8_000),
        (SELLS, 13_000, BUYS, 1, 13_000),
        (SELLS, 13_000, SELLS, 0, 13_000),
        (SELLS, 11_000, SELLS, 1, 11_000),
        (SELLS, 11_000, SELLS, 0, 12_000),
        (SELLS, 11_000, BUYS, 1, 12_000),
        (SELLS, 9_500, SELLS, 1, 12_000),
    ],
)
def test_a_trade_moves_the_price(side: Side, at: int, aggressor: Side, units: int, expected: float) -> None:
    case = looked(side, units=units)
    trade(case, at, aggressor)
    decide(ZIP, case)
    assert price_of(case) == pytest.approx(expected)


@pytest.mark.parametrize("better", [0, 100], ids=["gone", "bettered"])
@pytest.mark.parametrize(
    ("side", "bid", "ask", "units", "expected"),
    [
        (BUYS, 9_000, 15_000, 1, 9_000),
        (BUYS, 9_000, 15_000, 0, 8_000),
        (BUYS, 7_000, 15_000, 1, 8_000),
        (SELLS, 7_000, 11_000, 1, 11_000),
        (SELLS, 7_000, 11_000, 0, 12_000),
        (SELLS, 7_000, 13_000, 1, 12_000),
    ],
)
def test_a_refused_shout_of_its_own_side_moves_the_price(
    side: Side, bid: int, ask: int, units: int, expected: float, better: int
) -> None:
    case = looked(side, bid=bid, ask=ask, units=units)
    if better:
        show(case, bid + better, ask - better)
    else:
        show(case)
    decide(ZIP, case)
    assert price_of(case) == pytest.approx(expected)


def test_an_unchanged_book_teaches_nothing() -> None:
    case = looked(BUYS, bid=9_000, ask=15_000)
    decide(ZIP, case)
    assert price_of(case) == pytest.approx(8_000)


def test_a_quote_that_goes_with_a_trade_was_not_refused() -> None:
    case = looked(BUYS, bid=9_000, ask=15_000)
    show(case)
    trade(case, 9_000, SELLS)
    decide(ZIP, case)
    assert price_of(case) == pytest.approx(8_000)


def test_the_price_moves_by_the_widrow_hoff_rule_with_momentum() -> None:
    case = looked(SELLS, beta=0.4, gamma=0.25)
    price, change = 12_000.0, 0.0
    for at in (13_000, 14_000, 12_900):
        trade(case, at, BUYS)
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
        trade(case, at, BUYS)
        decide(ZIP, case)
        beyond.append(sign * (price_of(case) - at))
    assert 0.0 < min(beyond) < 60.0
    assert 0.05 * at < max(beyond) <= 0.05 * at + 100.0
    assert np.mean(beyond) == pytest.approx((0.05 * at + 100.0) / 2, rel=0.08)


@pytest.mark.parametrize(("side", "price"), [(BUYS, 8_000), (SELLS, 12_000)])
def test_it_names_its_price_at_the_given_rate(side: Side, price: int) -> None:
    named = []
    for seed in range(400):
        case = plain_case(ZIP, seed=seed, side=side, **(EXACT | {"shout_rate": 0.25}))
        named += decide(ZIP, case).tolist()
    assert len(named) / 400 == pytest.approx(0.25, abs=0.06)
    case = plain_case(ZIP, side=side, **(EXACT | {"shout_rate": 1.0}))
    [message] = decide(ZIP, case)
    assert (message["side"], message["price"], message["quantity"]) == (side, price, 1)


@pytest.mark.parametrize(("side", "value"), [(BUYS, 12_502), (SELLS, 8_332)])
def test_it_takes_a_price_as_good_as_its_own_at_once(side: Side, value: int) -> None:
    case = plain_case(ZIP, side=side, **(EXACT | {"value": value}))
    case.me[0].open_orders = 1
    cancelled, sent = decide(ZIP, case)
    assert cancelled["kind"] == MessageKind.CANCEL_ALL
    assert (sent["kind"], sent["side"]) == (MessageKind.LIMIT, side)
    assert sent["price"] >= 10_001 if side == BUYS else sent["price"] <= 9_999
    nearly = plain_case(ZIP, side=side, **(EXACT | {"value": value - 2 if side == BUYS else value + 2}))
    assert len(decide(ZIP, nearly)) == 0


@pytest.mark.parametrize(
    ("side", "value", "margin", "tick", "price"),
    [
        (BUYS, 200, 0.002, 1, 200),
        (BUYS, 200, 0.003, 1, 199),
        (SELLS, 200, 0.002, 1, 200),
        (SELLS, 200, 0.003, 1, 201),
        (BUYS, 199.8, 0.001, 1, 199),
        (SELLS, 200.2, 0.001, 1, 201),
        (BUYS, 209, 0.001, 10, 200),
    ],
)
def test_prices_are_the_nearest_tick_without_a_loss(
    side: Side, value: float, margin: float, tick: int, price: int
) -> None:
    case = plain_case(ZIP, side=side, **(EXACT | {"value": value, "margin": margin, "shout_rate": 1.0}))
    case.view[0].tick_size = tick
    show(case)
    assert decide(ZIP, case)["price"].tolist() == [price]


def test_the_margin_outlives_the_period() -> None:
    case = looked(BUYS, units=1, period=10)
    case.me[0].bought = 1
    trade(case, 7_000, SELLS)
    decide(ZIP, case)
    case.view[0].step, case.me[0].last_look, case.me[0].bought = 10, 5, 0
    case.me[0].parameters[6] = 1.0
    assert decide(ZIP, case)["price"].tolist() == [7_000]


def test_it_does_nothing_while_trading_is_halted() -> None:
    case = looked(BUYS, shout_rate=1.0)
    case.view[0].halted = 1
    trade(case, 7_000, SELLS)
    assert len(decide(ZIP, case)) == 0
    assert price_of(case) == pytest.approx(8_000)
