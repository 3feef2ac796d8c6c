"""Find how long a run takes to forget how it started: MSER-5 on volatility, spread and depth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.frames import batches
from simlab.errors import AnalysisError
from simlab.recording import Run

__all__ = ["mser", "warmup"]

_BATCH = 5
_LEAST_BATCHES = 20
_LAST_BATCHES = 5
_BATCHES = 250
_COLUMNS = ("step", "instrument", "best_bid", "bid_depth", "best_ask", "ask_depth")


def mser(values: NDArray[np.float64], batch: int = _BATCH) -> int | None:
    """Return how many values at the start of a series to leave out, by the marginal standard error rule.

    The series is averaged in batches; of all truncation points the one is taken after which the squared
    standard error of the mean, ``sum((Y_i - mean)^2) / m^2`` over the m batches left, is least. The last five
    batches are no candidates, for the few values left can agree by chance.

    Parameters
    ----------
    values : (n,) float64
        Finite, at equal distances.
    batch : int
        Values of a batch; 5 makes it MSER-5.

    Returns
    -------
    int or None
        Values to leave out, a multiple of `batch`; None when it is in the second half, so that the series is
        too short to tell.

    Raises
    ------
    AnalysisError
        When there are fewer than 20 batches.

    Example
    -------
    >>> noise = np.random.default_rng(0).standard_normal(1_000)
    >>> mser(noise + np.where(np.arange(1_000) < 100, 20.0, 0.0))
    100

    References
    ----------
    White 1997, Simulation 69, 323-334; White, Cobb and Spratt 2000, Winter Simulation Conference, 755-765.
    The half: Hoad, Robinson and Davies 2010, Journal of the Operational Research Society 61, 1389-1403.
    """
    count = len(values) // batch
    if count < _LEAST_BATCHES:
        raise AnalysisError(
            f"{len(values)} values make {count} batches of {batch}; finding a warm-up needs {_LEAST_BATCHES}"
        )
    means = np.asarray(values[: count * batch], float).reshape(count, batch).mean(axis=1)
    means = means - means.mean()
    left = np.arange(count, 0, -1)
    sums, squares = np.cumsum(means[::-1])[::-1], np.cumsum(means[::-1] ** 2)[::-1]
    error = np.maximum(squares - sums**2 / left, 0.0) / left.astype(float) ** 2
    cut = int(np.argmin(error[:-_LAST_BATCHES]))
    return cut * batch if cut <= count // 2 else None


def warmup(run: Run) -> pd.DataFrame:
    """Return how many steps of a run to leave out, as its volatility, spread and depth tell.

    `mser` with batches of 5 quotes; in a long run with longer ones, about 250 of them, for the rule is misled
    by batches that depend on each other.

    Parameters
    ----------
    run : Run
        With quotes; volatility is the absolute change of the log mid from one quote to the next, depth the
        mean of the lots at the best bid and ask.

    Returns
    -------
    DataFrame
        ``instrument``, ``measure`` (volatility, spread, depth), ``steps`` (float64, steps; NaN when the run
        is too short to tell).

    Raises
    ------
    AnalysisError
        When an instrument has fewer than 101 quotes with both sides.

    Example
    -------
    >>> warmup(run)["steps"].max()  # doctest: +SKIP
    """
    names = dict(run.instruments()[["instrument", "name"]].itertuples(index=False))
    rows = []
    for number, quotes in _quotes(run):
        steps = quotes["step"].to_numpy(np.int64)
        if len(steps) <= _LEAST_BATCHES * _BATCH:
            raise AnalysisError(
                f"{run.path}: {names[number]} has {len(steps)} quotes with both sides, and finding a warm-up "
                f"needs {_LEAST_BATCHES * _BATCH + 1}; give the steps to leave out"
            )
        for measure, values in _series(quotes):
            cut = mser(values, max(_BATCH, len(values) // _BATCHES))
            found = np.nan if cut is None else float(steps[cut] - steps[0])
            rows.append({"instrument": names[number], "measure": measure, "steps": found})
    if not rows:
        raise AnalysisError(
            f"{run.path} has no quotes with both sides; record with recording.quotes_every: 1"
        )
    return pd.DataFrame(rows)


def _quotes(run: Run) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield the quotes with both sides of each instrument, as little as the series below need."""
    parts = []
    for frame in batches(run.batches("quotes", columns=_COLUMNS, names=False), _COLUMNS, "quotes"):
        both = frame[frame["best_bid"].notna() & frame["best_ask"].notna()]
        table = {
            "step": both["step"],
            "instrument": both["instrument"],
            "mid": (both["best_bid"] + both["best_ask"]) / 2,
            "spread": both["best_ask"] - both["best_bid"],
            "depth": (both["bid_depth"] + both["ask_depth"]) / 2,
        }
        parts.append(pd.DataFrame(table))
    if parts:
        for number, group in pd.concat(parts).groupby("instrument"):
            yield int(number), group


def _series(quotes: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.float64]]]:
    yield "volatility", np.abs(np.diff(np.log(quotes["mid"].to_numpy(float))))
    yield "spread", quotes["spread"].to_numpy(float)
    yield "depth", quotes["depth"].to_numpy(float)
