"""The section `customer_orders` is checked, merged and built as the manual says."""

from __future__ import annotations

from typing import Any

import pytest

from simlab.config import build, load
from simlab.core.types import Side
from simlab.errors import ConfigError
from simlab.processes import CustomerOrders, LimitPrices, Timing


def market(orders: dict[str, Any] | None, *, strategy: str = "zip", count: int = 3) -> dict[str, Any]:
    population = {"strategy": strategy, "count": count}
    return {
        "steps": 10,
        "instruments": {"ACME": {"initial_price": 100}},
        "populations": {"traders": population | ({"customer_orders": orders} if orders else {})},
    }


def built(orders: dict[str, Any]) -> CustomerOrders:
    found = build(load(market(orders))).populations[0].customers
    assert found is not None
    return found


def test_everything_that_is_said_is_built() -> None:
    orders = built({
        "side": "sell", "limit_price": {"even": [50, 90]}, "limit_step": 3, "units": {"each": [1, 2, 3]},
        "period": 20, "timing": "spread", "redraw": True, "starts": 5,
        "shifts": [{"step": 40, "limit_price": 70}, {"step": 60, "limit_price": {"normal": [80, 5]}}],
    })  # fmt: skip
    assert orders == CustomerOrders(
        Side.SELL,
        (
            LimitPrices("even", (50.0, 90.0)),
            LimitPrices("each", (70.0,), 40),
            LimitPrices("normal", (80.0, 5.0), 60),
        ),
        units=(1, 2, 3),
        limit_step=3,
        period=20,
        timing=Timing.SPREAD,
        redraw=True,
        starts=5,
    )


def test_the_least_that_must_be_said() -> None:
    orders = built({"side": "buy", "limit_price": 100})
    assert orders == CustomerOrders(Side.BUY, (LimitPrices("each", (100.0,)),))


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ({"limit_price": 100}, r"customer_orders\.side"),
        ({"side": "long", "limit_price": 100}, r"customer_orders\.side"),
        ({"side": "buy", "limit_price": 0}, r"customer_orders\.limit_price"),
        ({"side": "buy", "limit_price": {"even": [0, 10]}}, "must lie between 1"),
        ({"side": "buy", "limit_price": {"each": [5, 6]}}, "each has 2 values for 3 agents"),
        ({"side": "buy", "limit_price": {"even": [1, 2], "each": [1]}}, "exactly one of even, uniform"),
        ({"side": "buy", "limit_price": 5, "units": 0}, "units must be whole numbers from 1"),
        ({"side": "buy", "limit_price": 5, "units": {"choice": [1, 1.5]}}, "units must be whole numbers"),
        ({"side": "buy", "limit_price": 5, "timing": "poisson"}, "go with period only"),
        ({"side": "buy", "limit_price": 5, "redraw": True}, "go with period only"),
        (
            {"side": "buy", "limit_price": 5, "period": 2, "shifts": [{"step": 4, "limit_price": 6}] * 2},
            "in the order of their steps",
        ),
        ({"side": "buy", "limit_price": 5, "limitstep": 1}, "limit_step"),
    ],
)
def test_what_cannot_be_is_refused(orders: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(load(market(orders)))


def test_a_strategy_that_trades_for_customers_needs_them() -> None:
    with pytest.raises(ConfigError, match=r"traders\.customer_orders.*missing; strategy 'zip'"):
        load(market(None))
    assert build(load(market({"side": "buy", "limit_price": 5}, strategy="noise"))).populations[0].customers


def test_limit_prices_are_replaced_whole() -> None:
    base = market({"side": "buy", "limit_price": {"even": [50, 90]}, "period": 5})
    config = load(base, set=["populations.traders.customer_orders.limit_price={uniform: [60, 70]}"])
    assert config.populations["traders"].customer_orders.limit_price.uniform == (60, 70)  # type: ignore[union-attr]
