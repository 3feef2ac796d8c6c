"""Depth by level and by distance against small books, and a sampled run against its quotes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.quality import book_shape, depth_shape
from simlab.errors import AnalysisError

INSTRUMENTS = pd.DataFrame({"instrument": [0], "name": ["A"], "tick_size": [2]})
COLUMNS = ["step", "side", "level", "price", "depth", "orders"]


def _depth(*rows: tuple[int, str, int, int, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).assign(instrument=0)


BOOKS = _depth(
    (0, "bid", 0, 98, 10, 1),
    (0, "bid", 1, 92, 30, 2),
    (0, "ask", 0, 104, 5, 1),
    (0, "ask", 1, 106, 6, 1),
    (5, "bid", 0, 96, 20, 3),
    (5, "ask", 0, 100, 7, 1),
    (5, "ask", 1, 102, 8, 4),
)


def test_a_missing_level_counts_as_no_depth() -> None:
    shape = depth_shape(BOOKS, INSTRUMENTS).set_index(["side", "level"])

    assert shape.loc[("bid", 0), ["depth", "orders", "distance", "present"]].tolist() == [15, 2, 0, 1]
    assert shape.loc[("bid", 1), ["depth", "orders", "distance", "present"]].tolist() == [15, 1, 3, 0.5]
    assert shape.loc[("ask", 1), ["depth", "orders", "distance", "present"]].tolist() == [7, 2.5, 1, 1]
    assert set(shape["instrument"]) == {"A"}


def test_distance_from_the_best_price_of_the_side() -> None:
    shape = book_shape(BOOKS, INSTRUMENTS, max_distance=3, coverage=0.1)
    best = shape[shape["reference"] == "best"].set_index(["side", "distance"])["depth"]

    # The bid of step 5 ends by itself; that of step 0 is as full as the recording allows, and says nothing
    # beyond 3 ticks.
    assert best["bid"].tolist() == [15, 0, 0, 15]
    # Both asks are full and reach 1 tick, so nothing is known farther out.
    assert best["ask"].to_dict() == {0: 6, 1: 7}


def test_distance_from_the_mid_is_rounded_up() -> None:
    shape = book_shape(BOOKS, INSTRUMENTS, max_distance=5, coverage=0.1)
    mid = shape[shape["reference"] == "mid"].set_index(["side", "distance"])["depth"]

    # mids 101 and 98: bids 1.5, 4.5 and 1 ticks away, asks 1.5, 2.5 and 1, 2 ticks
    assert mid["bid"].tolist() == [20 / 2, 10 / 2, 0, 0, 30 / 2]
    assert mid["ask"].to_dict() == {1: 7 / 2, 2: (5 + 8) / 2, 3: 6 / 1}


def test_distances_that_few_samples_see_are_left_out() -> None:
    far = book_shape(BOOKS, INSTRUMENTS, max_distance=5, coverage=0.9)

    seen = far[(far["reference"] == "mid") & (far["side"] == "ask")]
    assert seen["distance"].tolist() == [1, 2]
    assert (seen["samples"] == 2).all()


def test_a_one_sided_book_has_no_mid() -> None:
    book = _depth((0, "bid", 0, 98, 10, 1), (0, "bid", 1, 96, 10, 1))

    shape = book_shape(book, INSTRUMENTS, max_distance=1)

    assert set(shape["reference"]) == {"best"}
    assert shape.set_index(["side", "distance"])["depth"].to_dict() == {
        ("bid", 0): 10,
        ("bid", 1): 10,
        ("ask", 0): 0,
        ("ask", 1): 0,
    }


def test_the_first_level_of_a_run_is_what_its_quotes_say(two_shares: simlab.Run) -> None:
    shape = depth_shape(two_shares.depth(), two_shares.instruments())
    sampled = two_shares.quotes().merge(two_shares.depth(columns=["step"]).drop_duplicates(), on="step")

    for instrument, quotes in sampled.groupby("instrument", observed=True):
        top = shape[(shape["instrument"] == instrument) & (shape["level"] == 0)].set_index("side")["depth"]
        assert top["bid"] == pytest.approx(quotes["bid_depth"].fillna(0).mean())
        assert top["ask"] == pytest.approx(quotes["ask_depth"].fillna(0).mean())


@pytest.mark.parametrize("measure", [depth_shape, book_shape])
def test_batches_that_split_a_sample_give_the_same(two_shares: simlab.Run, measure) -> None:
    whole = measure(two_shares.depth(), two_shares.instruments())
    parts = measure(two_shares.batches("depth", rows=97, names=False), two_shares.instruments())

    pd.testing.assert_frame_equal(whole, parts, rtol=1e-12)
    assert np.isfinite(whole["depth"]).all()


def test_bad_input() -> None:
    with pytest.raises(AnalysisError, match="no depth was recorded"):
        depth_shape(BOOKS[:0], INSTRUMENTS)
    with pytest.raises(AnalysisError, match="no depth was recorded"):
        book_shape(BOOKS[:0], INSTRUMENTS)
    with pytest.raises(AnalysisError, match="max_distance is 0"):
        book_shape(BOOKS, INSTRUMENTS, max_distance=0)
    with pytest.raises(AnalysisError, match="coverage is 2"):
        book_shape(BOOKS, INSTRUMENTS, coverage=2)
    with pytest.raises(AnalysisError, match=r"depth has no column 'level'"):
        depth_shape(BOOKS.drop(columns="level"), INSTRUMENTS)


def test_sides_that_cannot_be_read_are_refused(day: simlab.Run) -> None:
    for measure in (depth_shape, book_shape):
        with pytest.raises(AnalysisError, match="depth: side 'offer' is neither 'bid' nor 'ask'"):
            measure(day.depth().assign(side="offer"), day.instruments())
