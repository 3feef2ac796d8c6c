"""Tables come in whole or in batches, and what they lack is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simlab.analysis.tables import Mids, ask_sides, batches, finite, in_order, numbers, require, signs
from simlab.errors import AnalysisError

INSTRUMENTS = pd.DataFrame({"instrument": [0, 1], "name": ["A", "B"], "initial_price": [100, 50]})


def quotes(**changes: object) -> pd.DataFrame:
    """Return two quotes of A and, in step 2, one of B."""
    columns = {
        "step": [0, 2, 2],
        "instrument": [0, 0, 1],
        "best_bid": [98.0, float("nan"), 49.0],
        "best_ask": [101.0, 103.0, 52.0],
    }
    return pd.DataFrame(columns | changes)


def test_missing_column_is_named_with_the_nearest_one() -> None:
    with pytest.raises(AnalysisError, match=r"trades has no column 'prices'; did you mean 'price'\?; it has"):
        require(pd.DataFrame({"step": [1], "price": [2]}), ["step", "prices"], "trades")


def test_batches_are_checked_and_empty_ones_left_out() -> None:
    frame = pd.DataFrame({"step": [1, 2]})
    assert [len(batch) for batch in batches([frame, frame[:0], frame[:1]], ["step"], "trades")] == [2, 1]
    with pytest.raises(AnalysisError, match="trades has no column 'price'"):
        list(batches([frame], ["price"], "trades"))


def test_names_and_numbers_give_the_same_numbers() -> None:
    assert numbers(pd.Series([1, 0, 1]), INSTRUMENTS, "instrument").tolist() == [1, 0, 1]
    assert numbers(pd.Series(["B", "A"], dtype="category"), INSTRUMENTS, "instrument").tolist() == [1, 0]
    with pytest.raises(AnalysisError, match="instrument 'C' is not in the table"):
        numbers(pd.Series(["C"]), INSTRUMENTS, "instrument")
    with pytest.raises(AnalysisError, match="instrument a missing value"):
        numbers(pd.Series(["A", None]), INSTRUMENTS, "instrument")


def test_mid_holds_while_a_side_is_empty_and_starts_at_the_initial_price() -> None:
    mids = Mids(quotes(), INSTRUMENTS)
    assert mids.steps == 3
    assert mids.at(0, [0, 1, 2]).tolist() == [99.5, 99.5, 99.5]
    assert mids.at(1, [-5, -1, 0, 1, 2, 9]).tolist() == [50.0, 50.0, 50.0, 50.0, 50.5, 50.5]


def test_mids_in_batches_are_those_of_one_frame() -> None:
    whole, parts = Mids(quotes(), INSTRUMENTS), Mids(iter([quotes()[:1], quotes()[1:]]), INSTRUMENTS)
    assert whole.instruments == parts.instruments == [0, 1]
    assert [whole.at(i, range(3)).tolist() for i in (0, 1)] == [
        parts.at(i, range(3)).tolist() for i in (0, 1)
    ]


def test_quotes_that_are_missing_or_of_nothing_known_are_errors() -> None:
    with pytest.raises(AnalysisError, match=r"there are no quotes; record .* recording\.quotes_every: 1"):
        Mids(quotes()[:0], INSTRUMENTS)
    with pytest.raises(AnalysisError, match="quotes are of instrument 7"):
        Mids(quotes(instrument=7), INSTRUMENTS)


def test_mids_do_not_depend_on_how_quotes_are_cut_into_batches() -> None:
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"step": np.repeat(np.arange(200), 2), "instrument": np.tile([0, 1], 200)})
    table["best_bid"] = np.where(rng.random(400) < 0.3, np.nan, rng.integers(90, 100, 400))
    table["best_ask"] = np.where(rng.random(400) < 0.3, np.nan, rng.integers(100, 110, 400))
    table = table[rng.random(400) < 0.9]
    mid = (table["best_bid"] + table["best_ask"]) / 2
    for rows in (1, 7, 400):
        mids = Mids((table[at : at + rows] for at in range(0, len(table), rows)), INSTRUMENTS)
        for number, initial in ((0, 100.0), (1, 50.0)):
            mine = table["instrument"] == number
            known = mid[mine].set_axis(table.loc[mine, "step"]).reindex(range(mids.steps)).ffill()
            assert mids.series(number).tolist() == known.fillna(initial).tolist()


def test_quotes_every_few_steps_are_a_sample_and_not_the_series_of_every_step() -> None:
    every = pd.DataFrame({"step": range(0, 50, 10), "instrument": 0, "best_bid": range(90, 95)})
    mids = Mids(every.assign(best_ask=110), INSTRUMENTS)
    assert mids.every == 10
    assert mids.sampled(0).tolist() == [100.0, 100.5, 101.0, 101.5, 102.0]
    assert mids.at(0, [39, 40]).tolist() == [101.5, 102.0]
    with pytest.raises(AnalysisError, match=r"quotes are 10 steps apart; .* recording\.quotes_every: 1"):
        mids.series(0)
    assert Mids(quotes(step=[0, 1, 1]), INSTRUMENTS).every == 1
    assert Mids(quotes()[:1], INSTRUMENTS).every == 1


@pytest.mark.parametrize("steps", [[2, 1, 1], [0, 2, 1], [-1, 0, 0]])
def test_quotes_out_of_order_are_refused(steps: list[int]) -> None:
    table = quotes(step=steps)
    for source in (table, [table[:1], table[1:]], [table[:2], table[2:]]):
        with pytest.raises(AnalysisError, match=r"not in order of steps: 1 follows 2|step -1 is negative"):
            Mids(source, INSTRUMENTS)


def test_order_goes_on_from_one_frame_to_the_next() -> None:
    assert in_order(np.array([4, 4, 9]), 4, "trades") == 9
    with pytest.raises(AnalysisError, match="trades are not in order of steps: 4 follows 5; sort them"):
        in_order(np.array([4, 9]), 5, "trades")


@pytest.mark.parametrize("dtype", ["object", "category", "string"])
def test_sides_are_signs_and_nothing_else(dtype: str) -> None:
    assert signs(pd.Series(["sell", "buy", "buy"], dtype=dtype)).tolist() == [-1, 1, 1]
    assert ask_sides(pd.Series(["ask", "bid"], dtype=dtype)).tolist() == [True, False]
    with pytest.raises(AnalysisError, match="aggressor_side 'BUY' is neither 'buy' nor 'sell'"):
        signs(pd.Series(["buy", "BUY"], dtype=dtype))
    with pytest.raises(AnalysisError, match="side 'sell' is neither 'bid' nor 'ask'"):
        ask_sides(pd.Series(["bid", "sell"], dtype=dtype))
    with pytest.raises(AnalysisError, match="is neither 'buy' nor 'sell'"):
        signs(pd.Series(["buy", None], dtype=dtype))


def test_categories_that_do_not_occur_are_no_error() -> None:
    assert signs(pd.Series(pd.Categorical(["sell"], categories=["buy", "none", "sell"]))).tolist() == [-1]


def test_values_that_are_missing_are_refused() -> None:
    with pytest.raises(AnalysisError, match="trades: price is nan in row 1"):
        finite(pd.Series([1.0, np.nan]), "trades: price")
