"""Look up the mid price of every instrument by step, as it was last known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from simlab.analysis.tables.frames import Frames, batches, in_order, numbers
from simlab.errors import AnalysisError

__all__ = ["Mids", "NoQuotesError", "in_basis_points"]

_GROWTH = 1.5


class NoQuotesError(AnalysisError):
    """There are no quotes, so there is no mid price."""


class Mids:
    """The mid price of every instrument at the end of every step, as it was last known.

    Where a side of the book is empty the mid of an earlier step holds; before the first, the initial price.
    Between quotes that were recorded every few steps the last one holds: `every` says how far they are apart,
    and what needs the mid of each step has to ask for it (`require_every_step`, `series`).

    Memory is 8 bytes a step and instrument, half as much again while the quotes are read.

    Parameters
    ----------
    quotes : Frames
        Columns ``step``, ``instrument``, ``best_bid``, ``best_ask``; rows in order of steps.
    instruments : DataFrame
        Columns ``instrument``, ``name``, ``initial_price``.
    table : str
        What the errors call the quotes.

    Attributes
    ----------
    steps : int
        Number of steps: the last recorded step and one.
    every : int
        Steps from one quote to the next: the smallest distance, of the instrument where it is largest. With
        one quote, from the start of the run to it.

    Raises
    ------
    NoQuotesError
        When there are no quotes.
    AnalysisError
        When there are quotes of an instrument that is not in the table, or steps that are negative
        or out of order.

    Example
    -------
    >>> quotes = pd.DataFrame({"step": [0, 1], "instrument": 0, "best_bid": [99, 98], "best_ask": [101, 101]})
    >>> mids = Mids(quotes, pd.DataFrame({"instrument": [0], "name": ["A"], "initial_price": [100]}))
    >>> mids.at(0, [-1, 0, 1]).tolist()
    [100.0, 100.0, 99.5]
    """

    def __init__(self, quotes: Frames, instruments: pd.DataFrame, *, table: str = "quotes") -> None:
        self._table = table
        initial = dict(zip(instruments["instrument"], instruments["initial_price"], strict=True))
        found: dict[int, _Series] = {}
        last = 0
        for frame in batches(quotes, ("step", "instrument", "best_bid", "best_ask"), table):
            steps = frame["step"].to_numpy(np.int64)
            last = in_order(steps, last, table)
            mid = (frame["best_bid"].to_numpy(float) + frame["best_ask"].to_numpy(float)) / 2
            instrument = numbers(frame["instrument"], instruments, "instrument")
            for number in np.unique(instrument).tolist():
                if number not in initial:
                    raise AnalysisError(
                        f"{table} are of instrument {number}, which the table instruments does not have; "
                        f"it has {', '.join(map(str, initial))}"
                    )
                mine = instrument == number
                found.setdefault(number, _Series(initial[number])).add(steps[mine], mid[mine])
        if not found:
            raise NoQuotesError("there are no quotes; record the run with recording.quotes_every: 1")
        self.steps = last + 1
        apart = max(series.every for series in found.values())
        self.every = apart or 1 + min(series.first for series in found.values())
        self._first = {number: series.first for number, series in found.items()}
        self._by_instrument = {number: found[number].finished(self.steps) for number in sorted(found)}

    def at(self, instrument: int, steps: ArrayLike) -> NDArray[np.float64]:
        """Return the mid at the end of each step; -1 is before the first, past the end is the last."""
        return self._by_instrument[instrument][np.clip(np.asarray(steps, np.int64) + 1, 0, self.steps)]

    def series(self, instrument: int) -> NDArray[np.float64]:
        """Return the mid at the end of every step, ``(steps,) float64``, price units.

        Raises AnalysisError when quotes were not recorded at every step; see `sampled`.
        """
        self.require_every_step("the series of the mid")
        return self._by_instrument[instrument][1:]

    def sampled(self, instrument: int) -> NDArray[np.float64]:
        """Return the mid at every `every`-th step from the first quote on, ``(n,) float64``, price units.

        Example
        -------
        >>> quotes = pd.DataFrame({"step": [0, 10, 20], "instrument": 0, "best_bid": [99, 98, 97]})
        >>> table = pd.DataFrame({"instrument": [0], "name": ["A"], "initial_price": [100]})
        >>> Mids(quotes.assign(best_ask=101), table).sampled(0).tolist()
        [100.0, 99.5, 99.0]
        """
        return self._by_instrument[instrument][self._first[instrument] + 1 :: self.every]

    def require_every_step(self, what: str) -> None:
        """Raise AnalysisError, which names `what` needs it, unless quotes were recorded at every step."""
        if self.every > 1:
            raise AnalysisError(
                f"{what} takes the mid of every step, and the {self._table} are {self.every} steps apart; "
                "record the run with recording.quotes_every: 1"
            )

    @property
    def instruments(self) -> list[int]:
        """The instruments that have quotes."""
        return list(self._by_instrument)


class _Series:
    """The mids of one instrument, carried forward while they are read; place 0 is before the first step."""

    def __init__(self, initial_price: float) -> None:
        self._mids = np.array([initial_price], np.float64)
        self._end = 1
        self._last: int | None = None
        self.first = 0
        self.every = 0
        """The smallest distance between two quotes; 0 with one quote."""

    def add(self, steps: NDArray[np.int64], mids: NDArray[np.float64]) -> None:
        """Add ``(n,)`` quotes in order; NaN is a quote with an empty side."""
        start = int(steps[0])
        if self._last is None:
            self.first = start
        apart = np.diff(steps, prepend=start if self._last is None else self._last)
        nearest = int(apart.min(where=apart > 0, initial=self.every or np.iinfo(np.int64).max))
        self.every = nearest if (apart > 0).any() else self.every
        self._carry_to(start + 1)
        known = _carried(mids, self._mids[start])
        end = int(steps[-1]) + 2
        self._reserve(end)
        self._mids[start + 1 : end] = np.repeat(known, np.diff(steps, append=steps[-1] + 1))
        self._end, self._last = end, end - 2

    def finished(self, steps: int) -> NDArray[np.float64]:
        """Return the mids up to the last step of the run, ``(steps + 1,) float64``."""
        self._carry_to(steps + 1)
        self._mids.resize(steps + 1, refcheck=False)
        return self._mids

    def _carry_to(self, end: int) -> None:
        self._reserve(end)
        self._mids[self._end : end] = self._mids[self._end - 1]
        self._end = max(self._end, end)

    def _reserve(self, size: int) -> None:
        if size > len(self._mids):  # in place where the allocator can, so that there are no two copies
            self._mids.resize(max(size, int(_GROWTH * len(self._mids))), refcheck=False)


def in_basis_points(amounts: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return amounts in basis points of prices, ``(n,) float64``; NaN where a price is 0 or below.

    Example
    -------
    >>> in_basis_points(np.array([2.0, 2.0]), np.array([100.0, -100.0])).tolist()
    [200.0, nan]
    """
    return 1e4 * amounts / np.where(of > 0, of, np.nan)


def _carried(mids: NDArray[np.float64], before: float) -> NDArray[np.float64]:
    """Return the mids with the last known one where there is none."""
    known = np.concatenate([[before], mids])
    places = np.where(np.isnan(known), 0, np.arange(len(known)))
    return known[np.maximum.accumulate(places)][1:]
