"""Performance measures against values worked out by hand and processes whose parameters are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab.analysis.pnl import (
    gini,
    inventory_half_life,
    lorenz,
    max_drawdown,
    sharpe,
    turnover,
    wealth,
    wealth_distribution,
)
from simlab.errors import AnalysisError

AMOUNTS = st.lists(st.integers(-(10**9), 10**9), min_size=2, max_size=40)


def test_sharpe_is_mean_over_deviation_of_increments_over_the_whole_length() -> None:
    assert sharpe([1.0, 3.0, 4.0, 6.0]) == pytest.approx(1.5 / np.sqrt(1 / 3) * 2)
    assert sharpe([-1.0, -3.0, -4.0, -6.0]) == pytest.approx(-1.5 / np.sqrt(1 / 3) * 2)


def test_sharpe_does_not_depend_on_the_unit() -> None:
    pnl = np.array([5.0, -2.0, 7.0, 8.0, 3.0])
    assert sharpe(1_000 * pnl) == pytest.approx(float(sharpe(pnl)))


def test_sharpe_is_undefined_without_variation() -> None:
    result = sharpe(np.column_stack([np.zeros(5), np.arange(1.0, 6.0), [1.0, 2.0, 2.0, 3.0, 5.0]]))
    assert np.isnan(result).tolist() == [True, True, False]
    assert np.isnan(sharpe([3.0]))


def test_max_drawdown_counts_from_the_start_and_per_column() -> None:
    assert max_drawdown([-3.0, 1.0, 0.0]) == 3
    assert max_drawdown(np.column_stack([[5.0, 2.0, 7.0, 3.0], [1.0, 2.0, 3.0, 4.0]])).tolist() == [4.0, 0.0]


def test_half_life_of_a_geometric_decay_is_exact() -> None:
    assert inventory_half_life(100 * 0.5 ** np.arange(12)) == pytest.approx(1.0)
    decay = 100 * 0.9 ** np.arange(30)
    assert inventory_half_life(decay + 40, every=7) == pytest.approx(7 * np.log(0.5) / np.log(0.9))


def test_half_life_of_an_autoregression_is_found() -> None:
    noise = np.random.default_rng(1).normal(size=50_000)
    x = np.zeros_like(noise)
    for k in range(1, len(noise)):
        x[k] = 0.95 * x[k - 1] + noise[k]
    assert inventory_half_life(x) == pytest.approx(np.log(0.5) / np.log(0.95), rel=0.1)


def test_half_life_at_its_edges() -> None:
    grows, jumps, still = 2.0 ** np.arange(8), [1.0, -1.0] * 4, [3.0] * 8
    result = inventory_half_life(np.column_stack([grows, jumps, still]))
    assert result[0] == np.inf
    assert result[1] == 0
    assert np.isnan(result[2])
    assert np.isnan(inventory_half_life([1.0, 2.0]))


def test_turnover_counts_there_and_back_once() -> None:
    assert turnover(400.0, [100.0, -100.0]) == 2
    assert turnover([0.0, 10.0, 40.0], [[0.0, 0.0, 10.0], [0.0, 0.0, 10.0]]).tolist() == [0.0, np.inf, 2.0]


def test_gini_of_known_distributions() -> None:
    assert gini([4, 4, 4]) == 0
    assert gini([0, 0, 0, 9]) == pytest.approx(1)
    assert gini([-5, 0, 0, 20]) == pytest.approx(1)
    assert gini([1, 2, 3, 4]) == pytest.approx(0.25 * 4 / 3)
    uniform = np.arange(1, 10_001)
    assert gini(uniform) == pytest.approx(1 / 3, rel=1e-3)


@given(AMOUNTS)
def test_gini_lies_between_nothing_and_one_and_is_half_the_mean_difference(values: list[int]) -> None:
    result = gini(values)
    assert 0 <= result <= 1 + 1e-12
    x = np.array(values, float)
    differences = np.abs(x[:, None] - x[None, :]).sum()
    largest = 2 * (len(x) - 1) * np.abs(x).sum()
    assert result == pytest.approx(differences / largest if largest else 0.0, abs=1e-12)


@given(AMOUNTS, st.integers(1, 1_000))
def test_gini_does_not_depend_on_the_unit_or_the_order(values: list[int], unit: int) -> None:
    scaled = [unit * value for value in reversed(values)]
    assert gini(scaled) == pytest.approx(gini(values), abs=1e-9)


def test_gini_needs_two_finite_values() -> None:
    for wrong in ([1.0], [], [1.0, np.nan]):
        with pytest.raises(AnalysisError, match="two or more finite values"):
            gini(wrong)


def test_lorenz_encloses_gini() -> None:
    values = np.random.default_rng(2).pareto(3, 500)
    curve = lorenz(values)
    area = np.trapezoid(curve["wealth_share"], curve["population_share"])
    assert (1 - 2 * area) * len(values) / (len(values) - 1) == pytest.approx(gini(values))
    assert curve.iloc[0].tolist() == [0, 0]
    assert curve.iloc[-1].tolist() == [1, 1]


def test_lorenz_dips_below_zero_with_debts_and_refuses_a_total_of_nothing() -> None:
    assert lorenz([-1, 1, 4])["wealth_share"].tolist() == [0, -0.25, 0, 1]
    with pytest.raises(AnalysisError, match="positive sum; 2 values sum to 0; give wealth rather than P&L"):
        lorenz([-3, 3])


def test_wealth_changes_by_pnl(day: simlab.Run) -> None:
    owned = wealth(day.accounts(), day.agents(), day.instruments()).set_index("agent")["wealth"]
    end = day.pnl(by="agent", every=10_000).set_index("agent")["total"]
    cash = {name: item["account"]["cash"] for name, item in day.config["populations"].items()}
    start = day.agents().set_index("name")["population"].map(cash).fillna(0)
    assert (owned - start).tolist() == end.tolist()


def test_wealth_counts_cash_once_in_several_instruments(two_shares: simlab.Run) -> None:
    rows = two_shares.accounts(names=False, steps=(999, 1_000))
    owned = wealth(two_shares.whole("accounts"), two_shares.agents(), two_shares.instruments(), step=999)
    value = (rows["inventory"] * rows["mark_price"]).groupby(rows["account"]).sum()
    assert owned["wealth"].tolist() == (rows.groupby("account")["cash"].first() + value).tolist()


def test_wealth_distribution_has_a_row_for_each_population_and_all(day: simlab.Run) -> None:
    tables = day.agents(), day.instruments()
    table = wealth_distribution(day.accounts(), *tables).set_index("population")
    assert table.index.tolist() == ["makers", "momentum", "noise", "value", "(all)"]
    owned = wealth(day.accounts(), *tables)
    noise = owned.loc[owned["population"] == "noise", "wealth"]
    assert table.loc["noise", ["agents", "total", "min", "median", "max"]].tolist() == [
        200,
        noise.sum(),
        noise.min(),
        noise.median(),
        noise.max(),
    ]
    assert table.loc["(all)", "agents"] == 245
    assert table.loc["(all)", "gini"] > table.loc["noise", "gini"] > 0


def test_wealth_at_a_step_without_a_sample_names_those_near(day: simlab.Run) -> None:
    with pytest.raises(AnalysisError, match="not recorded at step 1500; steps near it are 999, 1999, 2999"):
        wealth(day.accounts(), day.agents(), day.instruments(), step=1_500)
    with pytest.raises(AnalysisError, match="there are no accounts; record the run with"):
        wealth([], day.agents(), day.instruments())


def test_wealth_without_a_mark_is_an_error_unless_nothing_is_held() -> None:
    agents = pd.DataFrame({"account": [0], "name": ["a"], "population": ["p"]})
    instruments = pd.DataFrame({"instrument": [0], "name": ["ACME"], "multiplier": [1]})
    rows = pd.DataFrame(
        {"step": [3], "account": 0, "instrument": 0, "cash": 7, "inventory": 0, "mark_price": np.nan}
    )
    assert wealth(rows, agents, instruments)["wealth"].tolist() == [7]
    with pytest.raises(AnalysisError, match="holds instrument 0, which has no mark_price"):
        wealth(rows.assign(inventory=1), agents, instruments)
