"""Add up large tables batch by batch: sums by instrument, sums by interval, and tables watched in passing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.tables.frames import Frames, batches
from simlab.analysis.tables.mids import Mids
from simlab.errors import AnalysisError

__all__ = ["IntervalSums", "Sums", "instrument_names", "quoted_mids", "watched"]

_INTERVALS_PER_INSTRUMENT = 1 << 40
_COMPACT_AFTER = 64


class Sums:
    """Sums of several quantities by instrument.

    Parameters
    ----------
    instruments : DataFrame
        Column ``instrument``: numbers from 0.

    Example
    -------
    >>> sums = Sums(pd.DataFrame({"instrument": [0, 1]}))
    >>> sums.add(np.array([0, 1, 1]), volume=np.array([5, 2, 3]))
    >>> sums["volume"].tolist()
    [5.0, 5.0]
    """

    def __init__(self, instruments: pd.DataFrame) -> None:
        self._size = int(instruments["instrument"].max()) + 1
        self._sums: dict[str, NDArray[np.float64]] = {}

    def add(self, instrument: NDArray[np.int64], **values: NDArray[np.number]) -> None:
        """Add ``(n,)`` values of each quantity; raises AnalysisError for an instrument out of the table."""
        highest = int(instrument.max(initial=0))
        if highest >= self._size:
            raise AnalysisError(
                f"instrument {highest} is not in the table instruments, which ends at {self._size - 1}; give "
                "the instruments of the same run"
            )
        for name, value in values.items():
            self._sums[name] = self[name] + np.bincount(instrument, value, minlength=self._size)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self._sums.get(name, np.zeros(self._size))


class IntervalSums:
    """Sums by instrument and by interval of equally many steps; interval 0 holds steps 0 to `interval` - 1.

    Memory follows the number of intervals in which something happened.

    Example
    -------
    >>> sums = IntervalSums(10)
    >>> sums.add(np.array([0, 0]), np.array([3, 14]), np.array([5.0, 2.0]))
    >>> sums.dense(0, 3).tolist()
    [5.0, 2.0, 0.0]
    """

    def __init__(self, interval: int) -> None:
        if interval < 1:
            raise AnalysisError(f"interval is {interval} steps; an interval has at least 1 step")
        self.interval = interval
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []

    def add(self, instrument: NDArray[np.int64], step: NDArray[np.int64], value: NDArray[np.number]) -> None:
        """Add ``(n,)`` values to the intervals of their steps."""
        keys = instrument * _INTERVALS_PER_INSTRUMENT + step // self.interval
        self._parts.append(_summed(keys, value))
        if len(self._parts) >= _COMPACT_AFTER:
            self._compact()

    def _compact(self) -> None:
        if len(self._parts) > 1:
            keys, values = (np.concatenate(column) for column in zip(*self._parts, strict=True))
            self._parts = [_summed(keys, values)]

    def dense(self, instrument: int, intervals: int) -> NDArray[np.float64]:
        """Return the sums of the first intervals of one instrument, ``(intervals,) float64``."""
        self._compact()
        result = np.zeros(intervals)
        for keys, values in self._parts:
            mine = (keys // _INTERVALS_PER_INSTRUMENT == instrument) & (
                keys % _INTERVALS_PER_INSTRUMENT < intervals
            )
            result[keys[mine] % _INTERVALS_PER_INSTRUMENT] = values[mine]
        return result


def _summed(
    keys: NDArray[np.int64], values: NDArray[np.number]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    distinct, place = np.unique(keys, return_inverse=True)
    return distinct, np.bincount(place, values, minlength=len(distinct)).astype(float)


def watched(
    frames: Frames, columns: Iterable[str], table: str, *watchers: Callable[[pd.DataFrame], object]
) -> Iterator[pd.DataFrame]:
    """Pass the frames of a table on after each watcher has seen them: several measures, one reading.

    Example
    -------
    >>> rows = []
    >>> table = pd.DataFrame({"step": [0, 1]})
    >>> sum(len(frame) for frame in watched(table, ["step"], "quotes", lambda frame: rows.append(len(frame))))
    2
    >>> rows
    [2]
    """
    for frame in batches(frames, columns, table):
        for watcher in watchers:
            watcher(frame)
        yield frame


def instrument_names(instruments: pd.DataFrame) -> dict[int, str]:
    """Return the name of every instrument by its number.

    Example
    -------
    >>> instrument_names(pd.DataFrame({"instrument": [0], "name": ["ACME"]}))
    {0: 'ACME'}
    """
    return {
        int(number): str(name) for number, name in instruments[["instrument", "name"]].itertuples(index=False)
    }


def quoted_mids(mids: Mids, instrument: NDArray[np.int64], step: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mids of many instruments at the ends of steps, ``(n,) float64``, price units.

    Raises
    ------
    AnalysisError
        When an instrument has no quotes.

    Example
    -------
    >>> quotes = pd.DataFrame({"step": [0], "instrument": [0], "best_bid": [99], "best_ask": [101]})
    >>> table = pd.DataFrame({"instrument": [0], "name": ["A"], "initial_price": [90]})
    >>> quoted_mids(Mids(quotes, table), np.array([0, 0]), np.array([-1, 0])).tolist()
    [90.0, 100.0]
    """
    result = np.empty(len(step))
    for number in np.unique(instrument).tolist():
        if number not in mids.instruments:
            raise AnalysisError(
                f"instrument {number} has trades but no quotes; give the quotes of the same run"
            )
        mine = instrument == number
        result[mine] = mids.at(number, step[mine])
    return result
