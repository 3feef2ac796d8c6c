"""Units have values of their own, are traded in order, and are there anew each period."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.agents.conformance import Case, decide, plain_case
from simlab.agents.library import STRATEGIES
from simlab.core.types import Side

UNITS, PERIOD = 3, 40
VALUES = {"buyers": [130, 120, 110], "sellers": [70, 80, 90]}


def case_of(name: str, *, step: int = 0, last_look: int | None = None, **parameters: float) -> Case:
    case = plain_case(STRATEGIES[name], step=step, **parameters)
    case.me[0].last_look = step - 1 if last_look is None else last_look
    return case


def market(strategy: str, **parameters: float) -> dict[str, Any]:
    """Return two buyers and two sellers with falling values and rising costs, five periods."""
    traders = {
        "strategy": strategy,
        "count": 2,
        "activation": {"rate": 0.9},
        "account": {"borrowing": "free", "short_selling": "free"},
    }
    terms = {"value_step": 10, "units": UNITS, "period": PERIOD} | parameters
    return {
        "steps": 5 * PERIOD,
        "instruments": {"M": {"initial_price": 100}},
        "populations": {
            "buyers": traders | {"parameters": terms | {"side": 0, "value": VALUES["buyers"][0]}},
            "sellers": traders | {"parameters": terms | {"side": 1, "value": VALUES["sellers"][0]}},
        },
    }


def bought_and_sold(run: simlab.Run) -> pd.DataFrame:
    """Return one row a unit that changed hands: account, period, price, number of the unit."""
    trades = run.trades()
    sides = [
        pd.DataFrame({"account": trades[f"{role}_account"].astype(str), "price": trades["price"]}).assign(
            period=trades["step"] // PERIOD
        )
        for role in ("taker", "maker")
    ]
    units = pd.concat(sides).sort_index(kind="stable")
    return units.assign(unit=units.groupby(["account", "period"]).cumcount())


@pytest.mark.parametrize(("side", "limits"), [(Side.BUY, (130, 120, 110)), (Side.SELL, (70, 80, 90))])
def test_each_unit_has_a_value_of_its_own(side: Side, limits: tuple[int, ...]) -> None:
    for unit, limit in enumerate(limits):
        prices = []
        for seed in range(200):
            case = plain_case(
                STRATEGIES["zi_constrained"],
                seed=seed,
                side=side,
                value=limits[0],
                value_step=10,
                low=1,
                high=200,
            )
            case.me[0].memory[0] = unit
            prices.append(decide(STRATEGIES["zi_constrained"], case)[0]["price"])
        assert limit - 4 <= (max(prices) if side == Side.BUY else -min(prices) + 2 * limit) <= limit


@pytest.mark.parametrize("name", ["zi_constrained", "zi_unconstrained", "zip"])
def test_units_are_available_anew_each_period(name: str) -> None:
    given = {"units": 2, "period": 10} | ({"shout_rate": 1.0} if name == "zip" else {})
    case = case_of(name, step=8, **given)
    case.me[0].bought = 2
    assert len(decide(STRATEGIES[name], case)) == 0
    case.view[0].step, case.me[0].last_look, case.me[0].bought = 9, 8, 0
    assert len(decide(STRATEGIES[name], case)) == 0
    case.view[0].step, case.me[0].last_look = 10, 9
    assert len(decide(STRATEGIES[name], case)) == 1


@pytest.mark.parametrize("name", ["zi_constrained", "zip"])
def test_what_was_filled_in_the_last_period_does_not_count_in_this(name: str) -> None:
    given = {"units": 1, "period": 10} | ({"shout_rate": 1.0} if name == "zip" else {})
    case = case_of(name, step=10, last_look=8, **given)
    case.me[0].bought = 1
    assert len(decide(STRATEGIES[name], case)) == 1


@pytest.mark.parametrize(
    ("period", "lifetime", "expiry"), [(0, 0, 0), (0, 2, 19), (20, 0, 19), (20, 1, 18), (20, 9, 19)]
)
def test_an_order_ends_with_its_lifetime_or_its_period(period: int, lifetime: int, expiry: int) -> None:
    case = case_of("zi_unconstrained", step=17, period=period, lifetime=lifetime)
    assert decide(STRATEGIES["zi_unconstrained"], case)["expiry"].tolist() == [expiry]


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [("zi_constrained", {"low": 1, "high": 200}), ("zip", {"shout_rate": 0.5, "lifetime": 2})],
)
def test_in_a_market_no_unit_is_traded_twice_or_at_a_loss(
    strategy: str, parameters: dict[str, float], tmp_path: Path
) -> None:
    units = bought_and_sold(simlab.run(market(strategy, **parameters), out=tmp_path))
    assert set(units["period"]) == set(range(5))
    assert units["unit"].max() < UNITS
    buys = units["account"].str.startswith("buyers").to_numpy()
    value = np.where(buys, 130 - 10 * units["unit"], 70 + 10 * units["unit"])
    assert ((value - units["price"]) * np.where(buys, 1, -1) >= 0).all()
    assert (units.groupby("period").size() >= 2 * UNITS).all()
