"""The study of Gode and Sunder: its schedules, its rules, and a few runs of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simlab.analysis.allocation import equilibrium
from simlab.config import load
from simlab.runner.study import Lab, Study

FOLDER = Path(__file__).parents[2] / "experiments" / "gode_sunder_1993"
ANALYSIS = vars(Study(FOLDER).analysis)
MARKETS = ANALYSIS["MARKETS"]


def efficiencies(*, constrained: float = 99.0, unconstrained: float = 70.0) -> dict[str, np.ndarray]:
    noise = np.linspace(-0.1, 0.1, 4)[:, None] * np.ones(len(MARKETS))
    return {"ZI-C": constrained + noise, "ZI-U": unconstrained + noise**2}


@pytest.mark.parametrize(
    ("market", "price", "quantity"),
    list(zip(MARKETS, (69, 69, 106, 170, 131), (24, 24, 6, 15, 24), strict=True)),
)
def test_schedules_have_the_papers_equilibria(market: str, price: int, quantity: int) -> None:
    config = load(FOLDER / "experiment.yaml").model_dump(mode="json", exclude_none=True)
    units = ANALYSIS["schedule"](config, market)
    [found] = equilibrium(units).itertuples()
    assert found.low <= price <= found.high
    assert found.quantity == quantity
    assert units.groupby("side").size().tolist() == [round(1.5 * quantity + 0.1)] * 2
    assert units["account"].nunique() == 12
    assert units["value"].between(1, 200).all()


def test_claims_follow_the_rules_of_the_readme() -> None:
    claims = list(ANALYSIS["claims"](efficiencies()))
    assert len(claims) == 11
    assert all(claim.holds for claim in claims)
    wasteful = list(ANALYSIS["claims"](efficiencies(constrained=96.9)))
    assert [claim.holds for claim in wasteful] == [False] * 5 + [True] * 6
    thrifty = list(ANALYSIS["claims"](efficiencies(unconstrained=99.0)))
    assert [claim.holds for claim in thrifty] == [True] * 5 + [False] * 6


def test_the_constraint_raises_efficiency_in_every_market() -> None:
    with Lab(FOLDER, quick=True) as lab:
        claims = Study(FOLDER).carry_out(lab)
        assert len(lab.figures) == 1
    assert claims[-1].holds
    assert all(95.0 < claim.estimate <= 100.0 for claim in claims[:5])
