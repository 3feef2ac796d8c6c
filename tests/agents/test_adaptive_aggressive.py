"""AA aims and learns as Vytelingum, Cliff and Jennings (2008) say, on worked numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from heard import hear, prices, show, trader

from simlab.agents.compiled import Shout
from simlab.agents.conformance import Case, decide
from simlab.agents.library import STRATEGIES
from simlab.agents.library.adaptive_aggressive import aggressiveness, moved_theta, target
from simlab.core.types import Side

AA = STRATEGIES["adaptive_aggressive"]
BUYS, SELLS = Side.BUY, Side.SELL
R, THETA, PRICE = range(3)
HIGHEST = 200.0


def grown(r: float, theta: float) -> float:
    return (math.exp(r * theta) - 1) / (math.exp(theta) - 1)


@pytest.mark.parametrize("theta", [-8.0, -2.0, 2.0])
@pytest.mark.parametrize("r", [0.25, 0.8])
def test_the_target_on_the_aggressive_side(theta: float, r: float) -> None:
    """Equations 3 and 4: from the equilibrium price 100 to the limit price."""
    assert target(0, 150.0, 100.0, theta, r, HIGHEST) == pytest.approx(100 + 50 * grown(r, theta))
    assert target(1, 40.0, 100.0, theta, r, HIGHEST) == pytest.approx(100 - 60 * grown(r, theta))


@pytest.mark.parametrize("theta", [-8.0, -2.0, 2.0])
def test_the_target_of_those_who_cannot_gain_at_equilibrium(theta: float) -> None:
    """Equations 5 and 6: the limit price, or less of it."""
    assert [target(0, 80.0, 100.0, theta, r, HIGHEST) for r in (0.0, 0.7)] == [80.0, 80.0]
    assert target(0, 80.0, 100.0, theta, -0.5, HIGHEST) == pytest.approx(80 * (1 - grown(0.5, theta)))
    assert target(1, 120.0, 100.0, theta, -0.5, HIGHEST) == pytest.approx(120 + 80 * grown(0.5, theta))


@pytest.mark.parametrize(("side", "limit", "ends"), [(BUYS, 150.0, (0, 150)), (SELLS, 40.0, (200, 40))])
@pytest.mark.parametrize("theta", [-8.0, -2.0, 2.0])
def test_the_target_has_no_kink_and_reaches_its_ends(
    side: Side, limit: float, ends: tuple[float, float], theta: float
) -> None:
    near = [target(side, limit, 100.0, theta, r, HIGHEST) for r in (-1e-4, 0.0, 1e-4)]
    assert near[2] - near[1] == pytest.approx(near[1] - near[0], rel=0.01)
    found = [target(side, limit, 100.0, theta, r, HIGHEST) for r in (-1.0, 1.0)]
    assert found == pytest.approx(ends, abs=1e-6)


@pytest.mark.parametrize(("side", "limit"), [(BUYS, 150.0), (SELLS, 40.0), (BUYS, 80.0), (SELLS, 120.0)])
def test_aggressiveness_is_the_inverse_of_the_target(side: Side, limit: float) -> None:
    for r in np.linspace(-0.95, 0.95, 9):
        if r > 0 and (limit - 100) * (1 if side == BUYS else -1) < 0:
            continue  # beyond the limit price nothing can be told
        named = target(side, limit, 100.0, -2.0, r, HIGHEST)
        assert aggressiveness(side, limit, 100.0, -2.0, named, HIGHEST) == pytest.approx(r, abs=1e-6)


def test_theta_moves_towards_what_suits_the_volatility() -> None:
    """Theta* is 2 in the calmest market, -8 in the wildest, and 10 (1 - e^-1 / 2) - 8 half-way."""
    assert moved_theta(-3.0, 0.0, 0.4, 2.0, -8.0, 2.0) == pytest.approx(-3 + 0.4 * 5)
    assert moved_theta(-3.0, 1.0, 0.4, 2.0, -8.0, 2.0) == pytest.approx(-3 - 0.4 * 5)
    wanted = 10 * (1 - 0.5 * math.exp(-1)) - 8
    assert moved_theta(-3.0, 0.5, 1.0, 2.0, -8.0, 2.0) == pytest.approx(wanted)


def awake(side: Side, limit: int = 15_000, **given: float) -> Case:
    """Return a trader that has looked once, with r = 0.2 and theta = -2."""
    case = trader("adaptive_aggressive", side, limit, **({"highest": 20_000} | given))
    decide(AA, case)
    case.me[0].memory[[R, THETA]] = 0.2, -2.0
    return case


def test_the_equilibrium_price_is_the_weighted_mean_of_the_latest_trades() -> None:
    case = awake(BUYS, window=3)
    heard = [
        (Shout.BUY, 9_000),
        (Shout.SELL, 9_900),
        (Shout.BID, 1),
        (Shout.BUY, 10_000),
        (Shout.BUY, 10_100),
    ]
    decide(AA, hear(case, *heard))
    weights = np.array([0.81, 0.9, 1.0])
    assert case.me[0].memory[PRICE] == pytest.approx(weights @ [9_900, 10_000, 10_100] / weights.sum())


@pytest.mark.parametrize(
    ("side", "limit", "shout", "change"),
    [
        (BUYS, 15_000, (Shout.BUY, 10_100), -1),  # it would have paid more
        (BUYS, 15_000, (Shout.BUY, 14_900), 1),
        (BUYS, 15_000, (Shout.BID, 14_000), 1),  # somebody bids more
        (BUYS, 15_000, (Shout.BID, 9_000), 0),
        (BUYS, 15_000, (Shout.ASK, 9_000), 0),
        (SELLS, 5_000, (Shout.SELL, 9_900), -1),
        (SELLS, 5_000, (Shout.SELL, 5_100), 1),
        (SELLS, 5_000, (Shout.ASK, 6_000), 1),
        (SELLS, 5_000, (Shout.ASK, 11_000), 0),
    ],
)
def test_aggressiveness_moves_by_the_widrow_hoff_rule(
    side: Side, limit: int, shout: tuple[Shout, int], change: int
) -> None:
    case = awake(side, limit, beta_2=0.0, decay=1.0, window=64)
    hear(case, *[(Shout.BUY, 10_000)] * 60)
    decide(AA, case)
    me = case.me[0]
    me.memory[[R, THETA]] = 0.2, -2.0
    decide(AA, hear(case, shout))
    named = aggressiveness(side, float(limit), me.memory[PRICE], -2.0, float(shout[1]), 20_000.0)
    wanted = (1 + 0.02 * change) * named + 0.01 * change
    assert me.memory[R] == pytest.approx(0.2 + 0.4 * (wanted - 0.2) * abs(change))


def known(case: Case, r: float) -> Case:
    """Let the equilibrium price be 10,000 and the aggressiveness r, with everything heard."""
    case.me[0].memory[[R, THETA, PRICE]] = r, -2.0, 10_000.0
    return case


def test_it_takes_what_meets_its_target() -> None:
    aim = target(0, 15_000.0, 10_000.0, -2.0, 0.2, 20_000.0)
    assert prices("adaptive_aggressive", show(known(awake(BUYS), 0.2), 9_000, int(aim))) == [round(aim)]
    assert prices("adaptive_aggressive", show(known(awake(SELLS, 5_000), 0.0), 10_000, 12_000)) == [10_000]


def test_it_comes_nearer_to_its_target_by_a_share_of_the_way() -> None:
    assert prices("adaptive_aggressive", show(known(awake(BUYS), 0.0), 9_400, 12_000)) == [9_600]
    assert prices("adaptive_aggressive", show(known(awake(SELLS, 5_000), 0.0), 9_000, 10_600)) == [10_400]
    assert prices("adaptive_aggressive", show(known(awake(BUYS), 0.0), 9_999, 10_001)) == [10_000]
    assert prices("adaptive_aggressive", show(known(awake(BUYS), 0.0), 10_000, 10_001)) == []


def test_before_the_first_trade_it_aims_at_the_other_sides_price() -> None:
    """A third of the way from the best bid to the ask plus 2%, or to the limit price."""
    assert prices("adaptive_aggressive", show(awake(BUYS), 9_000, 10_000)) == [9_400]
    assert prices("adaptive_aggressive", show(awake(BUYS, 9_600), 9_000, 10_000)) == [9_200]
    assert prices("adaptive_aggressive", show(awake(SELLS, 5_000), 9_000, 10_000)) == [9_606]


def test_it_is_silent_without_a_customer_or_during_a_halt() -> None:
    case = known(awake(BUYS), 0.0)
    case.view[0].halted = 1
    assert prices("adaptive_aggressive", show(case, 9_000, 9_500)) == []
    case.view[0].halted, case.me[0].customer_quantity = 0, 0
    assert prices("adaptive_aggressive", case) == []
