"""The table of market quality agrees with the measures it is made of, in one pass over batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.quality import (
    depth_shape,
    efficiency,
    kyle_lambda,
    ofi_regression,
    order_to_trade_ratio,
    quality,
    spreads,
    time_to_fill,
    trade_imbalance_regression,
    variance_ratio,
)
from simlab.analysis.tables import Mids
from simlab.errors import AnalysisError


def _tables(run: simlab.Run) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    return run.trades(), run.quotes(), run.messages(), run.instruments()


@pytest.fixture(scope="module")
def table(two_shares: simlab.Run) -> pd.DataFrame:
    return quality(*_tables(two_shares), two_shares.depth())


def test_every_measure_has_a_value_a_unit_and_a_place(table: pd.DataFrame) -> None:
    assert table.columns.tolist() == ["instrument", "measure", "value", "unit", "note"]
    assert table["instrument"].unique().tolist() == ["ACME", "BOLT"]
    assert not table.duplicated(["instrument", "measure"]).any()
    assert (table["unit"] != "").all()
    missing = table["value"].isna()
    assert (table["note"] != "").equals(missing)
    assert set(table.loc[missing, "measure"]) <= {"median time to first fill"}


def test_values_are_those_of_the_measures(two_shares: simlab.Run, table: pd.DataFrame) -> None:
    trades, quotes, messages, instruments = _tables(two_shares)
    acme = table[table["instrument"] == "ACME"].set_index("measure")["value"]
    spread = spreads(trades, quotes, instruments).iloc[0]
    shape = depth_shape(two_shares.depth(), instruments)
    near = shape[(shape["instrument"] == "ACME") & (shape["level"] < 5)]["depth"].sum() / 2
    fills = time_to_fill(messages, trades, instruments)
    first = fills[(fills["instrument"] == "ACME") & (fills["until"] == "first fill")]
    counts = order_to_trade_ratio(messages, trades, instruments).iloc[0]
    expected = {
        "quoted spread": spread["quoted"],
        "effective spread": spread["effective"],
        "realised spread 100": spread["realised_100"],
        "price impact 10": spread["price_impact_10"],
        "quotes with both sides": 100 * spread["two_sided"],
        "depth of 5 levels": near,
        "Kyle's lambda": kyle_lambda(trades, quotes, instruments)["slope"].iloc[0],
        "order flow imbalance R2": ofi_regression(quotes, instruments)["r2"].iloc[0],
        "trade imbalance R2": trade_imbalance_regression(trades, quotes, instruments)["r2"].iloc[0],
        "variance ratio 10": variance_ratio(Mids(quotes, instruments).series(0), lags=[10])["ratio"].item(),
        "pricing error (RMSE)": efficiency(quotes, instruments)["rmse"].iloc[0],
        "messages per trade": counts["messages_per_trade"],
        "median time to first fill": first[first["fill_probability"] >= 0.5]["steps"].min(),
    }

    np.testing.assert_allclose(acme[list(expected)], list(expected.values()), rtol=1e-9)


def test_batches_of_numbers_give_the_same(two_shares: simlab.Run, table: pd.DataFrame) -> None:
    trades, quotes, messages, depth = (
        two_shares.batches(name, rows=773, names=False) for name in ("trades", "quotes", "messages", "depth")
    )

    parts = quality(trades, quotes, messages, two_shares.instruments(), depth)

    pd.testing.assert_frame_equal(table, parts, rtol=1e-9)


def test_without_depth_its_measure_is_left_out(two_shares: simlab.Run, table: pd.DataFrame) -> None:
    without = quality(*_tables(two_shares))
    unrecorded = quality(*_tables(two_shares), two_shares.depth()[:0])

    assert set(table["measure"]) - set(without["measure"]) == {"depth of 5 levels"}
    notes = unrecorded[unrecorded["measure"] == "depth of 5 levels"]["note"]
    assert notes.tolist() == ["no depth of ACME was recorded", "no depth of BOLT was recorded"]


def test_what_cannot_be_measured_says_why(day: simlab.Run) -> None:
    trades, quotes, messages, instruments = _tables(day)
    early = [frame[frame["step"] < 40] for frame in (trades, quotes, messages)]
    early[1] = early[1].assign(fundamental=np.nan)

    notes = quality(*early, instruments).set_index("measure")["note"]

    assert "too few for a regression" in notes["Kyle's lambda"]
    assert "fundamental value" in notes["pricing error (RMSE)"]
    assert "shorter than the horizon" in notes["realised spread 100"]
    assert notes["quoted spread"] == notes["effective spread"] == ""


def test_a_market_without_trades_still_has_quotes(day: simlab.Run) -> None:
    trades, quotes, messages, instruments = _tables(day)
    first = trades["step"].min()
    still = [frame[frame["step"] < first] for frame in (trades, quotes, messages)]

    table = quality(*still, instruments).set_index("measure")

    assert "never traded" in table.loc["effective spread", "note"]
    assert table.loc[["trades", "volume"], "value"].tolist() == [0, 0]
    assert table.loc[["trades", "volume"], "note"].tolist() == ["", ""]
    assert table.loc["messages per trade", "value"] == np.inf
    assert table.loc["quoted spread", "value"] > 0


def test_mids_below_0_say_what_has_no_basis_points(day: simlab.Run) -> None:
    trades, quotes, messages, instruments = _tables(day)
    prices = ["best_bid", "best_ask", "fundamental"]
    below = quotes.assign(**{name: quotes[name] - 20_000 for name in prices})
    trades = trades.assign(price=trades["price"] - 20_000)

    table = quality(trades, below, messages, instruments.assign(initial_price=-10_000)).set_index("measure")

    assert table.loc["quoted spread", "value"] > 0
    for measure in ("relative quoted spread", "relative effective spread"):
        assert np.isnan(table.loc[measure, "value"])
        assert "the mid was 0 or below" in table.loc[measure, "note"]
    assert "two mids above 0" in table.loc["volatility", "note"]


def test_a_market_without_agents_has_no_trades_and_no_ratio(tmp_path: Path) -> None:
    run = simlab.run({"steps": 50, "instruments": {"ACME": {"initial_price": 100}}}, out=tmp_path)
    table = run.quality().set_index("measure")
    assert table.loc["trades", "value"] == 0
    assert "no message was sent" in table.loc["messages per trade", "note"]
    unknown = table[table["value"].isna()]
    assert (unknown["note"] != "").all()


def test_no_quotes_and_wrong_columns_are_errors(day: simlab.Run) -> None:
    trades, quotes, messages, instruments = _tables(day)

    with pytest.raises(AnalysisError, match="there are no quotes"):
        quality(trades, quotes[:0], messages, instruments)
    with pytest.raises(AnalysisError, match=r"quotes has no column 'fundamental'"):
        quality(trades, quotes.drop(columns="fundamental"), messages, instruments)
    with pytest.raises(AnalysisError, match=r"messages has no column 'reason'"):
        quality(trades, quotes, messages.drop(columns="reason"), instruments)


def test_quotes_that_are_steps_apart_give_notes_and_no_wrong_numbers(day: simlab.Run) -> None:
    trades, quotes, messages, instruments = _tables(day)
    every = quality(trades, quotes, messages, instruments).set_index("measure")

    seldom = quality(trades, quotes[quotes["step"] % 10 == 0], messages, instruments).set_index("measure")

    noted = seldom[seldom["note"].str.contains("quotes are 10 steps apart")]
    assert noted["value"].isna().all()
    assert noted["note"].str.contains("recording.quotes_every: 1", regex=False).all()
    assert {name.rstrip(" 0123456789") for name in noted.index} == {
        "volatility",
        "effective spread",
        "relative effective spread",
        "realised spread",
        "price impact",
        "Kyle's lambda",
        "order flow imbalance slope",
        "order flow imbalance R",
        "trade imbalance R",
        "variance ratio",
    }
    same = ["trades", "volume", "orders per trade", "messages per trade", "lots ahead on arrival"]
    pd.testing.assert_frame_equal(seldom.loc[same], every.loc[same])
    assert seldom.loc["quoted spread", "value"] == pytest.approx(every.loc["quoted spread", "value"], rel=0.1)
