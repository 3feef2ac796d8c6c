"""The warm-up of series made with one, and of runs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.compare import mser, warmup
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
    assert found["measure"].tolist() == ["absolute return", "spread", "depth"] * 2
    known = found["steps"].dropna()
    assert len(known)
    assert known.between(0, 3_000 / 2 + 100).all()


def test_steps_are_those_of_the_quotes(two_shares: simlab.Run) -> None:
    found = warmup(two_shares).set_index(["instrument", "measure"])["steps"]
    for instrument in ("ACME", "BOLT"):
        quotes = two_shares.quotes(instrument=instrument).dropna(subset=["best_bid", "best_ask"])
        spread = (quotes["best_ask"] - quotes["best_bid"]).to_numpy()[:-1]
        cut = mser(spread, 5 if len(spread) < 2_500 else 10)
        steps = np.nan if cut is None else quotes["step"].iloc[cut] - quotes["step"].iloc[0]
        np.testing.assert_equal(found[instrument, "spread"], steps)


@dataclass
class _Quotes:
    """Quotes of a long run, made as they are read."""

    values: np.ndarray
    rows: int
    path: str = "long"

    def instruments(self) -> pd.DataFrame:
        return pd.DataFrame({"instrument": [0], "name": ["ACME"]})

    def batches(self, table: str, **options: object) -> Iterator[pd.DataFrame]:
        for start in range(0, len(self.values), self.rows):
            values = self.values[start : start + self.rows]
            bid = np.full(len(values), 1_000.0)
            columns = {"best_bid": bid, "bid_depth": 5, "best_ask": bid + values, "ask_depth": 5}
            step = np.arange(start, start + len(values))
            yield pd.DataFrame({"step": step, "instrument": 0} | columns)


@pytest.mark.parametrize("rows", [611, 50_000])
def test_however_the_quotes_are_cut_the_batches_are_the_same(rows: int) -> None:
    values = 20 + _settling(20.0, 1_000.0, 40_001, 0)
    found = warmup(_Quotes(values, rows)).set_index("measure")["steps"]
    assert found["spread"] == mser(values[:-1], 160)
    assert found["depth"] == 0


def test_a_long_run_takes_no_more_memory_than_a_short_one() -> None:
    peaks = []
    for quotes in (20_000, 200_000):
        run = _Quotes(np.full(quotes, 10.0), 10_000)
        tracemalloc.start()
        warmup(run)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_a_run_with_few_quotes_is_refused(tmp_path: Path) -> None:
    run = simlab.run({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}, out=tmp_path)
    with pytest.raises(AnalysisError, match="no quotes with both sides"):
        warmup(run)
