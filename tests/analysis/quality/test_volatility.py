"""A run has one volatility: the kernel's summary, the quality of the market and comparisons agree on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.compare import run_measures
from simlab.analysis.quality import quality, volatility
from simlab.analysis.tables import Mids
from simlab.errors import AnalysisError

ONE = pd.DataFrame({"instrument": [0], "name": ["ACME"], "initial_price": [100]})


def _mids(*prices: float) -> Mids:
    mid = np.array(prices, float)
    quotes = {"step": np.arange(len(mid)), "instrument": 0, "best_bid": mid - 1, "best_ask": mid + 1}
    return Mids(pd.DataFrame(quotes), ONE)


@pytest.mark.parametrize("name", ["day", "two_shares", "thin"])
def test_a_run_shows_one_number(name: str, request: pytest.FixtureRequest) -> None:
    run: simlab.Run = request.getfixturevalue(name)
    table = run.quality().set_index(["instrument", "measure"])
    compared = run_measures(run)

    for row in run.manifest["instruments"]:  # what `simlab run` prints
        shown = table.loc[(row["instrument"], "volatility")]
        suffix = f" {row['instrument']}" if len(run.manifest["instruments"]) > 1 else ""
        assert row["volatility"] > 0
        assert shown["value"] == pytest.approx(row["volatility"], rel=1e-6)
        assert shown["unit"] == "per step"
        assert compared[f"volatility{suffix}"] == pytest.approx(row["volatility"], rel=1e-6)


def test_quality_and_comparison_agree_where_a_side_is_often_empty(thin: simlab.Run) -> None:
    shown = thin.quality().set_index("measure").loc["volatility", "value"]
    assert shown > 0
    assert run_measures(thin)["volatility"] == shown


def test_it_is_the_standard_deviation_with_n_below() -> None:
    assert volatility(_mids(100, 110, 99), 0) == pytest.approx(0.1)  # +10% and -10%
    assert volatility(_mids(100, 110, 121), 0) == pytest.approx(0.0)  # a trend is no volatility


def test_where_a_side_is_empty_the_last_mid_holds() -> None:
    assert volatility(_mids(100, np.nan, 110), 0) == pytest.approx(0.05)


def test_a_warm_up_is_left_out() -> None:
    mids = _mids(100, 900, 100, 110, 99)
    assert volatility(mids, 0, first=2) == pytest.approx(0.1)
    with pytest.raises(AnalysisError, match="from step 4 on there are none"):
        volatility(mids, 0, first=4)


def test_after_a_mid_that_is_not_above_0_there_is_no_relative_change() -> None:
    assert volatility(_mids(100, 110, 0, 5, 5.5), 0) == pytest.approx(np.std([0.1, -1.0, 0.1]))
    with pytest.raises(AnalysisError, match="two mids above 0"):
        volatility(_mids(-5, -4, -3), 0)


def test_quotes_that_are_steps_apart_give_none(day: simlab.Run, tmp_path: Path) -> None:
    quotes = day.quotes()
    seldom = quotes[quotes["step"] % 10 == 0]
    table = quality(day.trades(), seldom, day.messages(), day.instruments()).set_index("measure")
    assert "quotes are 10 steps apart" in table.loc["volatility", "note"]

    sparse = {"steps": 30, "recording": {"quotes_every": 10}, "instruments": {"ACME": {"initial_price": 100}}}
    assert np.isnan(run_measures(simlab.run(sparse, out=tmp_path))["volatility"])
