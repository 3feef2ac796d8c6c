"""Spreads against hand-computed ones, and identities that hold on every run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.quality import spreads
from simlab.errors import AnalysisError

INSTRUMENTS = pd.DataFrame({"instrument": [0], "name": ["A"], "initial_price": [100]})


def _quotes(bids: list[float], asks: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"step": range(len(bids)), "instrument": 0, "best_bid": bids, "best_ask": asks})


def _trades(*rows: tuple[int, int, int, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["step", "price", "quantity", "aggressor_side"]).assign(instrument=0)


def test_parts_of_the_spread_by_hand() -> None:
    quotes = _quotes([99, 99, 101, 98], [101, 101, 103, 100])
    trades = _trades((1, 101, 3, "buy"), (2, 98, 1, "sell"))

    row = spreads(trades, quotes, INSTRUMENTS, horizons=[1]).iloc[0]

    assert row["quoted"] == 2
    assert row["relative_quoted"] == pytest.approx(1e4 * np.mean([2 / 100, 2 / 100, 2 / 102, 2 / 99]))
    # mid before: 100 and 100; mid one step later: 102 and 99
    assert row["effective"] == pytest.approx((3 * 2 + 1 * 4) / 4)
    assert row["price_impact_1"] == pytest.approx((3 * 4 + 1 * 2) / 4)
    assert row["realised_1"] == pytest.approx((3 * -2 + 1 * 2) / 4)
    assert (row["trades"], row["volume"]) == (2, 4)


def test_an_empty_side_counts_only_as_a_one_sided_quote() -> None:
    quotes = _quotes([99, np.nan, 99, 99], [101, 101, np.nan, 103])

    row = spreads(_trades((1, 101, 1, "buy")), quotes, INSTRUMENTS, horizons=[1]).iloc[0]

    assert row["two_sided"] == 0.5
    assert row["quoted"] == 3


def test_the_first_step_is_measured_against_the_initial_price() -> None:
    trades = _trades((0, 104, 1, "buy"))

    assert spreads(trades, _quotes([99], [101]), INSTRUMENTS, horizons=[0])["effective"].item() == 8


@pytest.mark.parametrize("fixture", ["day", "two_shares"])
def test_realised_and_impact_add_up_to_effective(fixture: str, request: pytest.FixtureRequest) -> None:
    run: simlab.Run = request.getfixturevalue(fixture)

    table = spreads(run.trades(), run.quotes(), run.instruments(), horizons=[0, 10, 500])

    assert len(table) == len(run.instruments())
    for horizon in (0, 10, 500):
        for prefix in ("", "relative_"):
            parts = table[f"{prefix}realised_{horizon}"] + table[f"{prefix}price_impact_{horizon}"]
            np.testing.assert_allclose(parts, table[f"{prefix}effective"], rtol=1e-12)
    assert (table[["quoted", "effective"]] > 0).all(axis=None)
    assert table["volume"].sum() == run.trades()["quantity"].sum()


def test_batches_give_the_same(two_shares: simlab.Run) -> None:
    whole = spreads(two_shares.trades(), two_shares.quotes(), two_shares.instruments())
    parts = spreads(
        two_shares.batches("trades", rows=997, names=False),
        two_shares.batches("quotes", rows=501),
        two_shares.instruments(),
    )

    pd.testing.assert_frame_equal(whole, parts, rtol=1e-12)


def test_of_a_mid_that_is_not_above_0_there_are_no_basis_points() -> None:
    row = spreads(_trades((1, -5, 1, "buy")), _quotes([-8, -8], [-6, -6]), INSTRUMENTS, horizons=[0]).iloc[0]

    assert (row["quoted"], row["effective"]) == (2, 4)
    assert row[["relative_quoted", "relative_effective"]].isna().all()


def test_errors_name_what_is_missing() -> None:
    quotes, trades = _quotes([99, 99], [101, 101]), _trades((1, 101, 1, "buy"))

    with pytest.raises(AnalysisError, match="horizon 2 is not in a run of 2 steps"):
        spreads(trades, quotes, INSTRUMENTS, horizons=[2])
    with pytest.raises(AnalysisError, match="A was never traded"):
        spreads(trades[:0], quotes, INSTRUMENTS, horizons=[1])
    with pytest.raises(AnalysisError, match="A has no quote with both sides"):
        spreads(trades, quotes.assign(best_bid=np.nan), INSTRUMENTS, horizons=[1])
    with pytest.raises(AnalysisError, match="trades has no column 'aggressor_side'"):
        spreads(trades.drop(columns="aggressor_side"), quotes, INSTRUMENTS, horizons=[1])
    with pytest.raises(AnalysisError, match="instrument 1 is not in the table instruments"):
        spreads(trades.assign(instrument=1), quotes.assign(instrument=1), INSTRUMENTS, horizons=[1])


def test_trades_of_an_instrument_without_quotes_are_an_error() -> None:
    two = pd.DataFrame({"instrument": [0, 1], "name": ["A", "B"], "initial_price": [100, 100]})

    with pytest.raises(AnalysisError, match="instrument 1 has trades but no quotes"):
        spreads(
            _trades((1, 101, 1, "buy")).assign(instrument=1), _quotes([99, 99], [101, 101]), two, horizons=[1]
        )


def test_quotes_that_are_steps_apart_are_refused(day: simlab.Run) -> None:
    quotes = day.quotes()

    with pytest.raises(AnalysisError, match=r"what trades paid takes .* quotes are 10 steps apart"):
        spreads(day.trades(), quotes[quotes["step"] % 10 == 0], day.instruments())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aggressor_side": "BUY"}, "trades: aggressor_side 'BUY' is neither 'buy' nor 'sell'"),
        ({"aggressor_side": None}, "is neither 'buy' nor 'sell'"),
        ({"price": np.nan}, "trades: price is nan in row 0"),
        ({"quantity": np.inf}, "trades: quantity is inf in row 0"),
    ],
)
def test_trades_that_cannot_be_read_are_refused(changes: dict[str, object], message: str) -> None:
    trades = _trades((1, 101, 1, "buy")).assign(**changes)

    with pytest.raises(AnalysisError, match=message):
        spreads(trades, _quotes([99, 99], [101, 101]), INSTRUMENTS, horizons=[0])


def test_horizons_are_whole_steps() -> None:
    with pytest.raises(AnalysisError, match=r"horizon=0\.5 must be a whole number of steps"):
        spreads(_trades((1, 101, 1, "buy")), _quotes([99, 99], [101, 101]), INSTRUMENTS, horizons=[0.5])  # type: ignore[list-item]
