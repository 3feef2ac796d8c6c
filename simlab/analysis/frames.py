"""Take tables in: one DataFrame or many, columns checked, mid prices looked up by step."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from simlab.errors import AnalysisError

__all__ = ["Frames", "Mids", "batches", "numbers", "require"]

Frames: TypeAlias = "pd.DataFrame | Iterable[pd.DataFrame]"
"""A table: one DataFrame, or its rows in order in several, as `Run.batches` gives them."""


def require(frame: pd.DataFrame, columns: Iterable[str], table: str) -> pd.DataFrame:
    """Return the frame; raises AnalysisError that names the columns it lacks and those it has."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        nearest = difflib.get_close_matches(missing[0], map(str, frame.columns), 1)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        raise AnalysisError(
            f"{table} has no column {', '.join(map(repr, missing))}{hint}; "
            f"it has {', '.join(map(str, frame.columns))}"
        )
    return frame


def batches(frames: Frames, columns: Iterable[str], table: str) -> Iterator[pd.DataFrame]:
    """Iterate over the frames of a table, each checked for its columns; empty frames are left out."""
    columns = tuple(columns)
    for frame in [frames] if isinstance(frames, pd.DataFrame) else frames:
        require(frame, columns, table)
        if len(frame):
            yield frame


def numbers(values: pd.Series, named: pd.DataFrame, key: str) -> NDArray[np.int64]:
    """Return instrument or account numbers of a column that holds numbers or names.

    Parameters
    ----------
    values : Series
        Numbers, or names (text or categories).
    named : DataFrame
        The table ``instruments`` or ``agents``: columns `key` and ``name``.
    key : str
        ``"instrument"`` or ``"account"``.

    Example
    -------
    >>> table = pd.DataFrame({"instrument": [0, 1], "name": ["A", "B"]})
    >>> numbers(pd.Series(["B", "A"]), table, "instrument").tolist()
    [1, 0]
    """
    if pd.api.types.is_integer_dtype(values.dtype):
        return values.to_numpy(np.int64)
    by_name = dict(zip(named["name"], named[key], strict=True))
    codes, labels = pd.factorize(values)
    unknown = [label for label in labels if label not in by_name]
    if unknown or (codes < 0).any():
        what = repr(unknown[0]) if unknown else "a missing value"
        raise AnalysisError(f"{key} {what} is not in the table that names them; it has {len(by_name)} rows")
    return np.array([by_name[label] for label in labels], np.int64)[codes]


class Mids:
    """The mid price of every instrument at the end of every step, as it was last known.

    Where a side of the book is empty the mid of an earlier step holds; before the first, the initial price.

    Parameters
    ----------
    quotes : Frames
        Columns ``step``, ``instrument``, ``best_bid``, ``best_ask``; rows in order of steps.
    instruments : DataFrame
        Columns ``instrument``, ``name``, ``initial_price``.

    Raises
    ------
    AnalysisError
        When there are no quotes, or quotes of an instrument that is not in the table.

    Example
    -------
    >>> quotes = pd.DataFrame({"step": [0, 1], "instrument": 0, "best_bid": [99, 98], "best_ask": [101, 101]})
    >>> mids = Mids(quotes, pd.DataFrame({"instrument": [0], "name": ["A"], "initial_price": [100]}))
    >>> mids.at(0, [-1, 0, 1]).tolist()
    [100.0, 100.0, 99.5]
    """

    def __init__(self, quotes: Frames, instruments: pd.DataFrame) -> None:
        found = [
            pd.DataFrame(
                {
                    "step": frame["step"].to_numpy(np.int64),
                    "instrument": numbers(frame["instrument"], instruments, "instrument"),
                    "mid": (frame["best_bid"].to_numpy(float) + frame["best_ask"].to_numpy(float)) / 2,
                }
            )
            for frame in batches(quotes, ("step", "instrument", "best_bid", "best_ask"), "quotes")
        ]
        if not found:
            raise AnalysisError("there are no quotes; record the run with recording.quotes_every: 1")
        rows = pd.concat(found, ignore_index=True)
        self.steps = int(rows["step"].max()) + 1
        """Number of steps: the last recorded step and one."""
        self._by_instrument: dict[int, NDArray[np.float64]] = {}
        initial = instruments.set_index("instrument")["initial_price"]
        for instrument, group in rows.groupby("instrument"):
            if instrument not in initial.index:
                raise AnalysisError(
                    f"quotes are of instrument {instrument}, which the table instruments does not have; "
                    f"it has {', '.join(map(str, initial.index))}"
                )
            dense = np.full(self.steps + 1, np.nan)
            dense[0] = initial[instrument]
            dense[group["step"].to_numpy() + 1] = group["mid"]
            self._by_instrument[int(instrument)] = pd.Series(dense).ffill().to_numpy()

    def at(self, instrument: int, steps: ArrayLike) -> NDArray[np.float64]:
        """Return the mid at the end of each step; -1 is before the first, past the end is the last."""
        return self._by_instrument[instrument][np.clip(np.asarray(steps, np.int64) + 1, 0, self.steps)]

    def series(self, instrument: int) -> NDArray[np.float64]:
        """Return the mid at the end of every step, ``(steps,) float64``, price units."""
        return self._by_instrument[instrument][1:]

    @property
    def instruments(self) -> list[int]:
        """The instruments that have quotes."""
        return list(self._by_instrument)
