"""GD, GDX and HBL believe by Gjerstad and Dickhaut's formula, and name the price that is worth most."""

from __future__ import annotations

import numpy as np
import pytest
from heard import hear, prices, rest, show, trader

from simlab.agents.compiled import Shout
from simlab.agents.conformance import Case, plain_case
from simlab.agents.library import STRATEGIES
from simlab.agents.library.belief import CANDIDATES, KNOTS, acceptance, candidates, history, knots
from simlab.agents.library.gjerstad_dickhaut import best_reach, look_ahead
from simlab.core.types import Side

BUYS, SELLS = Side.BUY, Side.SELL
ASK, BID, BOUGHT, SOLD = Shout.ASK, Shout.BID, Shout.BUY, Shout.SELL

MARKET = [(ASK, 120), (BID, 80), (ASK, 110), (BOUGHT, 110), (BID, 90), (SOLD, 90), (ASK, 115), (BID, 95)]
"""Asks 120 (refused), 110 (accepted), 115 (refused); bids 80 (refused), 90 (accepted), 95 (refused)."""


def market(*shouts: tuple[Shout, int]) -> Case:
    return hear(trader("gd", SELLS), *(shouts or MARKET))


@pytest.mark.parametrize(
    ("side", "price", "chance"),
    [
        (SELLS, 85, 3 / 3),  # accepted asks at 85 or more: 110; bids: 90, 95; nobody refused less
        (SELLS, 92, 2 / 2),
        (SELLS, 110, 1 / 1),
        (SELLS, 112, None),  # no ask of 112 or more accepted, none of 112 or less refused
        (SELLS, 115, 0 / 1),
        (SELLS, 125, 0 / 2),
        (BUYS, 115, 3 / 3),  # accepted bid 90; asks 110, 115
        (BUYS, 95, 1 / 2),
        (BUYS, 85, 0 / 1),
    ],
)
def test_belief_on_worked_numbers(side: Side, price: int, chance: float | None) -> None:
    view = market().view[0]
    reach = float(price if side == SELLS else -price)
    found = acceptance(view, 0, side, reach, 0.0)
    assert found == (pytest.approx(chance) if chance is not None else -1.0)


def test_young_orders_count_less_as_refused() -> None:
    case = market((BOUGHT, 110))
    hear(case, (ASK, 100), step=2)
    case.view[0].step = 6
    assert acceptance(case.view[0], 0, SELLS, 105.0, 10.0) == pytest.approx(1 / 1.4)
    assert acceptance(case.view[0], 0, SELLS, 105.0, 2.0) == pytest.approx(1 / 2)


@pytest.mark.parametrize(("trades", "first", "found"), [(1, 4, 1), (2, 0, 2), (5, 0, 2)])
def test_memory_holds_the_shouts_that_led_to_the_latest_trades(trades: int, first: int, found: int) -> None:
    assert history(market().view[0], trades) == (first, found)


def test_belief_is_sure_of_what_is_offered_and_falls_to_nothing() -> None:
    case = show(market(), bid=90, ask=120)
    reaches, chances = np.empty(KNOTS), np.empty(KNOTS)
    count = knots(case.view[0], 0, SELLS, 200.0, 0.0, reaches, chances)
    assert reaches[:count].tolist() == [90, 95, 110, 115, 120, 200]
    assert chances[:count].tolist() == [1, 1, 1, 0, 0, 0]
    fine, believed = np.empty(CANDIDATES), np.empty(CANDIDATES)
    many = candidates(reaches, chances, count, fine, believed)
    assert (np.diff(fine[:many]) > 0).all()
    assert (np.diff(believed[:many]) <= 0).all()
    half = np.flatnonzero(fine[:many] == 112.5)
    assert believed[half] == pytest.approx(0.5)  # a cubic that is level at both ends


def test_gd_maximises_belief_times_profit() -> None:
    reaches, chances = np.array([90.0, 100.0, 110.0]), np.array([1.0, 0.8, 0.2])
    assert best_reach(reaches, chances, 3, 60.0, 1e9) == 1  # 30, 32, 10
    assert best_reach(reaches, chances, 3, 85.0, 1e9) == 1  # 5, 12, 5
    assert best_reach(reaches, chances, 3, 20.0, 1e9) == 0  # 70, 64, 18
    assert best_reach(reaches, chances, 3, 85.0, 95.0) == 0
    assert best_reach(reaches, chances, 3, 110.0, 1e9) == -1


def test_gdx_looks_ahead() -> None:
    """One unit that costs nothing: 10 for sure, or 20 at even chances.

    With one opportunity both are worth 10. With two, to try 20 first is worth 0.5 20 + 0.5 10 = 15.
    """
    reaches, chances, room = np.array([10.0, 20.0]), np.array([1.0, 0.49]), np.zeros(3)
    worth = {"worth": 0.0, "step": 0.0, "cap": 1e9}

    def choice(units: int, opportunities: int, discount: float = 1.0) -> int:
        given = (*worth.values(), units, opportunities, discount, room)
        return int(look_ahead(reaches, chances, 2, *given))

    assert choice(1, 1) == 0
    assert choice(1, 2) == 1
    assert room[1] == pytest.approx(0.49 * 20 + 0.51 * 10)
    assert choice(1, 2, discount=0.0) == 0
    assert choice(2, 2) == 0  # two units, two opportunities: no time to wait
    assert room[2] == pytest.approx(20.0)
    assert choice(2, 4) == 1


@pytest.mark.parametrize("name", ["gd", "gdx"])
def test_it_takes_what_is_offered_or_betters_the_best_price(name: str) -> None:
    given = {"highest": 200, "memory": 2} | ({"opportunities": 1} if name == "gdx" else {})
    seller = show(hear(trader(name, SELLS, 60, **given), *MARKET), bid=95, ask=115)
    [price] = prices(name, seller)
    assert 95 <= price < 115
    eager = show(hear(trader(name, SELLS, 60, **given), *[(BID, 95), (ASK, 96)] * 9, (SOLD, 95)), 95, 115)
    assert prices(name, eager) == [95]
    dear = show(hear(trader(name, SELLS, 130, **given), *MARKET), bid=95, ask=115)
    assert prices(name, dear) == []


@pytest.mark.parametrize("name", ["gd", "gdx"])
def test_it_keeps_its_own_order_while_that_is_best(name: str) -> None:
    def seller(own: bool) -> list[int]:
        given = {"highest": 200, "memory": 2} | ({"opportunities": 1} if name == "gdx" else {})
        case = show(hear(trader(name, SELLS, 100, **given), *MARKET), bid=95, ask=111)
        return prices(name, rest(case, SELLS, 111) if own else case)

    [first] = seller(own=False)
    assert first < 111
    case = show(hear(trader(name, SELLS, 100, highest=200, memory=2), *MARKET), bid=95, ask=first)
    assert prices(name, rest(case, SELLS, first)) == []


def test_gdx_waits_longer_than_gd_while_there_is_time() -> None:
    def asked(name: str, step: int, **given: float) -> int:
        case = trader(name, SELLS, 60, step=step, highest=200, memory=2, **given)
        return prices(name, show(hear(case, *MARKET), bid=95, ask=150))[0]

    patient = {"opportunities": 20, "horizon": 100, "discount": 1.0}
    assert asked("gdx", 0, **patient) > asked("gd", 0)
    assert asked("gdx", 99, **patient) == asked("gd", 99)


def test_hbl_shades_at_random_until_it_has_heard_enough() -> None:
    named = [
        prices("hbl", hear(trader("hbl", BUYS, 10_000, seed=seed, shading=40), (BOUGHT, 9_990)))[0]
        for seed in range(200)
    ]
    assert min(named) < 9_965
    assert 9_990 < max(named) <= 10_000


def test_hbl_trades_by_its_signal_without_a_customer() -> None:
    sides = set()
    for seed in range(40):
        case = plain_case(STRATEGIES["hbl"], seed=seed, holding_cost=10, shading=0)
        case.me[0].inventory = 3
        hear(show(case))
        sent = prices("hbl", case)
        sides.add(sent[0])
    assert sides == {10_000 - 35, 10_000 - 25}  # worth 3.5 lots less to buy, 2.5 lots less to sell


def test_hbl_does_not_pass_its_inventory_limit() -> None:
    for seed in range(20):
        case = plain_case(STRATEGIES["hbl"], seed=seed, inventory_limit=0)
        assert prices("hbl", case) == []


def test_hbl_need_not_better_the_best_price() -> None:
    case = hear(trader("hbl", SELLS, 60, highest=200, memory=2, grace=0), *MARKET)
    [price] = prices("hbl", show(case, bid=95, ask=96))
    assert price > 96
