"""The study of the mean book: the paper's approximation, its measures, its rules, and a few runs of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simlab.runner.study import Lab, Study

FOLDER = Path(__file__).parents[2] / "experiments" / "bouchaud_mezard_potters_2002"
ANALYSIS = vars(Study(FOLDER).analysis)
DISTANCE = np.arange(ANALYSIS["FARTHEST"] + 1.0)


def books(peak: int, tail: float = -1.6) -> np.ndarray:
    """Return three mean books that rise to `peak` and fall as a power of the distance far away."""
    rising = (1 + DISTANCE) / (1 + peak)
    falling = (np.maximum(DISTANCE, 1) / max(peak, 1)) ** tail
    shape = np.where(peak >= DISTANCE, rising, falling)
    return np.array([shape, 2 * shape, np.roll(shape, 1) if peak else shape])


def test_the_approximation_solves_its_equation() -> None:
    x, h = np.array([0.3, 1.0, 4.0]), 1e-2
    approximation = ANALYSIS["approximation"]
    curvature = (approximation(x + h) - 2 * approximation(x) + approximation(x - h)) / h**2
    assert curvature == pytest.approx(approximation(x) - x**-1.6, rel=2e-3)


def test_the_approximation_vanishes_at_the_best_price_and_follows_the_order_flow_far_away() -> None:
    near = ANALYSIS["approximation"]([1e-4, 1e-3])
    assert np.log(near[1] / near[0]) / np.log(10) == pytest.approx(1 - 0.6, abs=0.02)
    assert ANALYSIS["approximation"](60.0)[0] == pytest.approx(60.0**-1.6, rel=0.01)
    assert ANALYSIS["peak_of_approximation"]() == pytest.approx(0.327, abs=0.002)


def test_the_slope_of_the_tail_is_found() -> None:
    assert ANALYSIS["tail_slope"](books(5, tail=-2.5)[0]) == pytest.approx(-2.5, abs=0.03)


def test_claims_follow_the_rules_of_the_readme() -> None:
    length = np.array([5.0, 5.1, 4.9]) / ANALYSIS["peak_of_approximation"]()
    assert [claim.holds for claim in ANALYSIS["claims"](books(5), length)] == [True, True, True]
    assert [claim.holds for claim in ANALYSIS["claims"](books(5), length / 4)] == [True, True, False]
    assert [claim.holds for claim in ANALYSIS["claims"](books(5, -2.0), length)] == [True, False, True]
    assert not ANALYSIS["claims"](books(0), length)[0].holds


def test_the_mean_book_is_hump_shaped_and_decays_as_the_order_flow() -> None:
    with Lab(FOLDER, quick=True) as lab:
        claims = Study(FOLDER).carry_out(lab)
        assert len(lab.figures) == 1
    assert [claim.holds for claim in claims[:2]] == [True, True]
    assert 2 < claims[0].estimate < 12
