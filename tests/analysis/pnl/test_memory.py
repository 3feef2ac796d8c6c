"""Peak memory of what holds the mid of every step: a few bytes a step, however many batches there are."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest

from simlab.analysis.pnl import attribution, pnl
from simlab.analysis.tables import Mids

STEPS = 5_000_000
BATCH = 100_000
BYTES_A_STEP = 24

TERMS = pd.DataFrame(
    {
        "instrument": [0],
        "name": ["A"],
        "initial_price": [100],
        "multiplier": [1],
        "maker_fee_ppm": [0],
        "taker_fee_ppm": [0],
    }
)
AGENTS = pd.DataFrame({"account": [0, 1], "name": ["t", "m"], "population": ["takers", "makers"]})
TRADES = pd.DataFrame({"step": [7], "instrument": 0, "price": 101, "quantity": 2, "aggressor_side": "buy"})
TRADES = TRADES.assign(taker_account=0, maker_account=1)


def quotes() -> Iterator[pd.DataFrame]:
    """Yield five million quotes, of which each batch is let go."""
    for start in range(0, STEPS, BATCH):
        steps = np.arange(start, start + BATCH)
        best_bid = np.where(steps % 5 == 4, np.nan, 99.0 + steps % 3)
        yield pd.DataFrame({"step": steps, "instrument": 0, "best_bid": best_bid, "best_ask": 103.0})


def peak_of(measure: Callable[[], object]) -> int:
    """Return the bytes that a call allocates beyond what was there, at most at one time."""
    tracemalloc.start()
    try:
        measure()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "measure",
    [
        lambda: Mids(quotes(), TERMS),
        lambda: pnl(TRADES, quotes(), AGENTS, TERMS),
        lambda: attribution(TRADES, quotes(), AGENTS, TERMS),
    ],
    ids=["mids", "pnl", "attribution"],
)
def test_mids_of_long_runs_take_a_few_bytes_a_step(measure: Callable[[], object]) -> None:
    pd.DataFrame({"step": [0]}).groupby("step").size()  # what pandas imports on use is not counted

    assert peak_of(measure) < BYTES_A_STEP * STEPS


def test_mids_of_a_long_run_are_right_at_every_step() -> None:
    mids = Mids(quotes(), TERMS)
    steps = np.arange(STEPS)
    steps[4::5] -= 1  # a quote without a bid keeps the mid of the step before
    assert (mids.series(0) == (99 + steps % 3 + 103) / 2).all()
