"""Giveaway, Shaver, Sniper and PRZI do what their sources say."""

from __future__ import annotations

import numpy as np
import pytest
from heard import hear, prices, rest, show, trader

from simlab.agents.compiled import Shout
from simlab.agents.conformance import Case, decide
from simlab.agents.library import STRATEGIES
from simlab.agents.library.simple_shouters import density_place
from simlab.core.types import Side

BUYS, SELLS = Side.BUY, Side.SELL


@pytest.mark.parametrize("side", Side)
def test_giveaway_names_its_limit_price(side: Side) -> None:
    assert prices("giveaway", show(trader("giveaway", side), 9_000, 11_000)) == [10_000]


@pytest.mark.parametrize(
    ("side", "bid", "ask", "limit", "price"),
    [
        (BUYS, 9_000, 11_000, 10_000, 9_001),
        (BUYS, 9_999, 11_000, 9_500, 9_500),
        (BUYS, 0, 11_000, 10_000, 7),
        (SELLS, 9_000, 11_000, 10_000, 10_999),
        (SELLS, 9_000, 9_500, 9_800, 9_800),
        (SELLS, 9_000, 0, 10_000, 15_000),
    ],
)
def test_shaver_betters_the_best_price_by_a_tick(
    side: Side, bid: int, ask: int, limit: int, price: int
) -> None:
    case = trader("shaver", side, limit, lowest=7, highest=15_000)
    assert prices("shaver", show(case, bid, ask)) == [price]


def test_shaver_does_not_shave_itself() -> None:
    assert prices("shaver", rest(show(trader("shaver", BUYS), 9_000, 11_000), BUYS, 9_000)) == []


def sniper(side: Side = BUYS, limit: int = 10_000, *, before: tuple[int, ...] = (), **given: float) -> Case:
    """Return a sniper whose last customer's order saw trades at the prices `before`."""
    case = trader("sniper", side, limit, **({"patience": 100} | given))
    decide(STRATEGIES["sniper"], case)
    hear(case, *[(Shout.BUY, price) for price in before])
    decide(STRATEGIES["sniper"], case)
    case.view[0].step, case.me[0].customer_since = 50, 50
    return case


@pytest.mark.parametrize(
    ("bid", "ask", "before", "price"),
    [
        (2_000, 9_000, (9_000, 9_500), [9_000]),  # as good as the best before
        (2_000, 9_001, (9_000, 9_500), []),
        (8_900, 9_300, (9_000, 9_500), [9_300]),  # bid and ask are close
        (8_900, 9_600, (9_000, 9_500), []),  # close, but dearer than before
        (8_300, 9_300, (9_000, 9_500), []),
        (9_700, 9_900, (9_000, 9_950), []),  # close, but it would earn 1%
        (9_700, 9_700, (9_000, 9_950), [9_700]),
        (9_900, 10_100, (10_200,), []),  # beyond its limit
        (8_900, 0, (9_000,), []),
    ],
)
def test_sniper_jumps_at_a_good_offer_or_a_narrow_spread(
    bid: int, ask: int, before: tuple[int, ...], price: list[int]
) -> None:
    assert prices("sniper", show(sniper(before=before), bid, ask)) == price


def test_sniper_sells_likewise() -> None:
    assert prices("sniper", show(sniper(SELLS, before=(11_000,)), 11_000, 19_000)) == [11_000]
    assert prices("sniper", show(sniper(SELLS, before=(11_000,)), 10_999, 19_000)) == []


def test_sniper_takes_what_it_can_when_time_runs_out() -> None:
    case = show(sniper(before=(9_000,)), 2_000, 9_990)
    assert prices("sniper", case) == []
    case.view[0].step = 150
    assert prices("sniper", case) == [9_990]


def przi_prices(side: Side, strategy: float, *, bid: int = 0, ask: int = 0) -> np.ndarray:
    named = []
    for seed in range(300):
        case = trader("przi", side, 10_000, seed=seed, strategy=strategy, lowest=5_000, highest=15_000)
        named += prices("przi", show(case, bid, ask))
    return np.array(named)


@pytest.mark.parametrize("side", Side)
def test_przi_runs_from_giveaway_through_random_to_shaver(side: Side) -> None:
    sign = 1 if side == SELLS else -1
    away = {s: sign * (przi_prices(side, s, bid=9_000, ask=11_000) - 10_000) for s in (-1, -0.5, 0, 0.5, 1)}
    assert all(it.min() >= 0 for it in away.values())  # no loss
    assert np.mean(away[-1]) == pytest.approx(5_000 / 100, rel=0.15)  # exponential with theta_0 100
    assert np.mean(away[-0.5]) == pytest.approx(5_000 / 3, rel=0.12)  # density falls linearly
    assert np.mean(away[0]) == pytest.approx(5_000 / 2, rel=0.1)
    assert away[0].max() > 4_900
    halfway = 0.5 * 999 + 0.5 * 5_000
    assert np.mean(away[0.5]) == pytest.approx(halfway * 2 / 3, rel=0.1)  # rises linearly to a nearer end
    assert np.mean(away[1]) == pytest.approx(999 * 0.99, rel=0.02)
    assert away[1].max() <= 999


def test_przis_density_has_the_published_form() -> None:
    """At distance x the density is proportional to (e^cx - 1) / (e^c - 1), here c = 4 tan(pi 1.2)."""
    c = 4 * np.tan(np.pi * 1.2)
    x = np.linspace(0, 1, 20_001)
    density = (np.exp(c * x) - 1) / (np.exp(c) - 1)
    shares = np.cumsum(density) / density.sum()
    for share in (0.1, 0.5, 0.9):
        assert density_place(0.7, 4.0, 100.0, share) == pytest.approx(np.interp(share, shares, x), abs=1e-3)
