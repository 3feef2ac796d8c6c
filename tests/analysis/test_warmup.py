"""The warm-up of series made with one, and of runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import simlab
from simlab.analysis.warmup import mser, warmup
from simlab.errors import AnalysisError


def _settling(start: float, decay: float, n: int, seed: int) -> np.ndarray:
    return start * np.exp(-np.arange(n) / decay) + np.random.default_rng(seed).standard_normal(n)


def test_mser_minimises_the_squared_standard_error() -> None:
    values = _settling(5.0, 40.0, 400, 0)
    means = values.reshape(-1, 5).mean(axis=1)
    errors = [
        ((rest := means[cut:]) - rest.mean()) @ (rest - rest.mean()) / len(rest) ** 2 for cut in range(75)
    ]
    assert mser(values) == 5 * int(np.argmin(errors))


@pytest.mark.parametrize("seed", range(5))
def test_a_transient_is_cut_and_noise_is_kept(seed: int) -> None:
    cut = mser(_settling(20.0, 50.0, 2_000, seed))
    assert cut is not None
    assert 100 <= cut <= 400
    kept = mser(_settling(0.0, 1.0, 2_000, seed))
    assert kept is not None
    assert kept <= 300


def test_long_batches_leave_out_the_same_transient() -> None:
    values = _settling(20.0, 1_000.0, 40_000, 0)
    cut = mser(values, 200)
    assert cut is not None
    assert cut % 200 == 0
    assert 2_000 <= cut <= 9_000


def test_a_series_that_does_not_settle_has_no_warm_up() -> None:
    assert mser(np.arange(1_000.0)) is None


def test_a_short_series_is_refused() -> None:
    with pytest.raises(AnalysisError, match="90 values make 18 batches of 5; finding a warm-up needs 20"):
        mser(np.zeros(90))


def test_a_run(two_shares: simlab.Run) -> None:
    found = warmup(two_shares)
    assert found["instrument"].tolist() == ["ACME"] * 3 + ["BOLT"] * 3
    assert found["measure"].tolist() == ["volatility", "spread", "depth"] * 2
    known = found["steps"].dropna()
    assert len(known)
    assert known.between(0, 3_000 / 2 + 100).all()


def test_steps_are_those_of_the_quotes(two_shares: simlab.Run) -> None:
    found = warmup(two_shares).set_index(["instrument", "measure"])["steps"]
    for instrument in ("ACME", "BOLT"):
        quotes = two_shares.quotes(instrument=instrument).dropna(subset=["best_bid", "best_ask"])
        cut = mser((quotes["best_ask"] - quotes["best_bid"]).to_numpy(), len(quotes) // 250)
        steps = np.nan if cut is None else quotes["step"].iloc[cut] - quotes["step"].iloc[0]
        np.testing.assert_equal(found[instrument, "spread"], steps)


def test_a_run_with_few_quotes_is_refused(tmp_path: Path) -> None:
    run = simlab.run({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}, out=tmp_path)
    with pytest.raises(AnalysisError, match="no quotes with both sides"):
        warmup(run)
