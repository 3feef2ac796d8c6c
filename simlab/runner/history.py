"""Read from a recording what features are computed from: the end of every step of an instrument, and news."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.features import NewsRows
from simlab.agents.history import HISTORY_DTYPE, HISTORY_LEVELS
from simlab.errors import RecordingError

if TYPE_CHECKING:
    import pandas as pd

    from simlab.recording import Run

__all__ = ["recorded_history", "recorded_news"]

_SIDES = {"bid": "bid_depths", "ask": "ask_depths"}


def recorded_history(run: Run, instrument: str, *, levels: int = 0) -> NDArray[Any]:
    """Return the end of every step of an instrument, as a strategy that looks back sees it.

    Parameters
    ----------
    run : Run
    instrument : str
        Its name.
    levels : int
        Levels of the book that are wanted beyond the best prices, at most `HISTORY_LEVELS`; with 0 the depths
        of all levels stay 0.

    Returns
    -------
    (n,) HISTORY_DTYPE
        The same numbers as `BatchObservation.history`, for all steps.

    Raises
    ------
    RecordingError
        When the run has no such instrument, or did not record every step.
    """
    quotes = run.quotes(instrument=instrument, names=False)
    steps = quotes["step"].to_numpy(np.int64)
    if not len(steps) or (np.diff(steps) != 1).any():
        apart = f"quotes {int(np.diff(steps).max())} steps apart" if len(steps) > 1 else "no quotes"
        raise RecordingError(
            f"{run.path}: features are of every step, and the run has {apart} of {instrument}; record it"
            " with --set recording.quotes_every=1"
        )
    terms = run.instruments().set_index("name").loc[instrument]
    rows = np.zeros(len(quotes), HISTORY_DTYPE)
    rows["step"], rows["volume"] = steps, quotes["volume"]
    for name in ("best_bid", "bid_depth", "best_ask", "ask_depth"):
        rows[name] = quotes[name].fillna(0)
    rows["last_price"] = quotes["last_price"].fillna(terms["initial_price"])
    mid = 0.5 * (quotes["best_bid"] + quotes["best_ask"])
    rows["mid"] = mid.ffill().fillna(float(terms["initial_price"]))
    rows["bought"] = _bought(run, instrument, steps)
    if levels:
        _add_depths(rows, run, instrument, levels)
    return rows


def recorded_news(run: Run) -> NewsRows:
    """Return all news of a run."""
    news = run.news(columns=("step", "instrument", "sentiment"), names=False)
    return NewsRows(*(news[name].to_numpy(dtype) for name, dtype in _NEWS.items()))


_NEWS = {"step": np.int64, "instrument": np.int64, "sentiment": np.float64}


def _bought(run: Run, instrument: str, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the lots that aggressors bought up to the end of each step."""
    total = np.zeros(len(steps), np.int64)
    columns = ("step", "aggressor_side", "quantity")
    for trades in run.batches("trades", columns=columns, instrument=instrument, names=False):
        buys = trades[trades["aggressor_side"] == "buy"]
        np.add.at(total, buys["step"].to_numpy(np.int64) - steps[0], buys["quantity"].to_numpy(np.int64))
    return np.cumsum(total)


def _add_depths(rows: NDArray[Any], run: Run, instrument: str, levels: int) -> None:
    """Fill in the depths of the best levels, step by step."""
    depth: pd.DataFrame = run.depth(instrument=instrument, names=False)
    plan = run.config.get("recording", {})
    every, most = plan.get("depth_every"), plan.get("depth_levels", 0)
    if every != 1 or most < levels:
        raise RecordingError(
            f"{run.path}: a feature looks at {levels} levels of the book in every step, and the run recorded"
            f" {most} levels every {every} steps; record it with --set recording.depth_every=1"
            f" --set recording.depth_levels={max(levels, HISTORY_LEVELS)}"
        )
    depth = depth[depth["level"] < HISTORY_LEVELS]
    for side, name in _SIDES.items():
        of = depth[depth["side"] == side]
        place = of["step"].to_numpy(np.int64) - int(rows["step"][0])
        rows[name][place, of["level"].to_numpy(np.int64)] = of["depth"]
