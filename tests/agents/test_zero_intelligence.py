"""Zero-intelligence traders name prices at random, within their customer's limit or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simlab
from simlab.agents.conformance import Case, decide, plain_case
from simlab.agents.hosts import CustomerOrder
from simlab.agents.library import STRATEGIES
from simlab.core.types import MessageKind, Side

LIMIT, CANCEL_ALL = MessageKind.LIMIT, MessageKind.CANCEL_ALL
FREE = {"borrowing": "free", "short_selling": "free"}


def case_of(name: str, *, side: Side = Side.BUY, limit: int = 10_000, left: int = 1, **given: Any) -> Case:
    return plain_case(STRATEGIES[name], customer=CustomerOrder(side, limit, left, 0), **given)


@pytest.mark.parametrize("side", Side)
def test_zi_constrained_never_trades_at_a_loss(side: Side) -> None:
    prices = []
    for seed in range(300):
        case = case_of("zi_constrained", side=side, seed=seed, low=9_900, high=10_100)
        [message] = decide(STRATEGIES["zi_constrained"], case)
        assert (message["kind"], message["side"], message["quantity"]) == (LIMIT, side, 1)
        prices.append(message["price"])
    low, high = (9_900, 10_000) if side == Side.BUY else (10_000, 10_100)
    assert low <= min(prices) < low + 5
    assert high - 5 < max(prices) <= high
    assert np.mean(prices) == pytest.approx((low + high) / 2, abs=8)


def test_zi_unconstrained_uses_the_whole_range() -> None:
    prices = [
        decide(STRATEGIES["zi_unconstrained"], case_of("zi_unconstrained", seed=seed))[0]["price"]
        for seed in range(300)
    ]
    assert min(prices) < 9_100
    assert max(prices) > 10_900


def test_it_withdraws_its_order_and_stops_when_it_has_traded_its_units() -> None:
    case = case_of("zi_constrained")
    case.me[0].open_orders = 1
    assert decide(STRATEGIES["zi_constrained"], case)["kind"].tolist() == [CANCEL_ALL, LIMIT]
    case.me[0].customer_quantity = 0
    assert decide(STRATEGIES["zi_constrained"], case)["kind"].tolist() == [CANCEL_ALL]


def test_it_names_no_price_when_the_limit_lies_outside_its_range() -> None:
    case = case_of("zi_constrained", limit=100, low=9_900, high=10_100)
    assert len(decide(STRATEGIES["zi_constrained"], case)) == 0


@pytest.mark.parametrize(("lifetime", "expiry"), [(0, 0), (2, 19)])
def test_an_order_ends_with_its_lifetime(lifetime: int, expiry: int) -> None:
    case = case_of("zi_unconstrained", step=17, lifetime=lifetime)
    assert decide(STRATEGIES["zi_unconstrained"], case)["expiry"].tolist() == [expiry]


def market(strategy: str, parameters: dict[str, float]) -> dict[str, Any]:
    """Return two buyers and two sellers with falling values and rising costs, five periods."""
    traders = {"strategy": strategy, "count": 2, "parameters": parameters, "account": FREE}
    orders = {"limit_step": 10, "units": 3, "period": 40}
    return {
        "steps": 200,
        "instruments": {"M": {"initial_price": 100}},
        "populations": {
            "buyers": traders | {"customer_orders": orders | {"side": "buy", "limit_price": 130}},
            "sellers": traders | {"customer_orders": orders | {"side": "sell", "limit_price": 70}},
        },
    }


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [("zi_constrained", {"low": 1, "high": 200}), ("zip", {"shout_rate": 0.5, "lifetime": 2})],
)
def test_in_a_market_no_unit_is_traded_twice_or_at_a_loss(
    strategy: str, parameters: dict[str, float], tmp_path: Path
) -> None:
    run = simlab.run(market(strategy, parameters), out=tmp_path)
    assert isinstance(run, simlab.Run)
    units = run.customer_units()
    assert len(units) == 5 * 12
    assert units["profit"].min() >= 0
    traded = units["traded"].notna()
    assert 2 * traded.sum() == 2 * 2 * len(run.trades())
    assert traded.groupby(units["period"]).sum().min() >= 6
    assert (units["traded"] - units["given"]).max() < 40
