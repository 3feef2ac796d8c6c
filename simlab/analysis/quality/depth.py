"""Depth: how much rests in the book, by level and by distance from the best or the mid price."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from simlab.analysis.tables import Frames, ask_sides, batches, instrument_names, numbers
from simlab.errors import AnalysisError

__all__ = ["DEPTH_COLUMNS", "LevelDepths", "book_shape", "depth_shape", "whole_samples"]

DEPTH_COLUMNS = ("step", "instrument", "side", "level", "price", "depth", "orders")
_SIDES = ("bid", "ask")
_SAMPLE = ["step", "instrument"]


def depth_shape(depth: Frames, instruments: pd.DataFrame) -> pd.DataFrame:
    """Return the mean depth at each occupied level of each side: the book as a ladder shows it.

    Parameters
    ----------
    depth : Frames
        The table depth: ``step``, ``instrument``, ``side``, ``level``, ``price``, ``depth``, ``orders``.
    instruments : DataFrame
        ``instrument``, ``name``, ``tick_size``.

    Returns
    -------
    DataFrame
        One row an instrument, side and level: ``instrument``, ``side``, ``level``, ``depth`` (mean lots, a
        level that is not there counts as 0), ``orders`` (mean number, likewise), ``distance`` (mean ticks
        from the best price of its side, where the level is there), ``present`` (share of the samples that
        have the level). A sample is a step at which the book was recorded and not empty.

    Raises
    ------
    AnalysisError
        When no depth was recorded.

    Example
    -------
    >>> table = pd.DataFrame({"instrument": [0], "name": ["A"], "tick_size": [1]})
    >>> depth = pd.DataFrame({"step": [0, 0, 1], "instrument": 0, "side": "bid", "level": [0, 1, 0]})
    >>> depth = depth.assign(price=[99, 97, 98], depth=[10, 20, 30], orders=1)
    >>> depth_shape(depth, table)[["level", "depth", "distance", "present"]].to_numpy().tolist()
    [[0.0, 20.0, 0.0, 1.0], [1.0, 10.0, 2.0, 0.5]]
    """
    levels = LevelDepths(instruments)
    for frame in whole_samples(depth):
        levels.add(frame)
    return levels.result()


class LevelDepths:
    """Add up depth by level; frames must hold whole samples: no step may be split between two.

    `depth_shape` has the definitions.
    """

    def __init__(self, instruments: pd.DataFrame) -> None:
        self._instruments = instruments
        self._parts: list[pd.DataFrame] = []
        self._samples: dict[int, int] = {}

    def add(self, depth: pd.DataFrame) -> None:
        """Add the samples of one frame."""
        rows = _numbered(depth, self._instruments)
        for number, count in rows.drop_duplicates(_SAMPLE)["instrument"].value_counts().items():
            self._samples[int(number)] = self._samples.get(int(number), 0) + int(count)
        rows["distance"] = _ticks_between(rows, _best_prices(rows), self._instruments)
        sums = rows.groupby(["instrument", "side", "level"])[["depth", "orders", "distance"]].sum()
        sums["present"] = rows.groupby(["instrument", "side", "level"]).size()
        self._parts.append(sums)

    @property
    def empty(self) -> bool:
        """Whether there was no sample."""
        return not self._parts

    def result(self) -> pd.DataFrame:
        """Return the table that `depth_shape` describes; raises AnalysisError when there was no sample."""
        if self.empty:
            raise AnalysisError("no depth was recorded; record the run with recording.depth_every: 100")
        sums = pd.concat(self._parts).groupby(level=[0, 1, 2]).sum().reset_index()
        samples = sums["instrument"].map(self._samples)
        return pd.DataFrame(
            {
                "instrument": sums["instrument"].map(instrument_names(self._instruments)),
                "side": np.array(_SIDES, object)[sums["side"]],
                "level": sums["level"],
                "depth": sums["depth"] / samples,
                "orders": sums["orders"] / samples,
                "distance": sums["distance"] / sums["present"],
                "present": sums["present"] / samples,
            }
        )


def book_shape(
    depth: Frames, instruments: pd.DataFrame, *, max_distance: int = 50, coverage: float = 0.9
) -> pd.DataFrame:
    """Return the mean depth by distance from the best price of its own side and from the mid.

    The mean order book of Bouchaud, Mézard and Potters (2002), where a price without orders counts as 0. A
    recording holds a limited number of levels: a sample with as many levels as the fullest says nothing
    about prices beyond its last, and is left out of the mean there. Since samples that see far are those of
    thin books, distances that too few of them see are left out; to see farther raise
    ``recording.depth_levels``.

    Parameters
    ----------
    depth : Frames
        The table depth: ``step``, ``instrument``, ``side``, ``level``, ``price``, ``depth``, ``orders``.
    instruments : DataFrame
        ``instrument``, ``name``, ``tick_size``.
    max_distance : int, ticks
        The shape is given for distances up to this.
    coverage : float
        Share of the samples that must see a distance for it to be given, above 0.

    Returns
    -------
    DataFrame
        ``instrument``, ``reference`` (``best`` or ``mid``), ``side``, ``distance`` (ticks; from the mid it is
        rounded up, since the mid may lie between two ticks), ``depth`` (mean lots), ``samples`` (in the
        mean).

    Raises
    ------
    AnalysisError
        When no depth was recorded, `max_distance` is below 1, or `coverage` is not in (0, 1].

    References
    ----------
    Bouchaud, Mézard and Potters (2002), Quantitative Finance 2, 251.

    Example
    -------
    >>> table = pd.DataFrame({"instrument": [0], "name": ["A"], "tick_size": [1]})
    >>> depth = pd.DataFrame({"step": 0, "instrument": 0, "side": ["bid", "bid", "ask"], "level": [0, 1, 0]})
    >>> depth = depth.assign(price=[99, 97, 101], depth=[10, 20, 30], orders=1)
    >>> shape = book_shape(depth, table, max_distance=2)
    >>> shape[(shape["side"] == "bid") & (shape["reference"] == "best")]["depth"].tolist()
    [10.0, 0.0, 20.0]
    """
    if max_distance < 1:
        raise AnalysisError(f"max_distance is {max_distance} ticks; choose 1 or more")
    if not 0 < coverage <= 1:
        raise AnalysisError(f"coverage is {coverage}; choose a share above 0 and up to 1")
    sums, samples = [], []
    for frame in whole_samples(depth):
        rows = _numbered(frame, instruments)
        best = _best_prices(rows)
        for reference, near in (("best", best), ("mid", _mid_prices(rows, best))):
            rows["distance"] = np.ceil(_ticks_between(rows, near, instruments))
            known = rows.dropna(subset="distance").assign(reference=reference)
            sums.append(_depth_at(known[known["distance"] <= max_distance]))
            samples.append(_reach(known))
    if not sums:
        raise AnalysisError("no depth was recorded; record the run with recording.depth_every: 100")
    return _shape(pd.concat(sums), pd.concat(samples), instruments, max_distance, coverage)


def _depth_at(rows: pd.DataFrame) -> pd.Series:
    return rows.groupby(["instrument", "reference", "side", "distance"])["depth"].sum()


def _reach(rows: pd.DataFrame) -> pd.DataFrame:
    """Return, for both sides of each sample, how many levels it holds and how far from the reference."""
    keys = ["reference", *_SAMPLE, "side"]
    found = rows.groupby(keys).agg(levels=("level", "size"), farthest=("distance", "max"))
    both = rows[["reference", *_SAMPLE]].drop_duplicates().merge(pd.DataFrame({"side": [0, 1]}), how="cross")
    empty = {"levels": 0, "farthest": -1.0}
    return found.reindex(pd.MultiIndex.from_frame(both)).fillna(empty).reset_index().drop(columns="step")


def _shape(
    sums: pd.Series, samples: pd.DataFrame, instruments: pd.DataFrame, max_distance: int, coverage: float
) -> pd.DataFrame:
    totals = sums.groupby(level=[0, 1, 2, 3]).sum()
    fullest = samples["levels"].max()
    names = instrument_names(instruments)
    parts = []
    for (instrument, reference, side), group in samples.groupby(["instrument", "reference", "side"]):
        distance = np.arange(1 if reference == "mid" else 0, max_distance + 1)
        reach = np.where(group["levels"] < fullest, np.inf, group["farthest"])
        observed = len(reach) - np.searchsorted(np.sort(reach), distance, side="left")
        wanted = pd.MultiIndex.from_product([[instrument], [reference], [side], distance.astype(float)])
        part = pd.DataFrame(
            {
                "instrument": names[int(instrument)],
                "reference": reference,
                "side": _SIDES[side],
                "distance": distance,
                "depth": totals.reindex(wanted, fill_value=0).to_numpy() / np.maximum(observed, 1),
                "samples": observed,
            }
        )
        parts.append(part[observed >= coverage * len(reach)])
    return pd.concat(parts, ignore_index=True)


def whole_samples(depth: Frames) -> Iterator[pd.DataFrame]:
    """Iterate over the frames of the table depth so that no step is split between two.

    Example
    -------
    >>> rows = pd.DataFrame({name: [0, 0, 0] for name in DEPTH_COLUMNS})
    >>> [len(frame) for frame in whole_samples([rows[:2], rows[2:]])]
    [3]
    """
    held: pd.DataFrame | None = None
    for frame in batches(depth, DEPTH_COLUMNS, "depth"):
        rows = frame if held is None else pd.concat([held, frame], ignore_index=True)
        last = rows["step"] == rows["step"].iloc[-1]
        held = rows[last]
        if not last.all():
            yield rows[~last]
    if held is not None:
        yield held


def _numbered(depth: pd.DataFrame, instruments: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "step": depth["step"].to_numpy(np.int64),
            "instrument": numbers(depth["instrument"], instruments, "instrument"),
            "side": ask_sides(depth["side"]).astype(np.int64),
            "level": depth["level"].to_numpy(np.int64),
            "price": depth["price"].to_numpy(float),
            "depth": depth["depth"].to_numpy(float),
            "orders": depth["orders"].to_numpy(float),
        }
    )


def _best_prices(rows: pd.DataFrame) -> pd.Series:
    """Return the price of level 0 of the side of each row."""
    best = rows[rows["level"] == 0].set_index([*_SAMPLE, "side"])["price"]
    return best.reindex(pd.MultiIndex.from_frame(rows[[*_SAMPLE, "side"]])).set_axis(rows.index)


def _mid_prices(rows: pd.DataFrame, best: pd.Series) -> pd.Series:
    """Return the mid of the sample of each row; NaN where a side is empty."""
    both = rows[rows["level"] == 0].groupby(_SAMPLE)["price"].agg(["mean", "size"])
    mid = both["mean"].where(both["size"] == len(_SIDES))
    return mid.reindex(pd.MultiIndex.from_frame(rows[_SAMPLE])).set_axis(best.index)


def _ticks_between(rows: pd.DataFrame, near: pd.Series, instruments: pd.DataFrame) -> pd.Series:
    tick = rows["instrument"].map(instruments.set_index("instrument")["tick_size"])
    return (near - rows["price"]).abs() / tick
