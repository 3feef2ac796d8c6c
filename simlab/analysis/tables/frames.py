"""Take tables in: one DataFrame or many, columns checked, names and sides turned into numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.errors import AnalysisError, did_you_mean

__all__ = [
    "EXCHANGE",
    "Frames",
    "ask_sides",
    "batches",
    "finite",
    "in_order",
    "numbers",
    "require",
    "require_steps",
    "signs",
]

EXCHANGE = "exchange"
"""Population of the accounts that are no trader's: the one that fees go to and the one shocks trade from."""

Frames: TypeAlias = "pd.DataFrame | Iterable[pd.DataFrame]"
"""A table: one DataFrame, or its rows in order in several, as `Run.batches` gives them."""


def require(frame: pd.DataFrame, columns: Iterable[str], table: str) -> pd.DataFrame:
    """Return the frame; raises AnalysisError that names the columns it lacks and those it has."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        hint = did_you_mean(missing[0], frame.columns, otherwise="")
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


def signs(values: pd.Series, column: str = "trades: aggressor_side") -> NDArray[np.int8]:
    """Return +1 for every ``buy`` and -1 for every ``sell``, ``(n,) int8``.

    Parameters
    ----------
    values : Series
        Text or categories.
    column : str
        What the error calls it.

    Raises
    ------
    AnalysisError
        For any other value, also one written in capitals.

    Example
    -------
    >>> signs(pd.Series(["sell", "buy"], dtype="category")).tolist()
    [-1, 1]
    """
    return (1 - 2 * _places(values, ("buy", "sell"), column)).astype(np.int8)


def ask_sides(values: pd.Series, column: str = "depth: side") -> NDArray[np.bool_]:
    """Return whether each side of the book is ``ask``; raises AnalysisError unless the others are ``bid``.

    Example
    -------
    >>> ask_sides(pd.Series(["bid", "ask"])).tolist()
    [False, True]
    """
    return _places(values, ("bid", "ask"), column) == 1


def _places(values: pd.Series, allowed: tuple[str, str], column: str) -> NDArray[np.int8]:
    """Return the place of every value among the two allowed; categories are compared once each."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes, labels = values.cat.codes.to_numpy(), values.cat.categories
    else:
        codes, labels = pd.factorize(values)
    missing = [-1]  # code -1, a missing value, takes the last place
    known = np.array([allowed.index(it) if it in allowed else -1 for it in labels] + missing, np.int8)
    places = known[codes]
    if (places < 0).any():
        wrong = values.iloc[int(np.argmax(places < 0))]
        raise AnalysisError(f"{column} {wrong!r} is neither {allowed[0]!r} nor {allowed[1]!r}")
    return places


def finite(values: pd.Series, column: str) -> NDArray[np.float64]:
    """Return a column as ``(n,) float64``; raises AnalysisError for a value that is missing or infinite.

    Example
    -------
    >>> finite(pd.Series([1, 2]), "trades: price").tolist()
    [1.0, 2.0]
    """
    floats = values.to_numpy(np.float64)
    wrong = ~np.isfinite(floats)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise AnalysisError(f"{column} is {floats[row]} in row {row}; leave out rows without a finite value")
    return floats


def in_order(steps: NDArray[np.int64], before: int, table: str) -> int:
    """Return the last of the steps of a frame, in order from the last of the frame before (at first 0).

    Raises
    ------
    AnalysisError
        When a step is less than the one before it, or negative.

    Example
    -------
    >>> in_order(np.array([3, 3, 7]), before=3, table="quotes")
    7
    """
    falls = np.diff(steps, prepend=before) < 0
    if falls.any():
        row = int(np.argmax(falls))
        wrong, above = int(steps[row]), int(steps[row - 1]) if row else before
        if wrong < 0:
            raise AnalysisError(f"{table}: step {wrong} is negative; steps count from 0")
        raise AnalysisError(
            f"{table} are not in order of steps: {wrong} follows {above}; sort them by sequence or step"
        )
    return int(steps[-1])


def require_steps(value: int, name: str, least: int) -> None:
    """Raise AnalysisError unless a number of steps is whole and large enough."""
    if not isinstance(value, (int, np.integer)) or value < least:
        raise AnalysisError(f"{name}={value!r} must be a whole number of steps, at least {least}")
