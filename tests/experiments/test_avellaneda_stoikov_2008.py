"""The study of Avellaneda and Stoikov (2008): the paper's world, and its claims in quick mode."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from simlab.runner.study import Lab, Study

FOLDER = Path(__file__).parents[2] / "experiments" / "avellaneda_stoikov_2008"


def test_quotes_are_the_papers(analysis: ModuleType) -> None:
    shift, spread = analysis.quote_terms(0.1)
    assert shift[0] == pytest.approx(0.1 * 2**2)
    assert shift[100] == pytest.approx(0.1 * 2**2 / 2)
    assert spread[0] == pytest.approx(0.4 + 20 * np.log(1 + 0.1 / 1.5))
    assert spread.mean() == pytest.approx(1.49, abs=0.01)


def test_standard_deviation_knows_its_own_error(analysis: ModuleType) -> None:
    generator = np.random.default_rng(1)
    normal = generator.normal(0, 3, 200_000)
    deviation, variation = analysis.standard_deviation(normal)
    assert (deviation, variation) == pytest.approx((3, 3 / np.sqrt(2)), rel=0.02)
    _, fat = analysis.standard_deviation(3 * generator.standard_t(6, 200_000) / np.sqrt(1.5))
    assert fat > 1.3 * variation


def test_a_figure_beyond_three_standard_errors_is_not_reproduced(analysis: ModuleType) -> None:
    generator = np.random.default_rng(2)
    profit, inventory = generator.normal(65.0, 8.0, 4_000), generator.normal(0, 2.9, 4_000)
    claims = analysis.table_claims(0.1, False, profit, inventory)
    assert [claim.holds for claim in claims] == [True, False, True]


def test_spread_ratio_of_known_samples(analysis: ModuleType) -> None:
    sample = np.random.default_rng(3).normal(0, 1, 400)
    ratio, low, high = analysis.spread_ratio(sample / 2, sample)
    assert (ratio, low, high) == pytest.approx((0.5, 0.5, 0.5))


def test_study_in_quick_mode() -> None:
    with Lab(FOLDER, quick=True) as lab:
        claims = Study(FOLDER).carry_out(lab)
        assert len(lab.figures) == 2
    assert len(claims) == 14
    table = {claim.claim: claim for claim in claims}
    assert table["gamma 0.1, inventory strategy: profit"].estimate == pytest.approx(65, abs=0.5)
    leaning, symmetric = (claims[i].estimate for i in (1, 4))
    assert leaning < 0.6 * symmetric
    assert claims[-1].estimate < 1
