"""What markets made of their customers' limit prices, on worked numbers and against a recorded run."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.quality import (
    allocation,
    allocative_efficiency,
    customer_profits,
    customer_units,
    customers,
)
from simlab.errors import AnalysisError

INSTRUMENTS = pd.DataFrame({"instrument": [0, 1], "name": ["A", "B"], "lot_size": [1, 5]})


def orders(*rows: tuple[int, int, int, str, int, int, int]) -> pd.DataFrame:
    """Return orders of (step, account, instrument, side, limit price, limit step, quantity)."""
    columns = ["step", "account", "instrument", "side", "limit_price", "limit_step", "quantity"]
    return pd.DataFrame(rows, columns=columns)


def trades(*rows: tuple[int, int, int, int, int]) -> pd.DataFrame:
    """Return trades of (step, buyer, seller, price, quantity) in the first instrument; the buyer takes."""
    table = pd.DataFrame(rows, columns=["step", "taker_account", "maker_account", "price", "quantity"])
    return table.assign(instrument=0, aggressor_side="buy")


SMITH = orders(
    (0, 1, 0, "buy", 10, 2, 2),  # 10, 8
    (0, 2, 0, "buy", 7, 0, 1),
    (0, 3, 0, "sell", 4, 1, 2),  # 4, 5
    (0, 4, 0, "sell", 9, 0, 1),
)


def test_units_have_the_values_of_the_schedule_and_what_they_earned() -> None:
    units = customer_units(trades((3, 1, 3, 6, 1), (4, 1, 4, 9, 1)), SMITH, INSTRUMENTS)
    assert units["value"].tolist() == [10, 8, 7, 4, 5, 9]
    assert units["unit"].tolist() == [0, 1, 0, 0, 1, 0]
    assert units["traded"].fillna(-1).tolist() == [3, 4, -1, 3, -1, 4]
    assert units["profit"].tolist() == [4, -1, 0, 2, 0, 0]


def test_allocation_on_worked_numbers() -> None:
    """Demand 10, 8, 7 and supply 4, 5, 9 cross at 2 units, between 7 and 8; the surplus is 10 + 8 - 4 - 5."""
    units = customer_units(trades((3, 1, 3, 6, 1), (4, 1, 4, 9, 1)), SMITH, INSTRUMENTS)
    [row] = allocation(units).itertuples()
    assert (row.quantity, row.low, row.high, row.price, row.surplus) == (2, 7, 8, 7.5, 9)
    assert (row.bought, row.sold, row.realised) == (2, 2, (10 - 4) + (8 - 9))
    assert row.efficiency == pytest.approx(5 / 9)
    assert row.alpha == pytest.approx(100 * np.sqrt((1.5**2 + 1.5**2) / 2) / 7.5)
    ideal = customer_profits(units).set_index("account")
    assert ideal["equilibrium_profit"].to_dict() == {1: 2.5 + 0.5, 2: 0, 3: 3.5 + 2.5, 4: 0}
    assert row.dispersion == pytest.approx(np.sqrt(((3 - 3) ** 2 + 0 + (2 - 6) ** 2 + 0) / 4))


def test_it_agrees_with_allocative_efficiency_where_both_apply() -> None:
    traded = trades((3, 1, 3, 6, 1), (4, 2, 3, 7, 1))
    units = customer_units(traded, SMITH, INSTRUMENTS)
    values = units[["account", "side", "unit", "value"]]
    [row] = allocative_efficiency(traded, values).itertuples()
    assert allocation(units)["efficiency"].tolist() == [row.efficiency]


def test_orders_given_to_all_at_once_begin_a_period() -> None:
    again = pd.concat([SMITH, SMITH.assign(step=50)])
    units = customer_units(trades((3, 1, 3, 6, 1), (50, 1, 3, 6, 1), (60, 1, 3, 6, 1)), again, INSTRUMENTS)
    table = allocation(units)
    assert table["period"].tolist() == [0, 1]
    assert table["realised"].tolist() == [6, 6 + 3]
    assert units.groupby("period")["unit"].max().tolist() == [1, 1]


def test_orders_given_at_different_steps_are_one_period_unless_one_is_given() -> None:
    scattered = SMITH.assign(step=[0, 10, 20, 130])
    none = trades()
    assert customer_units(none, scattered, INSTRUMENTS)["period"].unique().tolist() == [0]
    assert customer_units(none, scattered, INSTRUMENTS, period=100)["period"].max() == 1
    with pytest.raises(AnalysisError, match="period is 0"):
        customer_units(none, scattered, INSTRUMENTS, period=0)


def test_a_fill_counts_for_the_present_order_of_its_side_only() -> None:
    changing = orders((0, 1, 0, "buy", 10, 0, 1), (20, 1, 0, "sell", 3, 0, 1), (0, 9, 0, "sell", 1, 0, 9))
    traded = trades((5, 1, 9, 5, 3), (25, 1, 9, 5, 1), (30, 9, 1, 5, 1))
    units = customer_units(traded, changing, INSTRUMENTS)
    own = units[units["account"] == 1]
    assert own["traded"].tolist() == [5, 30]
    assert own["profit"].tolist() == [5, 2]


def test_the_limit_falls_with_each_lot_size() -> None:
    given = orders((0, 1, 1, "buy", 10, 3, 10))
    assert customer_units(trades(), given, INSTRUMENTS)["value"].tolist() == [10] * 5 + [7] * 5


def test_without_gains_from_trade_there_is_no_efficiency() -> None:
    poor = orders((0, 1, 0, "buy", 3, 0, 1), (0, 2, 0, "sell", 8, 0, 1))
    [row] = allocation(customer_units(trades(), poor, INSTRUMENTS)).itertuples()
    assert (row.quantity, row.bought, row.realised) == (0, 0, 0)
    assert np.isnan([row.efficiency, row.alpha]).all()


def test_without_customers_there_is_nothing() -> None:
    units = customer_units(trades((3, 1, 3, 6, 1)), SMITH[:0], INSTRUMENTS)
    assert len(units) == 0
    assert len(allocation(units)) == 0


def test_it_counts_as_the_market_did(tmp_path: Path) -> None:
    """The units that the analysis finds traded are those that the market took off the customers' orders."""
    given = {"limit_step": 3, "units": {"uniform": [1, 3]}, "period": 60, "timing": "poisson"}
    traders = {
        "strategy": "zi_constrained",
        "count": 6,
        "parameters": {"low": 1, "high": 200},
        "activation": {"rate": 0.3},
        "latency": 1,  # so that some fill more than they should
        "account": {"borrowing": "free", "short_selling": "free"},
    }
    config = {
        "steps": 600,
        "instruments": {"M": {"initial_price": 100, "lot_size": 5}, "N": {"initial_price": 100}},
        "populations": {
            name: traders | {"customer_orders": given | {"side": side, "limit_price": {"uniform": [50, 150]}}}
            for name, side in (("buyers", "buy"), ("sellers", "sell"))
        },
    }
    run = simlab.run(config, out=tmp_path)
    market = simlab.kernel.Simulation(simlab.build(simlab.load(config)))
    market.advance()
    left = market.state.ledger.customers["quantity"].sum()
    units = run.customer_units()
    last = units.groupby(["account", "instrument"])["given"].transform("max") == units["given"]
    assert (units["traded"].isna() & last).sum() == left
    assert len(run.allocation()) == 2
    assert run.allocation()["instrument"].tolist() == ["M", "N"]


def test_examples_run() -> None:
    assert doctest.testmod(customers).failed == 0
