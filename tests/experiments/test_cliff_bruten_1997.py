"""The study of Cliff and Bruten: its markets, its measures, its rules, and a few runs of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simlab.analysis.quality import equilibrium
from simlab.config import load
from simlab.runner.study import Lab, Study

FOLDER = Path(__file__).parents[2] / "experiments" / "cliff_bruten_1997"
ANALYSIS = vars(Study(FOLDER).analysis)
EXPECTED = ANALYSIS["EXPECTED"]


def values(instrument: str) -> pd.DataFrame:
    rows = []
    for name, population in (
        load(FOLDER / "experiment.yaml").model_dump(mode="json", exclude_none=True)["populations"].items()
    ):
        if population["instruments"] == [instrument]:
            orders = population["customer_orders"]
            given = orders["limit_price"]
            each = given["each"] if isinstance(given, dict) else [given] * population["count"]
            rows += [(f"{name}/{i}", orders["side"], 0, value) for i, value in enumerate(each)]
    return pd.DataFrame(rows, columns=["account", "side", "unit", "value"])


@pytest.mark.parametrize("trader", ["zi", "zip"])
@pytest.mark.parametrize("market", EXPECTED)
def test_every_market_has_the_same_equilibrium_price(trader: str, market: str) -> None:
    [found] = equilibrium(values(f"{trader}_{market}")).itertuples()
    assert found.price == ANALYSIS["EQUILIBRIUM"]
    assert found.quantity == 6


def test_expected_prices_are_those_of_random_bids_and_asks_that_cross() -> None:
    generator = np.random.default_rng(1)
    for market, expected in EXPECTED.items():
        units = values(f"zi_{market}")
        limits = {side: units.loc[units["side"] == side, "value"].to_numpy() for side in ("buy", "sell")}
        bid = generator.uniform(0, generator.choice(limits["buy"], 400_000))
        ask = generator.uniform(generator.choice(limits["sell"], 400_000), 400)
        crossed = bid >= ask
        # The paper takes the intersection as a triangle, which is exact only where all limits are equal.
        close = 0.04 if market == "flat_supply" else 0.01
        assert np.mean((bid + ask)[crossed] / 2) == pytest.approx(expected, rel=close)


def test_a_day_without_trades_has_no_price() -> None:
    summary = ANALYSIS["summary"](np.array([180.0, 220.0, 200.0]), np.array([0, 0, 1]), 3)
    assert summary[:2].tolist() == pytest.approx([200.0, np.nan], nan_ok=True)
    assert summary[2:].tolist() == pytest.approx([10.0, 0.0, np.nan], nan_ok=True)


def found(price: float, *, last_price: float = 200.0, first_alpha: float = 20.0, last_alpha: float = 3.0):
    noise = np.linspace(-0.5, 0.5, 5)
    alpha = np.column_stack([first_alpha + noise, last_alpha - noise])
    return ANALYSIS["Found"](price + noise, last_price + noise, alpha)


def holds(claims: str, **changes: float) -> list[bool]:
    """Return the verdicts on four markets that are as the paper says but for `changes`."""
    markets = {
        f"{trader}_{market}": found(**({"price": expected} | changes))
        for market, expected in EXPECTED.items()
        for trader in ("zi", "zip")
    }
    return [claim.holds for claim in ANALYSIS[claims](markets)]


def test_claims_follow_the_rules_of_the_readme() -> None:
    assert holds("zi_claims") == holds("zip_claims") == holds("alpha_claims") == [True] * 4
    assert holds("zi_claims", price=200.0) == [True, False, False, False]
    assert holds("zi_claims", price=215.0) == [False, False, False, False]
    assert holds("zip_claims", last_price=215.0) == [False] * 4
    assert holds("alpha_claims", last_alpha=20.0) == [False] * 4
    assert holds("alpha_claims", last_alpha=12.0) == [False] * 4


def test_random_traders_are_biased_and_learning_ones_converge() -> None:
    with Lab(FOLDER, quick=True) as lab:
        claims = Study(FOLDER).carry_out(lab)
        assert len(lab.figures) == 2
    assert len(claims) == 12
    assert all(claim.holds for claim in claims[1:4])
    assert all(claim.estimate < 0 for claim in claims[8:])
