"""Find how long a run takes to forget how it started: MSER-5 on absolute returns, spread and depth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.tables import batches, instrument_names
from simlab.errors import AnalysisError
from simlab.recording import Run

__all__ = ["mser", "warmup"]

_BATCH = 5
_LEAST_BATCHES = 20
_LAST_BATCHES = 5
_MOST_BATCHES = 500
_MEASURES = ("absolute return", "spread", "depth")
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
    cut = _truncation(np.asarray(values[: count * batch], float).reshape(count, batch).mean(axis=1))
    return None if cut is None else cut * batch


def _truncation(batch_means: NDArray[np.float64]) -> int | None:
    """Return how many batches to leave out; None when that is more than half of them."""
    means = batch_means - batch_means.mean()
    count = len(means)
    left = np.arange(count, 0, -1)
    sums, squares = np.cumsum(means[::-1])[::-1], np.cumsum(means[::-1] ** 2)[::-1]
    error = np.maximum(squares - sums**2 / left, 0.0) / left.astype(float) ** 2
    cut = int(np.argmin(error[:-_LAST_BATCHES]))
    return cut if cut <= count // 2 else None


def warmup(run: Run) -> pd.DataFrame:
    """Return how many steps of a run to leave out, as its absolute returns, spread and depth tell.

    `mser` with batches of 5 quotes; from 2,500 quotes on with longer ones, 250 to 500 of them, for the rule
    is misled by batches that depend on each other. They double whenever there are 500, so that a run of any
    length is read in bounded memory.

    Parameters
    ----------
    run : Run
        With quotes; an absolute return is that of the log mid from one quote to the next, depth the mean of
        the lots at the best bid and ask.

    Returns
    -------
    DataFrame
        ``instrument``, ``measure`` (absolute return, spread, depth), ``steps`` (float64, steps; NaN when
        the run is too short to tell).

    Raises
    ------
    AnalysisError
        When an instrument has fewer than 101 quotes with both sides, or a mid of 0 or below.

    Example
    -------
    >>> warmup(run)["steps"].max()  # doctest: +SKIP
    """
    names = instrument_names(run.instruments())
    rows = []
    for number, series in _read(run).items():
        if series.quotes <= _LEAST_BATCHES * _BATCH:
            raise AnalysisError(
                f"{run.path}: {names[number]} has {series.quotes} quotes with both sides, and finding a "
                f"warm-up needs {_LEAST_BATCHES * _BATCH + 1}; give the steps to leave out"
            )
        for measure, steps in zip(_MEASURES, series.truncations(), strict=True):
            rows.append({"instrument": names[number], "measure": measure, "steps": steps})
    if not rows:
        raise AnalysisError(
            f"{run.path} has no quotes with both sides; record with recording.quotes_every: 1"
        )
    return pd.DataFrame(rows)


def _read(run: Run) -> dict[int, _BatchMeans]:
    """Return the batch means of the quotes with both sides of each instrument."""
    found: dict[int, _BatchMeans] = {}
    for frame in batches(run.batches("quotes", columns=_COLUMNS, names=False), _COLUMNS, "quotes"):
        both = frame[frame["best_bid"].notna() & frame["best_ask"].notna()]
        for number, group in both.groupby("instrument"):
            found.setdefault(int(number), _BatchMeans()).add(group)
    return dict(sorted(found.items()))


class _BatchMeans:
    """Means of equally long batches of the series of one instrument, at most 500 at any time.

    A value belongs to the step of a quote and looks at the next: the last quote of a run has none.
    """

    def __init__(self) -> None:
        self.quotes = 0
        self._size = _BATCH
        self._starts = np.empty(0, np.int64)
        self._means = np.empty((0, len(_MEASURES)))
        self._rest = np.empty((0, 1 + len(_MEASURES)))
        self._last = np.empty((0, 4))

    def add(self, quotes: pd.DataFrame) -> None:
        """Add quotes with both sides, in order of steps."""
        self.quotes += len(quotes)
        bid, ask = quotes["best_bid"].to_numpy(float), quotes["best_ask"].to_numpy(float)
        if (bid + ask).min() <= 0:
            raise AnalysisError("mids reach 0 or below, and returns take prices above 0; give steps")
        depth = (quotes["bid_depth"].to_numpy(float) + quotes["ask_depth"].to_numpy(float)) / 2
        columns = (quotes["step"].to_numpy(float), np.log((bid + ask) / 2), ask - bid, depth)
        known = np.concatenate([self._last, np.column_stack(columns)])
        self._last = known[-1:]
        values = known[:-1].copy()
        values[:, 1] = np.abs(np.diff(known[:, 1]))
        self._add_values(np.concatenate([self._rest, values]))

    def _add_values(self, values: NDArray[np.float64]) -> None:
        while len(values) >= self._size:
            count = min(len(values) // self._size, _MOST_BATCHES - len(self._means))
            batch = values[: count * self._size].reshape(count, self._size, -1)
            values = values[count * self._size :]
            self._starts = np.r_[self._starts, batch[:, 0, 0].astype(np.int64)]
            self._means = np.concatenate([self._means, batch[:, :, 1:].mean(axis=1)])
            if len(self._means) == _MOST_BATCHES:
                self._size *= 2
                self._starts = self._starts[::2]
                self._means = (self._means[::2] + self._means[1::2]) / 2
        self._rest = values

    def truncations(self) -> list[float]:
        """Return for each series the steps to leave out; NaN where it is too short to tell."""
        cuts = [_truncation(means) for means in self._means.T]
        return [np.nan if cut is None else float(self._starts[cut] - self._starts[0]) for cut in cuts]
