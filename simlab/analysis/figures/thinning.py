"""Keep of a long series what a screen can show: the extremes of every short range of steps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.tables import Frames, batches

__all__ = ["POINTS", "RangeMeans", "thin", "thin_frames"]

POINTS = 2_000
"""Points of a line at most; more than a screen has pixels across."""


def thin(steps: NDArray[np.int64], values: NDArray[np.float64], points: int = POINTS) -> NDArray[np.int64]:
    """Return the positions of the points to draw, in order: the extremes of each of ``points / 2`` ranges.

    A line through them covers the same pixels as one through all points, since no peak is lost. Missing
    values (NaN) are left out. A series of at most `points` keeps every point.

    Parameters
    ----------
    steps : (n,) int64, steps, ascending
    values : (n,) float64
    points : int, at least 2

    Example
    -------
    >>> steps = np.arange(1_000)
    >>> values = np.zeros(1_000)
    >>> values[421] = 9.0
    >>> kept = thin(steps, values, points=10)
    >>> len(kept) <= 10, 421 in kept
    (True, True)
    """
    known = np.flatnonzero(np.isfinite(values))
    if len(known) <= points:
        return known
    span = int(steps[known[-1]]) - int(steps[known[0]]) + 1
    ranges = (steps[known] - steps[known[0]]) * (points // 2) // span
    return known[_extremes(ranges, values[known])]


def _extremes(ranges: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the positions of the first lowest and first highest value of each run of equal `ranges`."""
    starts = np.flatnonzero(np.r_[True, ranges[1:] != ranges[:-1]])
    lengths = np.diff(np.r_[starts, len(values)])
    kept = []
    for extreme in (np.fmin, np.fmax):
        at_extreme = np.flatnonzero(values == np.repeat(extreme.reduceat(values, starts), lengths))
        _, first = np.unique(ranges[at_extreme], return_index=True)
        kept.append(at_extreme[first])
    return np.unique(np.concatenate(kept))


def thin_frames(frames: Frames, columns: Iterable[str], width: int, table: str) -> pd.DataFrame:
    """Return the rows of a table that hold an extreme of one of `columns` in a range of `width` steps.

    One pass in bounded memory; the last row of every instrument is kept as well, for it is the final state.

    Parameters
    ----------
    frames : Frames
        Columns ``step``, ``instrument`` (int) and `columns`, rows in order of steps.
    columns : iterable of str
    width : int
        Steps of a range; 1 keeps every row that has a value.
    table : str
        Name of the table, for errors.

    Returns
    -------
    DataFrame
        ``step``, ``instrument`` and `columns`, in order.
    """
    columns = list(columns)
    kept = [
        _thin_group(group, columns, width)
        for frame in batches(frames, ("step", "instrument", *columns), table)
        for _, group in frame.groupby("instrument", observed=True)
    ]
    empty = pd.DataFrame(columns=["step", "instrument", *columns], dtype=float)
    return pd.concat(kept).sort_values(["step", "instrument"], ignore_index=True) if kept else empty


def _thin_group(group: pd.DataFrame, columns: list[str], width: int) -> pd.DataFrame:
    ranges = group["step"].to_numpy(np.int64) // width
    kept = [np.array([len(group) - 1])]
    for name in columns:
        values = group[name].to_numpy(float)
        known = np.flatnonzero(np.isfinite(values))
        if len(known):
            kept.append(known[_extremes(ranges[known], values[known])])
    return group[["step", "instrument", *columns]].iloc[np.unique(np.concatenate(kept))]


class RangeMeans:
    """Sums and means of columns over equal ranges of steps, gathered batch by batch.

    Parameters
    ----------
    steps : int
        Steps of the run.
    ranges : int
        Ranges to divide them into at most.

    Example
    -------
    >>> means = RangeMeans(steps=4, ranges=2)
    >>> means.add(np.array([0, 1, 2]), spread=np.array([1.0, 3.0, 5.0]))
    >>> means.frame()["spread"].tolist()
    [2.0, 5.0]
    """

    def __init__(self, steps: int, ranges: int) -> None:
        self.width = max(1, -(-steps // ranges))
        """Steps of a range."""
        self._ranges = max(1, -(-steps // self.width))
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._counts: dict[str, NDArray[np.int64]] = {}

    def add(self, steps: NDArray[np.int64], **columns: NDArray[np.float64]) -> None:
        """Add rows; missing values (NaN) count for nothing."""
        places = np.clip(steps // self.width, 0, self._ranges - 1)
        for name, values in columns.items():
            known = np.isfinite(values)
            sums = np.bincount(places[known], values[known], self._ranges).astype(np.float64)
            counts = np.bincount(places[known], minlength=self._ranges)
            self._sums[name] = self._sums.get(name, 0.0) + sums
            self._counts[name] = self._counts.get(name, 0) + counts

    def frame(self) -> pd.DataFrame:
        """Return the mean of each column by range: ``step`` (the first of the range) and the columns."""
        return self._divided({name: np.where(it > 0, it, np.nan) for name, it in self._counts.items()})

    def sums(self) -> pd.DataFrame:
        """Return the sum of each column by range: ``step`` (the first of the range) and the columns."""
        return self._divided({name: np.ones(self._ranges) for name in self._counts})

    def _divided(self, by: dict[str, NDArray[np.float64]]) -> pd.DataFrame:
        steps = np.arange(self._ranges, dtype=np.int64) * self.width
        return pd.DataFrame({"step": steps} | {name: self._sums[name] / by[name] for name in self._sums})
