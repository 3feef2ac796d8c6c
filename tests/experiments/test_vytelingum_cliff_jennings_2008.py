"""The study of AA traders: its markets and mixes, its rules, and a few runs of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlab.config import load
from simlab.runner.study import Lab, Study, Trial

FOLDER = Path(__file__).parents[2] / "experiments" / "vytelingum_cliff_jennings_2008"
ANALYSIS = vars(Study(FOLDER).analysis)
MARKETS, MIXES, RIVALS = ANALYSIS["MARKETS"], ANALYSIS["MIXES"], ANALYSIS["RIVALS"]


def limit_prices(mix: str) -> dict[str, list[list[float]]]:
    """Return the limit prices of all traders of each market and side, of both kinds together, in order."""
    base = ANALYSIS["_limits"](FOLDER / "experiment.yaml")
    config = load(
        FOLDER / "experiment.yaml", set=ANALYSIS["_set"]("AA", "GDX") | ANALYSIS["_shares"](base, mix)
    )
    found: dict[str, list[list[float]]] = {}
    for name, population in config.populations.items():
        market, _, side = name.rsplit("_", 2)
        orders: Any = population.customer_orders
        for i, given in enumerate([orders.limit_price, *(it.limit_price for it in orders.shifts)]):
            assert len(given.each) == population.count
            found.setdefault(f"{market}_{side}", [[] for _ in range(2)])[i] += given.each
    return {name: [sorted(it) for it in phases] for name, phases in found.items()}


@pytest.mark.slow
def test_each_mix_has_the_same_limit_prices() -> None:
    balanced, *others = (limit_prices(mix) for mix in MIXES)
    assert len(balanced) == 2 * len(MARKETS)
    assert all(len(phases[0]) == 16 for phases in balanced.values())
    assert all(it == balanced for it in others)


def above(mean: float, *, low_cell: float | None = None) -> dict[tuple[str, str], Any]:
    """Return advantages of AA over all rivals, with one cell that differs."""
    noise = np.linspace(-0.5, 0.5, 6)[:, None]
    found = {(rival, mix): mean + noise + np.zeros((6, len(MARKETS))) for rival in RIVALS for mix in MIXES}
    if low_cell is not None:
        for rival in RIVALS:
            found[rival, "balanced"][:, 2] += low_cell - mean
    return found


def test_claims_follow_the_rules_of_the_readme() -> None:
    def holds(claims: str, given: Any) -> list[bool]:
        return [claim.holds for claim in ANALYSIS[claims](given)]

    assert holds("dominance_claims", above(3.0)) == [True] * 6
    assert holds("dominance_claims", above(0.0)) == holds("dominance_claims", above(-3.0)) == [False] * 6
    assert holds("challenge_claims", above(3.0)) == [False] * 3
    assert holds("challenge_claims", above(3.0, low_cell=-4.0)) == [True] * 3
    alone = {
        kind: ANALYSIS["Alone"](level + above(0.0)["ZIP", "balanced"], 10 - level / 10 + np.zeros((6, 4)))
        for kind, level in (("AA", 99.0), ("ZIP", 97.0), ("GDX", 98.0))
    }
    assert holds("market_claims", alone) == [True] * 4
    assert holds("market_claims", alone | {"AA": alone["ZIP"], "ZIP": alone["AA"]}) == [False] * 4


@pytest.mark.parametrize("rival", ["AA", "GVWY"])
def test_an_advantage_is_that_of_one_kind_over_the_other(rival: str) -> None:
    with Lab(FOLDER, quick=True) as lab:
        found = np.array(
            lab.runs(ANALYSIS["advantage"], [Trial(seed, ANALYSIS["_set"]("AA", rival)) for seed in (1, 2)])
        )
    assert found.shape == (2, len(MARKETS))
    assert np.isfinite(found).all()
    if rival == "GVWY":  # it sells at its costs, and loses where prices are away from them
        assert found.mean() > 5
    else:
        assert abs(found.mean()) < 10
