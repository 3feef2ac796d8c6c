"""The study of Gode and Sunder: its schedules, its rules, and a few runs of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.quality import equilibrium
from simlab.runner.study import Lab, Study, Trial

FOLDER = Path(__file__).parents[2] / "experiments" / "gode_sunder_1993"
ANALYSIS = vars(Study(FOLDER).analysis)
MARKETS = ANALYSIS["MARKETS"]


def efficiencies(*, constrained: float = 99.0, unconstrained: float = 70.0) -> dict[str, np.ndarray]:
    noise = np.linspace(-0.1, 0.1, 4)[:, None] * np.ones(len(MARKETS))
    return {"ZI-C": constrained + noise, "ZI-U": unconstrained + noise**2}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Return all units that are given out in the first period."""
    run = simlab.run(FOLDER / "experiment.yaml", steps=1, out=tmp_path_factory.mktemp("given"))
    names = run.instruments()["name"]
    units = run.customer_units()
    return units.assign(instrument=units["instrument"].map(names)).drop(columns="period")


@pytest.mark.parametrize(
    ("market", "price", "quantity"),
    list(zip(MARKETS, (69, 69, 106, 170, 131), (24, 24, 6, 15, 24), strict=True)),
)
def test_schedules_have_the_papers_equilibria(
    given: pd.DataFrame, market: str, price: int, quantity: int
) -> None:
    units = given[given["instrument"] == market]
    [found] = equilibrium(units).itertuples()
    assert found.low <= price <= found.high
    assert found.quantity == quantity
    assert units.groupby("side").size().tolist() == [round(1.5 * quantity + 0.1)] * 2
    assert units["account"].nunique() == 12
    assert units["value"].between(1, 200).all()


def test_claims_follow_the_rules_of_the_readme() -> None:
    claims = list(ANALYSIS["claims"](efficiencies()))
    assert len(claims) == 7
    assert all(claim.holds for claim in claims)
    assert claims[5].estimate == pytest.approx(29.0, abs=0.01)
    assert claims[5].paper == "20.4 points (98.7% less 78.3%)"
    wasteful = list(ANALYSIS["claims"](efficiencies(constrained=96.9)))
    assert [claim.holds for claim in wasteful] == [False] * 5 + [True] * 2
    thrifty = list(ANALYSIS["claims"](efficiencies(unconstrained=90.0)))
    assert [claim.holds for claim in thrifty] == [True] * 5 + [False, True]
    alike = list(ANALYSIS["claims"](efficiencies(unconstrained=99.0)))
    assert [claim.holds for claim in alike] == [True] * 5 + [False] * 2


def test_efficiency_without_a_budget_follows_from_the_schedules(given: pd.DataFrame) -> None:
    expected = []
    for market in MARKETS:
        units = given[given["instrument"] == market]
        of_all = np.where(units["side"] == "buy", units["value"], -units["value"]).sum()
        expected.append(100 * of_all / equilibrium(units)["surplus"][0])
    with Lab(FOLDER) as lab:
        [found] = lab.runs(ANALYSIS["efficiencies"], [Trial(7, ANALYSIS["_everybody"]("zi_unconstrained"))])
    assert found == pytest.approx(expected)


def test_the_constraint_raises_efficiency_in_every_market() -> None:
    with Lab(FOLDER, quick=True) as lab:
        claims = Study(FOLDER).carry_out(lab)
        assert len(lab.figures) == 1
    assert claims[5].holds
    assert claims[6].holds
    assert all(95.0 < claim.estimate <= 100.0 for claim in claims[:5])
