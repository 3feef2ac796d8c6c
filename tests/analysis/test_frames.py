"""Tables come in whole or in batches, and what they lack is said."""

from __future__ import annotations

import pandas as pd
import pytest

from simlab.analysis.frames import Mids, batches, numbers, require
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
    with pytest.raises(
        AnalysisError, match=r"trades has no column 'prices' \(did you mean 'price'\?\); it has"
    ):
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
    assert mids.series(0).tolist() == [99.5, 99.5, 99.5]
    assert mids.at(1, [-5, -1, 0, 1, 2, 9]).tolist() == [50.0, 50.0, 50.0, 50.0, 50.5, 50.5]


def test_mids_in_batches_are_those_of_one_frame() -> None:
    whole, parts = Mids(quotes(), INSTRUMENTS), Mids(iter([quotes()[:1], quotes()[1:]]), INSTRUMENTS)
    assert whole.instruments == parts.instruments == [0, 1]
    assert [whole.series(i).tolist() for i in (0, 1)] == [parts.series(i).tolist() for i in (0, 1)]


def test_quotes_that_are_missing_or_of_nothing_known_are_errors() -> None:
    with pytest.raises(AnalysisError, match=r"there are no quotes; record .* recording\.quotes_every: 1"):
        Mids(quotes()[:0], INSTRUMENTS)
    with pytest.raises(AnalysisError, match="quotes are of instrument 7"):
        Mids(quotes(instrument=7), INSTRUMENTS)
